"""Where a network runs and how precisely it computes: decided here, for training, forecasting and measuring alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.errors import NowcastError


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name: "cpu", "cuda", or "auto", which takes a GPU when there is one.

    On a GPU float32 then means float32: torch would otherwise let convolutions round their inputs to TF32, 10 bits of
    mantissa, and runs that ask for `fp32` would not repeat what a CPU computes. `bf16` is there for speed.

    NowcastError where a GPU is asked for that this machine does not have.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise NowcastError(f"{name!r} is not a device; expected auto, cpu or cuda")
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        raise NowcastError("the device is cuda, but this machine has no usable GPU; use auto or cpu")
    if not usable or name == "cpu":
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")


def run_network(
    network: nn.Module,
    observed: Tensor,
    observed_valid: Tensor,
    lead_steps: int,
    precision: str = "fp32",
    motion: Tensor | None = None,
) -> Tensor:
    """What a network forecasts, (B, lead_steps, 1, H, W) float32, not yet clipped.

    Args:
        network: called as network(observed, observed_valid, lead_steps), on the device of `observed`.
        observed, observed_valid, lead_steps: as `nowcast.forecaster.Forecaster` says.
        precision: "fp32", or "bf16" for convolutions in bfloat16; the network keeps its states in float32.
        motion: given to a Lagrangian network where it is known (`RadarSequence.motion`).
    """
    inputs = (
        (observed, observed_valid, lead_steps) if motion is None else (observed, observed_valid, lead_steps, motion)
    )
    with torch.autocast(observed.device.type, torch.bfloat16, enabled=precision == "bf16"):
        frames: Tensor = network(*inputs)
    return frames.float()
