"""Arms compared: mean and spread over seeds, difference to a baseline with one interval, the paper beside.

Seeds say whether another training would tell the same, blocks of windows whether other weather would; one interval
holds both (`nowcast.verification.two_way`). There is no verdict with one seed or with fewer than three blocks. Beside
each difference stands what it could have shown, and how many pairs of runs the paper's effect would need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nowcast.verification.jackknife import block_hours, block_sums
from nowcast.verification.power import MOST_PAIRS, pairs_needed, smallest_shown
from nowcast.verification.two_way import TwoWayInterval, two_way_interval
from pipelines.engine.published import Errors
from pipelines.engine.scoring import ERRORS, mean_error
from pipelines.engine.tables import Cell, Section, interval_text, mean_and_spread, signed

LEVEL = 0.95
POWER = 0.8
LABELS = {"balanced_mae": "B-MAE", "balanced_mse": "B-MSE"}

Arm = Sequence[xr.Dataset]
"""The scores of one arm, one dataset a seed, in one order of seeds."""


def by_window(arm: Arm, error: str) -> NDArray[np.float64]:
    """An error of every window, mean over lead times, (seeds, windows)."""
    return np.array([s[f"window_{error}"].transpose("issue_time", "lead_time").values.mean(axis=1) for s in arm])


def over_seeds_and_blocks(first: Arm, second: Arm, error: str, hours: float) -> TwoWayInterval:
    """The paired difference first − second with its interval over seeds and blocks of `hours`."""
    difference = by_window(first, error) - by_window(second, error)
    blocks = block_numbers(first[0], hours)
    sums = block_sums(difference.T, blocks).T  # (seeds, blocks)
    return two_way_interval(sums, block_sums(np.ones(len(blocks)), blocks), LEVEL)


def block_numbers(scores: xr.Dataset, hours: float) -> NDArray[np.int64]:
    """Number of the block (from 1970-01-01 on) in which each window was issued."""
    seconds = scores["issue_time"].values.astype("datetime64[s]").astype(np.int64)
    return np.asarray(seconds // round(hours * 3600))


def block_hours_for(first: Arm, second: Arm, error: str, asked: float | None = None) -> float:
    """Length of the blocks: what is asked, or what suits the differences between two arms (`jackknife.block_hours`)."""
    if asked is not None:
        return asked
    difference = (by_window(first, error) - by_window(second, error)).mean(axis=0)
    return block_hours(difference, first[0]["issue_time"].values)


def verdict(interval: TwoWayInterval) -> str:
    """better, worse or not shown; – where there is no interval. Smaller is better."""
    return "–" if interval.side is None else {-1: "better", 1: "worse", 0: "not shown"}[interval.side]


def compared(
    arms: Mapping[str, Arm],
    baselines: Mapping[str, str],
    published: Mapping[str, Errors],
    block_hours: float | None = None,
    reference: xr.Dataset | None = None,
) -> list[Section]:
    """One section for each error, a line an arm; then every arm's sums by seed and block, for the file alone.

    Args:
        arms: name → scores of every seed, in one order of seeds.
        baselines: arm → the arm that it is compared with.
        published: arm → what the paper reports.
        block_hours: see `block_hours_for`.
        reference: scores of persistence, which need no seed.
    """
    hours = _common_hours(arms, baselines, block_hours)
    tables = [_section(error, arms, baselines, published, hours[error], reference) for error in ERRORS]
    return [*tables, Section("Blocks", [], [], block_records(arms, hours), "blocks")]


def _common_hours(arms: Mapping[str, Arm], baselines: Mapping[str, str], asked: float | None) -> dict[str, float]:
    """The longest block that any of the comparisons wants, for each error, so that all use the same cases."""
    pairs = [(arms[name], arms[base]) for name, base in baselines.items()] or [(next(iter(arms.values())),) * 2]
    return {error: max(block_hours_for(*pair, error, asked) for pair in pairs) for error in ERRORS}


def block_records(arms: Mapping[str, Arm], hours: Mapping[str, float]) -> list[dict[str, Cell]]:
    """Sums over the windows of every block, by arm, seed and error: what it takes to compute the intervals again."""
    records: list[dict[str, Cell]] = []
    for name, arm in arms.items():
        for error in ERRORS:
            blocks = block_numbers(arm[0], hours[error])
            counts, sums = block_sums(np.ones(len(blocks)), blocks), block_sums(by_window(arm, error).T, blocks).T
            for seed, row in enumerate(sums):
                for label, count, total in zip(np.unique(blocks), counts, row, strict=True):
                    start = np.datetime64(round(int(label) * hours[error] * 3600), "s")
                    records.append(
                        {
                            "score": error,
                            "arm": name,
                            "seed": seed,
                            "block": str(start),
                            "block_hours": hours[error],
                            "windows": int(count),
                            "sum": float(total),
                        }
                    )
    return records


def _section(
    error: str,
    arms: Mapping[str, Arm],
    baselines: Mapping[str, str],
    published: Mapping[str, Errors],
    hours: float,
    reference: xr.Dataset | None,
) -> Section:
    header = [
        "",
        "mean ± std",
        "compared with",
        "difference",
        "%",
        "95 %",
        "shown",
        "could show",
        "pairs needed",
        "paper",
        "paper %",
    ]
    lines: list[list[str]] = []
    records: list[dict[str, Cell]] = []
    blocks = len(np.unique(block_numbers(next(iter(arms.values()))[0], hours)))
    for name, arm in arms.items():
        values = [mean_error(s, error) for s in arm]
        record: dict[str, Cell] = {
            "score": error,
            "arm": name,
            "mean": float(np.mean(values)),
            "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "seeds": len(values),
            "paper": published[name][error] if name in published else None,
        }
        base = baselines.get(name)
        line = [name, mean_and_spread(values), base or "", "", "", "", "", "", ""]
        if base is not None:
            before = float(np.mean([mean_error(s, error) for s in arms[base]]))
            found = over_seeds_and_blocks(arm, arms[base], error, hours)
            needed = _pairs_for_the_papers_effect(found, before, published.get(name), published.get(base), error)
            least = smallest_shown(found.error, found.freedom, POWER) / before * 100
            line[3:] = [
                signed(found.difference),
                signed(found.difference / before * 100),
                interval_text(found.low, found.high),
                verdict(found),
                "–" if np.isnan(least) else f"{least:.2g} %",
                needed,
            ]
            record |= {
                "baseline": base,
                "difference": found.difference,
                "percent": found.difference / before * 100,
                "low": found.low,
                "high": found.high,
                "standard_error": found.error,
                "freedom": found.freedom,
                "blocks": found.blocks,
                "block_hours": hours,
                "shown": verdict(found),
                "smallest_shown_percent": least,
                "pairs_needed": needed,
            }
        lines.append([*line, *_paper(name, base, error, published)])
        records.append(record)
    if reference is not None:
        value = mean_error(reference, error)
        lines.append(["persistence", f"{value:.2f}", *[""] * 9])
        records.append({"score": error, "arm": "persistence", "mean": value})
    if not published:
        header, lines = [*header[:8]], [line[:8] for line in lines]
    return Section(f"{LABELS[error]}, {blocks} blocks of {hours:g} h", header, lines, records)


def _pairs_for_the_papers_effect(
    found: TwoWayInterval, before: float, ours: Errors | None, theirs: Errors | None, error: str
) -> str:
    """Pairs of runs (a seed in both arms) that would show the paper's effect with 80 % power, weather left aside."""
    if ours is None or theirs is None or not np.isfinite(found.seed_variance) or found.seed_variance == 0:
        return "–"
    effect = (ours[error] / theirs[error] - 1) * before
    needed = pairs_needed(effect, float(np.sqrt(found.seed_variance)), POWER)
    return f"> {MOST_PAIRS}" if needed is None else str(needed)


def _paper(name: str, base: str | None, error: str, published: Mapping[str, Errors]) -> list[str]:
    if name not in published:
        return ["", ""]
    value = published[name][error]
    if base is None or base not in published:
        return [f"{value:.2f}", ""]
    return [f"{value:.2f}", f"{(value / published[base][error] - 1) * 100:+.2f}"]
