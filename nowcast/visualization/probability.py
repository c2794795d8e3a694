"""Plots for ensembles: the reliability diagram and the rank histogram."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nowcast.visualization import colors, style
from nowcast.visualization.style import Look

_KNOWN = {"forecaster", "lead_time", "threshold"}


def plot_reliability(scores: xr.Dataset, look: Look, folder: Path) -> list[Path]:
    """Observed frequency against forecast probability, one panel a threshold; on the diagonal a forecast is reliable.

    Needs reliability(forecaster, threshold, probability), optionally over lead_time, which is averaged. Where
    reliability_count (same dimensions) tells how many forecasts fell into a bin, it weights that mean and the size of
    the points.
    """
    if "reliability" not in scores:
        return []
    frequency = scores["reliability"]
    bins = _other_dimension(frequency)
    count = scores["reliability_count"] if "reliability_count" in scores else xr.ones_like(frequency)
    count = count.where(frequency.notnull(), 0)
    if "lead_time" in frequency.dims:
        total = count.sum("lead_time")
        frequency = (frequency * count).sum("lead_time") / total.where(total > 0)
        count = total
    if "threshold" not in frequency.dims:
        frequency, count = (field.expand_dims(threshold=[np.nan]) for field in (frequency, count))
    look = look.only(n for n in look.names if bool(frequency.sel(forecaster=n).notnull().any()))
    if not look.names:
        return []
    thresholds = frequency["threshold"].values
    columns = min(len(thresholds), 3)
    note = "On the diagonal, rain comes as often as it is forecast; larger points hold more forecasts."
    rows = -(-len(thresholds) // columns)
    figure, axes = style.grid_figure(rows, columns, "Reliability", note, look, width=3.4, height=3.45, gaps=(0.2, 0.3))
    for axis, threshold in zip(style.cells(axes, len(thresholds)), thresholds, strict=True):
        where = {"threshold": threshold} if np.isfinite(threshold) else {}
        axis.plot([0, 1], [0, 1], color=colors.UNSEEN_LINE, linewidth=1, zorder=1)
        for name in look.names:
            line, weight = (
                (field.sel(forecaster=name, **where) if where else field.sel(forecaster=name).isel(threshold=0))
                for field in (frequency, count)
            )
            share = weight.values / max(float(weight.max()), 1)
            axis.plot(line[bins].values, line.values, color=look.colors[name], linewidth=1.4, zorder=3)
            axis.scatter(
                line[bins].values,
                line.values,
                s=8 + 60 * share,
                color=look.colors[name],
                marker=look.markers[name],
                edgecolor=colors.PAPER,
                linewidth=0.5,
                zorder=4,
            )
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", anchor="W")
        style.heading(axis, f"≥ {threshold:g} mm/h" if where else "Event")
        axis.set_xlabel("forecast probability", fontsize=8, color=colors.MUTED)
        axis.set_ylabel("observed frequency", fontsize=8, color=colors.MUTED)
    return [style.save(figure, folder / "reliability.png")]


def plot_rank_histogram(scores: xr.Dataset, look: Look, folder: Path) -> list[Path]:
    """How often the observation takes each rank among the members, one panel a forecaster; flat is perfect.

    Needs rank_histogram(forecaster, rank), counts or shares, optionally over lead_time, which is summed.
    """
    if "rank_histogram" not in scores:
        return []
    histogram = scores["rank_histogram"]
    rank = _other_dimension(histogram)
    histogram = histogram.sum([d for d in histogram.dims if d not in ("forecaster", rank)])
    names = [name for name in look.names if float(histogram.sel(forecaster=name).sum()) > 0]
    if not names:
        return []
    note = "Flat is perfect; a hollow middle: too little spread; a slope: bias."
    figure, axes = style.grid_figure(1, len(names), "Rank among the members", note, None, width=3.2)
    for axis, name in zip(style.cells(axes, len(names)), names, strict=True):
        values = histogram.sel(forecaster=name).values.astype(float)
        share = values / values.sum()
        axis.bar(np.arange(1, len(share) + 1), share, width=0.86, color=look.colors[name], zorder=2)
        axis.axhline(1 / len(share), color=colors.INK, linewidth=0.9, linestyle=(0, (3, 3)), zorder=3)
        style.heading(axis, name)
        axis.set_xlabel("rank", fontsize=8, color=colors.MUTED)
        axis.set_ylabel("share of cases", fontsize=8, color=colors.MUTED)
    return [style.save(figure, folder / "rank_histogram.png")]


def _other_dimension(field: xr.DataArray) -> str:
    """The dimension of bins or ranks: the one that is neither forecaster, lead time nor threshold."""
    return str(next(d for d in field.dims if d not in _KNOWN))
