"""Scores as a table that a person reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import xarray as xr

from nowcast.evaluation.markdown import lead_name, markdown_table
from nowcast.evaluation.verdict import verdict

TABLE_LEADS = 3
"""Lead times that get a table of their own: the first half hour or so, the middle and the last."""


def score_table(scores: xr.Dataset) -> str:
    """A scores dataset in Markdown, one line a forecaster: averages over lead times, then some lead times.

    B-MSE and B-MAE are sums per frame, MSE and MAE means per pixel of scaled reflectivity (MSE in thousandths, MAE in
    hundredths); CSI at thresholds in mm/h. A lead time at which a score is undefined is left out of its average; "–" is
    undefined throughout.
    """
    parts = [_heading(scores), _table(scores, _mean, "mean of all lead times")]
    for lead in _some_leads(scores.sizes["lead_time"]):
        parts.append(_table(scores, lambda field, lead=lead: field.isel(lead_time=lead), lead_name(scores, lead)))  # type: ignore[misc]
    parts += [_others(scores), verdict(scores), _notes(scores)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _notes(scores: xr.Dataset) -> str:
    """What the rows of the table are, where their names do not say it."""
    notes = []
    if "deterministic_fields" in scores.attrs:
        notes.append(f"One field stands for an ensemble: {scores.attrs['deterministic_fields']}.")
    if "window_fallback" in scores:
        windows = scores.sizes["issue_time"]
        for name in scores["forecaster"].values:
            count = int((scores["window_fallback"].sel(forecaster=name) > 0).sum())
            if count:
                notes.append(
                    f"{name} is plain extrapolation in {count} of {windows} windows (a gap, or hardly any rain)."
                )
    return " ".join(notes)


def _heading(scores: xr.Dataset) -> str:
    facts = [str(scores.attrs[key]) for key in ("archive", "split") if key in scores.attrs]
    facts += [f"{scores.attrs['protocol']} protocol"] if "protocol" in scores.attrs else []
    facts.append(f"{int(scores['sequences'].max())} windows")
    if float(scores["coverage"].min()) < 1:
        mean, least = float(scores["coverage"].mean()), float(scores["coverage"].min())
        facts.append(f"scored on {mean:.0%} of the valid pixels ({least:.0%} at the worst lead time)")
    return ", ".join(facts) + "."


def _table(scores: xr.Dataset, pick: Callable[[xr.DataArray], xr.DataArray], title: str) -> str:
    thresholds = scores["threshold"].values
    header = [title, "B-MSE", "B-MAE", "MSE·10³", "MAE·10²", *(f"CSI {value:g}" for value in thresholds)]
    rows = []
    for name in scores["forecaster"].values:
        one = scores.sel(forecaster=name)
        cells = [_number(pick(one[key]), ".1f") for key in ("balanced_mse", "balanced_mae")]
        cells += [_number(pick(one["mse"]) * 1e3, ".2f"), _number(pick(one["mae"]) * 1e2, ".2f")]
        cells += [_number(pick(one["csi"].isel(threshold=k)), ".3f") for k in range(len(thresholds))]
        rows.append([str(name), *cells])
    return markdown_table(header, rows)


def _others(scores: xr.Dataset) -> str:
    """Scores that are not always computed, and HSS, averaged over lead times."""
    columns: dict[str, tuple[xr.DataArray, str]] = {}
    if scores.sizes["threshold"]:
        middle = int(np.argmin(np.abs(scores["threshold"].values - 2.0)))
        mark = f"{scores['threshold'].values[middle]:g}"
        for key, name in (("hss", "HSS"), ("pod", "POD"), ("far", "FAR"), ("frequency_bias", "bias")):
            columns[f"{name} {mark}"] = scores[key].isel(threshold=middle), ".3f"
        if "fss" in scores:
            for width in scores["window"].values[1:]:
                columns[f"FSS {mark}, {width} px"] = scores["fss"].isel(threshold=middle).sel(window=width), ".3f"
    for key, name, style in (
        ("gdl", "GDL", ".0f"), ("ssim", "SSIM", ".3f"), ("log_spectral_distance", "spectrum dB", ".1f"),
        ("crps", "CRPS mm/h", ".3f"), ("known", "known", ".3f"),
    ):  # fmt: skip
        if key in scores:
            columns[name] = scores[key], style
    header = ["mean of all lead times", *columns]
    rows = [
        [str(name), *(_number(_mean(field.sel(forecaster=name)), style) for field, style in columns.values())]
        for name in scores["forecaster"].values
    ]
    return markdown_table(header, rows) if columns else ""


def _some_leads(count: int) -> list[int]:
    """Positions of a quarter, a half and the last of the lead times."""
    return sorted({max(count // 4 - 1, 0), max(count // 2 - 1, 0), count - 1})[:TABLE_LEADS]


def _mean(field: xr.DataArray) -> xr.DataArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN
        return field.mean("lead_time")


def _number(value: xr.DataArray, style: str) -> str:
    number = float(value)
    return "–" if np.isnan(number) else format(number, style)
