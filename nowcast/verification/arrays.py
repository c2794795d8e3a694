"""Frames of a batch, one by one, as arrays for the scores that look at neighborhoods."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nowcast.verification.joint import check_fields

FramePair = tuple[int, NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]


def frames(forecast: Tensor, observation: Tensor, valid: Tensor, lead_steps: int) -> Iterator[FramePair]:
    """(lead step from 0, forecast, observation, valid) of every frame, (H, W) each; 0 in both fields where not valid.

    Frames without a valid pixel are left out. NaN or infinity at a valid pixel is a ValueError.
    """
    check_fields(forecast, observation, valid, lead_steps)
    for b in range(forecast.shape[0]):
        for step in range(lead_steps):
            usable = valid[b, step, 0].cpu().numpy()
            if not usable.any():
                continue
            forecast_frame, observed_frame = (
                np.where(usable, field[b, step, 0].detach().float().cpu().numpy(), np.float32(0))
                for field in (forecast, observation)
            )
            if not (np.isfinite(forecast_frame).all() and np.isfinite(observed_frame).all()):
                raise ValueError("forecast or observation holds NaN or infinity at a valid pixel")
            yield step, forecast_frame, observed_frame, usable
