"""The balanced weights of the HKO-7 benchmark: heavy rain counts more (Shi et al. 2017, section 4)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from nowcast.units import THRESHOLDS, exact_threshold, scaled_threshold

BALANCED_THRESHOLDS = (2.0, 5.0, 10.0, 30.0)
"""Edges of the weight classes in mm/h; a value equal to an edge belongs to the heavier class."""

BALANCED_WEIGHTS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Weights of the classes R < 2, 2 ≤ R < 5, 5 ≤ R < 10, 10 ≤ R < 30 and R ≥ 30 mm/h."""

__all__ = ["BALANCED_THRESHOLDS", "BALANCED_WEIGHTS", "THRESHOLDS", "balanced_weights"]


@cache
def _scaled_edges(double: bool) -> tuple[float, ...]:
    threshold = exact_threshold if double else scaled_threshold
    return tuple(float(threshold(edge)) for edge in BALANCED_THRESHOLDS)


@torch.no_grad()
def balanced_weights(observation: Tensor, valid: Tensor) -> Tensor:
    """Weight of every pixel: by the rain rate *observed* there, 0 where not valid.

    Args:
        observation: scaled reflectivity in [0, 1], any shape, float32 or wider.
        valid: bool, same shape; True = use this pixel.

    Returns:
        float tensor of the same shape and dtype as `observation`.

    >>> balanced_weights(torch.tensor([0.1, 0.6, 0.9]), torch.tensor([True, True, False])).tolist()
    [1.0, 5.0, 0.0]
    """
    weights = torch.ones_like(observation)
    for edge, below, above in zip(
        _scaled_edges(observation.dtype == torch.float64), BALANCED_WEIGHTS, BALANCED_WEIGHTS[1:], strict=False
    ):
        weights += (observation >= edge).to(observation.dtype) * (above - below)
    return weights * valid
