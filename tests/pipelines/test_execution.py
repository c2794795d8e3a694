"""Carrying out plans: interrupted anywhere, the same tables come out; runs side by side are the same runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from nowcast import NowcastError
from nowcast.models import load_checkpoint
from nowcast.training.fit import Fit
from pipelines import Arm, Study
from pipelines.engine.estimate import described_plan
from pipelines.engine.execution import _claimed, carry_out, train_one
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
    carry_out(alone, 1, progress=False)
    carry_out(together, 2, progress=False)
    for identity, run in alone.runs.items():
        first, second = (load_checkpoint(p.path(p.runs[identity]) / "checkpoints" / "last.ckpt")["model"]
                         for p in (alone, together))  # fmt: skip
        for key, value in first.items():
            torch.testing.assert_close(second[key], value, rtol=1e-4, atol=1e-6, msg=f"{run.experiment.name} {key}")


def test_a_run_that_fails_says_why(study: Study) -> None:
    broken = replace(study, overrides=["data.observed=500"])
    plan = broken.plan([Arm("base", (broken.phases.pretrain,))])
    for jobs in (1, 2):
        with pytest.raises(NowcastError, match="no training clip of 500"):
            carry_out(plan, jobs, progress=False)


def test_one_waits_where_another_trains(study: Study) -> None:
    plan = study.plan([Arm("base", (study.phases.pretrain,))])
    run = plan.run("base", 0)
    plan.folder.mkdir(parents=True)
    other = Thread(target=train_one, args=(plan, run, False))
    with _claimed(plan.path(run), progress=False):
        other.start()
        other.join(0.5)
        assert other.is_alive() and not plan.path(run).exists()
    other.join(60)
    assert plan.finished(run)
