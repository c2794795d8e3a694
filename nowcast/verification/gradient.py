"""Gradient difference: are the edges of the rain as sharp as observed?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from torch import Tensor

from nowcast.verification.joint import check_fields
from nowcast.verification.streaming import StreamingScore, ratio


class GradientDifference(StreamingScore):
    """Gradient difference loss (GDL): how much the steps between neighboring pixels differ in size.

    GDL = mean over sequences of Σ ||Δp| − |Δp̂||, p observed and p̂ forecast scaled reflectivity, Δ the step to the
    next row and to the next column; a sum per frame, as the HKO-7 benchmark reports it. Range 0 to ∞, perfect 0. A
    step counts where both its pixels are valid; NaN for a lead time without any such step. Reference: Mathieu et al.
    2016 (with exponent 1).

    >>> import torch
    >>> score = GradientDifference(lead_steps=1)
    >>> observation = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).reshape(1, 1, 1, 2, 2)      # two steps of 1 eastward
    >>> score.update(observation * 0, observation, torch.ones(1, 1, 1, 2, 2, dtype=torch.bool))
    >>> score.dataset().gdl.values.tolist()
    [2.0]
    """

    def __init__(self, lead_steps: int, frame_interval: np.timedelta64 | None = None) -> None:
        super().__init__(lead_steps, frame_interval)
        self.register("difference", (lead_steps,))
        self.register("frames_with_steps", (lead_steps,), np.int64)
        self.register("sequences", (lead_steps,), np.int64)

    def update(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: scaled reflectivity (B, T, 1, H, W) twice and bool `valid`, True = use this pixel."""
        check_fields(forecast, observation, valid, self.lead_steps)
        for axis in (3, 4):
            size = valid.shape[axis]
            both = valid.narrow(axis, 0, size - 1) & valid.narrow(axis, 1, size - 1)
            forecast_steps, observed_steps = (field.float().diff(dim=axis).abs_() for field in (forecast, observation))
            difference = forecast_steps.sub_(observed_steps).abs_().masked_fill_(~both, 0.0)
            # Frame by frame with numpy: torch would share one sum among threads, in an order that depends on them.
            total = np.array([[f.sum(dtype=np.float64) for f in window] for window in difference.cpu().numpy()])
            if not np.isfinite(total).all():
                raise ValueError("forecast or observation holds NaN or infinity at a valid pixel")
            self.totals["difference"] += total.sum(axis=0)
            self.totals["frames_with_steps"] += both.any(dim=4).any(dim=3).sum((0, 2)).cpu().numpy()
        self.totals["sequences"] += len(forecast)

    def dataset(self) -> xr.Dataset:
        """`gdl` (lead_time)."""
        sequences = np.where(self.totals["frames_with_steps"] > 0, self.totals["sequences"], 0)
        gdl = ratio(self.totals["difference"], sequences)
        attributes = {"long_name": "gradient difference, sum per frame", "units": "1"}
        return xr.Dataset({"gdl": ("lead_time", gdl, attributes)}, {"lead_time": self.lead_time()})
