"""The look of the project's plots: quiet axes, colored names instead of legend boxes, files that appear whole."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nowcast.atomic_files import atomic_file
from nowcast.visualization import colors

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""A second way, beside color, to tell forecasters apart."""

PANEL_WIDTH, PANEL_HEIGHT = 2.9, 2.3
"""Size of one panel of a grid, inches."""


class Look:
    """Color, marker and line of every forecaster, the same in all plots of one scores dataset."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.colors = colors.forecaster_colors(self.names)
        rank = {name: i for i, name in enumerate(n for n in self.names if self.colors[n] != colors.REFERENCE_COLOR)}
        self.markers = {name: MARKERS[rank[name] % len(MARKERS)] if name in rank else "." for name in self.names}

    def only(self, names: Iterable[str]) -> Look:
        """The look of some of them, in the colors and markers that they have among all."""
        some, wanted = copy(self), set(names)
        some.names = [name for name in self.names if name in wanted]
        return some

    def line(self, name: str) -> dict[str, object]:
        """Keyword arguments of `Axes.plot` for a forecaster."""
        reference = self.colors[name] == colors.REFERENCE_COLOR
        return {
            "color": self.colors[name],
            "linestyle": (0, (4, 2)) if reference else "-",
            "linewidth": 1.6,
            "marker": self.markers[name],
            "markersize": 5 if reference else 3.6,
            "zorder": 2 if reference else 3,
        }


def grid_figure(
    rows: int,
    columns: int,
    title: str,
    note: str,
    look: Look | None,
    width: float = PANEL_WIDTH,
    height: float = PANEL_HEIGHT,
    gaps: tuple[float, float] = (0.28, 0.42),
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows × columns panels (inches each) under a title, a note and, with `look`, the forecasters' names.

    `gaps` between columns and rows are shares of a panel.
    """
    head = 1.3 if look else 1.05
    size = (max(width * columns + 0.9, 5.2), height * rows + head + 0.35)
    figure = Figure(figsize=size, facecolor=colors.PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": 0.72 / size[0],
            "right": 1 - 0.3 / size[0],
            "bottom": 0.55 / size[1],
            "top": 1 - head / size[1],
            "wspace": gaps[0],
            "hspace": gaps[1],
        },
    )
    x = 0.24 / size[0]
    figure.text(x, 1 - 0.3 / size[1], title, fontsize=14, fontweight="bold", color=colors.INK, va="center")
    figure.text(x, 1 - 0.54 / size[1], note, fontsize=8.5, color=colors.MUTED, va="center")
    if look:
        _names(figure, look, x, 1 - 0.8 / size[1])
    for axis in axes.flat:
        quiet(axis)
    return figure, [list(row) for row in axes]


def cells(axes: list[list[Axes]], count: int) -> list[Axes]:
    """The first panels of a grid, row by row; the others are hidden."""
    flat = [axis for row in axes for axis in row]
    for axis in flat[count:]:
        axis.set_visible(False)
    return flat[:count]


def _names(figure: Figure, look: Look, x: float, y: float) -> None:
    """The forecasters' names in their colors, one after the other, each behind a piece of its line."""
    inch = 1 / figure.get_size_inches()[0]
    for name in look.names:
        ends = [x, x + 0.15 * inch, x + 0.3 * inch]
        figure.add_artist(Line2D(ends, [y] * 3, markevery=[1], **look.line(name)))  # type: ignore[arg-type]
        text = figure.text(x + 0.37 * inch, y, name, fontsize=9.5, color=look.colors[name], va="center", weight="bold")
        x += 0.62 * inch + text.get_window_extent().width / figure.dpi * inch


def quiet(axis: Axes) -> None:
    """Thin gray axes with a light grid and small labels."""
    axis.set_facecolor(colors.PAPER)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(colors.UNSEEN_LINE)
    axis.tick_params(labelsize=8, colors=colors.MUTED, length=3, width=0.8)
    axis.grid(True, color=colors.DRY_LINE, linewidth=0.7)
    axis.set_axisbelow(True)


def heading(axis: Axes, text: str, aside: str = "") -> None:
    """A panel's heading, left, and an aside in gray, right."""
    axis.set_title(text, loc="left", fontsize=9.5, fontweight="bold", color=colors.INK, pad=6)
    if aside:
        axis.set_title(aside, loc="right", fontsize=8, color=colors.MUTED, pad=6)


def leads(scores: xr.Dataset) -> tuple[NDArray[np.float64], str]:
    """Lead times as numbers, and what they count: minutes, or frames where no interval is known."""
    values = scores["lead_time"].values
    if np.issubdtype(values.dtype, np.timedelta64):
        return values / np.timedelta64(60, "s"), "lead time, min"
    return values.astype(np.float64), "lead time, frames"


def nothing(axis: Axes, text: str) -> None:
    """A panel that has nothing to show says why."""
    chip = {"facecolor": colors.PAPER, "edgecolor": "none", "pad": 2}
    axis.text(
        0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", fontsize=8, color=colors.MUTED, bbox=chip
    )


def lead_ticks(axis: Axes, values: NDArray[np.float64]) -> None:
    """Few round ticks from zero to the last lead time."""
    last = float(values.max())
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 180, 360, 720, 1440) if last / s <= 4.5), last)
    axis.set_xticks(np.arange(0, last + step / 2, step))
    axis.set_xlim(0, last * 1.04)


def save(figure: Figure, path: Path, dpi: int = 160) -> Path:
    """Write a figure as PNG, atomically."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
    return path
