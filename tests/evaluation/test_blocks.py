"""Blocks of windows: the same scores to the bit however many workers there are, and wherever an evaluation stopped."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nowcast.cluster import executor_of
from nowcast.errors import NowcastError
from nowcast.evaluation import EvaluationOptions, blocks, evaluate
from nowcast.evaluation.kept_blocks import FOLDER
from nowcast.models.persistence import Persistence

QUICK = EvaluationOptions(observed=3, forecast=4, stride=2, batch_size=3, cases=False)
NAMES = ["persistence", "extrapolation"]


class Here(Executor):
    """Runs tasks at once, in this process, the last one submitted first to be finished."""

    def submit(self, task, /, *arguments, **options):
        future: Future = Future()
        future.set_result(task(*arguments, **options))
        return future


class Dies(Persistence):
    """A forecaster in which its worker is killed."""

    def __call__(self, observed, observed_valid, lead_steps):
        os.kill(os.getpid(), signal.SIGKILL)


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    drop = ["history"]
    for scores in (one, other):
        scores.attrs = {key: value for key, value in scores.attrs.items() if key not in drop}
    xr.testing.assert_identical(one, other)


@pytest.fixture(scope="module")
def alone(small_archive: Path) -> xr.Dataset:
    return evaluate(NAMES, archive=small_archive, options=QUICK)


def test_two_processes_give_the_same_scores_to_the_bit_and_a_killed_one_gives_a_sentence(
    small_archive, alone, tmp_path
):
    with executor_of(2) as executor:
        assert executor is not None
        together = evaluate(NAMES, archive=small_archive, options=QUICK, executor=executor, output=tmp_path)
        with_cases = QUICK.model_copy(update={"cases": True, "protocol": "online"})
        online = evaluate(NAMES, archive=small_archive, options=with_cases, executor=executor, output=tmp_path / "o")
        with pytest.raises(NowcastError, match=r"the workers could not finish \(BrokenProcessPool.*was one killed"):
            evaluate({"dies": Dies()}, archive=small_archive, options=QUICK, executor=executor)
    same(together, alone)
    assert not (tmp_path / FOLDER).exists()
    here = evaluate(NAMES, archive=small_archive, options=with_cases, output=tmp_path / "here")
    same(online, here)
    with xr.open_dataset(tmp_path / "o" / "cases.nc") as one, xr.open_dataset(tmp_path / "here" / "cases.nc") as two:
        same(one.load(), two.load())


def test_a_stopped_evaluation_goes_on_with_what_it_has(small_archive, alone, tmp_path, monkeypatch):
    done: list[int] = []
    whole = blocks.score_block

    def stops_at_the_third(job, starts, tick=None):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(len(starts))
        return whole(job, starts, tick)

    monkeypatch.setattr(blocks, "score_block", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate(NAMES, archive=small_archive, options=QUICK, output=tmp_path / "out")
    kept = sorted(path.name for path in (tmp_path / "out" / FOLDER).glob("*/*.npz"))
    assert kept == ["000000.npz", "000001.npz"]
    with pytest.raises(KeyboardInterrupt):  # other thresholds: nothing that was kept is of use
        evaluate(NAMES, archive=small_archive, options=QUICK, thresholds=(3,), output=tmp_path / "out")

    made: list[int] = []

    def counted(job, starts, tick=None):
        made.append(len(starts))
        return whole(job, starts, tick)

    next((tmp_path / "out" / FOLDER).glob("*/000001.npz")).write_bytes(b"cut off")
    monkeypatch.setattr(blocks, "score_block", counted)
    same(evaluate(NAMES, archive=small_archive, options=QUICK, output=tmp_path / "out"), alone)
    assert len(made) == -(-alone.sizes["issue_time"] // 3) - 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scores.md", "scores.nc"]


def test_an_error_in_a_worker_is_one_sentence_and_leaves_no_empty_folder(small_archive, tmp_path):
    def diverged(observed, observed_valid, lead_steps):
        return Persistence()(observed, observed_valid, lead_steps) * np.nan

    with pytest.raises(NowcastError, match="mine forecast NaN at every pixel"):
        evaluate({"mine": diverged}, archive=small_archive, options=QUICK, executor=Here(), output=tmp_path / "out")

    def broken(observed, observed_valid, lead_steps):
        raise RuntimeError("out of memory")

    with pytest.raises(NowcastError, match="a worker failed: RuntimeError: out of memory"):
        evaluate({"mine": broken}, archive=small_archive, options=QUICK, executor=Here(), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
