"""Networks other than the paper's go through the same training, run directory and fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from memel import MEmeL
from nowcast import NowcastError, train
from nowcast.config import Experiment
from nowcast.models import load_checkpoint, load_model, open_model
from nowcast.training_log import read_training_log

CONVLSTM = {"model.network": "convlstm", "model.mask_channel": True, "training.learning_rate": 0.01}
MEMEL = {"model.memel": {"placement": ["candidate", "cell"], "late_start": 2, "forget_step": 3}}


def test_a_convlstm_is_trained_with_memel_and_fine_tuned_plainly(
    small_experiment: Callable[..., Experiment], tmp_path: Path
) -> None:
    run = train(small_experiment(name="lstm", **CONVLSTM, **MEMEL), tmp_path, progress=False)
    losses = [row["loss"] for row in read_training_log(run.path) if "loss" in row]
    assert len(losses) == 3 and torch.tensor(losses).isfinite().all() and losses[-1] < losses[0]

    loaded = open_model(run, "last")
    assert (loaded.step, loaded.checkpoint, loaded.frame_interval_seconds) == (6, "last", 360)
    modules = [module for module in loaded.network.modules() if isinstance(module, MEmeL)]
    assert len(modules) == 2 * 4 and all(module.statistics.begun for module in modules)
    peepholes = [weight for name, weight in loaded.network.named_parameters() if name.endswith("peephole")]
    assert len(peepholes) == 4 and all(weight.abs().sum() > 0 for weight in peepholes), "they begin at zero"

    # The mask says something to it: the same frames, seen and unseen, are not the same.
    frames = torch.rand(1, 3, 1, 12, 12)
    seen = torch.ones_like(frames, dtype=torch.bool)
    assert not torch.equal(loaded.network(frames, seen, 2), loaded.network(frames, ~seen, 2))

    tuned = train(
        small_experiment(name="tuned", start_from=str(run.path), **CONVLSTM | {"training.learning_rate": 1e-12}),
        tmp_path,
        progress=False,
    )
    before, after = load_checkpoint(run.checkpoint("last"))["model"], load_model(tuned, "last").state_dict()
    assert not any("memel" in key for key in after)
    for key, value in after.items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=1e-9)


def test_a_run_of_another_network_is_no_start(small_experiment: Callable[..., Experiment], tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.steps": 1}), tmp_path, progress=False)
    lstm = small_experiment(name="lstm", start_from=str(run.path), **CONVLSTM)
    with pytest.raises(NowcastError, match="give this run the same model.network and model.levels"):
        train(lstm, tmp_path, progress=False)
    with pytest.raises(NowcastError, match="begun with model.network = 'convgru', but the experiment now says 'conv"):
        train(small_experiment(**CONVLSTM | {"training.steps": 2}), tmp_path, resume=True, progress=False)
