"""Eulerian persistence: what was seen last stays. The forecast every other one has to beat."""

from __future__ import annotations

import torch
from torch import Tensor


class Persistence:
    """Forecasts, at every pixel, the value seen there last; NaN where no observed frame saw anything.

    >>> observed = torch.tensor([0.2, 0.0]).reshape(1, 2, 1, 1, 1)          # the last frame is missing
    >>> seen = torch.tensor([True, False]).reshape(1, 2, 1, 1, 1)
    >>> [round(value, 3) for value in Persistence()(observed, seen, lead_steps=3).flatten().tolist()]
    [0.2, 0.2, 0.2]
    """

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        return last_seen(observed, observed_valid).unsqueeze(1).repeat(1, lead_steps, 1, 1, 1)


def last_seen(observed: Tensor, observed_valid: Tensor) -> Tensor:
    """The last valid value of every pixel, (B, 1, H, W); NaN where there is none."""
    field = torch.full_like(observed[:, 0], torch.nan)
    for step in range(observed.shape[1]):
        field = torch.where(observed_valid[:, step], observed[:, step], field)
    return field
