"""Missing observed frames filled from their neighbors, so that a network never takes a gap for dry weather."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.motion.advection import advect
from nowcast.motion.optical_flow import motion_field
from nowcast.sequence import RadarSequence
from nowcast.units import rain_rate_from_scaled, scaled_from_rain_rate

Frames = NDArray[np.float32]
Mask = NDArray[np.bool_]


def bridge_gaps(observed: Tensor, observed_valid: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Observed frames with their gaps filled: the same in training, in scoring and in issuing.

    Args:
        observed: scaled reflectivity (B, T, 1, H, W), 0 where not valid.
        observed_valid: bool, same shape; True = use this pixel. A frame that is nowhere valid is missing.
        longest: a gap of more missing frames in a row is left as it is.

    Returns:
        frames and where they are valid, as given but for the frames made; what was given is left alone.
    """
    missing = missing_frames(observed_valid)
    fillable = missing & ~in_long_gap(missing, longest)
    if not fillable.any():
        return observed, observed_valid
    frames, valid = observed.clone(), observed_valid.clone()
    for sample in np.flatnonzero(fillable.any(axis=1)):
        seen = observed_valid[sample, :, 0].cpu().numpy()
        made = filled(observed[sample, :, 0].float().cpu().numpy(), seen, fillable[sample])
        for slot, (field, known) in made.items():
            frames[sample, slot, 0] = torch.from_numpy(field).to(frames)
            valid[sample, slot, 0] = torch.from_numpy(known).to(valid.device)
    return frames, valid


def bridged(sequence: RadarSequence, longest: int) -> RadarSequence:
    """A batch whose observed frames are those of `bridge_gaps`."""
    observed, valid = bridge_gaps(sequence.observed, sequence.observed_valid, longest)
    return sequence if observed is sequence.observed else replace(sequence, observed=observed, observed_valid=valid)


def missing_frames(observed_valid: Tensor) -> Mask:
    """Which frames are missing, that is nowhere valid: bool (B, T) of (B, T, 1, H, W)."""
    return ~observed_valid.flatten(2).any(dim=2).cpu().numpy()


def in_long_gap(missing: Mask, longest: int) -> Mask:
    """Which of the missing frames lie in a gap of more than `longest` in a row, bool (B, T) of (B, T).

    >>> in_long_gap(np.array([[True, True, False, True, False]]), longest=1).tolist()
    [[True, True, False, False, False]]
    """
    long = np.zeros_like(missing)
    for sample, frames in enumerate(missing):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]).astype(np.int8)))
        for first, end in edges.reshape(-1, 2):
            long[sample, first:end] = end - first > longest
    return long


def answerable(observed_valid: Tensor, longest: int) -> Mask:
    """Which sequences have no gap of more than `longest` missing frames in a row, and any frame at all: bool (B,)."""
    missing = missing_frames(observed_valid)
    return np.asarray(~in_long_gap(missing, longest).any(axis=1) & ~missing.all(axis=1))


def filled(frames: Frames, seen: Mask, wanted: Mask) -> dict[int, tuple[Frames, Mask]]:
    """The `wanted` frames of one sequence made from the others: slot → field (H, W) and where it is known.

    Between two frames each is carried along the motion between them, forward and backward, and the nearer counts more.
    Before the first or after the last frame the nearest one is carried along the motion of the nearest two, and stays
    in place where there is but one. What the motion brings in from where nothing was seen is the nearest frame's. The
    rain *rate* is carried and averaged. Nothing is made where no frame exists.

    Args:
        frames: scaled reflectivity (T, H, W), 0 where not seen.
        seen: bool, same shape; True = use this pixel.
        wanted: bool (T,), frames to make; they are missing.
    """
    there = np.flatnonzero(seen.any(axis=(1, 2)))
    made: dict[int, tuple[Frames, Mask]] = {}
    for slot in np.flatnonzero(wanted).tolist() if len(there) else ():
        before, after = there[there < slot][-2:], there[there > slot][:2]
        nearest = int(min(there, key=lambda other: (abs(other - slot), other > slot)))
        if len(before) and len(after):
            motion = motion_field(frames, seen, np.array([before[-1], after[0]]))
            weight = (slot - before[-1]) / (after[0] - before[-1])
            rate = _mixed(
                _carried(frames, seen, motion, before[-1], slot), _carried(frames, seen, motion, after[0], slot), weight
            )
        else:
            pair = before if len(before) else after
            rate = _carried(frames, seen, motion_field(frames, seen, pair), nearest, slot)
        known = np.isfinite(rate)
        field = np.where(known, scaled_from_rain_rate(np.where(known, rate, 0)), frames[nearest]).astype(np.float32)
        known = (known | seen[nearest]) & seen.any(axis=0)  # nothing is made where no frame ever saw anything
        made[slot] = np.where(known, field, np.float32(0)), known
    return made


def _carried(frames: Frames, seen: Mask, motion: Frames, start: int, slot: int) -> Frames:
    """Rain rate (H, W) of frame `start` carried to `slot`, which may lie before it; NaN where it is not known."""
    rate, steps = rain_rate_from_scaled(frames[start]).astype(np.float32), int(slot - start)
    return list(advect(rate, seen[start], motion * np.float32(np.sign(steps)), abs(steps)))[-1]


def _mixed(earlier: Frames, later: Frames, weight: float) -> Frames:
    """Both, the later one with `weight`; where one is not known, the other."""
    both = (1 - weight) * earlier + weight * later
    return np.where(np.isnan(earlier), later, np.where(np.isnan(later), earlier, both)).astype(np.float32)
