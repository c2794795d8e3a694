"""The legend of the rain scale, drawn the same under animations and galleries."""

from __future__ import annotations

import numpy as np

from nowcast.visualization import colors
from nowcast.visualization.canvas import DRY_LINE, FIRST_CLASS, UNSEEN_LINE, Canvas, text_width
from nowcast.visualization.panel import HATCH

HEIGHT, SWATCH_ROW = 52, 24
ONE_ROW = 860
"""From this width on the swatches stand beside the scale, else on a row of their own."""


def legend_height(width: int) -> int:
    """Height of a legend of some width, pixels."""
    return HEIGHT + SWATCH_ROW * (width < ONE_ROW)


def draw_legend(canvas: Canvas, left: int, top: int, width: int, unseen: bool, unknown: bool) -> None:
    """The rain classes with their limits in mm/h, dry, and, where they occur, unseen and unknown places."""
    count = len(colors.RAIN_COLORS)
    cell = min(56, width // count)
    canvas.text(left, top + 8, "Rain rate, mm/h", 12, colors.MUTED)
    for index, limit in enumerate(colors.RAIN_LIMITS):
        x = left + index * cell
        canvas.fill(x, top + 15, cell, 14, FIRST_CLASS + 1 + index)
        canvas.text(x, top + 43, f"{limit:g}", 12, anchor="ls" if index == 0 else "ms")
    swatches = [("dry", colors.DRY_CLASS)]
    swatches += [("no radar data", colors.UNSEEN_CLASS)] * unseen
    swatches += [("unknown", colors.UNKNOWN_CLASS)] * unknown
    x, y = (left, top + 52) if width < ONE_ROW else (left + count * cell + 40, top + 15)
    for name, index in swatches:
        _swatch(canvas, x, y, index)
        canvas.text(x + 30, y + 12, name, 12)
        x += 30 + text_width(name, 12) + 24


def _swatch(canvas: Canvas, x: int, y: int, class_index: int) -> None:
    canvas.fill(x, y, 22, 14, FIRST_CLASS + class_index)
    if class_index == colors.UNSEEN_CLASS:
        rows, columns = np.ogrid[:14, :22]
        canvas.pixels[y : y + 14, x : x + 22][(rows + columns) % HATCH == 0] = UNSEEN_LINE
    canvas.frame(x, y, 22, 14, DRY_LINE if class_index != colors.DRY_CLASS else UNSEEN_LINE)
