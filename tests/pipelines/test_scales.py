"""Scales: `paper` is the paper's protocol to the last digit; overrides reach every phase, nonsense is refused."""

from __future__ import annotations

import pytest

from nowcast import NowcastError, read_experiment
from nowcast.config import PAPER_LEVELS, MemelConfig
from nowcast.shipped_configs import shipped_config
from pipelines.engine.scales import DECAYS, SCALES, check_neurons, frame_shape, read_phases

HKO7 = (480, 480)


def test_paper_is_the_papers_protocol() -> None:
    phases = read_phases("paper", HKO7)
    pretrain, finetune = phases.pretrain, phases.finetune
    for phase in (pretrain, finetune):
        assert phase.model.levels == PAPER_LEVELS and phase.model.activation_before_gates and phase.model.memel is None
        assert phase.model.negative_slope == 0.2
        assert (phase.data.observed, phase.data.forecast, phase.data.masks, phase.data.max_missing) == (
            10,
            10,
            "static",
            0,
        )
        assert (phase.data.rows, phase.data.columns) == ((164, 284), (175, 295))
        assert (phase.training.batch_size, phase.training.clip_value, phase.training.loss_weight) == (16, 50, 5e-5)
        assert phase.training.precision == "fp32"
    assert (pretrain.training.steps, finetune.training.steps) == (20000, 2000)
    assert (pretrain.training.learning_rate, pretrain.training.decay_factor, pretrain.training.decay_every) == (
        1e-4,
        0.7,
        5000,
    )
    assert (finetune.training.learning_rate, finetune.training.decay_every) == (2.401e-5, None)
    assert phases.memel == MemelConfig(neurons=1, strength=1.0, forget_step=10, late_start=10, epsilon=0.01)


def test_paper_is_the_shipped_experiments() -> None:
    phases = read_phases("paper", HKO7)
    pairs = [
        (phases.pretrain, "convgru"),
        (phases.finetune, "finetune"),
        (phases.inhibited(phases.pretrain), "convgru-memel"),
    ]
    for phase, name in pairs:
        shipped = read_experiment(shipped_config(f"hko7/{name}.yaml")).plain()
        assert phase.plain() | {"name": "", "start_from": None} == shipped | {"name": "", "start_from": None}


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_keeps_the_shape_of_the_protocol(scale: str) -> None:
    phases = read_phases(scale, HKO7)
    coarse, fine = phases.pretrain.training, phases.finetune.training
    assert coarse.decay_every is not None and coarse.steps == DECAYS * coarse.decay_every
    assert fine.learning_rate == pytest.approx(coarse.learning_rate * 0.7**4) and fine.decay_every is None
    assert phases.pretrain.model == phases.finetune.model and phases.pretrain.data == phases.finetune.data


def test_the_middle_of_any_archive() -> None:
    assert read_phases("cpu", (480, 481)).pretrain.data.rows == (192, 288)
    assert read_phases("cpu", (480, 481)).pretrain.data.columns == (192, 288)
    small = read_phases("cpu", (96, 40)).pretrain
    assert frame_shape(small, (96, 40)) == (96, 40)
    whole = read_phases("cpu", HKO7, ["data.rows=null", "data.columns=null"]).pretrain
    assert frame_shape(whole, HKO7) == HKO7


def test_steps_scale_the_decay() -> None:
    phases = read_phases("paper", HKO7, (), 400, 30)
    assert (phases.pretrain.training.steps, phases.pretrain.training.decay_every) == (400, 100)
    assert (phases.finetune.training.steps, phases.finetune.training.learning_rate) == (30, 2.401e-5)


def test_overrides_reach_both_phases_and_memel_only_its_arms() -> None:
    given = {"training.batch_size": 3, "model.memel.order": "reference", "training.learning_rate": 0.01}
    for overrides in (given, [f"{key}={value}" for key, value in given.items()]):
        phases = read_phases("cpu", HKO7, overrides)
        assert phases.pretrain.training.batch_size == phases.finetune.training.batch_size == 3
        assert phases.pretrain.model.memel is None and phases.finetune.model.memel is None
        assert phases.finetune.training.learning_rate == pytest.approx(0.01 * 0.7**4)
        memel = phases.inhibited(phases.finetune, strength=5).model.memel
        assert memel is not None and (memel.order, memel.strength) == ("reference", 5)


@pytest.mark.parametrize("override", ["seed=3", "start_from=runs/x", "data.archive=elsewhere", "name=x"])
def test_what_the_plan_sets_is_refused(override: str) -> None:
    with pytest.raises(NowcastError, match="the pipeline itself sets"):
        read_phases("smoke", HKO7, [override])


def test_bad_input_is_said() -> None:
    with pytest.raises(NowcastError, match="unknown scale 'huge'"):
        read_phases("huge", HKO7)
    with pytest.raises(NowcastError, match="did you mean batch_size"):
        read_phases("smoke", HKO7, ["training.batchsize=3"])


def test_more_neurons_than_a_layer_has() -> None:
    phases = read_phases("smoke", (48, 48))
    check_neurons(phases.inhibited(phases.finetune, neurons=384), (48, 48))  # 6 channels of 8×8
    with pytest.raises(NowcastError, match="385 neurons .* smallest layer has 384"):
        check_neurons(phases.inhibited(phases.finetune, neurons=385), (48, 48))
    with pytest.raises(NowcastError, match="smallest layer has 4"):
        check_neurons(phases.inhibited(phases.finetune, neurons=5, neuron="channel"), (48, 48))
