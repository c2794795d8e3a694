"""Arms compared: mean and spread over seeds, difference to a baseline with two confidence intervals, the paper beside.

Seeds say whether another training would tell the same, blocks of windows whether other weather would. A difference
counts as shown only where both intervals leave out 0 on the same side; with one seed, or one block, that interval does
not exist and the other decides alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from nowcast.verification import compare
from pipelines.engine.published import Errors
from pipelines.engine.scoring import ERRORS, mean_error
from pipelines.engine.tables import Cell, Section, interval_text, mean_and_spread, signed

LEVEL = 0.95
BLOCK_HOURS = (24.0, 12.0, 6.0, 3.0)
ENOUGH_BLOCKS = 6
LABELS = {"balanced_mae": "B-MAE", "balanced_mse": "B-MSE"}


@dataclass(frozen=True)
class Interval:
    """A difference first − second with its 95 % confidence interval; NaN ends where it cannot be told."""

    difference: float
    low: float
    high: float

    @property
    def side(self) -> int | None:
        """-1 wholly below 0, 1 wholly above, 0 neither; None where there is no interval."""
        if np.isnan(self.low):
            return None
        return -1 if self.high < 0 else int(self.low > 0)


def over_seeds(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Paired over seeds: mean d ± t · s / √n, d = first − second seed by seed, Student's t with n − 1 freedoms.

    >>> interval = over_seeds([1.0, 2.0, 3.0], [2.0, 2.5, 5.0])
    >>> round(interval.difference, 3), round(interval.low, 3), round(interval.high, 3)
    (-1.167, -3.064, 0.731)
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    n, mean = len(difference), float(difference.mean())
    if n < 2:
        return Interval(mean, np.nan, np.nan)
    if np.ptp(difference) == 0:
        return Interval(mean, mean, mean)
    found = stats.ttest_rel(first, second).confidence_interval(LEVEL)
    return Interval(mean, float(found.low), float(found.high))


def over_blocks(
    first: Sequence[xr.Dataset], second: Sequence[xr.Dataset], error: str, block_hours: float
) -> tuple[Interval, int]:
    """Block bootstrap over windows, every window's error averaged over seeds first; and the number of blocks."""
    by_window = [
        np.mean([s[f"window_{error}"].transpose("issue_time", "lead_time").values for s in arm], axis=0)
        for arm in (first, second)
    ]
    together = xr.Dataset(
        {f"window_{error}": (("forecaster", "issue_time", "lead_time"), np.stack(by_window))},
        {"forecaster": ["first", "second"], "issue_time": first[0]["issue_time"].values},
    )
    block = np.timedelta64(round(block_hours * 3600), "s")
    found = compare(together, "first", "second", error, block=block, level=LEVEL)
    return Interval(found.difference, found.low, found.high), found.blocks


def block_hours_for(scores: xr.Dataset, asked: float | None = None) -> float:
    """Length of the bootstrap's blocks: what is asked, or the longest of 24, 12, 6, 3 hours that gives six blocks."""
    if asked is not None:
        return asked
    seconds = scores["issue_time"].values.astype("datetime64[s]").astype(np.int64)
    for hours in BLOCK_HOURS:
        if len(np.unique(seconds // int(hours * 3600))) >= ENOUGH_BLOCKS:
            return hours
    return BLOCK_HOURS[-1]


def verdict(intervals: Sequence[Interval]) -> str:
    """better, worse or not shown; – where there is no interval at all. Smaller is better."""
    sides = {interval.side for interval in intervals} - {None}
    if not sides:
        return "–"
    return {frozenset({-1}): "better", frozenset({1}): "worse"}.get(frozenset(sides), "not shown")  # type: ignore[arg-type]


def compared(
    arms: Mapping[str, Sequence[xr.Dataset]],
    baselines: Mapping[str, str],
    published: Mapping[str, Errors],
    block_hours: float | None = None,
    reference: xr.Dataset | None = None,
) -> list[Section]:
    """One section for each error: a line an arm.

    Args:
        arms: name → scores of every seed, in one order of seeds.
        baselines: arm → the arm that it is compared with.
        published: arm → what the paper reports.
        block_hours: see `block_hours_for`.
        reference: scores of persistence, which need no seed.
    """
    hours = block_hours_for(next(iter(arms.values()))[0], block_hours)
    return [_section(error, arms, baselines, published, hours, reference) for error in ERRORS]


def _section(
    error: str,
    arms: Mapping[str, Sequence[xr.Dataset]],
    baselines: Mapping[str, str],
    published: Mapping[str, Errors],
    hours: float,
    reference: xr.Dataset | None,
) -> Section:
    weather = "days" if hours == 24 else f"{hours:g} h"
    header = [ "", "mean ± std", "compared with", "difference", "%", "95 % over seeds",
              f"95 % over {weather}", "shown", "paper", "paper %"]  # fmt: skip
    lines: list[list[str]] = []
    records: list[dict[str, Cell]] = []
    for name, scores in arms.items():
        values = [mean_error(s, error) for s in scores]
        record: dict[str, Cell] = {
            "score": error, "arm": name, "mean": float(np.mean(values)),
            "std": float(np.std(values, ddof=1)) if len(values) > 1 else None, "seeds": len(values),
            "paper": published[name][error] if name in published else None,
        }  # fmt: skip
        base = baselines.get(name)
        line = [name, mean_and_spread(values), base or "", "", "", "", "", ""]
        if base is not None:
            before = [mean_error(s, error) for s in arms[base]]
            seeds = over_seeds(values, before)
            windows, blocks = over_blocks(scores, arms[base], error, hours)
            percent = seeds.difference / float(np.mean(before)) * 100
            said = verdict([seeds, windows])
            line[3:] = [signed(seeds.difference), signed(percent), interval_text(seeds.low, seeds.high),
                        interval_text(windows.low, windows.high), said]  # fmt: skip
            record |= {
                "baseline": base, "difference": seeds.difference, "percent": percent, "seeds_low": seeds.low,
                "seeds_high": seeds.high, "blocks_low": windows.low, "blocks_high": windows.high,
                "block_hours": hours, "blocks": blocks, "shown": said,
            }  # fmt: skip
        lines.append([*line, *_paper(name, base, error, published)])
        records.append(record)
    if reference is not None:
        value = mean_error(reference, error)
        lines.append(["persistence", f"{value:.2f}", *[""] * 8])
        records.append({"score": error, "arm": "persistence", "mean": value})
    if not published:
        header, lines = header[:-2], [line[:-2] for line in lines]
    return Section(LABELS[error], header, lines, records)


def _paper(name: str, base: str | None, error: str, published: Mapping[str, Errors]) -> list[str]:
    if name not in published:
        return ["", ""]
    value = published[name][error]
    if base is None or base not in published:
        return [f"{value:.2f}", ""]
    return [f"{value:.2f}", f"{(value / published[base][error] - 1) * 100:+.2f}"]
