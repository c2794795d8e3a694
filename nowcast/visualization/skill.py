"""Plots of a scores dataset: every score against lead time, one file a family of scores.

The families are told by their dimensions, so that a new score is drawn as soon as it is in the dataset:
(forecaster, lead_time) → errors.png, (…, threshold) → categorical.png, (…, threshold, window) → fss.png; POD and FAR
together → performance.png; see `nowcast.visualization.probability` for ensembles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.visualization import colors, style
from nowcast.visualization.performance import plot_performance
from nowcast.visualization.probability import plot_rank_histogram, plot_reliability
from nowcast.visualization.style import Look


@dataclass(frozen=True)
class Meaning:
    """How a score reads: its name, which way is better, its perfect value and natural range."""

    title: str
    better: str
    perfect: float | None = None
    lowest: float | None = 0.0
    highest: float | None = None


MEANINGS = {
    "balanced_mse": Meaning("B-MSE", "lower is better"),
    "balanced_mae": Meaning("B-MAE", "lower is better"),
    "mse": Meaning("MSE", "lower is better"),
    "mae": Meaning("MAE", "lower is better"),
    "gdl": Meaning("GDL", "lower is better"),
    "crps": Meaning("CRPS", "lower is better"),
    "ssim": Meaning("SSIM", "higher is better", highest=1),
    "log_spectral_distance": Meaning("Spectral distance, dB", "lower is better"),
    "known": Meaning("Known pixels", "share of valid ones", lowest=None, highest=1),
    "csi": Meaning("CSI", "higher is better", highest=1),
    "hss": Meaning("HSS", "higher is better", lowest=None, highest=1),
    "gss": Meaning("GSS (ETS)", "higher is better", lowest=None, highest=1),
    "pod": Meaning("POD", "higher is better", highest=1),
    "far": Meaning("FAR", "lower is better", highest=1),
    "frequency_bias": Meaning("Frequency bias", "1 is perfect", perfect=1),
    "fss": Meaning("FSS", "higher is better", highest=1),
}
"""Known scores, in the order in which they are drawn; others follow under their own names."""


def plot_scores(scores: xr.Dataset, folder: str | Path) -> list[Path]:
    """Draw every score of a scores dataset into PNG files in `folder`; returns the files.

    `scores` holds floating-point variables over (forecaster, lead_time), (forecaster, lead_time, threshold) and
    (forecaster, lead_time, threshold, window); one without a forecaster dimension counts as one forecaster. NaN
    (undefined) leaves a gap. Counts (integers) are not drawn.
    """
    if "lead_time" not in scores.dims or not scores.sizes["lead_time"]:
        raise NowcastError("The scores dataset has no lead times; give what `evaluate` returns (scores.nc)")
    if "forecaster" not in scores.dims:
        scores = scores.expand_dims(forecaster=[str(scores.attrs.get("forecaster", "forecast"))])
    target = Path(folder)
    look = Look(str(name) for name in scores["forecaster"].values)
    drawn = []
    errors = _family(scores, {"forecaster", "lead_time"})
    if errors:
        drawn.append(_errors(scores, errors, look, target / "errors.png"))
    categorical = _family(scores, {"forecaster", "lead_time", "threshold"})
    if categorical:
        drawn.append(
            _grid(
                scores, [(n, scores[n]) for n in categorical], look, "Scores by rain rate", target / "categorical.png"
            )
        )
    for name in _family(scores, {"forecaster", "lead_time", "threshold", "window"}):
        rows = [(f"{name}|{int(w)} px", scores[name].sel(window=w)) for w in scores["window"].values]
        title = f"{_meaning(name).title} by neighborhood and rain rate"
        drawn.append(_grid(scores, rows, look, title, target / f"{name}.png"))
    for plot in (plot_performance, plot_reliability, plot_rank_histogram):
        drawn += plot(scores, look, target)
    return drawn


def _family(scores: xr.Dataset, dimensions: set[str]) -> list[str]:
    names = [
        str(name)
        for name, variable in scores.data_vars.items()
        if set(variable.dims) == dimensions and np.issubdtype(variable.dtype, np.floating)
    ]
    known = list(MEANINGS)
    return sorted(names, key=lambda name: known.index(name) if name in known else len(known))


def _meaning(name: str) -> Meaning:
    return MEANINGS.get(name, Meaning(name.replace("_", " "), "", lowest=None))


def _errors(scores: xr.Dataset, names: list[str], look: Look, path: Path) -> Path:
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure, axes = style.grid_figure(rows, columns, "Scores against lead time", _sample(scores), look)
    for axis, name in zip(style.cells(axes, len(names)), names, strict=True):
        meaning = _meaning(name)
        _lines(axis, scores, scores[name], look)
        style.heading(axis, meaning.title, meaning.better)
        _limits(axis, meaning)
        axis.set_xlabel(style.leads(scores)[1], fontsize=8, color=colors.MUTED)
    return style.save(figure, path)


def _grid(scores: xr.Dataset, rows: list[tuple[str, xr.DataArray]], look: Look, title: str, path: Path) -> Path:
    """Rows of scores, columns of thresholds; a row shares its scale."""
    thresholds = scores["threshold"].values
    shape = len(rows), len(thresholds)
    figure, axes = style.grid_figure(*shape, title, _sample(scores), look, width=2.1, height=1.6, gaps=(0.1, 0.16))
    for row, (label, score) in enumerate(rows):
        name, _, aside = label.partition("|")
        meaning = _meaning(name)
        for column, threshold in enumerate(thresholds):
            axis = axes[row][column]
            _lines(axis, scores, score.sel(threshold=threshold), look)
            if meaning.perfect is not None:
                axis.axhline(meaning.perfect, color=colors.MUTED, linewidth=0.8, zorder=1)
            if row == 0:
                style.heading(axis, f"≥ {threshold:g} mm/h")
            axis.tick_params(labelbottom=row == len(rows) - 1, labelleft=column == 0)
        axes[row][0].set_ylabel(aside or meaning.title, fontsize=9.5, fontweight="bold", color=colors.INK)
        _share(axes[row], meaning)
    for axis in axes[-1]:
        axis.set_xlabel(style.leads(scores)[1], fontsize=8, color=colors.MUTED)
    figure.align_ylabels([row[0] for row in axes])
    return style.save(figure, path)


def _lines(axis: Axes, scores: xr.Dataset, score: xr.DataArray, look: Look) -> None:
    times, _ = style.leads(scores)
    drawn = False
    for name in look.names:
        values = score.sel(forecaster=name).values
        drawn |= bool(np.isfinite(values).any())
        axis.plot(times, values, markevery=_marked(values), **look.line(name))  # type: ignore[arg-type]
    style.lead_ticks(axis, times)
    if not drawn:
        style.nothing(axis, "undefined:\nno such rain")


def _marked(values: NDArray[np.float64]) -> list[int]:
    """Which points get a marker: a handful, and every one that no line reaches."""
    finite = np.isfinite(np.concatenate([[np.nan], values, [np.nan]]))
    alone = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:])
    return sorted({*range(0, len(values), max(1, -(-len(values) // 7))), *alone.tolist()})


def _limits(axis: Axes, meaning: Meaning) -> None:
    """Start at zero where zero means something; leave a little air above."""
    low, high = axis.get_ylim()
    if meaning.lowest is not None:
        low = min(meaning.lowest, low) if low < meaning.lowest else meaning.lowest
    axis.set_ylim(low, high if meaning.highest is None else min(high, meaning.highest * 1.02))


def _share(axes: list[Axes], meaning: Meaning) -> None:
    values = [np.asarray(line.get_ydata(), float) for axis in axes for line in axis.lines]
    finite = np.concatenate([v[np.isfinite(v)] for v in values] or [np.zeros(0)])
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    air = 0.06 * max(high - low, 0.05)
    low = low - air if meaning.lowest is None else min(meaning.lowest, low)
    high = high + air if meaning.highest is None else min(high + air, meaning.highest + 0.02)
    for axis in axes:
        axis.set_ylim(low, high)


def _sample(scores: xr.Dataset) -> str:
    """What the scores were computed from, as far as the dataset tells."""
    parts = [str(scores.attrs[key]) for key in ("archive", "split", "protocol") if key in scores.attrs]
    if "sequences" in scores:
        parts.append(f"{int(scores['sequences'].max())} windows")
    return " · ".join(parts)
