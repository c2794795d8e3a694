"""Lagrangian persistence: the last frame moves on as the last frames moved."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.motion.advection import advect
from nowcast.motion.optical_flow import motion_field
from nowcast.units import rain_rate_from_scaled, scaled_from_rain_rate


class Extrapolation:
    """Moves the rain of the last observed frame along a motion field from the last three.

    The rain *rate* is carried, so that rain which moves keeps its amount. What arrives from outside the frame, or from
    where the radar did not see, is NaN: unseen is not dry. A missing last frame is bridged: the latest frame that
    exists is carried further. With a single frame, or without echoes, nothing moves.

    >>> observed = torch.zeros(1, 2, 1, 32, 32)
    >>> forecast = Extrapolation()(observed, torch.ones_like(observed, dtype=torch.bool), lead_steps=3)
    >>> forecast.shape, float(forecast.max())
    (torch.Size([1, 3, 1, 32, 32]), 0.0)
    """

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        forecast = np.full((observed.shape[0], lead_steps, *observed.shape[3:]), np.nan, np.float32)
        for i, (frames, seen) in enumerate(zip(*as_frames(observed, observed_valid), strict=True)):
            present = np.flatnonzero(seen.any(axis=(1, 2)))
            if len(present):
                motion = motion_field(frames, seen, present)
                latest = present[-1]
                age = len(frames) - 1 - latest
                forecast[i] = _carry(frames[latest], seen[latest], motion, age, lead_steps)
        return torch.from_numpy(forecast).unsqueeze(2).to(observed.device)  # (B, lead_steps, 1, H, W)


def as_frames(observed: Tensor, observed_valid: Tensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Observed frames and what was seen of them as arrays (B, T, H, W) on the CPU."""
    return (
        observed.detach().squeeze(2).float().cpu().numpy(),
        observed_valid.squeeze(2).cpu().numpy(),
    )


def _carry(
    frame: NDArray[np.float32], seen: NDArray[np.bool_], motion: NDArray[np.float32], age: int, lead_steps: int
) -> NDArray[np.float32]:
    """Scaled reflectivity (lead_steps, H, W); the frame is `age` intervals older than the issue time."""
    rate = rain_rate_from_scaled(frame).astype(np.float32)
    carried = list(advect(rate, seen, motion, age + lead_steps))[age:]
    return scaled_from_rain_rate(np.stack(carried)).astype(np.float32)
