"""Two processes that share a batch do what one process does with the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nowcast import train
from nowcast.config import Experiment
from nowcast.models import load_checkpoint

SCRIPT = """
import sys, torch
from nowcast import read_experiment, train
torch.set_num_threads(1)
train(read_experiment(sys.argv[1]), sys.argv[2], progress=False)
"""


def test_two_processes_equal_one(small_experiment: Callable[..., Experiment], tmp_path: Path) -> None:
    changes = {"training.steps": 4, "training.learning_rate": 1e-2, "model.memel": {"late_start": 1, "forget_step": 3}}
    experiment = small_experiment(**changes)
    alone = train(experiment, tmp_path / "alone", progress=False)

    file, script = tmp_path / "experiment.yaml", tmp_path / "run.py"
    script.write_text(SCRIPT)
    import yaml

    file.write_text(yaml.safe_dump(experiment.plain()))
    # --standalone: the processes meet at a port that is free, whatever else runs on this machine.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, str(script), str(file), str(tmp_path / "together")],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]

    expected = load_checkpoint(alone.checkpoint("last"))
    found = load_checkpoint(tmp_path / "together" / "toy" / "checkpoints" / "last.ckpt")
    assert found["step"] == expected["step"] == 4
    assert found["progress"]["best"] == pytest.approx(expected["progress"]["best"], rel=1e-4)
    for key, value in expected["model"].items():
        torch.testing.assert_close(
            found["model"][key], value, rtol=1e-3, atol=1e-5, msg=lambda text, k=key: f"{k}: {text}"
        )
