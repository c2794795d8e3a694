"""A trained network that goes on learning while it forecasts: the benchmark's online protocol."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nowcast.models import ModelForecaster
from nowcast.motion.bridging import bridged
from nowcast.sequence import RadarSequence


class OnlineModel:
    """Forecasts like the network, adapted by a few AdaGrad steps to what was seen since the episode began.

    Before a forecast it learns from one sequence of the past that ends with the latest frame; a new episode starts
    again from the trained weights. AdaGrad at 1e-4 is the benchmark's choice (Shi et al. 2017). MEmeL stays what it is
    in evaluation, the identity. Fulfils `nowcast.forecaster.OnlineForecaster`.

    Args:
        model: called as model(observed, observed_valid, lead_steps); a copy of it is adapted.
        loss: called as loss(forecast, observation, valid), a scalar.
        learning_rate: of AdaGrad.
        steps: optimizer steps before every forecast; 0 leaves the network as it was trained.
        clip_value: gradients are clipped to ± this value, as in training; None leaves them.
        device, precision, bridge: as for `ModelForecaster`; adaptation runs in float32.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        learning_rate: float = 1e-4,
        steps: int = 1,
        clip_value: float | None = 50.0,
        device: str = "auto",
        precision: str = "fp32",
        bridge: int | None = None,
    ) -> None:
        self._forecaster = ModelForecaster(copy.deepcopy(model), device, precision, bridge)
        self._trained = copy.deepcopy(self._forecaster.model.state_dict())
        self.loss, self.learning_rate, self.steps, self.clip_value = loss, learning_rate, steps, clip_value
        self.begin_episode()

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        return self._forecaster(observed, observed_valid, lead_steps)

    def answers(self, observed_valid: Tensor) -> Tensor:
        """Which sequences it forecasts, bool (B,), as `ModelForecaster.answers` says."""
        return self._forecaster.answers(observed_valid)

    @property
    def knows_everywhere(self) -> bool:
        """Whether it gives a number at every pixel, as the network does."""
        return self._forecaster.knows_everywhere

    def begin_episode(self) -> None:
        """Back to the trained weights and a fresh optimizer."""
        self._forecaster.model.load_state_dict(self._trained)
        parameters = [p for p in self._forecaster.model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.Adagrad(parameters, lr=self.learning_rate)

    def adapt(self, seen: RadarSequence) -> None:
        """Take `steps` optimizer steps on a sequence of the past."""
        if self._forecaster.bridge is not None:
            seen = bridged(seen, self._forecaster.bridge)
        model, seen = self._forecaster.model, seen.to(self._forecaster.device)
        for _ in range(self.steps):
            with torch.enable_grad():
                forecast = model(seen.observed, seen.observed_valid, seen.lead_steps)
                self._optimizer.zero_grad(set_to_none=True)
                self.loss(forecast, seen.observation, seen.valid).backward()
            if self.clip_value is not None:
                nn.utils.clip_grad_value_(model.parameters(), self.clip_value)
            self._optimizer.step()
