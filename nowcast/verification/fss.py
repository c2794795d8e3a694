"""Fractions skill score: is the right amount of rain in about the right place?"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.units import THRESHOLDS, scaled_threshold
from nowcast.verification.arrays import frames
from nowcast.verification.streaming import StreamingScore, ratio

WINDOWS = (1, 5, 15, 45)
"""Widths of the square neighborhoods in pixels: odd, so that a pixel is the middle of its own."""


class FractionsSkill(StreamingScore):
    """Fractions skill score (FSS) for several neighborhoods.

    FSS = 1 − Σ (f − o)² / Σ (f² + o²), f and o the share of pixels in the square neighborhood whose rain rate reaches
    the threshold, in forecast and observation; both sums over all valid pixels of all sequences, the ratio last.
    Range 0 to 1, perfect 1; above about 0.5 a forecast is useful at that scale. The share is taken of the *valid*
    pixels of the neighborhood (also at the border of the frame), and only valid pixels are neighborhood centers. NaN
    where no event was forecast or observed. Reference: Roberts and Lean 2008.

    Args:
        lead_steps: number of forecast frames.
        thresholds: rain rates in mm/h.
        windows: widths of the neighborhoods in pixels, odd.
        frame_interval: gives `lead_time` as timedelta64.

    >>> import torch
    >>> score = FractionsSkill(1, thresholds=(2.0,), windows=(1, 5))
    >>> observation = torch.zeros(1, 1, 1, 12, 12)
    >>> observation[..., 6, 6] = 0.6
    >>> score.update(observation.roll(1, dims=-1), observation, torch.ones_like(observation, dtype=torch.bool))
    >>> score.dataset().fss.values[0, 0].round(2).tolist()                # one pixel off: no skill at 1, some at 5
    [0.0, 0.8]
    """

    def __init__(
        self,
        lead_steps: int,
        thresholds: Sequence[float] = THRESHOLDS,
        windows: Sequence[int] = WINDOWS,
        frame_interval: np.timedelta64 | None = None,
    ) -> None:
        if not all(window >= 1 and window % 2 for window in windows):
            raise ValueError(f"windows are {tuple(windows)}, expected odd numbers of pixels")
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        self.windows = tuple(int(window) for window in windows)
        super().__init__(lead_steps, frame_interval, thresholds=self.thresholds, windows=self.windows)
        self.register("difference", (lead_steps, len(self.thresholds), len(self.windows)))
        self.register("reference", (lead_steps, len(self.thresholds), len(self.windows)))

    def update(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: scaled reflectivity (B, T, 1, H, W) twice and bool `valid`, True = use this pixel."""
        counted: NDArray[np.bool_] | None = None
        for step, forecast_frame, observed_frame, usable in frames(forecast, observation, valid, self.lead_steps):
            if counted is None or not np.array_equal(counted, usable):  # mostly the static mask, frame after frame
                counted = usable
                there = usable.astype(np.float32)
                inverse = [there / np.maximum(_box(there, window), 1) for window in self.windows]
            for k, threshold in enumerate(self.thresholds):
                edge = scaled_threshold(threshold)
                events = (forecast_frame >= edge) & usable, (observed_frame >= edge) & usable
                if not (events[0].any() or events[1].any()):
                    continue
                forecast_event, observed_event = (event.astype(np.float32) for event in events)
                for w, window in enumerate(self.windows):
                    f, o = (_box(event, window) * inverse[w] for event in (forecast_event, observed_event))
                    # cv2.norm sums in float64 on the calling thread; a BLAS dot product starts threads for so little.
                    self.totals["difference"][step, k, w] += cv2.norm(f, o, cv2.NORM_L2SQR)
                    self.totals["reference"][step, k, w] += cv2.norm(f, cv2.NORM_L2SQR) + cv2.norm(o, cv2.NORM_L2SQR)

    def dataset(self) -> xr.Dataset:
        """`fss` (lead_time, threshold, window), window in pixels."""
        fss = np.maximum(1 - ratio(self.totals["difference"], self.totals["reference"]), 0)  # not −1e-17
        coordinates = {
            "lead_time": self.lead_time(),
            "threshold": ("threshold", np.asarray(self.thresholds), {"units": "mm h-1"}),
            "window": ("window", np.asarray(self.windows), {"units": "pixel", "long_name": "neighborhood width"}),
        }
        attributes = {"long_name": "fractions skill score", "units": "1"}
        return xr.Dataset({"fss": (("lead_time", "threshold", "window"), fss, attributes)}, coordinates)


def _box(field: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Sum over the square neighborhood; outside the frame there is nothing. Exact: sums of 0 and 1."""
    if window == 1:
        return field
    summed = cv2.boxFilter(field, cv2.CV_32F, (window, window), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.rint(np.asarray(summed, np.float32))
