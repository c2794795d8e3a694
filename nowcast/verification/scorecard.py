"""The benchmark's scorecard: balanced, plain and categorical scores per lead time and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.balance import BALANCED_THRESHOLDS, BALANCED_WEIGHTS
from nowcast.units import THRESHOLDS, exact_threshold, scaled_threshold
from nowcast.verification import categorical
from nowcast.verification.joint import JointHistogram, check_fields
from nowcast.verification.streaming import StreamingScore, ratio

COUNTS = ("hits", "misses", "false_alarms", "correct_negatives")


class Scorecard(StreamingScore):
    """Balanced, plain and categorical scores, streaming: update → merge → dataset.

    Let p be observed and p̂ forecast scaled reflectivity, w the balanced weight of the observed pixel, sums over the
    valid pixels of a frame:

    - `balanced_mse` = mean over sequences of Σ w (p − p̂)², `balanced_mae` the same with |p − p̂|: sums per frame, as
      the HKO-7 benchmark reports them (Shi et al. 2017), so they grow with the frame. Range 0 to ∞, perfect 0.
    - `mse`, `mae`: means over all valid pixels of all sequences (unlike the two above). Range 0 to 1, perfect 0.
    - `csi, hss, pod, far, gss, frequency_bias`: see `nowcast.verification.categorical`; event: rate ≥ threshold.

    Masked pixels enter nothing. A sequence whose frame is nowhere valid adds 0 to the balanced sums and still counts
    as a sequence (the benchmark's way); a lead time without any valid pixel is NaN in every score. NaN in a forecast
    at a valid pixel is an error, never "excluded".

    Args:
        lead_steps: number of forecast frames.
        thresholds: rain rates in mm/h, any number of them.
        frame_interval: gives `lead_time` as timedelta64; without it `lead_time` counts frames 1, 2, …

    >>> import torch
    >>> card = Scorecard(lead_steps=1)
    >>> observation = torch.tensor([0.0, 0.6, 0.9]).reshape(1, 1, 1, 1, 3)      # dry, 8.3 mm/h, masked below
    >>> card.update(observation * 0 + 0.6, observation, torch.tensor([[[[[True, True, False]]]]]))
    >>> scores = card.dataset().isel(lead_time=0)
    >>> round(float(scores.balanced_mse), 4), round(float(scores.mse), 4)       # (0.36 + 0) and (0.36 + 0) / 2
    (0.36, 0.18)
    >>> scores.csi.values.tolist()
    [0.5, 0.5, 0.5, nan, nan]
    """

    def __init__(
        self,
        lead_steps: int,
        thresholds: Sequence[float] = THRESHOLDS,
        frame_interval: np.timedelta64 | None = None,
    ) -> None:
        self.thresholds = tuple(float(threshold) for threshold in thresholds)
        if not all(np.isfinite(threshold) and threshold > 0 for threshold in self.thresholds):
            raise ValueError(f"thresholds are {self.thresholds}, expected rain rates above 0 mm/h")
        super().__init__(lead_steps, frame_interval, thresholds=self.thresholds)
        rates = (*self.thresholds, *BALANCED_THRESHOLDS)
        self.edges, places = np.unique(
            np.array([scaled_threshold(rate) for rate in rates], np.float32), return_index=True
        )
        self.exact_edges = np.array([exact_threshold(rate) for rate in rates])[places]
        classes = len(self.edges) + 1
        self.register("sequences", (lead_steps,), np.int64)
        self.register("pixels", (lead_steps, classes, classes), np.int64)
        self.register("absolute", (lead_steps, classes))
        self.register("squared", (lead_steps, classes))

    def update(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: scaled reflectivity (B, T, 1, H, W) twice and bool `valid`, True = use this pixel."""
        self.add(self.joint(forecast, observation, valid))

    def joint(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> JointHistogram:
        """What `add` takes: the joint histogram of every frame with this card's edges."""
        check_fields(forecast, observation, valid, self.lead_steps)
        return JointHistogram.of(forecast, observation, valid, self.edges, self.exact_edges)

    def add(self, joint: JointHistogram) -> None:
        """Add sequences by their joint histograms, leading shape (B, T)."""
        self.totals["sequences"] += joint.pixels.shape[0]
        for name in ("pixels", "absolute", "squared"):
            self.totals[name] += getattr(joint, name).sum(axis=0)

    def dataset(self) -> xr.Dataset:
        """Scores (lead_time) and (lead_time, threshold), with the counts they come from."""
        joint = JointHistogram(self.edges, *(self.totals[n] for n in ("pixels", "absolute", "squared")))
        valid_pixels = joint.pixels.sum((-2, -1))
        sequences = np.where(valid_pixels > 0, self.totals["sequences"], 0)
        squared, absolute = balanced_sums(joint)
        variables: dict[str, Any] = {
            "balanced_mse": ("lead_time", ratio(squared, sequences), _describe("sum of w d² per frame")),
            "balanced_mae": ("lead_time", ratio(absolute, sequences), _describe("sum of w |d| per frame")),
            "mse": ("lead_time", ratio(joint.squared.sum(-1), valid_pixels), _describe("mean d² per pixel")),
            "mae": ("lead_time", ratio(joint.absolute.sum(-1), valid_pixels), _describe("mean |d| per pixel")),
            "sequences": ("lead_time", self.totals["sequences"].copy()),
            "valid_pixels": ("lead_time", valid_pixels),
        }
        counts = contingency_counts(joint, self.thresholds)
        for name, values in {**categorical_scores(**counts), **counts}.items():
            variables[name] = (("lead_time", "threshold"), values)
        threshold = ("threshold", np.asarray(self.thresholds, np.float64), {"units": "mm h-1"})
        return xr.Dataset(variables, {"lead_time": self.lead_time(), "threshold": threshold})


def balanced_sums(joint: JointHistogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ w d² and Σ w |d|: the sums of every observed class times its balanced weight."""
    scaled = [float(scaled_threshold(rate)) for rate in BALANCED_THRESHOLDS]
    lower = np.concatenate([[-np.inf], joint.edges])  # lower end of every class; the balanced edges are among them
    weights = np.asarray(BALANCED_WEIGHTS)[np.searchsorted(scaled, lower, side="right")]
    return joint.squared @ weights, joint.absolute @ weights


def contingency_counts(joint: JointHistogram, thresholds: Sequence[float]) -> dict[str, NDArray[np.int64]]:
    """Hits, misses, false alarms and correct negatives, int64 (..., threshold); thresholds in mm/h."""
    shape = (*joint.pixels.shape[:-2], len(thresholds))
    counts = {name: np.zeros(shape, np.int64) for name in COUNTS}
    for k, threshold in enumerate(thresholds):
        for name, count in zip(COUNTS, joint.contingency(float(scaled_threshold(threshold))), strict=True):
            counts[name][..., k] = count
    return counts


def categorical_scores(
    hits: NDArray[np.int64],
    misses: NDArray[np.int64],
    false_alarms: NDArray[np.int64],
    correct_negatives: NDArray[np.int64],
) -> dict[str, NDArray[np.float64]]:
    """All scores of `nowcast.verification.categorical` from counts of one shape."""
    return {
        "csi": categorical.csi(hits, misses, false_alarms),
        "hss": categorical.hss(hits, misses, false_alarms, correct_negatives),
        "pod": categorical.pod(hits, misses),
        "far": categorical.far(hits, false_alarms),
        "gss": categorical.gss(hits, misses, false_alarms, correct_negatives),
        "frequency_bias": categorical.frequency_bias(hits, misses, false_alarms),
    }


def _describe(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1", "comment": "d in scaled reflectivity, [0, 1] for [-10, 60] dBZ"}
