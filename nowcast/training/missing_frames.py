"""Late and missing frames in training: some observed frames are taken away, then bridged as they are when issuing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from nowcast.motion.bridging import bridged
from nowcast.sequence import RadarSequence


def with_gaps(
    batch: RadarSequence, probability: float, longest: int | None, seed: int, step: int, share: slice = slice(None)
) -> RadarSequence:
    """The batch with observed frames dropped at random and its gaps bridged; a pure function of its arguments.

    Args:
        batch: clips of optimizer step `step`, those of this process alone.
        probability: of every observed frame but the last, which a nowcast is issued on.
        longest: gaps of up to so many frames are bridged, and no longer ones are made; None leaves the batch alone.
        seed, step: of the run.
        share: which part of the whole batch this is, so that several processes drop what one would drop.
    """
    if longest is None:
        return batch
    if probability > 0:
        whole = share.stop or len(batch)  # rows are drawn in order: later ones change nothing
        dropped = torch.from_numpy(dropped_frames((whole, batch.observed.shape[1]), probability, longest, seed, step))
        gone = dropped[share][:, :, None, None, None].to(batch.observed.device)
        batch = replace(
            batch,
            observed=batch.observed.masked_fill(gone, 0.0),
            observed_valid=batch.observed_valid.masked_fill(gone, False),
        )
    return bridged(batch, longest)


def dropped_frames(shape: tuple[int, int], probability: float, longest: int, seed: int, step: int) -> NDArray[np.bool_]:
    """Which of (B, T) observed frames are dropped: never the last, never more than `longest` in a row."""
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step, 1])))
    drawn = random.random(shape) < probability
    dropped = np.zeros(shape, np.bool_)
    in_a_row = np.zeros(shape[0], np.int64)
    for slot in range(shape[1] - 1):
        dropped[:, slot] = drawn[:, slot] & (in_a_row < longest)
        in_a_row = np.where(dropped[:, slot], in_a_row + 1, 0)
    return dropped
