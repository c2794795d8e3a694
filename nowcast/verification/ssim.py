"""Structural similarity: does the forecast look like the observation, window by window?"""

from __future__ import annotations

import cv2
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.verification.arrays import frames
from nowcast.verification.streaming import StreamingScore, ratio

SIGMA, SIZE = 1.5, 11
"""Gaussian window of Wang et al. (2004), in pixels."""

STABILIZERS = 0.01**2, 0.03**2
"""C1 and C2 of Wang et al. (2004) for values of range 1 (scaled reflectivity)."""


class StructuralSimilarity(StreamingScore):
    """Structural similarity (SSIM) of scaled reflectivity, averaged over frames.

    At every valid pixel ((2 μf μo + C1)(2 σfo + C2)) / ((μf² + μo² + C1)(σf² + σo² + C2)), with means, variances and
    covariance of forecast f and observation o in an 11×11 Gaussian window (σ = 1.5 pixels); the mean over the valid
    pixels of a frame, then over the frames that have any. Range −1 to 1, perfect 1. Masked pixels have no weight in
    any window, and windows at the border of the frame are cut off and weighted anew. Two dry windows are perfectly
    alike, so a mostly dry image scores high whatever the rain: compare forecasters, not events. NaN for a lead time
    without valid pixels. Reference: Wang et al. 2004.

    >>> import torch
    >>> score = StructuralSimilarity(lead_steps=1)
    >>> field = torch.rand(1, 1, 1, 16, 16)
    >>> score.update(field, field, torch.ones_like(field, dtype=torch.bool))
    >>> score.dataset().ssim.values.round(6).tolist()
    [1.0]
    """

    def __init__(self, lead_steps: int, frame_interval: np.timedelta64 | None = None) -> None:
        super().__init__(lead_steps, frame_interval)
        self.register("similarity", (lead_steps,))
        self.register("frames", (lead_steps,), np.int64)

    def update(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: scaled reflectivity (B, T, 1, H, W) twice and bool `valid`, True = use this pixel."""
        weight: NDArray[np.float32] | None = None
        counted: NDArray[np.bool_] | None = None
        for step, forecast_frame, observed_frame, usable in frames(forecast, observation, valid, self.lead_steps):
            if weight is None or counted is None or not np.array_equal(counted, usable):
                counted, weight = usable, np.maximum(_blur(usable.astype(np.float32)), np.float32(1e-6))
            similarity = _similarity(forecast_frame, observed_frame, weight)
            self.totals["similarity"][step] += similarity[usable].mean(dtype=np.float64)
            self.totals["frames"][step] += 1

    def dataset(self) -> xr.Dataset:
        """`ssim` (lead_time)."""
        ssim = ratio(self.totals["similarity"], self.totals["frames"])
        attributes = {"long_name": "structural similarity", "units": "1"}
        return xr.Dataset({"ssim": ("lead_time", ssim, attributes)}, {"lead_time": self.lead_time()})


def _similarity(f: NDArray[np.float32], o: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The SSIM map (H, W) of forecast and observation, both 0 where not valid; `weight` is the blurred validity."""
    c1, c2 = (np.float32(c) for c in STABILIZERS)
    mean_f, mean_o, square_f, square_o, product = (_blur(field) / weight for field in (f, o, f * f, o * o, f * o))
    luminance = (2 * mean_f * mean_o + c1) / (mean_f**2 + mean_o**2 + c1)
    variances = np.maximum(square_f - mean_f**2, 0) + np.maximum(square_o - mean_o**2, 0)
    return np.asarray(luminance * (2 * (product - mean_f * mean_o) + c2) / (variances + c2), np.float32)


def _blur(field: NDArray[np.float32]) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(field, (SIZE, SIZE), SIGMA, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float32)
