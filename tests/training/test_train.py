"""Training: a run can be stopped anywhere and goes on as if it had not been."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nowcast import NowcastError, Run, train
from nowcast.config import Experiment
from nowcast.losses import balanced_errors
from nowcast.models import load_checkpoint, load_model
from nowcast.training.clips import endless_batches, open_archive, training_clips, validation_clips
from nowcast.training.fit import Fit
from nowcast.training.sampling import Sampler
from nowcast.training_log import read_training_log

MakeExperiment = Callable[..., Experiment]
MEMEL = {"model.memel": {"late_start": 2, "forget_step": 3}}


def weights(run: Run, which: str = "last") -> dict[str, torch.Tensor]:
    return load_checkpoint(run.checkpoint(which))["model"]


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert torch.equal(one[key], other[key]), key


def losses(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "clips_per_second"} for row in read_training_log(run.path)]


def test_a_run_directory_says_everything(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    experiment = small_experiment()
    run = train(experiment, tmp_path, progress=False)
    assert run.path == tmp_path / "toy" and Run.open(run.path).experiment == run.experiment
    rows = read_training_log(run.path)
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6]
    assert [row["step"] for row in rows if "validation_loss" in row] == [3, 6]
    with (run.path / "log.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["loss"]) for row in table if row["loss"]] == [row["loss"] for row in rows if "loss" in row]
    # Another process needs nothing but the folder.
    torch.testing.assert_close(dict(load_model(run.path, "last").state_dict()), weights(run))


def test_same_seed_same_weights(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    one = train(small_experiment(**{"training.steps": 3}), tmp_path / "a", progress=False)
    two = train(small_experiment(**{"training.steps": 3}), tmp_path / "b", progress=False)
    other = train(small_experiment(**{"training.steps": 3, "seed": 1}), tmp_path / "c", progress=False)
    assert_same_weights(weights(one), weights(two))
    assert not torch.equal(weights(one)["to_frame.weight"], weights(other)["to_frame.weight"])


def test_the_callers_random_numbers_are_left_alone(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    train(small_experiment(**{"training.steps": 1}), tmp_path, progress=False)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("stop_after", [1, 3, 5])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_resumes_exactly(
    small_experiment: MakeExperiment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int,
    number: signal.Signals,
) -> None:
    experiment = small_experiment(**MEMEL)
    whole = train(experiment, tmp_path / "whole", progress=False)

    step = Fit._step

    def step_then_signal(self: Fit, batch: Any) -> None:
        step(self, batch)
        if self.progress.step == stop_after:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "_step", step_then_signal)
        with pytest.raises(KeyboardInterrupt):
            train(experiment, tmp_path / "parts", progress=False)
    parts = Run.open(tmp_path / "parts" / "toy")
    assert load_checkpoint(parts.checkpoint("last"))["step"] == stop_after
    train(experiment, tmp_path / "parts", resume=True, progress=False)

    assert_same_weights(weights(parts), weights(whole))
    assert_same_weights(weights(parts, "best"), weights(whole, "best"))
    assert losses(parts) == losses(whole)


def test_a_killed_run_resumes_from_its_last_checkpoint(
    small_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small_experiment()
    whole = train(experiment, tmp_path / "whole", progress=False)
    step = Fit._step

    def die_at_five(self: Fit, batch: Any) -> None:
        step(self, batch)
        if self.progress.step == 5:
            raise SystemError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "_step", die_at_five)
        with pytest.raises(SystemError):
            train(experiment, tmp_path / "parts", progress=False)
    log = tmp_path / "parts" / "toy" / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 5, "loss": 9')  # torn while it was written
    parts = train(experiment, tmp_path / "parts", resume=True, progress=False)
    assert_same_weights(weights(parts), weights(whole))
    assert losses(parts) == losses(whole)


def test_a_finished_run_is_left_as_it_is(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    experiment = small_experiment()
    run = train(experiment, tmp_path, progress=False)
    before = run.checkpoint("last").read_bytes()
    train(experiment, tmp_path, resume=True, progress=False)
    assert run.checkpoint("last").read_bytes() == before


def test_more_steps_may_be_added(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    train(small_experiment(**{"training.steps": 3}), tmp_path / "a", progress=False)
    longer = train(small_experiment(), tmp_path / "a", resume=True, progress=False)
    assert longer.experiment.training.steps == Run.open(longer.path).experiment.training.steps == 6
    assert_same_weights(weights(longer), weights(train(small_experiment(), tmp_path / "b", progress=False)))


def test_validation_is_the_balanced_error_of_all_windows(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    experiment = small_experiment(**{"evaluation.batch_size": 4})
    run = train(experiment, tmp_path, progress=False)
    clips = validation_clips(open_archive(experiment), experiment)
    assert clips is not None and len(clips.starts) % 4, "the last batch must be a partial one for this test"
    model = load_model(run, "last")
    squared, absolute = [], []
    with torch.no_grad():
        for start in clips.starts:
            one = clips.sequence(np.array([start]))
            errors = balanced_errors(model(one.observed, one.observed_valid, 4).clamp(0, 1), one.observation, one.valid)
            squared.append(errors[0].mean().item())
            absolute.append(errors[1].mean().item())
    row = read_training_log(run.path)[-1]
    assert row["validation_balanced_mse"] == pytest.approx(np.mean(squared), rel=1e-5)
    assert row["validation_balanced_mae"] == pytest.approx(np.mean(absolute), rel=1e-5)
    assert row["validation_loss"] == pytest.approx(5e-5 * (np.mean(squared) + np.mean(absolute)), rel=1e-5)


def test_best_is_the_lowest_validation_loss(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.validate_every": 1}), tmp_path, progress=False)
    validated = [row for row in read_training_log(run.path) if "validation_loss" in row]
    lowest = min(validated, key=lambda row: row["validation_loss"])
    assert load_checkpoint(run.checkpoint("best"))["step"] == lowest["step"]


def test_plain_fine_tuning_of_a_memel_run(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    pretrained = train(small_experiment(**MEMEL), tmp_path, progress=False)
    assert any(".memel." in key for key in weights(pretrained))
    tuned = train(
        small_experiment(name="tuned", start_from=str(pretrained.path), **{"training.learning_rate": 1e-12}),
        tmp_path,
        progress=False,
    )
    assert not any(".memel." in key for key in weights(tuned))
    for key, value in weights(tuned).items():
        torch.testing.assert_close(value, weights(pretrained)[key], rtol=0, atol=1e-9)


def test_memel_fine_tuning_of_a_plain_run(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    base = train(small_experiment(), tmp_path, progress=False)
    tuned = train(small_experiment(name="tuned", start_from=str(base.path), **MEMEL), tmp_path, progress=False)
    plain = train(small_experiment(name="plain", start_from=str(base.path)), tmp_path, progress=False)
    assert any(".memel." in key for key in weights(tuned))
    assert not torch.equal(weights(tuned)["upsample.0.weight"], weights(plain)["upsample.0.weight"])


def test_bf16_learns_like_fp32(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    full = train(small_experiment(), tmp_path, progress=False)
    half = train(small_experiment(name="half", **{"training.precision": "bf16"}), tmp_path, progress=False)
    assert read_training_log(half.path)[-1]["validation_loss"] == pytest.approx(
        read_training_log(full.path)[-1]["validation_loss"], rel=0.05
    )
    assert not torch.equal(weights(half)["to_frame.weight"], weights(full)["to_frame.weight"])
    assert all(value.dtype == torch.float32 for value in weights(half).values())


LAGRANGIAN = {
    "model.coordinates": "lagrangian",
    "model.memel": {"late_start": 2, "forget_step": 3},
    "training.crop": 32,
    "training.sampling": "wet",
    "training.wettest_of": 2,
    "training.turns": True,
    "training.intensity_jitter": 2.0,
    "training.schedule": "cosine",
    "training.warm_up": 2,
    "training.clip_norm": 1.0,
    "training.mean_weights": 0.9,
}


def test_a_lagrangian_run_resumes_bit_for_bit(
    small_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = train(small_experiment(**LAGRANGIAN), tmp_path / "full", progress=False)
    step = Fit._step

    def step_then_break(fit: Fit, batch: Any) -> None:
        step(fit, batch)
        if fit.progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Fit, "_step", step_then_break)
        train(small_experiment(**LAGRANGIAN), tmp_path / "part", progress=False)
    part = train(small_experiment(**LAGRANGIAN), tmp_path / "part", resume=True, progress=False)
    assert losses(part) == losses(full)
    for key in ("model", "latest_model"):
        one, other = (load_checkpoint(run.checkpoint("last"))[key] for run in (part, full))
        assert_same_weights(one, other)


def test_checkpoints_hold_the_mean_weights(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    plain = train(small_experiment(), tmp_path / "plain", progress=False)
    run = train(small_experiment(**{"training.mean_weights": 0.9}), tmp_path / "mean", progress=False)
    last = load_checkpoint(run.checkpoint("last"))
    assert_same_weights(last["latest_model"], weights(plain))  # the mean leaves training as it was
    assert not torch.equal(last["model"]["to_frame.weight"], last["latest_model"]["to_frame.weight"])
    torch.testing.assert_close(dict(load_model(run.path, "last").state_dict()), last["model"])


def test_a_cosine_cannot_be_made_longer(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    options = {"training.schedule": "cosine", "training.steps": 2}
    train(small_experiment(**options), tmp_path, progress=False)
    with pytest.raises(NowcastError, match="begun with training.steps = 2"):
        train(small_experiment(**{**options, "training.steps": 4}), tmp_path, resume=True, progress=False)


def test_the_loss_goes_down(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(
        small_experiment(**{"training.steps": 60, "training.log_every": 20, "training.learning_rate": 5e-3}),
        tmp_path,
        progress=False,
    )
    trained = [row["loss"] for row in read_training_log(run.path) if "loss" in row]
    assert trained[-1] < 0.8 * trained[0]


def test_batches_are_a_function_of_seed_and_step(small_experiment: MakeExperiment) -> None:
    experiment = small_experiment()
    clips = training_clips(open_archive(experiment), experiment)
    sampler = Sampler.of(clips, experiment.training, seed=5)
    stream = endless_batches(sampler, first_step=0)
    fourth = [next(stream) for _ in range(4)][-1]
    stream.close()
    resumed = endless_batches(sampler, first_step=3)
    assert torch.equal(next(resumed).observed, fourth.observed)
    resumed.close()
    part = endless_batches(sampler, first_step=3, share=slice(1, 2))
    assert torch.equal(next(part).observed, fourth.observed[1:])
    part.close()


def test_mistakes_are_told(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.steps": 1}), tmp_path, progress=False)
    with pytest.raises(NowcastError, match="already holds a run; continue it with --resume"):
        train(small_experiment(), tmp_path, progress=False)
    with pytest.raises(NowcastError, match=r"begun with training.batch_size = 2, but the experiment now says 3"):
        train(small_experiment(**{"training.batch_size": 3}), tmp_path, resume=True, progress=False)
    with pytest.raises(NowcastError, match="has no training clip of 30 "):
        train(small_experiment(name="long", **{"data.observed": 30, "data.forecast": 30}), tmp_path, progress=False)
    with pytest.raises(NowcastError, match="give this run the same model.network and model.levels"):
        wider = small_experiment().model.levels[0].model_copy(update={"hidden": 5}).model_dump()
        levels = [wider, small_experiment().model.levels[1].model_dump()]
        changed = {"start_from": str(run.path), "model.levels": levels}
        train(small_experiment(name="other", **changed), tmp_path, progress=False)
    with pytest.raises(NowcastError, match="names no archive"):
        train(small_experiment(name="none", **{"data.archive": None}), tmp_path, progress=False)
    with pytest.raises(NowcastError, match="nowhere does not exist"):
        train(small_experiment(name="lost", start_from=str(tmp_path / "nowhere")), tmp_path, progress=False)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    small_experiment: MakeExperiment, tmp_path: Path
) -> None:
    experiment = small_experiment(**{"training.learning_rate": 1e30, "training.steps": 40})
    with pytest.raises(NowcastError, match="lower training.learning_rate"):
        train(experiment, tmp_path, progress=False)
    for row in read_training_log(tmp_path / "toy"):
        assert np.isfinite(row.get("loss", 0.0))


def test_a_damaged_checkpoint_is_told(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.steps": 1}), tmp_path, progress=False)
    path = run.checkpoint("last")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(NowcastError, match="last.ckpt is not a readable checkpoint"):
        load_model(run, "last")
    for file in run.checkpoints.iterdir():
        file.unlink()
    with pytest.raises(NowcastError, match="has no checkpoint yet"):
        load_model(run)


def test_the_log_says_the_same_in_two_formats(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.steps": 6}), tmp_path, progress=False)
    lines = [json.loads(line) for line in (run.path / "log.jsonl").read_text().splitlines()]
    with (run.path / "log.csv").open(newline="") as table:
        rows = [{name: float(text) for name, text in row.items() if text} for row in csv.DictReader(table)]
    assert rows == lines
    assert [line["step"] for line in lines if "loss" in line] == [2, 4, 6]  # log_every: 2
    assert [line["step"] for line in lines if "validation_loss" in line] == [3, 6]  # validate_every: 3
