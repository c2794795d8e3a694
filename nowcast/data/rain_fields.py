"""Rain that moves: random reflectivity fields of one synthetic day, carried by a smooth flow.

A Gaussian field with a power-law spectrum is advected on a periodic box larger than the window that is seen, so that
no dry edge flows in. Every wave number forgets at its own pace, small scales first. Where the field exceeds a
threshold it rains; above the threshold reflectivity rises steeply, as at the edge of real echoes. Convective cells of
20-60 minutes are born at random, beside other cells and along squall lines, ride on the flow and leave anvils behind
them, in which the threshold is lower.

Directions: row 0 is north, so a flow is (east, south) = (columns, rows) in pixels per frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from nowcast.data.flow_fields import COARSE, FlowField, Vortex, advect, enlarge

Field = NDArray[np.float32]

PIXEL_KM = 512.0 / 480.0
"""Width of a pixel in km: HKO-7 shows about 512 km with 480 pixels. Smaller windows see less, not coarser."""

NO_ECHO = -10.0
"""Reflectivity in dBZ that stands for no echo, the bottom of the HKO-7 scale."""

DETECTION = 4.0
"""Smallest reflectivity a synthetic echo has, in dBZ; the Shanghai sample of docs/data.md shows none below it."""


SATURATION = 34.0
"""Range of stratiform reflectivity above DETECTION in dB: what is heavier falls from cells."""


@dataclass(frozen=True)
class Regime:
    """The weather of a day. Rates are per hour and per 100 000 km², speeds in m/s.

    wet: share of the box where stratiform rain falls without help from cells; spread: reflectivity in dB that one
    standard deviation above the threshold brings; cells: births of lone cells; lines: squall lines per day.
    """

    name: str
    wind: float
    wet: float
    spread: float
    cells: float
    lines: float = 0.0
    vortex: bool = False


REGIMES = (
    Regime("scattered", wind=6.0, wet=0.012, spread=32.0, cells=7.0),
    Regime("stratiform", wind=10.0, wet=0.10, spread=32.0, cells=2.0),
    Regime("line", wind=12.0, wet=0.02, spread=32.0, cells=2.0, lines=6.0),
    Regime("typhoon", wind=5.5, wet=0.025, spread=33.0, cells=3.0, vortex=True),
)


def regime_of_day(seed: int, day: int) -> Regime:
    """Every block of four days shows each regime once, in an order that the seed shuffles."""
    order = np.random.default_rng([seed, 0, day // len(REGIMES)]).permutation(len(REGIMES))
    return REGIMES[order[day % len(REGIMES)]]


class EvolvingField:
    """A Gaussian field of mean 0 and variance 1 on a periodic box, with a power-law spectrum and Lagrangian memory.

    Power per mode falls as k^-slope below `outer_km`; a structure of length L (km) keeps 1/e of itself after
    `lifetime` · (L / 10 km)^0.9 minutes while it moves with the flow.
    """

    def __init__(
        self, rng: np.random.Generator, box: int, minutes: float, slope: float, outer_km: float, lifetime: float
    ) -> None:
        self.rng, self.box = rng, box
        wave = np.hypot(np.fft.fftfreq(box)[:, None], np.fft.rfftfreq(box)[None]) / PIXEL_KM  # cycles per km
        self.ring = np.rint(wave * PIXEL_KM * box).astype(np.intp)
        power = (wave**2 + outer_km**-2) ** (-slope / 2)
        power[0, 0] = 0
        weight = np.full(wave.shape, 2.0)  # rfft keeps one of two conjugate columns, except the first and last
        weight[:, 0] = 1
        if box % 2 == 0:
            weight[:, -1] = 1
        power *= box**4 / (power * weight).sum()  # Parseval: Σ|F|² = N⁴ for unit variance
        length = 0.5 / np.maximum(wave, 1e-6)  # a structure is half a wave
        self.memory = np.exp(-minutes / (lifetime * (np.minimum(length, 500) / 10) ** 0.9)).astype(np.float32)
        self.modes = np.bincount(self.ring.ravel(), minlength=self.ring.max() + 1)
        self.power = power.astype(np.float32)
        self.target = np.bincount(self.ring.ravel(), power.ravel()) / np.maximum(self.modes, 1)
        self.field = self._back(self._noise() * np.sqrt(self.power))

    def step(self, east: Field, south: Field) -> Field:
        """Move with the flow (pixels per frame), forget, renew; returns the new field (box, box)."""
        spectrum = scipy.fft.rfft2(advect(self.field, east, south))
        # Interpolation smooths and shear folds: measure what is left in every ring and add what is missing. Rings of
        # few modes vary by nature, so the measurement is shrunk to the target.
        measured = np.bincount(self.ring.ravel(), (spectrum.real**2 + spectrum.imag**2).ravel())
        left = (measured + 50 * self.target) / (self.modes + 50)
        ratio = (left / np.maximum(self.target, 1e-12)).astype(np.float32)[self.ring]
        missing = np.maximum(1 - self.memory**2 * ratio, 0)
        self.field = self._back(self.memory * spectrum + self._noise() * np.sqrt(self.power * missing))
        return self.field

    def _noise(self) -> NDArray[np.complex64]:
        """Complex white noise of unit power per mode in the half plane of rfft2."""
        pairs = self.rng.standard_normal((*self.power.shape, 2), dtype=np.float32)
        pairs *= np.float32(np.sqrt(0.5))
        pairs[:, 0] *= np.float32(np.sqrt(2))  # irfft2 drops half of this column, which is its own conjugate
        return pairs.view(np.complex64)[..., 0]

    def _back(self, spectrum: NDArray[np.complex64]) -> Field:
        return scipy.fft.irfft2(spectrum, s=(self.box, self.box)).astype(np.float32, copy=False)


class Cells:
    """Convective cells: positions in box pixels, ages in minutes, peaks in dBZ; one row of `table` a cell."""

    COLUMNS = ("column", "row", "age", "life", "peak", "radius", "stretch", "angle")

    def __init__(self, rng: np.random.Generator, box: int, minutes: float, regime: Regime) -> None:
        self.rng, self.box, self.minutes, self.regime = rng, box, minutes, regime
        self.table = np.zeros((0, len(self.COLUMNS)))
        self.lines: list[dict[str, float]] = []
        self.area = (box * PIXEL_KM) ** 2 / 1e5
        self.clock = 0.0

    def step(self, flow: FlowField, east: Field, south: Field, moisture: Field) -> None:
        """Ride, age, die and be born; `moisture` (box, box) favors births where it is large."""
        where = (self.table[:, 1].astype(int) % self.box, self.table[:, 0].astype(int) % self.box)
        self.table[:, 0] = (self.table[:, 0] + east[where]) % self.box
        self.table[:, 1] = (self.table[:, 1] + south[where]) % self.box
        self.table[:, 2] += self.minutes
        self.table = self.table[self.table[:, 2] < self.table[:, 3]]
        hours = self.minutes / 60
        born = [self._lone(moisture) for _ in range(self.rng.poisson(self.regime.cells * self.area * hours))]
        mature = self.table[(self.table[:, 2] > 0.3 * self.table[:, 3]) & (self.table[:, 4] > 40)]
        for parent in mature[self.rng.random(len(mature)) < 1.4 * hours]:
            born.append(self._near(parent[0], parent[1], 11.0, parent[7]))
        born += self._along_lines(flow.mean, hours)
        if born:
            self.table = np.concatenate([self.table, np.array(born)])
        self.clock += hours

    def reflectivity(self, texture: Field) -> Field:
        """Largest cell reflectivity in dBZ at every pixel of the box, NO_ECHO where there is none."""
        field = np.full((self.box, self.box), NO_ECHO, np.float32)
        for column, row, age, life, peak, radius, stretch, angle in self.table:
            top = (peak - 8) * np.sin(np.pi * age / life) ** 0.6 + 8
            reach = int(np.ceil(1.9 * radius * stretch))
            rows = np.arange(int(row) - reach, int(row) + reach + 1)
            columns = np.arange(int(column) - reach, int(column) + reach + 1)
            down, right = (rows - row)[:, None], (columns - column)[None]
            along = (right * np.cos(angle) + down * np.sin(angle)) / (radius * stretch)
            across = (down * np.cos(angle) - right * np.sin(angle)) / radius
            patch = np.ix_(rows % self.box, columns % self.box)
            bump = top - 11 * (along**2 + across**2) + 5 * texture[patch]
            field[patch] = np.maximum(field[patch], bump)
        return field

    def anvils(self) -> Field:
        """Moisture that the cells leave per hour, on the coarse grid (box / COARSE, box / COARSE)."""
        coarse = np.zeros((self.box // COARSE,) * 2, np.float32)
        where = (self.table[:, 1].astype(int) // COARSE, self.table[:, 0].astype(int) // COARSE)
        np.add.at(coarse, where, (np.maximum(self.table[:, 4] - 36, 0) / 10).astype(np.float32))
        return gaussian_filter(coarse, 1.5, mode="wrap")

    def _new(self, column: float, row: float, angle: float, boost: float = 0.0) -> list[float]:
        rng = self.rng
        peak = np.clip(rng.normal(37.5 + boost, 5.0), 26, 55)
        radius = rng.uniform(2.5, 5.0) + max(peak - 38, 0) * 0.15
        life = rng.uniform(20, 60)
        stretch = rng.uniform(1.0, 1.9)
        return [column % self.box, row % self.box, 0.0, life, peak, radius, stretch, angle + rng.normal(0, 0.35)]

    def _lone(self, moisture: Field) -> list[float]:
        candidates = self.rng.integers(0, self.box, (16, 2))
        row, column = max(candidates, key=lambda place: moisture[place[0], place[1]])
        return self._new(float(column), float(row), self.rng.uniform(0, np.pi))

    def _near(self, column: float, row: float, distance: float, angle: float) -> list[float]:
        offset = self.rng.normal(0, distance, 2)
        return self._new(column + offset[0], row + offset[1], angle)

    def _along_lines(self, mean: tuple[float, float], hours: float) -> list[list[float]]:
        """Births along squall lines, which lie across the wind and travel with it for three to six hours."""
        rng = self.rng
        first = self.clock == 0 and self.regime.lines > 0
        for _ in range(max(int(first), rng.poisson(self.regime.lines * hours / 24))):
            across = np.arctan2(mean[1], mean[0]) + np.pi / 2 + rng.normal(0, 0.35)
            line = {"column": rng.uniform(0, self.box), "row": rng.uniform(0, self.box), "angle": across}
            line |= {"half": rng.uniform(0.2, 0.32) * self.box, "bend": rng.uniform(-0.25, 0.25)}
            self.lines.append(line | {"end": self.clock + rng.uniform(3, 6)})
        self.lines = [line for line in self.lines if line["end"] > self.clock]
        born = []
        for line in self.lines:
            line["column"] += mean[0]
            line["row"] += mean[1]
            for _ in range(rng.poisson(2 * line["half"] / 11 * hours / 0.6)):
                along = rng.uniform(-line["half"], line["half"])
                ahead = line["bend"] * along**2 / line["half"] + rng.normal(0, 3.5)
                column = line["column"] + along * np.cos(line["angle"]) - ahead * np.sin(line["angle"])
                row = line["row"] + along * np.sin(line["angle"]) + ahead * np.cos(line["angle"])
                born.append(self._new(column, row, line["angle"], boost=3.5))
        return born


def box_size(size: int) -> int:
    """Side of the periodic box in pixels: a third wider than the window, and never too small for large scales."""
    return COARSE * int(scipy.fft.next_fast_len(int(np.ceil(max(1.33 * size, 256) / COARSE)), real=True))


def rain_frames(seed: int, day: int, size: int, minutes: float) -> Iterator[tuple[Field, Field]]:
    """The frames of a synthetic day without end: (reflectivity, flow) at intervals of `minutes`.

    reflectivity: (size, size) dBZ, NO_ECHO where dry, else at least DETECTION. flow: (2, size, size), (east, south)
    pixels per frame, the motion that brought this frame from the one before. Frames depend on (seed, day, size,
    minutes) only, so a shorter day is the beginning of a longer one.
    """
    regime, box = regime_of_day(seed, day), box_size(size)
    streams = [np.random.default_rng([seed, 1, day, stream]) for stream in range(4)]
    weather = streams[0]
    vortex = Vortex(weather, box, PIXEL_KM) if regime.vortex else None
    flow = FlowField(streams[1], box, minutes, PIXEL_KM, regime.wind, vortex)
    rain = EvolvingField(streams[2], box, minutes, slope=3.5, outer_km=240.0, lifetime=110.0)
    cells = Cells(streams[3], box, minutes, regime)
    anvil = np.zeros((box // COARSE,) * 2, np.float32)
    threshold = float(norm.isf(regime.wet))
    swing, phase = weather.uniform(0.1, 0.3), weather.uniform(0, 2 * np.pi)
    spin_up = int(np.ceil(60 / minutes))  # cells and anvils start empty
    window = slice((box - size) // 2, (box - size) // 2 + size)
    frame, nodes = -spin_up, np.float32(COARSE)
    while True:
        hour = frame * minutes / 60
        coarse_flow = flow.at(hour)
        east, south = (enlarge(component, box) for component in coarse_flow)
        field = rain.step(east, south)
        anvil = advect(anvil, coarse_flow[0] / nodes, coarse_flow[1] / nodes) * np.float32(np.exp(-minutes / 80))
        cells.step(flow, east, south, field)
        anvil += cells.anvils() * np.float32(minutes / 60)
        if frame >= 0:
            local = 2.0 * np.tanh(5.0 * anvil)
            if vortex is not None:
                local = local + vortex.lift(hour)
            growth = threshold + swing * np.sin(2 * np.pi * hour / 9 + phase)
            excess = field - growth + enlarge(local.astype(np.float32), box)
            texture = field - cv2.blur(field, (21, 21))
            texture /= texture.std()
            stratiform = _stratiform(excess, texture, regime.spread)
            total = _add(stratiform[window, window], cells.reflectivity(texture)[window, window])
            yield total, np.stack([east, south])[:, window, window]
        frame += 1


def _stratiform(excess: Field, texture: Field, spread: float) -> Field:
    """Reflectivity in dBZ of the field's excess over the threshold: steep at the edge, then saturating, textured."""
    height = np.tanh(spread / SATURATION * np.maximum(excess, 0) ** np.float32(0.6))
    return np.where(excess > 0, DETECTION + SATURATION * height + 2.5 * height * texture, NO_ECHO)


def _add(first: Field, second: Field) -> Field:
    """Sum of two echoes in dBZ; sums below DETECTION are not seen."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    total = np.maximum(first, second) + 10 * np.log10(1 + 10 ** (-np.abs(first - second) / 10))
    return np.where(total >= DETECTION, np.minimum(total, 59.9), NO_ECHO).astype(np.float32)
