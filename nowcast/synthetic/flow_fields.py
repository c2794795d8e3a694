"""The air of a synthetic day: a smooth, slowly turning flow on a periodic box, and how it carries a field.

Flows are (east, south) in pixels per frame on a coarse grid of one node every COARSE pixels; row 0 is north.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

Field = NDArray[np.float32]

COARSE = 8
"""Pixels between the nodes of a flow: it varies over tens of kilometers, so this loses nothing."""


def wrap(field: Field, width: int) -> Field:
    """The field with `width` more rows and columns on every side, taken from the opposite side."""
    return np.asarray(cv2.copyMakeBorder(field, width, width, width, width, cv2.BORDER_WRAP), np.float32)


def enlarge(coarse: Field, box: int) -> Field:
    """A coarse periodic field (box / COARSE)² brought to every pixel (box, box), bilinearly."""
    large = cv2.resize(wrap(coarse, 1), (box + 2 * COARSE,) * 2, interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[COARSE:-COARSE, COARSE:-COARSE], np.float32)


def advect(field: Field, east: Field, south: Field) -> Field:
    """The periodic field one frame later: every pixel takes the value found upstream (semi-Lagrangian, bicubic)."""
    reach = int(np.ceil(max(np.abs(east).max(), np.abs(south).max()))) + 2
    rows, columns = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32)
    upstream = (columns - east + reach, rows - south + reach)
    return np.asarray(cv2.remap(wrap(field, reach), *upstream, cv2.INTER_CUBIC), np.float32)


class Vortex:
    """A typhoon: a rotating wind and spiral rain bands around a center that drifts past the middle of the window."""

    def __init__(self, rng: np.random.Generator, box: int, pixel_km: float) -> None:
        self.box, self.pixel_km = box, pixel_km
        self.speed = rng.uniform(16.0, 20.0)  # m/s, at the radius of maximum wind
        self.radius = rng.uniform(38.0, 52.0)  # km
        self.drift, self.heading = rng.uniform(4.0, 6.0), rng.uniform(0, 2 * np.pi)  # m/s, radians
        self.passage = rng.uniform(3.0, 9.0)  # hour of the closest approach
        self.miss = rng.uniform(-0.12, 0.12) * box  # pixels
        self.arms = rng.uniform(0, 2 * np.pi)
        node = (np.arange(box // COARSE) + 0.5) * COARSE - 0.5
        self.columns, self.rows = np.meshgrid(node, node)

    def _polar(self, hour: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Offsets (right, down) in km on the nearest periodic image of the center, and their length."""
        gone = (hour - self.passage) * self.drift * 3.6 / self.pixel_km
        along, across = np.array([np.cos(self.heading), np.sin(self.heading)]), self.miss
        center = self.box / 2 + gone * along + across * np.array([-along[1], along[0]])
        right = (self.columns - center[0] + self.box / 2) % self.box - self.box / 2
        down = (self.rows - center[1] + self.box / 2) % self.box - self.box / 2
        return right * self.pixel_km, down * self.pixel_km, np.hypot(right, down) * self.pixel_km

    def wind(self, hour: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cyclonic wind of the northern hemisphere, (east, south) m/s; it fades before it meets its own image."""
        right, down, distance = self._polar(hour)
        ratio = distance / self.radius
        fade = np.cos(np.clip(distance / (0.5 * self.box * self.pixel_km), 0, 1) * np.pi / 2) ** 2
        turning = self.speed * 2 / (1 + ratio**2) * fade / self.radius  # speed / distance
        return turning * down, -turning * right

    def lift(self, hour: float) -> Field:
        """How much the rain threshold falls: eyewall and two spiral arms, which turn slower than the wind."""
        right, down, distance = self._polar(hour)
        ratio = distance / self.radius
        arms = 2 * (np.arctan2(-down, right) - 2.8 * np.log1p(ratio)) - hour + self.arms
        eyewall = 2.4 * np.exp(-(((ratio - 1.1) / 0.6) ** 2))
        bands = 1.9 * np.cos(arms) * np.exp(-ratio / 5) * np.minimum(ratio, 1)
        eye = -2.0 * np.exp(-((ratio / 0.4) ** 2))
        return np.asarray(eyewall + bands + eye, np.float32)


class FlowField:
    """Mean wind that turns over hours, plus eddies from two slowly alternating stream functions (no divergence)."""

    EDDY_KM = 150.0
    EDDY_SPEED = 1.8
    """Typical eddy speed, m/s."""

    def __init__(
        self,
        rng: np.random.Generator,
        box: int,
        minutes: float,
        pixel_km: float,
        wind: float,
        vortex: Vortex | None = None,
    ) -> None:
        self.box, self.vortex = box, vortex
        self.pixels = minutes * 60 / 1000 / pixel_km  # pixels per frame of 1 m/s
        self.speed = wind * rng.uniform(0.8, 1.25)
        self.heading = rng.uniform(0, 2 * np.pi)
        self.turn = rng.choice([-1, 1]) * rng.uniform(0.4, 1.4)  # radians a day
        self.phases = rng.uniform(0, 2 * np.pi, 3)
        self.eddies = [self._eddy(rng, pixel_km) for _ in range(2)]
        self.mean = (0.0, 0.0)

    def _eddy(self, rng: np.random.Generator, pixel_km: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(east, south) m/s of one random stream function; rms EDDY_SPEED."""
        count = self.box // COARSE
        wave = np.hypot(np.fft.fftfreq(count)[:, None], np.fft.rfftfreq(count)[None]) / (COARSE * pixel_km)
        shape = np.exp(-0.5 * (wave * self.EDDY_KM) ** 2)
        shape[0, 0] = 0
        stream = scipy.fft.irfft2(scipy.fft.rfft2(rng.standard_normal((count, count))) * shape, s=(count, count))
        east = np.roll(stream, -1, 0) - np.roll(stream, 1, 0)
        south = np.roll(stream, 1, 1) - np.roll(stream, -1, 1)
        scale = self.EDDY_SPEED / max(float(np.sqrt((east**2 + south**2).mean())), 1e-12)
        return east * scale, south * scale

    def at(self, hour: float) -> tuple[Field, Field]:
        """The displacement that ends at `hour`: (east, south), each (box / COARSE)², pixels per frame.

        Follows the flow half a frame upstream (midpoint rule), so that rain circles a vortex without drifting in.
        """
        heading = self.heading + self.turn * hour / 24 + 0.25 * np.sin(2 * np.pi * hour / 7 + self.phases[0])
        speed = self.speed * (1 + 0.15 * np.sin(2 * np.pi * hour / 11 + self.phases[1]))
        swing = 2 * np.pi * hour / 16 + self.phases[2]
        east, south = (np.cos(swing) * self.eddies[0][i] + np.sin(swing) * self.eddies[1][i] for i in (0, 1))
        east, south = east + speed * np.cos(heading), south + speed * np.sin(heading)
        self.mean = (speed * np.cos(heading) * self.pixels, speed * np.sin(heading) * self.pixels)
        if self.vortex is not None:
            around = self.vortex.wind(hour)
            east, south = east + around[0], south + around[1]
        full = [np.asarray(component * self.pixels, np.float32) for component in (east, south)]
        half_east, half_south = (component / np.float32(2 * COARSE) for component in full)
        return advect(full[0], half_east, half_south), advect(full[1], half_east, half_south)
