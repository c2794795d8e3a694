"""Carrying out plans: interrupted anywhere, the same tables come out; runs side by side are the same runs."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from nowcast import NowcastError
from nowcast.locks import locked
from nowcast.models import load_checkpoint
from nowcast.training.fit import Fit
from pipelines import Arm, Study
from pipelines.engine.estimate import described_plan
from pipelines.engine.execution import carry_out, train_one
from pipelines.engine.origin import TIMING
from pipelines.engine.scoring import Scorer
from pipelines.kdd24 import table5


class Killed(Exception):
    """Stands for the power cut: nothing is saved on the way out."""


def without_timing(folder: Path, output: str | Path) -> str:
    text = (folder / "table5.md").read_text().replace(str(output), "OUTPUT")
    return "\n".join(line for line in text.splitlines() if not line.startswith(f"- {TIMING}"))


def test_a_killed_pipeline_gives_the_same_tables(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replace(study, output=tmp_path / "whole", runs=tmp_path / "whole" / "runs")
    parts = replace(study, output=tmp_path / "parts", runs=tmp_path / "parts" / "runs")
    table5.run(whole)

    step, score, taken = Fit._step, Scorer._write, {"steps": 0, "scored": 0}

    def step_or_die(self: Fit, batch: Any) -> None:
        taken["steps"] += 1
        if taken["steps"] in (7, 15):  # after a checkpoint, and in a later run
            raise Killed
        step(self, batch)

    def score_or_die(self: Scorer, *arguments: Any) -> None:
        taken["scored"] += 1
        if taken["scored"] == 2:
            raise Killed
        score(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "_step", step_or_die)
        patch.setattr(Scorer, "_write", score_or_die)
        for _ in range(3):
            with pytest.raises(Killed):
                table5.run(parts)
            assert not (tmp_path / "parts" / "table5.md").exists()
        table5.run(parts)
    assert without_timing(tmp_path / "parts", tmp_path / "parts") == without_timing(
        tmp_path / "whole", tmp_path / "whole"
    )
    csv = [(tmp_path / name / "table5.csv").read_text() for name in ("whole", "parts")]
    assert csv[0] == csv[1]


def test_finished_runs_are_left_alone(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = study.plan([Arm("base", (study.phases.pretrain,))])
    carry_out(plan, progress=False)
    assert plan.finished(plan.run("base", 0))
    assert "finished" in described_plan(study, plan)
    monkeypatch.setattr("pipelines.engine.execution.train", lambda *_, **__: pytest.fail("trained again"))
    carry_out(plan, progress=False)


def test_several_at_once_are_the_same_runs(study: Study, tmp_path: Path) -> None:
    pretrain = study.phases.pretrain
    arms = [Arm("one", (pretrain,)), Arm("two", (study.phases.inhibited(pretrain),))]
    alone, together = study.plan(arms), replace(study, runs=tmp_path / "together").plan(arms)
    carry_out(alone, progress=False)
    carry_out(together, jobs=2, progress=False)
    for identity, run in alone.runs.items():
        first, second = (
            load_checkpoint(p.path(p.runs[identity]) / "checkpoints" / "last.ckpt")["model"] for p in (alone, together)
        )
        for key, value in first.items():
            torch.testing.assert_close(second[key], value, rtol=1e-4, atol=1e-6, msg=f"{run.experiment.name} {key}")


class Remote(Executor):
    """Nothing but bytes reaches it, as if its worker were another machine."""

    def __init__(self) -> None:
        self.trained: list[str] = []

    def submit(self, task: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        task, arguments = pickle.loads(pickle.dumps((task, arguments)))
        future: Future[Any] = Future()
        future.set_result(pickle.loads(pickle.dumps(task(*arguments))))
        self.trained.append(arguments[1].experiment.name)
        return future


def test_an_executor_trains_the_same_runs_children_after_parents(study: Study, tmp_path: Path) -> None:
    pretrain, finetune = study.phases.pretrain, study.phases.finetune
    arms = [Arm("P", (pretrain,)), Arm("T", (pretrain, finetune))]
    here, elsewhere = study.plan(arms), replace(study, runs=tmp_path / "elsewhere").plan(arms)
    carry_out(here, progress=False)
    executor = Remote()
    carry_out(elsewhere, executor, progress=False)
    assert executor.trained == [run.experiment.name for run in elsewhere.runs.values()]
    for identity, run in here.runs.items():
        first, second = (
            load_checkpoint(p.path(p.runs[identity]) / "checkpoints" / "last.ckpt")["model"] for p in (here, elsewhere)
        )
        assert all(torch.equal(first[key], second[key]) for key in first), run.experiment.name


class Failing(Executor):
    """Its worker is killed by every task."""

    def submit(self, task: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenExecutor("a worker died"))
        return future


def test_a_worker_that_dies_is_told(study: Study) -> None:
    plan = study.plan([Arm("base", (study.phases.pretrain,))])
    with pytest.raises(NowcastError, match=f"trained {plan.run('base', 0).experiment.name} ended abruptly"):
        carry_out(plan, Failing(), progress=False)


LONG = """
import sys
from pipelines import Arm, Study
from pipelines.engine.execution import carry_out

archive, output = sys.argv[1:]
study = Study(archive, "smoke", 1, output=output, pretrain_steps=100_000, progress=False, jobs=2,
              overrides={"training.checkpoint_every": 10**9, "training.validate_every": 10**9, "training.log_every": 1})
pretrain = study.phases.pretrain
study.carry_out(study.plan([Arm("one", (pretrain,)), Arm("two", (study.phases.inhibited(pretrain),))]))
"""


def test_ctrl_c_saves_what_is_being_trained(study: Study, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LONG, str(study.archive), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    logs: list[Path] = []
    while process.poll() is None and len(logs) < 2:
        time.sleep(0.1)
        logs = [log for log in tmp_path.glob("runs/*/log.jsonl") if log.stat().st_size]
    os.killpg(process.pid, signal.SIGINT)  # in a terminal it reaches the whole group
    _, told = process.communicate(timeout=120)
    checkpoints = list(tmp_path.glob("runs/*/checkpoints/last.ckpt"))
    assert [load_checkpoint(path)["step"] > 0 for path in checkpoints] == [True, True], told
    assert process.returncode in (130, -signal.SIGINT) and told.count("Traceback") <= 1, told


def test_a_run_that_fails_says_why(study: Study) -> None:
    broken = replace(study, overrides=["data.observed=500"])
    plan = broken.plan([Arm("base", (broken.phases.pretrain,))])
    for jobs in (1, 2):
        with pytest.raises(NowcastError, match="no training clip of 500"):
            carry_out(plan, jobs=jobs, progress=False)


def test_one_waits_where_another_trains(study: Study) -> None:
    plan = study.plan([Arm("base", (study.phases.pretrain,))])
    run = plan.run("base", 0)
    plan.folder.mkdir(parents=True)
    other = Thread(target=train_one, args=(plan.folder, run, False))
    with locked(plan.folder / f".{plan.path(run).name}.lock", "the run"):
        other.start()
        other.join(0.5)
        assert other.is_alive() and not plan.path(run).exists()
    other.join(60)
    assert plan.finished(run)
