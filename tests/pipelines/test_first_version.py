"""A run that commit 8376ad3 trained: found by today's plans, not trained again, and forecasting what it forecast."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nowcast.config import ConvGRUConfig
from nowcast.models import open_model
from nowcast.run import Run
from nowcast.training_log import read_training_log
from pipelines import Arm, Study
from pipelines.engine.execution import carry_out

RUN = Path(__file__).parent / "first_version" / "pretrain-memel-n1-s1-seed0-9cf9cb606b"
LEVELS = [
    {"features": 1, "kernel": 5, "stride": 3, "hidden": 2, "upsample_features": 1, "upsample_kernel": 5},
    {"features": 1, "kernel": 4, "stride": 2, "hidden": 1, "upsample_features": 1, "upsample_kernel": 4},
]
ARCHIVE = "cbbac249bbb86edef4bd6e6611bc86a1eb21ae1bb870776d666caa616086f270"
"""Fingerprint of the synthetic archive that it learned from."""


def test_it_is_found_and_not_trained_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engine.arms.fingerprint", lambda archive: ARCHIVE)
    monkeypatch.setattr("pipelines.engine.execution.train", lambda *_, **__: pytest.fail("trained again"))
    overrides = {"model.levels": LEVELS, "data.rows": [0, 12], "data.columns": [0, 12], "evaluation.max_missing": 2}
    same = replace(study, pretrain_steps=2, overrides=overrides)
    plan = same.plan([Arm("P-MEmeL", (same.phases.inhibited(same.phases.pretrain),))])
    run = plan.run("P-MEmeL", 0)
    shutil.copytree(RUN, plan.folder / RUN.name)
    assert plan.path(run).name == RUN.name and plan.finished(run)
    carry_out(plan, progress=False)


def test_it_forecasts_what_it_forecast() -> None:
    assert isinstance(Run.open(RUN).experiment.model, ConvGRUConfig)
    loaded = open_model(RUN)
    assert (loaded.checkpoint, loaded.step, loaded.frame_interval_seconds) == ("last", 2, 360)
    observed = (torch.arange(2 * 12 * 12).reshape(1, 2, 1, 12, 12) % 7) / 7
    with torch.no_grad():
        forecast = loaded.network(observed, torch.ones_like(observed, dtype=torch.bool), 2)
    assert forecast.mean(dim=(0, 2, 3, 4)).tolist() == pytest.approx([-0.7998983860015869, -0.7996099591255188])
    assert forecast[0, 1, 0, 5, 5].item() == pytest.approx(-0.7956917881965637)
    assert [row["step"] for row in read_training_log(RUN)] == [2, 2]
