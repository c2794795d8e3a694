"""Blocks of windows as tasks: plain data in, sums out, here or on any executor's workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from nowcast.archive import Archive
from nowcast.clips.split_windows import Windows, windows_of
from nowcast.config import DataConfig, EvaluationConfig
from nowcast.errors import NowcastError
from nowcast.evaluation.cases import case_fields
from nowcast.evaluation.forecasters import named_forecasters
from nowcast.evaluation.kept_blocks import KeptBlocks, State
from nowcast.evaluation.options import EvaluationOptions
from nowcast.evaluation.plan import Entry
from nowcast.evaluation.score import compare_forecasters
from nowcast.forecaster import Forecaster
from nowcast.radar.times import Times

Tick = Callable[[int], Any]


@dataclass(frozen=True)
class BlockJob:
    """What a worker must know to score any block of an evaluation; it opens archive and runs by their paths.

    Attributes:
        key: tells one evaluation from another, so that a worker loads its forecasters once.
        archive: path.
        data, rules, options: as in `EvaluationPlan`.
        entries: name → forecaster, as in `EvaluationPlan`.
    """

    key: str
    archive: str
    data: DataConfig
    rules: EvaluationConfig
    options: EvaluationOptions
    entries: dict[str, Entry]

    def windows(self, archive: Archive, only: Times | None = None) -> Windows:
        """The windows that start at `only`, holding no more frames than these need; or all, read as they are asked."""
        data = self.data if only is not None else self.data.model_copy(update={"in_memory": False})
        return windows_of(archive, self.options.split, data, self.rules, only)


_PREPARED: dict[str, tuple[Archive, dict[str, Forecaster]]] = {}
"""Of this process: archive and forecasters of the latest evaluation."""


def prepared(job: BlockJob) -> tuple[Archive, dict[str, Forecaster]]:
    """The open archive and the loaded forecasters of a job."""
    if job.key not in _PREPARED:
        archive = Archive.open(job.archive)
        made = named_forecasters(job.entries, archive, job.options)
        prepare(job, archive, {name: one.forecaster for name, one in made.items()})
    return _PREPARED[job.key]


def prepare(job: BlockJob, archive: Archive, forecasters: dict[str, Forecaster]) -> None:
    """Give `prepared` of this process what is open and loaded already."""
    _PREPARED.clear()
    _PREPARED[job.key] = archive, forecasters


def forget(job: BlockJob) -> None:
    """Let go of what `prepared` holds in this process."""
    _PREPARED.pop(job.key, None)


def score_block(job: BlockJob, starts: Times, tick: Tick | None = None) -> State:
    """The sums of a block of windows, as `Comparison.state` gives them."""
    archive, forecasters = prepared(job)
    return compare_forecasters(forecasters, job.windows(archive, starts), job.options, tick).state()


def fields_of(job: BlockJob, cases: dict[str, np.datetime64]) -> xr.Dataset:
    """What was observed and forecast in some windows, as `case_fields` gives it."""
    archive, forecasters = prepared(job)
    return case_fields(forecasters, job.windows(archive), cases, job.options.protocol)


def _attempted(task: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """What a task gives, or one sentence: an executor may try again what raised an error, though it will not help."""
    try:
        return task(*arguments), None
    except NowcastError as error:
        return None, str(error)
    except Exception as error:
        return None, f"a worker failed: {type(error).__name__}: {str(error)[:200]}"


def all_states(
    job: BlockJob, blocks: Sequence[Times], executor: Executor | None, kept: KeptBlocks, tick: Tick
) -> list[State]:
    """The sums of every block, in order; those that an earlier, stopped evaluation kept are not made again."""
    states: list[State | None] = [kept.load(number) for number in range(len(blocks))]
    for block, state in zip(blocks, states, strict=True):
        if state is not None:
            tick(len(block))
    missing = [number for number, state in enumerate(states) if state is None]
    if executor is None:
        for number in missing:
            states[number] = kept.save(number, score_block(job, blocks[number], tick))
    else:
        tasks = [(score_block, job, blocks[number]) for number in missing]
        for place, state in _anywhere(executor, tasks):
            states[missing[place]] = kept.save(missing[place], state)
            tick(len(blocks[missing[place]]))
    return [state for state in states if state is not None]


def case_dataset(job: BlockJob, cases: dict[str, np.datetime64], executor: Executor | None, tick: Tick) -> xr.Dataset:
    """The fields of all cases, in order; each is a task."""
    made: dict[int, xr.Dataset] = {}
    if executor is None:
        for place, (label, time) in enumerate(cases.items()):
            made[place] = fields_of(job, {label: time})
            tick(1)
    else:
        tasks = [(fields_of, job, {label: time}) for label, time in cases.items()]
        for place, result in _anywhere(executor, tasks):
            made[place] = result
            tick(1)
    return xr.concat([made[place] for place in range(len(cases))], "case", data_vars="minimal", join="exact")


def _anywhere(executor: Executor, tasks: Sequence[tuple[Any, ...]]) -> Any:
    """(place, result) of every task as it is finished; NowcastError in one sentence where one fails."""
    futures = {executor.submit(_attempted, *task): place for place, task in enumerate(tasks)}
    try:
        for future in as_completed(futures):
            try:
                result, sentence = future.result()
            except Exception as error:  # of the executor: a worker killed too often, or what cannot be sent to one
                words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                sentence = f"the workers could not finish ({words}; was one killed, or short of memory?)"
            if sentence is not None:
                raise NowcastError(sentence)
            yield futures[future], result
    finally:
        for future in futures:
            future.cancel()
