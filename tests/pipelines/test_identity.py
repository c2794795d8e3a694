"""Identities: what the first version called a run is its name for ever; only what is learned makes another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nowcast.config import ConvGRUConfig, ConvLSTMConfig, Experiment, LevelConfig, MemelConfig, TrainingConfig
from nowcast.experiment_file import read_experiment
from nowcast.shipped_configs import shipped_config
from pipelines.engine.arms import Arm, make_plan
from pipelines.engine.identity import identity

DATA = "d" * 64
FIRST_VERSION = {
    "paper": "423246c73d2a34f60fad9679db1a5797b44baf2508913f71a5c352aa01af9d8e",
    "fine-tuned": "2920a921f0e732099720f91a2c571af1844a9beb1f71d74b048c1d259e686447",
    "smoke": "f5154c4914cc5c04d30d99831ef065cfe81c500deb6b42d69f0d6a691e14774a",
}
"""What commit 8376ad3 (`pipelines.arms._planned`) computed for the three experiments below."""


def experiment(name: str, **changes: Any) -> Experiment:
    """A shipped experiment as commit 8376ad3 shipped it: its windows could hold gaps."""
    return read_experiment(shipped_config(f"pipelines/{name}.yaml"), {"evaluation.max_missing": 2, **changes})


def test_runs_of_the_first_version_keep_their_names() -> None:
    assert identity(experiment("paper"), 0, DATA, None) == FIRST_VERSION["paper"]
    memel = {"model.memel": {"neurons": 5, "placement": ["hidden"]}, "start_from": None}
    tuned = identity(experiment("paper-finetune", **memel), 2, DATA, FIRST_VERSION["paper"])
    assert tuned == FIRST_VERSION["fine-tuned"]
    smoke = experiment("smoke", **{"training.batch_size": 3, "data.rows": [0, 48], "training.log_every": 7})
    assert identity(smoke, 0, DATA, None) == FIRST_VERSION["smoke"]


def test_the_folder_of_a_first_version_run_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipelines.engine.arms.fingerprint", lambda archive: DATA)
    archive: Any = SimpleNamespace(path=Path("/a"))
    plan = make_plan([Arm("P-Original", (experiment("paper"),))], [0], archive, tmp_path)
    assert plan.path(plan.run("P-Original", 0)) == tmp_path / "pretrain-plain-seed0-423246c73d"


class LaterLevel(LevelConfig):
    dilation: int = 1


class LaterMemel(MemelConfig):
    decay: float = 0.5


class LaterModel(ConvGRUConfig):
    levels: tuple[LaterLevel, ...] = ()
    memel: LaterMemel | None = None


class LaterTraining(TrainingConfig):
    loss: str = "balanced"


class LaterExperiment(Experiment):
    """An experiment of a version to come, with a new key in every part."""

    model: LaterModel = LaterModel()
    training: LaterTraining = LaterTraining()
    augment: bool = False


@pytest.mark.parametrize("memel", [None, {"neurons": 5}])
def test_a_new_key_counts_only_where_it_is_used(memel: dict[str, Any] | None) -> None:
    old = experiment("paper", **{"model.memel": memel})

    def later(change: Callable[[dict[str, Any]], object]) -> str:
        content = old.plain()
        change(content)
        return identity(LaterExperiment.model_validate(content), 0, DATA, None)

    before = identity(old, 0, DATA, None)
    assert later(lambda content: None) == before
    others = {
        later(lambda content: content["model"]["levels"][1].update(dilation=2)),
        later(lambda content: content["training"].update(loss="log")),
        later(lambda content: content.update(augment=True)),
        later(lambda content: content["model"].update(memel={**(memel or {}), "decay": 0.1})),
    }
    assert len(others | {before}) == 5


def test_networks_are_told_apart() -> None:
    gru = experiment("smoke")
    lstm = ConvLSTMConfig(network="convlstm", levels=gru.model.levels, negative_slope=gru.model.negative_slope)
    models = [
        gru.model,
        lstm,
        lstm.model_copy(update={"peephole": False}),
        lstm.model_copy(update={"mask_channel": True}),
    ]
    assert len({identity(gru.model_copy(update={"model": model}), 0, DATA, None) for model in models}) == len(models)
