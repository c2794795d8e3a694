"""The one field that stands for an ensemble: the mean of what its members rain."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nowcast.units import rain_rate_from_scaled, scaled_from_rain_rate


def mean_of_rates(members: Tensor) -> Tensor:
    """The ensemble mean of the *rain rate*, given as scaled reflectivity, float32.

    The mean of scaled reflectivity would be a mean of decibels, in which a dry member counts −10 dBZ: rain would vanish
    with lead time although no member loses any. Where a member is NaN the mean is NaN.

    Args:
        members: scaled reflectivity (M, B, T, 1, H, W).

    Returns:
        scaled reflectivity (B, T, 1, H, W).

    >>> members = torch.tensor([0.5, 0.0]).reshape(2, 1, 1, 1, 1, 1)          # 2.95 and 0 mm/h
    >>> round(rain_rate_from_scaled(mean_of_rates(members)).item(), 2)
    1.47
    """
    mean = torch.empty(members.shape[1:], dtype=torch.float32)
    for b in range(members.shape[1]):
        for step in range(members.shape[2]):  # frame by frame: rates are float64, and members are many
            rates = rain_rate_from_scaled(members[:, b, step].cpu().numpy())
            mean[b, step] = torch.from_numpy(scaled_from_rain_rate(rates.mean(axis=0)).astype(np.float32))
    return mean.to(members.device)
