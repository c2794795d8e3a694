"""Table 9: Original against MEmeL-Tune, by the paper's paired t-test and by tests that respect dependence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nowcast.verification import paired_t, paired_t_over_runs_and_scores
from nowcast.verification.significance import PairedTest
from pipelines.engine.arms import Arm
from pipelines.engine.command import command
from pipelines.engine.comparison import block_hours_for, over_seeds_and_blocks
from pipelines.engine.origin import caveats, origin, run_list
from pipelines.engine.published import TABLE_9
from pipelines.engine.scoring import ERRORS, mean_error, score_arms
from pipelines.engine.study import Study
from pipelines.engine.tables import Cell, Report, Section, interval_text, signed
from pipelines.kdd24.table3 import add_options, fixed_arms, grid_arms, tuned


def arms(study: Study, neurons: Sequence[int] | None = None, strengths: Sequence[float] | None = None) -> list[Arm]:
    """Original, and the grid that MEmeL-Tune is chosen from: runs of Table 3."""
    return [fixed_arms(study)[0], *grid_arms(study, neurons, strengths)]


def run(study: Study, neurons: Sequence[int] | None = None, strengths: Sequence[float] | None = None) -> Report:
    """Train what is missing, choose on validation, test, write table9.md and table9.csv."""
    wanted = arms(study, neurons, strengths)
    plan, _, scores = score_arms(study, wanted)
    chosen = tuned(study, plan, wanted[1:])
    tests, records = _tests(study, scores[chosen], scores["Original"])
    report = Report(
        "table9",
        "Table 9: is the difference significant?",
        f"MEmeL-Tune ({chosen}, chosen on validation) minus Original; below 0, MEmeL-Tune is better.",
        [Section("MEmeL-Tune against Original", ["test", "difference", "t", "p or 95 %", "cases"], tests, records)],
        [
            "*The paper's*: every (run, score) is a pair. Both scores of a run come from the same forecasts and differ "
            "in size, so the pairs are neither independent nor alike, and p is too small. It is here to be held "
            "against the paper's, whose p = 0.06 is two-sided and not below 0.05.",
            "*By run*: one number a run, the mean of its B-MAE and B-MSE. *By run and weather*: one interval over runs "
            "and blocks of windows; there is none with one run or fewer than three blocks.",
            *caveats(study),
        ],
        origin(study, plan, "kdd24.table9", scores["Original"][0], neurons=neurons, strengths=strengths),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


def _tests(
    study: Study, ours: Sequence[xr.Dataset], original: Sequence[xr.Dataset]
) -> tuple[list[list[str]], list[dict[str, Cell]]]:
    first, second = _by_run_and_score(ours), _by_run_and_score(original)
    theirs = paired_t_over_runs_and_scores(first, second)
    by_run = paired_t(first.mean(axis=1), second.mean(axis=1))
    both = [
        [s.assign(window_mean_error=(s["window_balanced_mae"] + s["window_balanced_mse"]) / 2) for s in arm]
        for arm in (ours, original)
    ]
    hours = block_hours_for(both[0], both[1], "mean_error", study.block_hours)
    weather = over_seeds_and_blocks(both[0], both[1], "mean_error", hours)
    paper = TABLE_9["MEmeL-Tune"] - TABLE_9["Original"]
    means = f"means {second.mean():.2f} → {first.mean():.2f}"
    lines = [
        [
            f"the paper's, as published (means {TABLE_9['Original']:.2f} → {TABLE_9['MEmeL-Tune']:.2f})",
            signed(paper),
            f"{TABLE_9['t']:.2f}",
            f"p = {TABLE_9['p']:.2f}",
            "6 pairs",
        ],
        [f"the paper's, here ({means})", *_t_line(theirs)],
        ["by run, here", *_t_line(by_run)],
        [
            "by run and weather, here",
            signed(weather.difference),
            "",
            interval_text(weather.low, weather.high),
            f"{weather.seeds} runs × {weather.blocks} blocks of {hours:g} h",
        ],
    ]
    records: list[dict[str, Cell]] = [
        {"test": "paper", "difference": paper, "t": TABLE_9["t"], "p": TABLE_9["p"], "cases": 6},
        {
            "test": "pairs",
            "difference": theirs.difference,
            "t": theirs.t,
            "p": theirs.p_value,
            "cases": first.size,
            "mean_original": float(second.mean()),
            "mean_tuned": float(first.mean()),
        },
        {"test": "runs", "difference": by_run.difference, "t": by_run.t, "p": by_run.p_value, "cases": len(first)},
        {
            "test": "blocks",
            "difference": weather.difference,
            "low": weather.low,
            "high": weather.high,
            "cases": weather.blocks,
            "block_hours": hours,
        },
    ]
    return lines, records


def _by_run_and_score(scores: Sequence[xr.Dataset]) -> NDArray[np.float64]:
    return np.array([[mean_error(s, error) for error in ERRORS] for s in scores])


def _t_line(test: PairedTest) -> list[str]:
    pairs = f"{test.degrees_of_freedom + 1} pairs"
    if np.isnan(test.t):
        return [signed(test.difference), "–", "–", pairs]
    return [signed(test.difference), f"{test.t:.2f}", f"p = {test.p_value:.2g}", pairs]


if __name__ == "__main__":
    command(__doc__, arms, run, add_options)
