"""A picture of palette indices: exact colors, no dithering, and text whose edges are shades of the same palette.

Drawing in indices keeps every rain class its exact color in every file format and makes frames cheap: a field is one
table lookup, and a GIF needs no color search.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nowcast.visualization import colors

SHADES = 16
"""Shades from paper to each text color, for the soft edges of letters."""

_TEXT_COLORS = (colors.INK, colors.MUTED, colors.ACCENT)
_FLAT_COLORS = (colors.PAPER, *colors.CLASS_COLORS, colors.DRY_LINE, colors.UNSEEN_LINE)


def _shades(color: str) -> list[tuple[int, int, int]]:
    steps = np.linspace(0, 1, SHADES)[:, None]
    blend = (1 - steps) * colors.rgb(colors.PAPER) + steps * np.array(colors.rgb(color))
    return [(int(r), int(g), int(b)) for r, g, b in blend.round()]


PALETTE: NDArray[np.uint8] = np.array(
    [colors.rgb(c) for c in _FLAT_COLORS] + [shade for c in _TEXT_COLORS for shade in _shades(c)], np.uint8
)
"""Every color an animation holds (N, 3)."""

FIRST_CLASS = 1
DRY_LINE = len(_FLAT_COLORS) - 2
UNSEEN_LINE = len(_FLAT_COLORS) - 1


def ink(color: str) -> int:
    """The index of a text color at full strength."""
    return _first_shade(color) + SHADES - 1


def _first_shade(color: str) -> int:
    return len(_FLAT_COLORS) + SHADES * _TEXT_COLORS.index(color)


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def text_width(text: str, size: int, bold: bool = False) -> int:
    """Width of a text in pixels."""
    return round(_font(size, bold).getlength(text))


class Canvas:
    """A picture of indices into `PALETTE`, `pixels` uint8 (height, width), that can be drawn on."""

    def __init__(self, width: int, height: int) -> None:
        self.pixels: NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def copy(self) -> Canvas:
        """The same picture, to draw on."""
        twin = Canvas.__new__(Canvas)
        twin.pixels = self.pixels.copy()
        return twin

    def fill(self, left: int, top: int, width: int, height: int, index: int) -> None:
        """A filled rectangle."""
        self.pixels[max(top, 0) : top + height, max(left, 0) : left + width] = index

    def frame(self, left: int, top: int, width: int, height: int, index: int, thickness: int = 1) -> None:
        """The outline around (outside of) a rectangle."""
        t = thickness
        self.fill(left - t, top - t, width + 2 * t, t, index)
        self.fill(left - t, top + height, width + 2 * t, t, index)
        self.fill(left - t, top, t, height, index)
        self.fill(left + width, top, t, height, index)

    def disc(self, x: float, y: float, radius: float, color: str) -> None:
        """A filled circle with soft edges, on paper."""
        left, top = int(x - radius) - 1, int(y - radius) - 1
        size = int(2 * radius) + 4
        rows, columns = np.ogrid[top : top + size, left : left + size]
        self._blend(left, top, np.clip(radius + 0.5 - np.hypot(rows - y, columns - x), 0, 1), color)

    def text(
        self, x: int, y: int, text: str, size: int = 13, color: str = colors.INK, bold: bool = False, anchor: str = "ls"
    ) -> None:
        """Text on paper; `anchor` as in Pillow: l, m, r and s = (x, y) lies on the baseline, m = on mid-height."""
        font = _font(size, bold)
        left, top, right, bottom = (round(edge) for edge in font.getbbox(text, anchor=anchor))
        left, top = left - 1, top - 1
        letters = Image.new("L", (right - left + 1, bottom - top + 1))
        ImageDraw.Draw(letters).text((-left, -top), text, fill=255, font=font, anchor=anchor)
        self._blend(x + left, y + top, np.asarray(letters) / 255, color)

    def rgb(self) -> NDArray[np.uint8]:
        """The picture in red, green, blue (height, width, 3)."""
        return PALETTE[self.pixels]

    def _blend(self, left: int, top: int, strength: NDArray[np.float64], color: str) -> None:
        """Lay shades of a text color over paper; what lies outside the picture is cut off."""
        window = self.pixels[max(top, 0) : top + strength.shape[0], max(left, 0) : left + strength.shape[1]]
        inside = strength[max(-top, 0) :, max(-left, 0) :][: window.shape[0], : window.shape[1]]
        shade = np.rint(inside * (SHADES - 1)).astype(np.uint8)
        window[shade > 0] = shade[shade > 0] + _first_shade(color)
