"""Extrapolation that fades: the further ahead, the more of what cannot be predicted gives way to what is likely."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.models.extrapolation import Extrapolation, as_frames
from nowcast.models.hindcast import LAGS, Aligned, changed, fitted, trend, weights
from nowcast.models.local_mean import LocalMean
from nowcast.motion.advection import advect
from nowcast.motion.departure import departure_points
from nowcast.motion.optical_flow import motion_field

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

SMALLEST = 32
"""Shortest side in pixels that has scales to speak of; smaller frames are extrapolated as they are."""

WIDEST = 64.0
"""Largest standard deviation in pixels: where the rain may be is not spread wider."""

STAGES = (1, 2, 4, 8)
"""Steps at which what the tendency has changed is computed again; in between it hardly differs."""

GAP_PULL = 0.6
"""Share of the way that a value between no echo and the weakest echo is moved to the nearer of the two."""

WEAKEST = 0.01
"""Share of the echoes that are weaker than what is taken as the weakest: a few stray pixels do not count."""


class Fading:
    """Extrapolation of what can be predicted, at the least balanced error that the observed frames suggest.

    With x the latest frame (scaled reflectivity), Δ its smoothed change along the motion in the last interval, w the
    balanced weights and D_k the departure points k intervals back, the forecast of +k is

        ŷ_k = [G_{σk} ∗ (w(x_k) x_k) / G_{σk} ∗ w(x_k)] ∘ D_k,   x_k = x + g (1 + φ + … + φ^(k−1)) Δ.

    The rain of a neighborhood that widens with the lead time is where the rain may be instead ("local Lagrangian",
    Germann and Zawadzki 2004), which makes the small scales fade first, as S-PROG's cascade does (Seed 2003; Bowler et
    al. 2006; Pulkkinen et al. 2019); its mean under the weights that a forecast is judged by is the forecast of least
    B-MSE. The tendency g Δ, which dies away, is what a second-order autoregression adds. σ and g are fitted to the
    frames given (`nowcast.models.hindcast`). Radar reports nothing between no echo and its weakest echo; a mean that
    falls in between is pulled to the nearer of them.

    Motion, what is unknown (NaN) and a missing last frame are those of `Extrapolation`, which small frames and single
    ones leave it at.

    >>> observed = torch.zeros(1, 3, 1, 48, 48)
    >>> forecast = Fading()(observed, torch.ones_like(observed, dtype=torch.bool), lead_steps=2)
    >>> forecast.shape, float(forecast.max())
    (torch.Size([1, 2, 1, 48, 48]), 0.0)
    """

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        made = []
        for i, (frames, seen) in enumerate(zip(*as_frames(observed, observed_valid), strict=True)):
            present = np.flatnonzero(seen.any(axis=(1, 2)))
            if len(present) < 2 or min(frames.shape[1:]) < SMALLEST or not frames[present[-1]].any():
                made.append(Extrapolation()(observed[i : i + 1], observed_valid[i : i + 1], lead_steps)[0, :, 0].cpu())
                continue
            motion = motion_field(frames, seen, present)
            age = int(len(frames) - 1 - present[-1])
            steps = _forecast(_align(frames, seen, present, motion), motion, age + lead_steps)
            made.append(torch.from_numpy(np.stack(steps[age:])))
        return torch.stack(made).unsqueeze(2).to(observed.device)  # (B, lead_steps, 1, H, W)


def _align(frames: Field, seen: Mask, present: NDArray[np.intp], motion: Field) -> Aligned:
    """The latest frames where they lie at the time of the last of them."""
    latest = int(present[-1])
    age = {latest - int(slot): int(slot) for slot in present[:-1] if latest - slot <= max(LAGS) + 1}
    aligned = {0: (np.where(seen[latest], frames[latest], 0).astype(np.float32), seen[latest])}
    for lag, points in enumerate(departure_points(motion, max(age, default=0)), 1):
        if lag in age:
            slot = age[lag]
            field = cv2.remap(np.where(seen[slot], frames[slot], 0).astype(np.float32), *points, cv2.INTER_LINEAR)
            share = cv2.remap(seen[slot].astype(np.float32), *points, cv2.INTER_LINEAR)
            known = share >= 0.5
            aligned[lag] = np.where(known, field / np.maximum(share, 0.5), 0).astype(np.float32), known
    return aligned


def _forecast(aligned: Aligned, motion: Field, steps: int) -> list[Field]:
    """Scaled reflectivity 1, 2, … `steps` intervals after the latest frame; NaN where extrapolation does not know."""
    fade, change = fitted(aligned), trend(aligned, 0)
    latest, seen = aligned[0]
    echoes = latest[latest > 0]
    weakest = float(np.quantile(echoes, WEAKEST)) if len(echoes) else 0.0
    spread = LocalMean(latest.shape, min(fade.spread * steps, WIDEST))
    extrapolated = advect(latest, seen, motion, steps)
    made = []
    for step, (points, plain) in enumerate(zip(departure_points(motion, steps), extrapolated, strict=True), 1):
        if step in STAGES:
            later = changed(latest, seen, change, fade, step)
            heavy = weights(later, seen)
            weighted, total = spread.transform(heavy * later), spread.transform(heavy)
        likely = spread.of(weighted, total, min(fade.spread * step, WIDEST))
        moved = cv2.remap(likely, *points, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        known = ~np.isnan(plain)
        made.append(np.where(known, _out_of_the_gap(np.asarray(moved, np.float32), weakest), np.float32(np.nan)))
    return made


def _out_of_the_gap(field: Field, weakest: float) -> Field:
    """Values between 0 and the weakest echo moved toward the nearer of the two; all in [0, 1]."""
    nearer = np.where(field < weakest / 2, 0, weakest)
    pulled = field + np.float32(GAP_PULL) * (nearer - field)
    return np.clip(np.where(field < weakest, pulled, field), 0, 1).astype(np.float32)
