"""Table 3: one plainly pretrained base, fine-tuned plainly, naively inhibited, with MEmeL, and with MEmeL tuned."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import xarray as xr

from pipelines.engine.arms import Arm, Plan
from pipelines.engine.command import command, numbers, whole_numbers
from pipelines.engine.comparison import LABELS, compared
from pipelines.engine.origin import caveats, origin, reading_notes, run_list
from pipelines.engine.published import TABLE_3
from pipelines.engine.scoring import ERRORS, mean_error, score_arms, validation_error
from pipelines.engine.study import Study
from pipelines.engine.tables import Cell, Report, Section, mean_and_spread, summary

NEURONS: tuple[int, ...] = (1, 5, 10, 50, 100)
STRENGTHS: tuple[float, ...] = (1.0, 5.0, 10.0, 50.0, 100.0)
"""The grid of MEmeL-Tune (technical report E.3)."""

FIXED = {
    "Original": None,
    "Naive (a)": {"neurons": 1, "strength": 0.0},
    "Naive (b)": {"neurons": 1, "strength": -1.0},
    "MEmeL": {"neurons": 1, "strength": 1.0},
}
"""The arms that are not tuned, and their options of MEmeL."""


def arms(study: Study, neurons: Sequence[int] | None = None, strengths: Sequence[float] | None = None) -> list[Arm]:
    """The four fixed arms, then the grid; every arm fine-tunes the same base."""
    return [*fixed_arms(study), *grid_arms(study, neurons, strengths)]


def fixed_arms(study: Study) -> list[Arm]:
    """Original, Naive (a), Naive (b), MEmeL."""
    return [_arm(study, name, options) for name, options in FIXED.items()]


def grid_arms(
    study: Study, neurons: Sequence[int] | None = None, strengths: Sequence[float] | None = None
) -> list[Arm]:
    """MEmeL with every pair of neurons and strength."""
    return [
        _arm(study, grid_name(n, strength), {"neurons": n, "strength": float(strength)})
        for n, strength in product(neurons or NEURONS, strengths or STRENGTHS)
    ]


def grid_name(neurons: int, strength: float) -> str:
    """Name of an arm of the grid."""
    return f"n = {neurons}, Δ = {strength:g}"


def tuned(study: Study, plan: Plan, grid: Sequence[Arm]) -> str:
    """The arm of the grid with the least validation error, mean over seeds: one setting for all seeds."""
    errors = {
        arm.name: np.mean([validation_error(plan, plan.run(arm.name, s)) for s in study.seed_list]) for arm in grid
    }
    return min(errors, key=lambda name: errors[name])


def run(study: Study, neurons: Sequence[int] | None = None, strengths: Sequence[float] | None = None) -> Report:
    """Train what is missing, choose on validation, score on test, write table3.md, table3.csv and table3-grid.csv."""
    grid = grid_arms(study, neurons, strengths)
    plan, scorer, scores = score_arms(study, [*fixed_arms(study), *grid])
    chosen = tuned(study, plan, grid)
    table = {name: scores[name] for name in FIXED} | {"MEmeL-Tune": scores[chosen]}
    first = plan.run("Original", study.seed_list[0])
    report = Report(
        "table3",
        "Table 3: MEmeL in fine-tuning",
        "One base is pretrained plainly and then fine-tuned in each way, from its last checkpoint.",
        [
            *compared(
                table,
                {name: "Original" for name in table if name != "Original"},
                TABLE_3,
                study.block_hours,
                scorer.persistence(first),
            ),
            _grid_section(study, plan, grid, scores, chosen),
        ],
        [
            f"MEmeL-Tune is {chosen} (neurons of each sample, strength), the least B-MSE + B-MAE on the validation "
            f"windows, mean over seeds, of {len(grid)} settings; the test windows played no part in the choice. The "
            "paper does not say what its setting was chosen by.",
            *caveats(study),
            *reading_notes(),
        ],
        origin(study, plan, "kdd24.table3", scores["Original"][0], neurons=neurons, strengths=strengths),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


def add_options(parser: argparse.ArgumentParser) -> None:
    """The grid of MEmeL-Tune."""
    parser.add_argument("--neurons", type=whole_numbers, metavar="N,…", help="of the grid (default: 1,5,10,50,100)")
    parser.add_argument("--strengths", type=numbers, metavar="Δ,…", help="of the grid (default: 1,5,10,50,100)")


def _arm(study: Study, name: str, options: Mapping[str, float] | None) -> Arm:
    phases = study.phases
    finetune = phases.finetune if options is None else phases.inhibited(phases.finetune, **options)
    return Arm(name, (phases.pretrain, finetune))


def _grid_section(
    study: Study, plan: Plan, grid: Sequence[Arm], scores: Mapping[str, Sequence[xr.Dataset]], chosen: str
) -> Section:
    lines: list[list[str]] = []
    records: list[dict[str, Cell]] = []
    for arm in grid:
        memel = arm.phases[-1].model.memel
        assert memel is not None
        validation = [validation_error(plan, plan.run(arm.name, seed)) for seed in study.seed_list]
        test = {error: [mean_error(s, error) for s in scores[arm.name]] for error in ERRORS}
        mark = "chosen" if arm.name == chosen else ""
        lines.append(
            [
                str(memel.neurons),
                f"{memel.strength:g}",
                mean_and_spread(validation),
                *(mean_and_spread(test[error]) for error in ERRORS),
                mark,
            ]
        )
        record: dict[str, Cell] = {"neurons": memel.neurons, "strength": memel.strength, "chosen": int(bool(mark))}
        record |= summary(validation, "validation")
        for error in ERRORS:
            record |= summary(test[error], error)
        records.append(record)
    header = ["neurons", "strength", "validation B-MSE + B-MAE", *(f"test {LABELS[error]}" for error in ERRORS), ""]
    return Section("The grid", header, lines, records, "grid")


if __name__ == "__main__":
    command(__doc__, arms, run, add_options)
