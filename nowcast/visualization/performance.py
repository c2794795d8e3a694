"""The performance diagram (Roebber 2009): POD, success ratio, CSI and frequency bias in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nowcast.visualization import colors, style
from nowcast.visualization.style import Look

CSI_LINES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BIAS_LINES = (0.25, 0.5, 1.0, 2.0, 4.0)
_CHIP = {"facecolor": colors.PAPER, "edgecolor": "none", "pad": 0.8}


def plot_performance(scores: xr.Dataset, look: Look, folder: Path) -> list[Path]:
    """One panel a threshold, one path a forecaster: from the first lead time (large) to the last; needs pod and far.

    Undefined points (NaN) are left out.
    """
    if not {"pod", "far"} <= set(scores.data_vars) or "threshold" not in scores["pod"].dims:
        return []
    thresholds = scores["threshold"].values
    columns = min(len(thresholds), 3)
    rows = -(-len(thresholds) // columns)
    note = "Each path runs through the lead times; the large marker is the first. Curves: CSI; dashed: frequency bias."
    figure, axes = style.grid_figure(
        rows, columns, "Performance diagram", note, look, width=3.4, height=3.45, gaps=(0.2, 0.3)
    )
    for axis, threshold in zip(style.cells(axes, len(thresholds)), thresholds, strict=True):
        _isolines(axis)
        style.heading(axis, f"≥ {threshold:g} mm/h")
        at = scores[["pod", "far"]].sel(threshold=threshold)
        for name in look.names:
            one = at.sel(forecaster=name)
            pod, success = one["pod"].values, 1 - one["far"].values
            _path(axis, success, pod, look, name)
        if not (at["pod"].notnull() & at["far"].notnull()).any():
            style.nothing(axis, "undefined:\nno such rain")
    return [style.save(figure, folder / "performance.png")]


def _path(axis: Axes, success: np.ndarray, pod: np.ndarray, look: Look, name: str) -> None:
    known = np.flatnonzero(np.isfinite(success) & np.isfinite(pod))
    if not len(known):
        return
    color, marker = look.colors[name], look.markers[name]
    axis.plot(success[known], pod[known], color=color, linewidth=1.3, marker=marker, markersize=2.5, zorder=4)
    axis.plot(
        success[known[0]],
        pod[known[0]],
        color=color,
        marker="o" if marker == "." else marker,
        markersize=7.5,
        markeredgecolor=colors.PAPER,
        zorder=5,
    )


def _isolines(axis: Axes) -> None:
    """CSI and frequency bias over the unit square: 1/CSI = 1/SR + 1/POD − 1, bias = POD/SR."""
    axis.grid(False)
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", anchor="W")
    success, pod = np.meshgrid(np.linspace(0.005, 1, 200), np.linspace(0.005, 1, 200))
    csi = 1 / (1 / success + 1 / pod - 1)
    axis.contour(success, pod, csi, levels=CSI_LINES, colors=colors.UNSEEN, linewidths=0.8, zorder=1)
    for level in CSI_LINES[1::2]:
        # On the diagonal POD = SR = d: CSI = d / (2 − d).
        place = 2 * level / (1 + level)
        axis.text(
            place, place, f"{level:g}", fontsize=6.5, color=colors.MUTED, ha="center", va="center", zorder=2, bbox=_CHIP
        )
    for bias in BIAS_LINES:
        end = (1.0, bias) if bias <= 1 else (1 / bias, 1.0)
        axis.plot([0, end[0]], [0, end[1]], color=colors.UNSEEN_LINE, linewidth=0.7, linestyle=(0, (3, 3)), zorder=1)
        if bias != 1:
            x, y = (0.95, 0.95 * bias) if bias < 1 else (0.95 / bias, 0.95)
            axis.text(
                x,
                y,
                f"{bias:g}",
                fontsize=6.5,
                style="italic",
                color=colors.MUTED,
                ha="center",
                va="center",
                zorder=2,
                bbox=_CHIP,
            )
    axis.set_xlabel("success ratio, 1 − FAR", fontsize=8, color=colors.MUTED)
    axis.set_ylabel("POD", fontsize=8, color=colors.MUTED)
