"""A trained network as a Forecaster."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ModelForecaster:
    """Runs a network in eval mode and clips its frames to the scale [0, 1]; fulfils `nowcast.forecaster.Forecaster`.

    Args:
        model: called as model(observed, observed_valid, lead_steps); it is moved to `device` and left in eval mode.
        device: where to run; "auto" takes a GPU when there is one.
        precision: "fp32", or "bf16" for convolutions in bfloat16.
    """

    def __init__(self, model: nn.Module, device: str = "auto", precision: str = "fp32") -> None:
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.device = torch.device(chosen)
        self.model = model.to(self.device).eval()
        self.precision = precision

    @torch.inference_mode()
    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), scaled reflectivity, on the device of `observed`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            frames = self.model(observed.to(self.device), observed_valid.to(self.device), lead_steps)
        return frames.float().clamp(0.0, 1.0).to(observed.device)
