"""A trained network as a Forecaster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.device import choose_device, run_network
from nowcast.errors import NowcastError
from nowcast.models.lagrangian import Lagrangian
from nowcast.motion.bridging import answerable, bridge_gaps
from nowcast.motion.observed import observed_motion


class ModelForecaster:
    """Runs a network in eval mode and clips its frames to the scale [0, 1]; fulfils `nowcast.forecaster.Forecaster`.

    Args:
        model: called as model(observed, observed_valid, lead_steps); it is moved to `device` and left in eval mode.
        device, precision: as `nowcast.device` says.
        bridge: gaps of up to so many missing observed frames are bridged (`nowcast.motion.bridging`); with a longer one
            the forecast is NaN. None gives the network missing frames as they are, empty: the paper's setting.
    """

    def __init__(
        self, model: nn.Module, device: str = "auto", precision: str = "fp32", bridge: int | None = None
    ) -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.precision = precision
        self.bridge = bridge

    @property
    def knows_everywhere(self) -> bool:
        """Whether it gives a number at every pixel; a network in Lagrangian coordinates does not know what flows in."""
        return not isinstance(self.model, Lagrangian)

    @torch.inference_mode()
    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), scaled reflectivity, on the device of `observed`.

        NaN where the network cannot know; NowcastError where a Lagrangian one has diverged.
        """
        answered = self.answers(observed_valid).to(observed.device)
        if self.bridge is not None:
            observed, observed_valid = bridge_gaps(observed, observed_valid, self.bridge)
        inputs = observed.to(self.device), observed_valid.to(self.device)
        if isinstance(self.model, Lagrangian):
            frames = self._where_known(self.model, *inputs, lead_steps)
        else:
            frames = run_network(self.model, *inputs, lead_steps, self.precision)
        made = frames.clamp(0.0, 1.0).to(observed.device)
        return made if answered.all() else made.masked_fill(~answered[:, None, None, None, None], torch.nan)

    def _where_known(self, model: Lagrangian, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        motion = observed_motion(observed, observed_valid)
        frames = run_network(model, observed, observed_valid, lead_steps, self.precision, motion)
        if frames.isnan().any():  # once masked it would pass for "unknown"
            raise NowcastError("the network forecast NaN: it has diverged; train it with a smaller learning rate")
        known = model.known(observed, observed_valid, lead_steps, motion)
        return frames.masked_fill(~known, torch.nan)

    def answers(self, observed_valid: Tensor) -> Tensor:
        """Which sequences it forecasts, bool (B,): those whose gaps can be bridged."""
        if self.bridge is None:
            return torch.ones(len(observed_valid), dtype=torch.bool)
        return torch.from_numpy(answerable(observed_valid, self.bridge))
