"""A trained network as a Forecaster."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.device import choose_device, run_network


class ModelForecaster:
    """Runs a network in eval mode and clips its frames to the scale [0, 1]; fulfils `nowcast.forecaster.Forecaster`.

    Args:
        model: called as model(observed, observed_valid, lead_steps); it is moved to `device` and left in eval mode.
        device, precision: as `nowcast.device` says.
    """

    def __init__(self, model: nn.Module, device: str = "auto", precision: str = "fp32") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.precision = precision

    @torch.inference_mode()
    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), scaled reflectivity, on the device of `observed`."""
        inputs = observed.to(self.device), observed_valid.to(self.device)
        frames = run_network(self.model, *inputs, lead_steps, self.precision)
        return frames.clamp(0.0, 1.0).to(observed.device)
