"""Scores of ensembles: CRPS, rank histogram and reliability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.units import THRESHOLDS, rain_rate_from_scaled, scaled_threshold
from nowcast.verification.arrays import frames
from nowcast.verification.streaming import StreamingScore, ratio


class EnsembleScores(StreamingScore):
    """Probabilistic scores of an ensemble of M members, on valid pixels.

    - `crps` (lead_time), mm/h: mean of (1/M) Σᵢ |xᵢ − y| − (1/2M²) Σᵢⱼ |xᵢ − xⱼ|, x members and y observation in mm/h.
      Range 0 to ∞, perfect 0; for one member it is the mean absolute error. Reference: Gneiting and Raftery 2007.
    - `rank_histogram` (lead_time, rank): share of pixels whose observation has that rank among the members, rank 0
      below all. Flat is perfect; a U is too little spread, a slope is bias. Where members equal the observation (all
      dry) the pixel is shared evenly among the ranks it may have, so that dry weather makes any histogram flatter.
      Reference: Hamill 2001.
    - `reliability` (lead_time, threshold, probability): observed frequency of rate ≥ threshold where the share of
      members that reach it is `probability`; perfect is the diagonal. `reliability_count` tells how many pixels each
      point has; no pixels, NaN. Reference: Wilks, chapter on forecast verification.

    Args:
        lead_steps: number of forecast frames.
        members: M.
        thresholds: rain rates in mm/h.
        frame_interval: gives `lead_time` as timedelta64.

    >>> import torch
    >>> score = EnsembleScores(1, members=2, thresholds=(2.0,))
    >>> observation = torch.full((1, 1, 1, 1, 1), 0.6)
    >>> members = torch.stack([observation - 0.1, observation + 0.1])
    >>> score.update(members, observation, torch.ones_like(observation, dtype=torch.bool))
    >>> score.dataset().rank_histogram.values.tolist()
    [[0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        lead_steps: int,
        members: int,
        thresholds: Sequence[float] = THRESHOLDS,
        frame_interval: np.timedelta64 | None = None,
    ) -> None:
        self.members, self.thresholds = members, tuple(float(threshold) for threshold in thresholds)
        super().__init__(lead_steps, frame_interval, members=members, thresholds=self.thresholds)
        self.register("pixels", (lead_steps,), np.int64)
        self.register("crps", (lead_steps,))
        self.register("ranks", (lead_steps, members + 1))
        self.register("forecasts", (lead_steps, len(self.thresholds), members + 1), np.int64)
        self.register("events", (lead_steps, len(self.thresholds), members + 1), np.int64)

    def update(self, members: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: members (M, B, T, 1, H, W), observation (B, T, 1, H, W), scaled; valid True = use."""
        if members.ndim != 6 or members.shape[0] != self.members:
            raise ValueError(f"members have shape {tuple(members.shape)}, expected ({self.members}, B, T, 1, H, W)")
        for b in range(observation.shape[0]):
            for step in range(self.lead_steps):  # frame by frame, so that what is computed of the members stays small
                one = slice(b, b + 1), slice(step, step + 1)
                usable = valid[b, step, 0].cpu().numpy()
                per_member = [list(frames(m[one], observation[one], valid[one], 1)) for m in members]
                for same_frame in zip(*per_member, strict=True):
                    observed = same_frame[0][2][usable]
                    self._add(step, np.stack([forecast[usable] for _, forecast, _, _ in same_frame]), observed)

    def dataset(self) -> xr.Dataset:
        """`crps`, `rank_histogram`, `reliability` and `reliability_count`."""
        forecasts, pixels = self.totals["forecasts"], self.totals["pixels"]
        by_probability = ("lead_time", "threshold", "probability")
        return xr.Dataset(
            {
                "crps": ("lead_time", ratio(self.totals["crps"], pixels), {"units": "mm h-1"}),
                "rank_histogram": (("lead_time", "rank"), ratio(self.totals["ranks"], pixels[:, None])),
                "reliability": (by_probability, ratio(self.totals["events"], forecasts)),
                "reliability_count": (by_probability, forecasts.copy()),
            },
            {
                "lead_time": self.lead_time(),
                "threshold": ("threshold", np.asarray(self.thresholds), {"units": "mm h-1"}),
                "rank": np.arange(self.members + 1),
                "probability": np.arange(self.members + 1) / self.members,
            },
        )

    def _add(self, step: int, members: NDArray[np.float32], observed: NDArray[np.float32]) -> None:
        """Add the valid pixels of one frame: members (M, N), observed (N,)."""
        self.totals["pixels"][step] += observed.size
        wet = (observed > 0) | (members > 0).any(axis=0)
        # Where all are dry the CRPS is 0, the observation ties with every member and nothing reaches a threshold.
        dry = observed.size - int(np.count_nonzero(wet))
        self.totals["ranks"][step] += dry / (self.members + 1)
        self.totals["forecasts"][step, :, 0] += dry
        ordered, observed = np.sort(members[:, wet], axis=0), observed[wet]
        self.totals["crps"][step] += _crps(rain_rate_from_scaled(ordered), rain_rate_from_scaled(observed)).sum()
        below, equal = (ordered < observed).sum(axis=0), (ordered == observed).sum(axis=0)
        for ties in np.unique(equal):
            lowest = np.bincount(below[equal == ties], minlength=self.members + 1)
            for k in range(ties + 1):
                self.totals["ranks"][step, k:] += lowest[: self.members + 1 - k] / (ties + 1)
        for k, threshold in enumerate(self.thresholds):
            edge = scaled_threshold(threshold)
            reaching, event = (ordered >= edge).sum(axis=0), observed >= edge
            self.totals["forecasts"][step, k] += np.bincount(reaching, minlength=self.members + 1)
            self.totals["events"][step, k] += np.bincount(reaching[event], minlength=self.members + 1)


def _crps(ordered: NDArray[np.float64], observed: NDArray[np.float64]) -> NDArray[np.float64]:
    """CRPS of every pixel; members (M, N) in ascending order, so that Σᵢⱼ|xᵢ − xⱼ|/2 = Σ (2i − M + 1) xᵢ, i from 0."""
    count = len(ordered)
    spread = ((2 * np.arange(count) - count + 1)[:, None] * ordered).sum(axis=0)
    return np.asarray(np.abs(ordered - observed).mean(axis=0) - spread / count**2)
