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

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.stats import norm

from nowcast.synthetic.convective_cells import Cells
from nowcast.synthetic.flow_fields import COARSE, FlowField, Vortex, advect, enlarge
from nowcast.synthetic.uplift import Front, Slopes
from nowcast.synthetic.weather_regimes import NO_ECHO, PIXEL_KM, Regime, regime_of_day

Field = NDArray[np.float32]

DETECTION = 4.0
"""Smallest reflectivity a synthetic echo has, in dBZ; the Shanghai sample of docs/data.md shows none below it."""


class EvolvingField:
    """A Gaussian field of mean 0 and variance 1 on a periodic box, with a power-law spectrum and Lagrangian memory.

    Power per mode falls as k^-slope below `outer_km`; a structure of length L (km) keeps 1/e of itself after
    `lifetime` · (L / 10 km)^0.9 minutes while it moves with the flow.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        box: int,
        minutes: float,
        slope: float,
        outer_km: float,
        lifetime: float,
        pixel_km: float = PIXEL_KM,
    ) -> None:
        self.rng, self.box = rng, box
        wave = np.hypot(np.fft.fftfreq(box)[:, None], np.fft.rfftfreq(box)[None]) / pixel_km  # cycles per km
        self.ring = np.rint(wave * pixel_km * box).astype(np.intp)
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


def box_size(size: int) -> int:
    """Side of the periodic box in pixels: a third wider than the window, and never too small for large scales."""
    return COARSE * int(scipy.fft.next_fast_len(int(np.ceil(max(1.33 * size, 256) / COARSE)), real=True))


def rain_frames(
    seed: int, day: int, size: int, minutes: float, pixel_km: float = PIXEL_KM, climate: str = "summer"
) -> Iterator[tuple[Field, Field]]:
    """The frames of a synthetic day without end: (reflectivity, flow) at intervals of `minutes`.

    reflectivity: (size, size) dBZ, NO_ECHO where dry, else at least DETECTION. flow: (2, size, size), (east, south)
    pixels of `pixel_km` per frame, the motion that brought this frame from the one before. Frames depend on the
    arguments only, so a shorter day is the beginning of a longer one.
    """
    regime, box = regime_of_day(seed, day, climate), box_size(size)
    streams = [np.random.default_rng([seed, 1, day, stream]) for stream in range(5)]
    weather = streams[0]
    vortex = Vortex(weather, box, pixel_km) if regime.vortex else None
    flow = FlowField(streams[1], box, minutes, pixel_km, regime.wind, vortex)
    rain = EvolvingField(streams[2], box, minutes, regime.slope, regime.outer_km, regime.lifetime, pixel_km)
    cells = Cells(streams[3], box, minutes, regime, pixel_km)
    anvil = np.zeros((box // COARSE,) * 2, np.float32)
    threshold = float(norm.isf(regime.wet))
    swing, phase = weather.uniform(0.1, 0.3) * regime.swing, weather.uniform(0, 2 * np.pi)
    slopes = Slopes(weather, box, pixel_km, regime.lift) if regime.lift else None
    front = Front(weather, box, regime.band) if regime.band else None
    grain = 2 * round(10 * PIXEL_KM / pixel_km) + 1  # of the texture, pixels
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
        if front is not None:
            front.step(flow.mean)
        if frame >= 0:
            local = 2.0 * np.tanh(5.0 * anvil)
            if vortex is not None:
                local = local + vortex.lift(hour)
            if slopes is not None:
                local = local + slopes.pattern
            if front is not None:
                local = local + front.lift()
            growth = threshold + swing * np.sin(2 * np.pi * hour / 9 + phase)
            excess = field - growth + enlarge(local.astype(np.float32), box)
            texture = field - cv2.blur(field, (grain, grain))
            texture /= texture.std()
            stratiform = _stratiform(excess, texture, regime)
            total = _add(stratiform[window, window], cells.reflectivity(texture)[window, window])
            if regime.noise:
                total = _measured(total, regime.noise, streams[4])
            yield total, np.stack([east, south])[:, window, window]
        frame += 1


def _stratiform(excess: Field, texture: Field, regime: Regime) -> Field:
    """Reflectivity in dBZ of the field's excess over the threshold: steep at the edge, then saturating, textured."""
    rise = np.maximum(excess, 0) ** np.float32(regime.curve)
    height = np.tanh(regime.spread / regime.saturation * rise)
    return np.where(excess > 0, DETECTION + regime.saturation * height + 2.5 * height * texture, NO_ECHO)


def _measured(field: Field, noise: float, rng: np.random.Generator) -> Field:
    """The echoes as a radar measures them, `noise` dB off at every pixel; what falls below DETECTION is not seen."""
    seen = field + np.float32(noise) * rng.standard_normal(field.shape, dtype=np.float32)
    return np.where((field > NO_ECHO) & (seen >= DETECTION), np.minimum(seen, 59.9), NO_ECHO).astype(np.float32)


def _add(first: Field, second: Field) -> Field:
    """Sum of two echoes in dBZ; sums below DETECTION are not seen."""
    first, second = first.astype(np.float32), second.astype(np.float32)
    total = np.maximum(first, second) + 10 * np.log10(1 + 10 ** (-np.abs(first - second) / 10))
    return np.where(total >= DETECTION, np.minimum(total, 59.9), NO_ECHO).astype(np.float32)
