"""Table 4: does a training step make the neurons it modified less monosemantic? Here in the ConvGRU."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from nowcast.atomic_files import write_json
from nowcast.errors import NowcastError
from pipelines.engine.arms import Arm, Plan, PlannedRun
from pipelines.engine.command import command
from pipelines.engine.origin import origin, run_list
from pipelines.engine.published import TABLE_4
from pipelines.engine.study import Study
from pipelines.engine.tables import Cell, Report, Section, interval_text, mean_and_spread, signed, summary
from pipelines.kdd24.inhibition import Effect, measure

METHODS: Mapping[str, float | None] = {"Original": None, "Naive (a)": 0.0, "Naive (b)": -1.0, "RD": 1.0}
"""The strength of each method; None modifies nothing."""

MEASURED = 10000
"""Modified neurons that each method and seed is averaged over, at least; the paper's number."""

COLUMNS = {
    "decrease_ratio": ("Decrease Ratio, %", "+.4f"),
    "median_decrease_ratio": ("its median", "+.4f"),
    "share_decreased": ("decreased, %", ".1f"),
    "total_update_ratio": ("Total Update Ratio, %", ".3f"),
    "median_total_update_ratio": ("its median", ".3f"),
}


def arms(study: Study, measured: int = MEASURED, learning_rate: float | None = None) -> list[Arm]:
    """The plain base; the measured steps of fine-tuning are taken beside it and leave no run."""
    return [Arm("base", (study.phases.pretrain,))]


def run(study: Study, measured: int = MEASURED, learning_rate: float | None = None) -> Report:
    """Train the bases, measure every method on each, write table4.md and table4.csv.

    Args:
        study: what to run on.
        measured: modified neurons for each method and seed, at least.
        learning_rate: of the measured steps; None takes the fine-tuning's.
    """
    rate = study.phases.finetune.training.learning_rate if learning_rate is None else learning_rate
    if not (measured > 0 and rate > 0):
        raise NowcastError(f"measured is {measured} and learning_rate {rate:g}, expected both to be above 0")
    plan = study.plan(arms(study))
    study.carry_out(plan)
    lines: list[list[str]] = []
    records: list[dict[str, Cell]] = []
    original: list[float] = []
    for method, strength in METHODS.items():
        effects = [_effect(study, plan, plan.run("base", seed), strength, measured, rate) for seed in study.seed_list]
        values = {name: [getattr(effect, name) for effect in effects] for name in COLUMNS}
        record: dict[str, Cell] = {"method": method, "neurons": int(np.sum([effect.neurons for effect in effects]))}
        for name, of_seeds in values.items():
            record |= summary(of_seeds, name)
        original = original or values["decrease_ratio"]
        apart = float(np.mean(values["decrease_ratio"]) - np.mean(original))
        low, high = _interval_over_seeds(values["decrease_ratio"], original)
        record |= {"difference": apart, "low": low, "high": high}
        difference = ["", ""] if strength is None else [signed(apart), interval_text(low, high)]
        paper = TABLE_4[method]
        lines.append(
            [
                method,
                *(mean_and_spread(values[name], style) for name, (_, style) in COLUMNS.items()),
                *difference,
                f"{record['neurons']:,}".replace(",", " "),
                f"{paper['decrease_ratio']:+.3f}",
                f"{paper['total_update_ratio']:.3f}",
            ]
        )
        records.append(record | {f"paper_{name}": value for name, value in paper.items()})
    header = [
        "method",
        *(title for title, _ in COLUMNS.values()),
        "decrease − Original",
        "95 % over seeds",
        "neurons",
        "paper: decrease",
        "paper: update",
    ]
    chosen = {"measured": None if measured == MEASURED else measured, "learning_rate": learning_rate}
    report = Report(
        "table4",
        "Table 4: the effectiveness of inhibition",
        "Each method fine-tunes the plain base on the same batches. At each step the selected neurons are compared "
        "before and after the optimizer's step on the same input: Decrease Ratio (1 − φ(z*)/φ(z)) · 100 %, Total "
        "Update Ratio |z*/z − 1| · 100 %.",
        [Section("Selected neurons", header, lines, records)],
        [
            f"Mean ± standard deviation over seeds of means over neurons. Learning rate {rate:g}, Adam; the first "
            "steps only fill the optimizer's moments and the running statistics, and are not measured.",
            "Original selects the neurons that MEmeL would and modifies none. The mean of the Total Update Ratio is "
            "ruled by a few neurons near 0: read the median beside it.",
            "The paper's numbers are of Swin-B on images at learning rate 2e-6; only the signs and the order of the "
            "methods can be held against them.",
        ],
        origin(study, plan, "kdd24.table4", None, **chosen),
        run_list(plan),
    )
    report.write(study.output_folder)
    return report


def add_options(parser: argparse.ArgumentParser) -> None:
    """The number of neurons."""
    parser.add_argument(
        "--measured",
        type=int,
        default=MEASURED,
        metavar="N",
        help="modified neurons for each method and seed, at least (default: %(default)s)",
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="R", help="of the measured steps (default: the fine-tuning's)"
    )


def _interval_over_seeds(first: list[float], second: list[float]) -> tuple[float, float]:
    """95 % interval of first − second, paired by seed; NaN with one seed, or where nothing differs."""
    if len(first) < 2 or first == second:
        return float("nan"), float("nan")
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def _effect(study: Study, plan: Plan, base: PlannedRun, strength: float | None, measured: int, rate: float) -> Effect:
    """The effect of a method on a base, measured once and kept beside it."""
    method = "original" if strength is None else f"{strength:g}"
    phase = study.phases.inhibited(study.phases.finetune, strength=1.0)
    setting = {
        "measured": measured,
        "memel": phase.plain()["model"]["memel"],
        "rate": rate,
        "batch_size": phase.training.batch_size,
    }
    file = plan.path(base) / f"inhibition-{method}.json"
    kept = _read(file)
    if kept is not None and kept["setting"] == setting:
        return Effect(**kept["effect"])
    if study.progress:
        print(f"measure strength {method} on {base.experiment.name}", flush=True)
    effect = measure(phase, base.experiment.seed, study.data, plan.path(base), strength, measured, rate)
    write_json(file, {"setting": setting, "effect": vars(effect)})
    return effect


def _read(file: Path) -> dict[str, dict[str, Any]] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if {"setting", "effect"} <= content.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


if __name__ == "__main__":
    command(__doc__, arms, run, add_options)
