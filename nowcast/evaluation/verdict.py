"""Does a forecaster beat extrapolation, from which lead time on, and by how much? In words, with the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from nowcast.evaluation.markdown import lead_name, markdown_table
from nowcast.verification.significance import PairedComparison, compare

REFERENCES = ("extrapolation", "sprog")
"""Whom others are judged by: extrapolation always, S-PROG where it was asked for."""

NOT_JUDGED = ("persistence", "extrapolation", "sprog", "steps")
EVENT = 2.0
"""Threshold of the CSI that is judged, mm/h, or the nearest there is."""


@dataclass(frozen=True)
class Difference:
    """A forecaster's score against a reference's, as a share of the latter; `better` is None where unknown."""

    share: float
    low: float
    high: float
    better: bool | None
    blocks: int
    block_hours: float

    def __str__(self) -> str:
        if not np.isfinite(self.share):
            return "–"
        words = f"{100 * self.share:+.0f} %"
        if np.isfinite(self.low):
            words += f" ({100 * self.low:+.0f} … {100 * self.high:+.0f})"
        return f"**{words}**" if self.better else words


def verdict(scores: xr.Dataset) -> str:
    """A table by lead time and sentences, in Markdown, for every forecaster that is not a reference; "" without any.

    A difference is a share of the reference's score, with its 95 % interval (`nowcast.verification.compare`, which
    takes whole blocks of windows as cases); bold is better with 0 outside the interval. With fewer than three blocks
    there is no interval, and no verdict.
    """
    names = [str(name) for name in scores["forecaster"].values]
    if "issue_time" not in scores.dims:
        return ""
    pairs = [(one, other) for one in names if one not in NOT_JUDGED for other in REFERENCES if other in names]
    return "\n\n".join(_judged(scores, one, other) for one, other in pairs)


def _judged(scores: xr.Dataset, name: str, reference: str) -> str:
    kinds = _kinds(scores)
    leads = range(scores.sizes["lead_time"])
    table = {kind: [_difference(scores.isel(lead_time=[k]), name, reference, kind) for k in leads] for kind in kinds}
    rows = [[lead_name(scores, k), *(str(table[kind][k]) for kind in kinds)] for k in leads]
    heading = markdown_table([f"{name} against {reference}", *kinds], rows)
    return f"{heading}\n\n{_sentence(scores, name, reference, table)}"


def _sentence(scores: xr.Dataset, name: str, reference: str, table: dict[str, list[Difference]]) -> str:
    if all(one.better is None for differences in table.values() for one in differences):
        return (
            f"No verdict on {name} against {reference}: an interval needs at least three blocks of windows (days, or "
            "shorter ones as far as errors do not remember), and there are fewer."
        )
    parts = [_part(scores, name, reference, kind, table[kind]) for kind in table]
    one = next(d for differences in table.values() for d in differences if d.better is not None)
    few = "; with fewer than ten blocks take that with caution" if one.blocks < 10 else ""
    return (
        f"{name} against {reference}: {'; '.join(parts)} (95 % intervals over {one.blocks} blocks of "
        f"{one.block_hours:g} h{few})."
    )


def _part(scores: xr.Dataset, name: str, reference: str, kind: str, differences: Sequence[Difference]) -> str:
    """From which lead time on it is better, and by how much from there on."""
    first = len(differences)
    while first and differences[first - 1].better:
        first -= 1
    if first == len(differences):
        worse = [k for k, one in enumerate(differences) if one.better is False and _is_worse(one, kind)]
        return f"{kind} not shown to be better at the last lead time" + (
            f", worse at {len(worse)} of {len(differences)} lead times" if worse else ""
        )
    there = _difference(scores.isel(lead_time=slice(first, None)), name, reference, kind)
    since = "at every lead time" if first == 0 else f"from {lead_name(scores, first)} on"
    return f"{kind} better {since}, by {str(there).strip('*')}"


def _is_worse(one: Difference, kind: str) -> bool:
    return (one.share < 0) if kind.startswith("CSI") else (one.share > 0)


def _kinds(scores: xr.Dataset) -> dict[str, tuple[str, float | None]]:
    kinds: dict[str, tuple[str, float | None]] = {"B-MSE": ("balanced_mse", None), "B-MAE": ("balanced_mae", None)}
    if scores.sizes.get("threshold"):
        thresholds = scores["threshold"].values
        event = float(thresholds[np.argmin(np.abs(thresholds - EVENT))])
        kinds[f"CSI {event:g}"] = "csi", event
    return kinds


def _difference(scores: xr.Dataset, name: str, reference: str, kind: str) -> Difference:
    score, threshold = _kinds(scores)[kind]
    found: PairedComparison = compare(scores, name, reference, score, threshold)
    field = scores[score].sel(forecaster=reference)
    if threshold is not None:
        field = field.sel(threshold=threshold)
    scale = float(field.mean("lead_time"))
    if not np.isfinite(found.difference) or not np.isfinite(scale) or scale == 0:
        return Difference(np.nan, np.nan, np.nan, None, found.blocks, found.block_hours)
    right = found.difference > 0 if threshold is not None else found.difference < 0
    better = None if found.significant is None else bool(found.significant and right)
    share, low, high = (value / scale for value in (found.difference, found.low, found.high))
    return Difference(share, low, high, better, found.blocks, found.block_hours)
