"""What a radar's site adds to every frame: the edge of its view, a blocked sector and ground clutter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class StaticEchoes:
    """The site of a synthetic radar in the middle of a window; a pure function of (seed, size).

    unseen: outside the circle of view or behind a ridge; outliers: pixels that always echo; excluded: either.
    All bool (size, size), True = do not use.
    """

    def __init__(self, seed: int, size: int) -> None:
        rng = np.random.default_rng([seed, 3])
        offset = np.arange(size) - (size - 1) / 2
        distance = np.hypot(offset[:, None], offset[None])
        bearing = np.arctan2(offset[None], -offset[:, None])  # clockwise from north
        ridge, ridge_range = rng.uniform(-np.pi, np.pi), rng.uniform(0.35, 0.5) * size / 2
        behind = np.abs((bearing - ridge + np.pi) % (2 * np.pi) - np.pi) < np.deg2rad(4.0)
        self.unseen = (distance > size / 2) | (behind & (distance > ridge_range))
        on_ridge = behind & (np.abs(distance - ridge_range) < 2)
        self.outliers = on_ridge & ~self.unseen & (rng.random((size, size)) < 0.6)
        self.excluded = self.unseen | self.outliers
        # Speckle thins out over a seventeenth of the window (30 km at 480 pixels; in proportion, or small windows would
        # be all speckle). Each has its own frequency and level, mostly below the noise limit of code 71, one in ten
        # above it.
        speckle = rng.random((size, size)) < 0.35 * np.exp(-17 * distance / size)
        speckle &= ~self.unseen
        self.places = np.flatnonzero(speckle | self.outliers)
        self.frequency = np.where(self.outliers.flat[self.places], 1.0, rng.beta(0.7, 3.0, len(self.places)))
        level = np.where(rng.random(len(self.places)) < 0.1, rng.uniform(75, 115, len(self.places)), 60.0)
        self.level = np.where(self.outliers.flat[self.places], 170.0, level)

    def add(self, codes: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The codes (size, size) as this site would see them: clutter where it is stronger, nothing where unseen."""
        shown = rng.random(len(self.places)) < self.frequency
        level = np.clip(rng.normal(self.level, 5.0), 51, 255).astype(np.uint8)
        clutter = np.zeros_like(codes)
        clutter.flat[self.places[shown]] = level[shown]
        return np.where(self.unseen, np.uint8(0), np.maximum(codes, clutter))
