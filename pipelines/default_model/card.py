"""What the default model scores on radar it never saw: a table of figures, and the same as lines of its model card."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nowcast.archive import Archive
from nowcast.atomic_files import write_text
from nowcast.evaluation import evaluate
from nowcast.models import named
from nowcast.run import Run

FORECASTERS = ("persistence", "extrapolation", "sprog")
"""What the model is set beside."""

BLEND = "blend"
"""What is issued: the model with extrapolation and its fading, weighted by recent errors; `default` is it alone."""

COLUMNS = ("set", "pixel_m", "interval_min", "windows", "forecaster", "balanced_mse", "balanced_mae", "csi_2", "csi_10")
"""Of scores.csv; balanced errors are means over windows and lead times, CSI at 2 and 10 mm/h means over lead times."""

OBSERVED = {"fmi": 4}
"""Frames observed where a set is too short for the model's five: the missing one is unseen."""


def score(run: Run, sets: Mapping[str, Path], folder: Path, progress: bool = True) -> list[dict[str, Any]]:
    """One row per set and forecaster, over every window of the set's test split, frames and masks as the run's.

    folder: where the scores of every set are written.
    """
    rows: list[dict[str, Any]] = []
    for name, path in sets.items():
        archive, alone = Archive.open(path), named(run, blend="none")
        scores = evaluate(
            {"default": alone.forecaster, BLEND: run, **{each: each for each in FORECASTERS}},
            archive=archive,
            output=folder / name,
            observed=OBSERVED.get(name),
            batch_size=2,
            families=("basic",),
            cases=False,
            progress=progress,
        )
        rows += rows_of(name, scores, archive)
    return rows


def rows_of(name: str, scores: xr.Dataset, archive: Archive) -> list[dict[str, Any]]:
    """The rows of one set from a scores dataset."""
    pixel = archive.pixel_meters
    fixed = {
        "set": name,
        "pixel_m": "" if pixel is None else round(pixel),
        "interval_min": round(float(archive.interval / np.timedelta64(1, "m")), 2),
        "windows": scores.sizes["issue_time"],
    }
    rows = []
    for forecaster in (*FORECASTERS, "default", BLEND):
        of = scores.sel(forecaster=forecaster)
        errors = {key: round(float(of[key].mean()), 1) for key in ("balanced_mse", "balanced_mae")}
        csi = {f"csi_{rate}": round(float(of["csi"].sel(threshold=rate).mean()), 3) for rate in (2, 10)}
        rows.append({**fixed, "forecaster": forecaster, **errors, **csi})
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write scores.csv."""
    lines = [",".join(COLUMNS), *(",".join(str(row[column]) for column in COLUMNS) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a scores.csv as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def card_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The figures as lines of a Markdown table: errors of the model as shares of its rivals', CSI of all."""
    lines = [
        "| radar | pixel, interval, windows | nowcast | B-MSE; × extrapolation, × S-PROG "
        "| B-MAE; × extrapolation, × S-PROG "
        "| CSI 2 mm/h: persistence, extrapolation, S-PROG; its own | CSI 10 mm/h: the same |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["set"] for row in rows):
        of = {row["forecaster"]: row for row in rows if row["set"] == name}
        for title, key in (("network alone", "default"), ("as issued, blended", BLEND)):
            own = of[key]
            cells = [name, f"{own['pixel_m']} m, {float(own['interval_min']):g} min, {own['windows']}", title]
            for error in ("balanced_mse", "balanced_mae"):
                shares = [float(own[error]) / float(of[rival][error]) for rival in ("extrapolation", "sprog")]
                cells.append(f"{float(own[error]):.0f}; {shares[0]:.2f}, {shares[1]:.2f}")
            for csi in ("csi_2", "csi_10"):
                rivals = ", ".join(f"{float(of[each][csi]):.3f}" for each in FORECASTERS)
                cells.append(f"{rivals}; {float(own[csi]):.3f}")
            lines.append("| " + " | ".join(cells) + " |")
    return lines
