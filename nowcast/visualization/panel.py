"""A map panel: a rain-rate field becomes palette indices, at a size where it reads well."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from nowcast.visualization import colors
from nowcast.visualization.canvas import DRY_LINE, FIRST_CLASS, UNSEEN_LINE

HATCH = 7
"""Distance between the hatching lines of unseen places, pixels of the picture."""


def panel_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width in which a field is drawn, its longer side near `size` pixels.

    A field that is smaller is enlarged by a whole number, so that its pixels stay square and crisp; a larger one is
    reduced to `size`.

    >>> panel_shape((120, 120), 400), panel_shape((480, 480), 400), panel_shape((64, 256), 400)
    ((360, 360), (400, 400), (128, 512))
    """
    longest = max(shape)
    factor: float = max(1, round(size / longest)) if longest <= size else size / longest
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def nice_distance(kilometers: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above a distance.

    >>> nice_distance(130.0), nice_distance(37.0), nice_distance(0.7)
    (100.0, 20.0, 0.5)
    """
    power = 10.0 ** np.floor(np.log10(kilometers))
    return float(max(m * power for m in (1, 2, 5) if m * power <= kilometers * (1 + 1e-9)))


class Panel:
    """Paints fields of one shape.

    Attributes:
        shape: of the fields (rows, columns).
        height, width: of the painted field, pixels.
        distance: spacing of the distance lines, km; None when the pixel size is not known.
        distance_pixels: the same in pixels of the picture.
    """

    def __init__(self, shape: tuple[int, int], size: int, kilometers_per_pixel: float | None) -> None:
        self.shape = shape
        self.height, self.width = panel_shape(shape, size)
        self._rows = np.arange(self.height) * shape[0] // self.height
        self._columns = np.arange(self.width) * shape[1] // self.width
        self._reduce = self.height < shape[0] or self.width < shape[1]
        rows, columns = np.ogrid[: self.height, : self.width]
        lines = np.zeros((self.height, self.width), bool)
        self.distance: float | None = None
        self.distance_pixels = 0
        if kilometers_per_pixel:
            shown = kilometers_per_pixel * shape[1] / self.width
            self.distance = nice_distance(min(max(self.width, self.height) / 3, max(self.width - 32, 8)) * shown)
            spacing = self.distance / shown
            self.distance_pixels = round(spacing)
            for axis, length in ((0, self.height), (1, self.width)):
                ticks = length / 2 + spacing * np.arange(-10, 11)
                on_line = np.isin(np.arange(length), np.rint(ticks).astype(int))
                lines |= on_line[:, None] if axis == 0 else on_line[None, :]
        hatched = (rows + columns) % HATCH == 0
        classes = np.arange(len(colors.CLASS_COLORS), dtype=np.uint8) + FIRST_CLASS
        self._lookup = np.stack([classes] * 4)
        self._lookup[1::2, colors.DRY_CLASS] = DRY_LINE
        self._lookup[2:, colors.UNSEEN_CLASS] = UNSEEN_LINE
        self._pattern = (lines + 2 * hatched).astype(np.uint8)

    def paint(self, rain_rate: NDArray[np.float32], seen: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
        """Palette indices (height, width) of a field in mm/h (NaN = unknown; `seen` True = the radar sees it).

        A reduced field holds the mean rate of the seen and known pixels under each of its own; a place is unseen
        or unknown when most of it is.
        """
        if self._reduce:
            classes = self._reduced(rain_rate, np.ones(rain_rate.shape, bool) if seen is None else seen)
        else:
            classes = colors.classify(rain_rate, seen)[np.ix_(self._rows, self._columns)]
        return self._lookup[self._pattern, classes]

    def blank(self, seen: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
        """Palette indices of a panel without a field: paper where the radar sees."""
        field = self.paint(np.zeros(self.shape, np.float32), seen)
        return np.where(np.isin(field, (FIRST_CLASS, DRY_LINE)), np.uint8(0), field)

    def _reduced(self, rain_rate: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
        def mean(field: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(cv2.resize(field, (self.width, self.height), interpolation=cv2.INTER_AREA))

        usable = seen & ~np.isnan(rain_rate)
        share, share_seen = mean(usable.astype(np.float32)), mean(seen.astype(np.float32))
        total = mean(np.where(usable, np.minimum(rain_rate, 1e6), 0).astype(np.float32))
        rate = np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0.5 * share_seen)
        return colors.classify(rate, share_seen >= 0.5)
