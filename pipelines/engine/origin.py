"""Where a table comes from: data, scale, command, runs; and how far its numbers may be compared with the paper's."""

from __future__ import annotations

from typing import Any

import torch
import xarray as xr

from nowcast.archive.fingerprint import fingerprint
from nowcast.training_log import read_training_log
from pipelines.engine.arms import Plan, PlannedRun
from pipelines.engine.published import SPLIT_DAYS
from pipelines.engine.scales import frame_shape
from pipelines.engine.study import Study
from pipelines.engine.tables import Cell, Section

TIMING = "Training time"
"""How the one line begins that differs from run to run."""


LISTED = 12
"""Runs named in a report; more of them would hide it."""


def run_list(plan: Plan) -> Section:
    """Every run of a plan with the SHA-256 of its config, for the file NAME-runs.csv."""
    arms: dict[str, set[str]] = {}
    for (arm, _), identity in plan.last.items():
        arms.setdefault(identity, set()).add(arm)
    records: list[dict[str, Cell]] = [
        {
            "run": run.experiment.name,
            "arms": "; ".join(sorted(arms.get(run.identity, ()))),
            "config_sha256": run.identity,
            "starts_from": run.parent,
            "steps": run.experiment.training.steps,
        }
        for run in plan.runs.values()
    ]
    return Section("Runs", [], [], records, "runs")


def is_the_papers_experiment(study: Study) -> bool:
    """Whether an archive with HKO-7's day lists is worked on by the paper's protocol, nothing changed."""
    days = {name: len(study.data.splits.get(name, ())) for name in SPLIT_DAYS}
    untouched = not study.override_list and study.pretrain_steps is None and study.finetune_steps is None
    return study.scale == "paper" and untouched and days == SPLIT_DAYS and len(study.seed_list) == 3


def caveats(study: Study) -> list[str]:
    """How to compare with the paper, honestly."""
    if is_the_papers_experiment(study):
        return [
            "Day lists, crop, windows, steps and seeds are the paper's. Different: MEmeL's order is Algorithm 2's (the "
            "authors' code updates first); the last, partial batch of test windows is scored too; clips stay within "
            "the days of their split; and the authors' runs are not independent, since their module-level cells carry "
            "the trained weights of one round into the next (docs/memel.md)."
        ]
    return [
        "The paper's numbers are of HKO-7, 120×120 pixels, 20 000 + 2 000 steps, three seeds; these are of other data "
        "or another scale. Sums per frame grow with the frame and with the rain, so that only signs and percentages "
        "can be held against each other, and even those are of other weather."
    ]


def reading_notes() -> list[str]:
    """How to read tables of scores."""
    return [
        "B-MAE and B-MSE: balanced errors summed over a frame, mean over all test windows and lead times, of the last "
        "checkpoint (the paper's protocol: nothing is chosen by validation). Smaller is better.",
        "Differences are paired: the same seed means the same initial weights and the same clips in the same order. "
        "The interval holds both chances, another training (seeds) and other weather (blocks of windows): SE² = "
        "s²_seed/n + s²_block/k − s²_rest/(nk), Student's t with Satterthwaite's freedom. *Shown* is better or worse "
        "only where it leaves out 0, and – with one seed or fewer than three blocks; below ten blocks take it with "
        "caution. No interval is corrected for the number of arms.",
        "*Could show*: the smallest true difference that this table would have shown with 80 % power. *Pairs needed*: "
        "runs of both arms that would show the paper's effect (its difference in percent) with 80 % power, by the "
        "spread of the paired differences over seeds, with weather left aside.",
    ]


def origin(study: Study, plan: Plan, pipeline: str, scores: xr.Dataset | None, **options: Any) -> list[str]:
    """The facts under a table."""
    archive = study.data
    days = ", ".join(f"{name} {len(listed)}" for name, listed in archive.splits.items())
    facts = [
        f"Data: archive `{archive.path.resolve().name}`, {archive.attributes.get('source', 'source not stated')}; "
        f"{len(archive.times)} frames of {archive.shape[0]}×{archive.shape[1]}; days: {days}; "
        f"fingerprint {fingerprint(archive)[:10]}",
    ]
    if scores is not None:
        issued = scores["issue_time"].values.astype("datetime64[m]")
        facts.append(f"Scored: {len(issued)} test windows issued {issued[0]} to {issued[-1]} UTC")
    facts += [f"Scale: {study.scale}{_changes(study)}; {_protocol(study)}"]
    facts += [f"Command: `{study.command(pipeline, **options)}`"]
    facts += [f"Software: torch {torch.__version__}"]
    names = ", ".join(f"`{run.experiment.name}`" for run in plan.runs.values())
    many = len(plan.runs) > LISTED
    facts += [f"Configs: {f'{len(plan.runs)} runs, listed' if many else names} in the -runs.csv beside this"]
    seconds = sum(training_seconds(plan, run) for run in plan.runs.values())
    facts += [f"{TIMING} of these {len(plan.runs)} runs, by their logs: {said_time(seconds)}"]
    return facts


def training_seconds(plan: Plan, run: PlannedRun) -> float:
    """Seconds that the optimizer steps of a run took, by its log."""
    total, before = 0.0, 0
    for row in read_training_log(plan.path(run)):
        if row.get("clips_per_second"):
            total += (row["step"] - before) * run.experiment.training.batch_size / row["clips_per_second"]
            before = row["step"]
    return total


def said_time(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 5.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _changes(study: Study) -> str:
    changed = [f"`{text}`" for text in study.override_list]
    changed += [f"{n} pretraining steps" for n in [study.pretrain_steps] if n is not None]
    changed += [f"{n} fine-tuning steps" for n in [study.finetune_steps] if n is not None]
    return f" with {', '.join(changed)}" if changed else ""


def _protocol(study: Study) -> str:
    coarse, fine = study.phases.pretrain, study.phases.finetune
    pixels = "×".join(map(str, frame_shape(coarse, study.data.shape)))
    return (
        f"{coarse.training.steps} + {fine.training.steps} steps, batch {coarse.training.batch_size}, "
        f"{pixels} pixels, {coarse.data.observed} → {coarse.data.forecast} frames, seeds "
        f"{', '.join(map(str, study.seed_list))}"
    )
