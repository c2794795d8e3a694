"""The two phases of the paper at three scales: its own, one for a night on two cores, one for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from nowcast.config import Experiment, MemelConfig
from nowcast.errors import NowcastError
from nowcast.experiment_file import experiment_from, read_experiment
from nowcast.shipped_configs import shipped_config

SCALES = ("smoke", "cpu", "paper")

MIDDLE = {"smoke": 48, "cpu": 96}
"""Side in pixels of the square in the middle of the frame that is learned from; `paper` crops as the paper does."""

DECAYS = 4
"""How often the learning rate falls during pretraining (20 000 steps, every 5 000), whatever the number of steps."""

PLANNED = ("name", "seed", "start_from", "start_at", "data.archive")
"""Keys that the plan sets."""


@dataclass(frozen=True)
class Phases:
    """Plain pretraining, plain fine-tuning, and the options of MEmeL for the arms that use it."""

    pretrain: Experiment
    finetune: Experiment
    memel: MemelConfig

    def inhibited(self, phase: Experiment, **options: Any) -> Experiment:
        """A phase with MEmeL; `options` replace those of the scale."""
        return _changed(phase, "model", memel={**self.memel.model_dump(mode="json"), **options})


def read_phases(
    scale: str,
    shape: tuple[int, int],
    overrides: Sequence[str] | Mapping[str, Any] = (),
    pretrain_steps: int | None = None,
    finetune_steps: int | None = None,
) -> Phases:
    """The phases of a scale for frames of a shape.

    Args:
        scale: one of `SCALES`; its files are configs/pipelines/SCALE.yaml and SCALE-finetune.yaml.
        shape: (H, W) of the archive.
        overrides: `key=value` strings or a mapping, applied to both phases. `model.memel.…` changes the arms that use
            MEmeL, and only them. The fine-tuning's learning rate is not set: it is the one that pretraining ends with.
        pretrain_steps, finetune_steps: replace the numbers of steps; the learning rate still falls four times.
    """
    if scale not in SCALES:
        raise NowcastError(f"unknown scale {scale!r}; expected one of {', '.join(SCALES)}")
    given = (
        [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else (list(overrides))
    )
    for text in given:
        if text.partition("=")[0].strip() in PLANNED:
            raise NowcastError(f"--set {text}: the pipeline itself sets {text.partition('=')[0].strip()}; leave it out")
    crop = _middle(scale, shape)
    decays = [] if pretrain_steps is None else [f"training.decay_every={max(1, pretrain_steps // DECAYS)}"]
    coarse = read_experiment(
        shipped_config(f"pipelines/{scale}.yaml"), [*crop, *_steps(pretrain_steps), *decays, *given]
    )
    fine = read_experiment(shipped_config(f"pipelines/{scale}-finetune.yaml"), [*crop, *_steps(finetune_steps), *given])
    rate = float(f"{coarse.training.rate_at(coarse.training.steps):.12g}")  # 1e-4 · 0.7⁴ is 2.401e-5, to the last bit
    fine = _changed(fine, "training", learning_rate=rate, decay_every=None)
    memel = coarse.model.memel or MemelConfig()
    return Phases(
        _changed(coarse, "model", memel=None),
        _changed(fine.model_copy(update={"start_from": None}), "model", memel=None),
        memel,
    )


def check_neurons(experiment: Experiment, shape: tuple[int, int]) -> None:
    """NowcastError where MEmeL is asked for more neurons of each sample than the smallest layer has."""
    memel, levels = experiment.model.memel, experiment.model.levels
    if memel is None:
        return
    smallest, stride = min(level.hidden for level in levels), 1
    if memel.neuron == "position":
        whole = prod(level.stride for level in levels)
        padded = [-(-side // whole) * whole for side in frame_shape(experiment, shape)]  # as the network pads them
        layers = []
        for level in levels:
            stride *= level.stride
            layers.append(level.hidden * prod(side // stride for side in padded))
        smallest = min(layers)
    if memel.neurons > smallest:
        raise NowcastError(f"{memel.neurons} neurons of each sample asked for, but the smallest layer has {smallest}")


def frame_shape(experiment: Experiment, shape: tuple[int, int]) -> tuple[int, int]:
    """(H, W) of what is learned from, in an archive with frames of a shape."""
    spans = (experiment.data.rows, experiment.data.columns)
    rows, columns = (size if span is None else span[1] - span[0] for span, size in zip(spans, shape, strict=True))
    return rows, columns


def _changed(experiment: Experiment, part: str, **changes: Any) -> Experiment:
    content = experiment.plain()
    content[part] = {**content[part], **changes}
    return experiment_from(content, experiment.name)


def _steps(steps: int | None) -> list[str]:
    return [] if steps is None else [f"training.steps={steps}"]


def _middle(scale: str, shape: tuple[int, int]) -> list[str]:
    if scale not in MIDDLE:
        return []
    spans = []
    for key, size in zip(("rows", "columns"), shape, strict=True):
        side = min(MIDDLE[scale], size)
        first = (size - side) // 2
        spans.append(f"data.{key}=[{first}, {first + side}]")
    return spans
