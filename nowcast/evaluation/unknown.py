"""Pixels that a forecaster cannot know (NaN): how they are scored, the same way for all forecasters of a call."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nowcast.errors import NowcastError
from nowcast.evaluation.options import TREATMENTS
from nowcast.models.persistence import last_seen
from nowcast.sequence import RadarSequence


def fill_unknown(
    forecasts: Mapping[str, Tensor], sequence: RadarSequence, treatment: str
) -> tuple[dict[str, Tensor], Tensor]:
    """Forecasts without NaN at the pixels to be scored, and these pixels.

    Args:
        forecasts: name → (B, T, 1, H, W) or, for an ensemble, (M, B, T, 1, H, W); NaN = unknown.
        sequence: what was observed and what came.
        treatment: one of `TREATMENTS`.

    Returns:
        the forecasts, and bool (B, T, 1, H, W), True = score this pixel.
    """
    if treatment not in TREATMENTS:
        raise NowcastError(f"unknown pixels are treated as {treatment!r}, expected one of {', '.join(TREATMENTS)}")
    if treatment == "persistence":
        last = last_seen(sequence.observed, sequence.observed_valid).nan_to_num(nan=0.0).unsqueeze(1)  # (B, 1, 1, H, W)
        return {name: torch.where(field.isnan(), last, field) for name, field in forecasts.items()}, sequence.valid
    scored = sequence.valid.clone()
    for field in forecasts.values():
        scored &= known(field)
    return dict(forecasts), scored


def known(forecast: Tensor) -> Tensor:
    """Where a forecast, or every member of an ensemble, is not NaN: bool (B, T, 1, H, W)."""
    there = ~forecast.isnan()
    return there.all(dim=0) if forecast.ndim == 6 else there
