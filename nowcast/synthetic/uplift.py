"""What lifts the air beside the random field: mountains that stand and a front that travels slower than the wind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from nowcast.synthetic.flow_fields import COARSE

Field = NDArray[np.float32]


class Slopes:
    """A standing pattern of lift over ridges about 40 km wide: rain that crosses it grows, and fades behind.

    `pattern`: how far the rain threshold is lowered, (box / COARSE)², 0 on the lee sides, its positive part's rms is
    `lift` standard deviations of the rain field.
    """

    def __init__(self, rng: np.random.Generator, box: int, pixel_km: float, lift: float) -> None:
        nodes = box // COARSE
        rough = gaussian_filter(rng.standard_normal((nodes, nodes)), 12.0 / (COARSE * pixel_km), mode="wrap")
        windward = np.maximum(rough / rough.std(), 0)
        self.pattern: Field = np.asarray(lift * windward / np.sqrt((windward**2).mean()), np.float32)


class Front:
    """A long band of lift across the periodic box; the air passes through it, since it travels at a share of the wind.

    `step` once a frame with the mean flow (east, south) in pixels per frame, then `lift()` is how far the rain
    threshold is lowered on the coarse grid, (box / COARSE)².
    """

    WAVES = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (1, 2))
    """Waves across and down the box, so that a straight band meets itself at its edges."""

    def __init__(self, rng: np.random.Generator, box: int, strength: float) -> None:
        self.strength = strength
        across, down = self.WAVES[rng.integers(len(self.WAVES))]
        self.wave = 2 * np.pi / box * np.array([across, down])  # radians per pixel
        self.share = rng.uniform(0.3, 1.0)
        self.sharpness = rng.uniform(3.0, 9.0)
        self.phase = rng.uniform(0, 2 * np.pi)
        node = (np.arange(box // COARSE) + 0.5) * COARSE - 0.5
        self.at_rest = node[None] * self.wave[0] + node[:, None] * self.wave[1]

    def step(self, mean: tuple[float, float]) -> None:
        """One frame later."""
        self.phase += self.share * float(self.wave @ np.asarray(mean))

    def lift(self) -> Field:
        """Largest, the strength, along the band; -0.4 of it far away, where the air sinks."""
        band = np.exp(self.sharpness * (np.cos(self.at_rest - self.phase) - 1))
        return np.asarray(self.strength * (1.4 * band - 0.4), np.float32)
