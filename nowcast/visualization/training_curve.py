"""The course of a training: loss and validation against optimizer steps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.visualization import colors, style

TITLES = {"balanced_mse": "B-MSE, validation", "balanced_mae": "B-MAE, validation"}
VALIDATION = colors.FORECASTER_COLORS[0]


def plot_training(log: str | Path, path: str | Path) -> Path:
    """Draw a run's log.csv as PNG: the training and validation loss, and each validation score in its own panel."""
    source = Path(log)
    try:
        with source.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise NowcastError(f"{source} cannot be read: {error.strerror or error}") from error
    if not rows or "step" not in rows[0] or "loss" not in rows[0]:
        raise NowcastError(f"{source} holds no training rows; expected a run's log.csv with columns step and loss")
    columns = {name: _numbers([row.get(name) for row in rows]) for name in rows[0]}
    scores = [n for n in columns if n.startswith("validation_") and n != "validation_loss" and _any(columns[n])]
    figure, axes = style.grid_figure(
        1, 1 + len(scores), f"Training of {source.absolute().parent.name}", "", None, width=3.4
    )
    first, *others = axes[0]
    _curve(first, columns["step"], columns["loss"], colors.REFERENCE_COLOR)
    _name(first, "training", colors.REFERENCE_COLOR, 0)
    style.heading(first, "Loss")
    if "validation_loss" in columns and _any(columns["validation_loss"]):
        _curve(first, columns["step"], columns["validation_loss"], VALIDATION)
        _name(first, "validation", VALIDATION, 1)
    for axis, name in zip(others, scores, strict=True):
        short = name.removeprefix("validation_")
        _curve(axis, columns["step"], columns[name], VALIDATION)
        style.heading(axis, TITLES.get(short, short.replace("_", " ")))
    for axis in axes[0]:
        axis.set_xlabel("optimizer step", fontsize=8, color=colors.MUTED)
        axis.margins(x=0.02)
    return style.save(figure, Path(path))


def _numbers(texts: list[str | None]) -> NDArray[np.float64]:
    return np.array([float(text) if text else np.nan for text in texts])


def _any(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).any())


def _curve(axis: Axes, steps: NDArray[np.float64], values: NDArray[np.float64], color: str) -> None:
    known = np.isfinite(values)
    marker = "o" if known.sum() < 40 else ""
    axis.plot(steps[known], values[known], color=color, linewidth=1.5, marker=marker, markersize=3)


def _name(axis: Axes, text: str, color: str, line: int) -> None:
    """A curve's name in its color, top right, where curves that fall leave room."""
    axis.text(
        0.98,
        0.95 - 0.09 * line,
        text,
        transform=axis.transAxes,
        ha="right",
        va="top",
        color=color,
        fontsize=9,
        fontweight="bold",
    )
