"""`evaluate`: runs and baselines by name, on the windows of a split of an archive."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import xarray as xr
from tqdm import tqdm

from nowcast.archive import Archive
from nowcast.evaluation.blocks import BlockJob, all_states, case_dataset, forget, prepare
from nowcast.evaluation.cases import choose_cases
from nowcast.evaluation.files import remove_results, temporary_folder, write_cases, write_scores
from nowcast.evaluation.forecasters import cautions, named_forecasters
from nowcast.evaluation.kept_blocks import KeptBlocks
from nowcast.evaluation.options import EvaluationOptions
from nowcast.evaluation.plan import EvaluationPlan, Named, plan_evaluation
from nowcast.evaluation.protocols import blocks_of
from nowcast.evaluation.provenance import provenance
from nowcast.evaluation.score import new_comparison, scores_of
from nowcast.forecaster import Forecaster


def evaluate(
    forecasters: Named | Sequence[Named] | Mapping[str, Named | Forecaster],
    split: str | None = None,
    *,
    archive: str | Path | Archive | None = None,
    output: str | Path | None = None,
    options: EvaluationOptions | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **changes: Any,
) -> xr.Dataset:
    """Forecast every window of a split with every forecaster and score them; extrapolation and persistence are there.

    What is not given comes from the runs (their archive, frames, crop, masks and windows), which must then agree; with
    no run among the forecasters 5 frames are observed, 20 forecast, and an archive must be given.

    Args:
        forecasters: a run (its folder), a baseline (persistence, extrapolation, sprog, steps), a list of those, or a
            mapping from names of your choice to those or to forecasters of your own (`nowcast.forecaster.Forecaster`).
        split: split of the archive, "test" where nothing else is said.
        archive: archive, or its folder.
        output: folder for `scores.nc`, `scores.md` and `cases.nc`; by default
            `evaluation/ARCHIVE-SPLIT-PROTOCOL` in the first run, without a run nowhere. A stopped evaluation keeps its
            finished blocks there, and the same call goes on with them.
        options: protocol, windows, scores and the rest; see `nowcast.evaluation.EvaluationOptions`.
        executor: where blocks of windows are scored; its workers see the same folders. None: here. The scores are the
            same to the bit, however many workers there are.
        progress: show a progress bar.
        changes: any option by name, such as `thresholds=(1, 10)` or `protocol="online"`.

    Returns:
        the scores dataset of docs/verification.md.
    """
    changes = changes if split is None else {"split": split, **changes}
    plan = plan_evaluation(forecasters, archive, output, EvaluationOptions.of(options, changes))
    return carry_out(plan, executor, progress)


def carry_out(plan: EvaluationPlan, executor: Executor | None = None, progress: bool = False) -> xr.Dataset:
    """Evaluate what was planned; see `evaluate`."""
    key, options, archive = plan.key(), plan.options, plan.archive
    made = named_forecasters(plan.entries, archive, options)
    marks = cautions(made, plan)  # before gigabytes are read
    forecasters = {name: one.forecaster for name, one in made.items()}
    path = str(archive.path.resolve())
    job = BlockJob(key or uuid.uuid4().hex, path, plan.data, plan.rules, options, plan.entries)
    prepare(job, archive, forecasters)
    windows = job.windows(archive)
    blocks, kept = blocks_of(forecasters, windows, options, plan.rules.batch_size), KeptBlocks(plan.folder, key)
    try:
        with temporary_folder(plan.folder):  # made now, not after hours of forecasting; gone again if nothing was kept
            with tqdm(total=len(plan.starts), desc="evaluate", unit="window", disable=not progress) as bar:
                states = all_states(job, blocks, executor, kept, bar.update)
            comparison = new_comparison(list(plan.entries), windows, plan.scored_shape, options)
            for state in states:
                comparison.absorb(state)
            scores = scores_of(comparison, plan.data.observed, plan.data.forecast, options)
            scores.attrs |= _attributes(plan, forecasters, marks)
            if plan.folder is not None:
                _write(scores, plan, job, executor, progress)
                kept.clear()
    finally:
        forget(job)
    return scores


def _attributes(plan: EvaluationPlan, forecasters: Mapping[str, Forecaster], marks: list[str]) -> dict[str, Any]:
    """What the scores say of themselves beside the protocol."""
    described = [f"{name}: {one.describes}" for name, one in forecasters.items() if hasattr(one, "describes")]
    return {
        "archive": plan.archive.path.resolve().name,
        "split": plan.options.split,
        "masks": plan.data.masks,
        "stride": plan.rules.stride,
        "max_missing": plan.rules.max_missing,
        **({"checkpoint": plan.options.checkpoint} if plan.runs else {}),
        **provenance(plan.runs, plan.archive),
        **({"deterministic_fields": "; ".join(described)} if described else {}),
        **({"caution": "; ".join(marks)} if marks else {}),
    }


def _write(scores: xr.Dataset, plan: EvaluationPlan, job: BlockJob, executor: Executor | None, progress: bool) -> None:
    """Write scores, table and cases into the folder, in place of what an earlier evaluation left there."""
    assert plan.folder is not None
    chosen = choose_cases(scores) if plan.options.cases else {}
    with tqdm(total=len(chosen), desc="cases", unit="case", disable=not (progress and chosen)) as bar:
        fields = case_dataset(job, chosen, executor, bar.update) if chosen else None
    remove_results(plan.folder)
    write_scores(scores, plan.folder)
    scores.encoding["source"] = str(plan.folder / "scores.nc")
    if fields is not None:
        write_cases(fields.assign_coords(plan.archive.coordinates(plan.data.rows, plan.data.columns)), plan.folder)
