"""The training loop: optimizer steps, validation, checkpoints, log; stops and continues at any step."""

from __future__ import annotations

import math
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from tqdm import tqdm

from nowcast.clips.split_windows import Windows
from nowcast.config import TrainingConfig
from nowcast.device import run_network
from nowcast.errors import NowcastError
from nowcast.losses import BalancedLoss, balanced_errors
from nowcast.models import save_checkpoint
from nowcast.motion.bridging import bridged
from nowcast.radar.times import interval_seconds
from nowcast.run import Run
from nowcast.sequence import RadarSequence
from nowcast.training.averaging import MeanWeights
from nowcast.training.clips import endless_batches
from nowcast.training.interrupt import Interrupt
from nowcast.training.missing_frames import with_gaps
from nowcast.training.sampling import Sampler
from nowcast.training_log import TrainingLog


@dataclass
class Progress:
    """Where a run stands; together with weights and optimizer state this is all that a resumed run needs."""

    step: int = 0
    validated_at: int = 0
    best: float | None = None
    loss_sum: float = 0.0
    loss_count: int = 0


class Fit:
    """One run in progress.

    Args:
        run: the run directory.
        fabric: device and processes.
        model, optimizer: as `fabric.setup` returned them.
        sampler, validation: the clips; without validation no checkpoint is the best.
        progress: where to continue.
        mean: the mean of the weights, which is validated and saved in their place; None keeps none.
        show: draw a progress bar.
    """

    def __init__(
        self,
        run: Run,
        fabric: Fabric,
        model: nn.Module,
        optimizer: Optimizer,
        sampler: Sampler,
        validation: Windows | None,
        progress: Progress,
        show: bool,
        mean: MeanWeights | None = None,
    ) -> None:
        self.run, self.fabric, self.model, self.optimizer = run, fabric, model, optimizer
        self.sampler, self.validation = sampler, validation
        self.progress, self.show, self.mean = progress, show, mean
        self.training: TrainingConfig = run.experiment.training
        self.loss = BalancedLoss(self.training.loss_weight)
        self.log = TrainingLog(run.path, progress.step) if fabric.is_global_zero else None
        self._recent: list[torch.Tensor] = []

    def finish(self) -> None:
        """Run the remaining steps; on Ctrl-C or SIGTERM save a checkpoint first, then raise KeyboardInterrupt."""
        training, progress = self.training, self.progress
        each = training.batch_size // self.fabric.world_size
        share = slice(self.fabric.global_rank * each, (self.fabric.global_rank + 1) * each)
        seed, bridge = self.run.experiment.seed, self.run.experiment.data.bridge

        def prepare(batch: RadarSequence, step: int) -> RadarSequence:
            return with_gaps(batch, training.drop_frames, bridge, seed, step, share)

        batches = endless_batches(self.sampler, progress.step, share, prepare)
        bar = tqdm(
            total=training.steps,
            initial=progress.step,
            desc=self.run.experiment.name,
            unit="step",
            disable=not (self.show and self.fabric.is_global_zero and sys.stderr.isatty()),
        )
        with bar, Interrupt() as interrupt, closing(batches):
            if self._validate_when_due(interrupt):  # an earlier Ctrl-C came in the middle of a validation
                self._save("last")
            clock = time.perf_counter()
            while progress.step < training.steps:
                self._step(next(batches).to(self.fabric.device))
                bar.update()
                if progress.step % training.log_every == 0 or progress.step == training.steps:
                    loss = self._collect_loss()
                    now = time.perf_counter()
                    steps = progress.loss_count
                    bar.set_postfix(loss=f"{loss:.4g}")
                    self._say(loss, steps / (now - clock))
                    self._write(
                        loss=loss,
                        learning_rate=training.rate_at(progress.step - 1),
                        clips_per_second=round(steps * training.batch_size / (now - clock), 3),
                    )
                    clock, progress.loss_sum, progress.loss_count = now, 0.0, 0
                validated = self._validate_when_due(interrupt)
                if validated:
                    clock = time.perf_counter()
                due = progress.step % training.checkpoint_every == 0 or progress.step == training.steps
                if due or validated or interrupt.asked:
                    self._save("last")
                if interrupt.asked:
                    raise KeyboardInterrupt

    def _step(self, batch: RadarSequence) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate_at(self.progress.step)
        forecast = self._forecast(self.model, batch)
        loss = self.loss(forecast, batch.observation, batch.valid)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if self.training.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.training.clip_value)
        if self.training.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimizer.step()
        self._recent.append(loss.detach())
        self.progress.step += 1
        if self.mean is not None:
            self.mean.update(self.progress.step)

    def _forecast(self, model: nn.Module, batch: RadarSequence) -> torch.Tensor:
        inputs = batch.observed, batch.observed_valid, batch.lead_steps
        return run_network(model, *inputs, self.training.precision, batch.motion)

    def _collect_loss(self) -> float:
        """Mean loss since the last row of the log; asked rarely, so that a GPU is not made to wait at every step."""
        progress = self.progress
        if self._recent:
            total = self.fabric.all_reduce(torch.stack(self._recent).double(), reduce_op="mean")
            assert isinstance(total, torch.Tensor)
            for value in total.tolist():
                progress.loss_sum += value
            progress.loss_count += len(self._recent)
            self._recent.clear()
        loss = progress.loss_sum / max(progress.loss_count, 1)
        if not math.isfinite(loss):
            raise NowcastError(
                f"the loss of {self.run.experiment.name} is {loss} at step {progress.step}; lower "
                f"training.learning_rate (the last good checkpoint is kept in {self.run.checkpoints})"
            )
        return loss

    def _validate_when_due(self, interrupt: Interrupt) -> bool:
        """Validate after every `validate_every` steps and at the end; True if it was done now."""
        progress, training = self.progress, self.training
        due = progress.step > 0 and (progress.step % training.validate_every == 0 or progress.step == training.steps)
        if not due or progress.validated_at == progress.step or self.validation is None:
            return False
        with nullcontext() if self.mean is None else self.mean.in_use():
            errors = self._validation_errors(self.validation, interrupt)
        if errors is None:
            return False
        squared, absolute = errors
        loss = training.loss_weight * (squared + absolute)
        progress.validated_at = progress.step
        self._write(validation_loss=loss, validation_balanced_mse=squared, validation_balanced_mae=absolute)
        if math.isfinite(loss) and (progress.best is None or loss < progress.best):
            progress.best = loss
            self._save("best")
        return True

    @torch.no_grad()
    def _validation_errors(self, validation: Windows, interrupt: Interrupt) -> tuple[float, float] | None:
        """B-MSE and B-MAE over all windows of the validation split; None when interrupted on the way."""
        self.model.eval()
        total, count = torch.zeros(2, dtype=torch.float64), 0
        try:
            for number, batch in enumerate(validation):
                if interrupt.asked:
                    return None
                if number % self.fabric.world_size != self.fabric.global_rank:
                    continue
                if self.run.experiment.data.bridge is not None:
                    batch = bridged(batch, self.run.experiment.data.bridge)
                batch = batch.to(self.fabric.device)
                # The bare network: DistributedDataParallel would wait for the other processes at every batch.
                forecast = self._forecast(bare(self.model), batch).clamp(0, 1)
                squared, absolute = balanced_errors(forecast, batch.observation, batch.valid)
                total += torch.stack([squared.double().sum(), absolute.double().sum()]).cpu()
                count += squared.numel()
        finally:
            self.model.train()
        summed = self.fabric.all_reduce(torch.cat([total, torch.tensor([count], dtype=torch.float64)]), reduce_op="sum")
        assert isinstance(summed, torch.Tensor)
        squared_sum, absolute_sum, frames = summed.tolist()
        return squared_sum / frames, absolute_sum / frames

    def _say(self, loss: float, steps_per_second: float) -> None:
        """A line now and then for whoever reads a log file instead of a terminal."""
        if not self.show or not self.fabric.is_global_zero or sys.stderr.isatty():
            return
        step, steps = self.progress.step, self.training.steps
        left = (steps - step) / steps_per_second / 60
        print(
            f"{self.run.experiment.name}: step {step}/{steps}, loss {loss:.4g}, {steps_per_second:.2f} steps/s, "
            f"{left:.1f} min left",
            file=sys.stderr,
        )

    def _write(self, **row: float) -> None:
        if self.log is not None:
            self.log.write(step=self.progress.step, **row)

    def _save(self, name: str) -> None:
        self._collect_loss()  # nothing is saved after the loss has become NaN
        if not self.fabric.is_global_zero:
            return
        content: dict[str, Any] = {
            "experiment": self.run.experiment.plain(),
            "step": self.progress.step,
            "frame_interval_seconds": interval_seconds(self.sampler.clips.interval),
            "model": (bare(self.model) if self.mean is None else self.mean).state_dict(),
        }
        if name == "last" and self.mean is not None:
            content["latest_model"] = bare(self.model).state_dict()
        if name == "last":
            content |= {"progress": vars(self.progress).copy(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(self.run.checkpoints / f"{name}.ckpt", content)


def bare(model: nn.Module) -> nn.Module:
    """The network itself, without the wrappers of Fabric and DistributedDataParallel."""
    while hasattr(model, "module"):
        model = model.module  # type: ignore[assignment]
    return model
