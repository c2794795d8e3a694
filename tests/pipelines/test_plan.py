"""Plans: what is the same is one run, and only what matters makes a run another one."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nowcast import NowcastError
from pipelines import Arm, Study
from pipelines.engine.estimate import described_plan
from pipelines.kdd24 import table3, table4, table5, table8, table9
from pipelines.neurons.weather_kinds import KINDS


def identities(study: Study) -> set[str]:
    return set(study.plan(table5.arms(study)).runs)


def test_shared_phases_are_one_run(study: Study) -> None:
    plan = study.plan(table5.arms(study))
    assert len(plan.runs) == 4  # six phases
    assert plan.run("T-MEmeL", 0).parent == plan.run("P-MEmeL", 0).identity
    assert plan.run("T-Original", 0).parent == plan.run("P-Original", 0).identity
    order = list(plan.runs)
    assert all(run.parent is None or order.index(run.parent) < order.index(run.identity) for run in plan.runs.values())


def test_table3_is_one_base_and_28_runs_a_seed(smoke: Study) -> None:
    arms = table3.arms(smoke)
    plan = smoke.plan(arms)
    assert len(arms) == 4 + 25
    assert len(plan.runs) == 2 * (1 + 3 + 25)  # MEmeL is also the first of the grid
    assert plan.run("MEmeL", 1) == plan.run("n = 1, Δ = 1", 1)
    assert len({run.parent for run in plan.runs.values()}) == 1 + 2


def test_pipelines_share_runs(smoke: Study) -> None:
    five, three = smoke.plan(table5.arms(smoke)), smoke.plan(table3.arms(smoke))
    assert five.run("T-Original", 0) == three.run("Original", 0)
    assert five.run("P-Original", 0).identity in three.runs
    assert smoke.plan(table4.arms(smoke)).run("base", 1) == five.run("P-Original", 1)
    assert smoke.plan(table8.arms(smoke)).run("MEmeL", 0) == three.run("MEmeL", 0)
    assert set(smoke.plan(table9.arms(smoke)).runs) < set(three.runs)


def test_what_makes_a_run_another_one(study: Study, tmp_path: Path) -> None:
    before = identities(study)
    for change in ("training.learning_rate=0.5", "training.precision=bf16", "evaluation.stride=9", "data.masks=frame"):
        assert identities(replace(study, overrides=[change])).isdisjoint(before), change
    assert len(identities(replace(study, overrides=["model.memel.epsilon=0.5"])) & before) == 2  # the plain ones
    assert len(identities(replace(study, finetune_steps=5)) & before) == 2  # the pretraining
    assert identities(replace(study, seeds=(1,))).isdisjoint(before)


def test_what_does_not(study: Study, tmp_path: Path) -> None:
    before = identities(study)
    same = ["training.device=cpu", "training.log_every=7", "training.checkpoint_every=3", "data.memory_gib=1"]
    assert identities(replace(study, overrides=same)) == before
    moved = shutil.copytree(study.archive, tmp_path / "moved")
    assert identities(replace(study, archive=moved, runs=tmp_path / "elsewhere")) == before


def test_an_arm_stands_once(study: Study) -> None:
    arm = Arm("one", (study.phases.pretrain,))
    with pytest.raises(NowcastError, match="one has no phase or stands twice"):
        study.plan([arm, arm])


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"seeds": (1, 1)}, {"jobs": 0}, {"pretrain_steps": -1}])
def test_bad_studies_are_refused(study: Study, wrong: dict[str, object]) -> None:
    with pytest.raises(NowcastError, match="expected"):
        replace(study, **wrong)  # type: ignore[arg-type]


def test_dry_run_trains_nothing(study: Study) -> None:
    plan = study.plan(table5.arms(study))
    text = described_plan(study, plan)
    assert "4 runs" in text and "estimated time left" in text and text.count("to do") == 4
    assert not plan.folder.exists()


def test_every_command_is_described() -> None:
    root = Path(__file__).parents[2]
    files = [
        file
        for file in (root / "pipelines").glob("*/*.py")
        if "__main__" in file.read_text() and file.stem != "__main__"
    ]
    commands = {f"{file.parent.name}.{file.stem}" for file in files}
    page = (root / "docs" / "results.md").read_text(encoding="utf-8")
    assert commands == set(re.findall(r"^\| `([\w.]+)` \| .* \| .* \|$", page, flags=re.M)) - {"paper", "cpu", "smoke"}
    assert set(KINDS) <= set(re.findall(r"^\| ([a-z -]+) \|", page, flags=re.M))
