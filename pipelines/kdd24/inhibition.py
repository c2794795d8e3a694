"""What each method of inhibition does to the neurons it modifies, measured while it fine-tunes a base (Table 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from memel import InhibitionEffect, inhibition_effect, pooled
from nowcast.archive import Archive
from nowcast.clips.windows import sample_starts
from nowcast.config import Experiment
from nowcast.device import choose_device, run_network
from nowcast.errors import NowcastError
from nowcast.losses import BalancedLoss
from nowcast.models import build_model, start_from
from nowcast.run import Run
from nowcast.training.clips import training_clips

WARM_UP = 10
"""Steps before the first measured one: Adam's moments forget their start in 1 / (1 − 0.9) = 10 steps, and MEmeL's late
start of ten calls is over after one."""

MOST_EMPTY = 20
"""Steps in a row that may modify nothing before the measurement gives up."""


@dataclass(frozen=True)
class Effect:
    """Selected neurons before and after an optimizer step; ratios in percent, over the neurons where they are finite.

    share_decreased: percent of the neurons whose φ became smaller.
    """

    decrease_ratio: float
    median_decrease_ratio: float
    share_decreased: float
    total_update_ratio: float
    median_total_update_ratio: float
    neurons: int

    @classmethod
    def of(cls, neurons: InhibitionEffect) -> Effect:
        """Summary of neurons of any number of layers and steps."""
        decrease, update = (
            ratios[ratios.isfinite()].double() for ratios in (neurons.decrease_ratios, neurons.total_update_ratios)
        )
        return cls(
            decrease_ratio=neurons.decrease_ratio,
            median_decrease_ratio=decrease.median().item(),
            share_decreased=(decrease > 0).double().mean().item() * 100,
            total_update_ratio=neurons.total_update_ratio,
            median_total_update_ratio=update.median().item(),
            neurons=len(neurons),
        )


def measure(
    phase: Experiment,
    seed: int,
    archive: Archive,
    base: Path,
    strength: float | None,
    measured: int,
    learning_rate: float,
) -> Effect:
    """Fine-tune a base with one method until `measured` neurons were modified, and compare them step by step.

    Args:
        phase: the fine-tuning, with MEmeL; its batches depend on the seed alone, so that all methods see the same.
        seed: of the batches.
        archive: whose train split is learned from.
        base: run directory to start from; it is not changed.
        strength: Δ of the method; None selects and modifies nothing (Original).
        measured: neurons, at least.
        learning_rate: of every step, constant.
    """
    training = phase.training
    device = choose_device(training.device)
    model = build_model(phase.model)
    start_from(model, Run.open(base).checkpoint("last"))
    model = model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    loss = BalancedLoss(training.loss_weight)
    clips = training_clips(archive, phase)

    def clip() -> None:
        if training.clip_value is not None:
            nn.utils.clip_grad_value_(model.parameters(), training.clip_value)

    found: list[InhibitionEffect] = []
    step, empty = 0, 0
    while sum(map(len, found)) < measured:
        batch = clips.sequence(sample_starts(clips.starts, training.batch_size, seed, step)).to(device)

        def batch_loss(batch=batch) -> torch.Tensor:  # type: ignore[no-untyped-def]
            forecast = run_network(model, batch.observed, batch.observed_valid, batch.lead_steps, training.precision)
            return loss(forecast, batch.observation, batch.valid)

        effect = pooled(inhibition_effect(model, batch_loss, optimizer, strength, False, clip).values())
        step += 1
        if step > WARM_UP:
            found.append(effect)
            empty = 0 if len(effect) else empty + 1
            if empty == MOST_EMPTY:
                raise NowcastError(
                    f"no neuron was modified in {MOST_EMPTY} steps; lower model.memel.late_start "
                    f"{phase.model.memel.late_start if phase.model.memel else 0}"
                )
    return Effect.of(pooled(found))
