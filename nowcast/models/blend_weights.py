"""How much of each forecaster to take: the weights that would have been best in nowcasts already verified."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from nowcast.balance import balanced_weights

Field = NDArray[np.float32]

PARTS = 8
"""Weights are multiples of 1/8: finer ones differ less than the weather of two hours does."""

PIXELS = 20_000
"""Pixels of a frame that decide, evenly taken from those where any rain was observed or forecast."""

LOYALTY = 0.1
"""What leaving the start weights costs, per squared distance, in the sum of the two relative errors. It keeps two
forecasters that are as good as each other from changing places with every frame."""


@dataclass(frozen=True)
class Verified:
    """Balanced errors of every candidate blend in one frame.

    Attributes:
        squared, absolute: Σ w (p − p̂)² and Σ w |p − p̂| over the pixels, one number a candidate of `candidates`.
    """

    squared: NDArray[np.float64]
    absolute: NDArray[np.float64]

    def __add__(self, other: Verified) -> Verified:
        return Verified(self.squared + other.squared, self.absolute + other.absolute)

    def __mul__(self, weight: float) -> Verified:
        return Verified(weight * self.squared, weight * self.absolute)


@cache
def candidates(members: int) -> NDArray[np.float64]:
    """All weights of so many members that are multiples of 1/8, none negative, together at most 1: (C, members).

    The first is all zero: the base alone.

    >>> len(candidates(1)), len(candidates(2)), candidates(2)[1].tolist()
    (9, 45, [0.0, 0.125])
    """
    every = itertools.product(range(PARTS + 1), repeat=members)
    return np.array([parts for parts in every if sum(parts) <= PARTS], np.float64) / PARTS


def verify(base: Field, members: Sequence[Field], observation: Field, valid: NDArray[np.bool_]) -> Verified:
    """Errors of every candidate blend base + Σ w (member − base) of one frame.

    Args:
        base, members: forecasts (H, W), scaled reflectivity, NaN where unknown.
        observation: (H, W), what came.
        valid: bool, True = use this pixel; a pixel that any forecast leaves unknown is not used either.
    """
    used = valid & np.isfinite(base) & np.isfinite(np.stack(members)).all(axis=0)
    used &= (observation > 0) | (base > 0) | (np.stack(members) > 0).any(axis=0)
    at = np.flatnonzero(used)
    at = at[:: max(1, -(-len(at) // PIXELS))]
    observed = observation.ravel()[at]
    heavy = balanced_weights(torch.from_numpy(observed), torch.ones(len(at), dtype=torch.bool)).numpy()
    start = base.ravel()[at]
    away = np.stack([member.ravel()[at] - start for member in members])  # (members, N)
    errors = candidates(len(members)).astype(np.float32) @ away + (start - observed)  # (C, N)
    weighted = heavy * np.abs(errors)
    return Verified(
        np.einsum("cn,cn->c", weighted, np.abs(errors), dtype=np.float64), weighted.sum(1, dtype=np.float64)
    )


def choose(
    verified: Sequence[Verified | None], start: NDArray[np.float64], loyalty: float = LOYALTY
) -> NDArray[np.float64]:
    """The weights of every lead time, (lead_steps, members).

    Of each lead time the candidate with the least B-MSE + B-MAE, each relative to that of the base alone, both averaged
    with the neighboring lead times', plus the loyalty to the start weights. A lead time that was not verified takes the
    weights of the longest one that was; where none was, the start weights.

    Args:
        verified: errors of every lead time, None where there are none.
        start: start weights (lead_steps, members).
        loyalty: as `LOYALTY` says.
    """
    table = candidates(start.shape[1])
    relative = [None if errors is None else _relative(errors) for errors in verified]
    chosen, last = np.array(start, np.float64), None
    for lead, own in enumerate(relative):
        if own is not None:
            near = [cost for cost in relative[max(0, lead - 1) : lead + 2] if cost is not None]
            cost = np.mean(near, axis=0) + loyalty * ((table - start[lead]) ** 2).sum(axis=1)
            last = table[int(cost.argmin())]
        if last is not None:
            chosen[lead] = last
    return chosen


def together(errors: Iterable[tuple[float, Verified]]) -> Verified | None:
    """Errors added up, each with its weight; None where there are none."""
    total: Verified | None = None
    for weight, one in errors:
        total = one * weight if total is None else total + one * weight
    return total


def _relative(errors: Verified) -> NDArray[np.float64]:
    little = 1e-9
    return (errors.squared + little) / (errors.squared[0] + little) + (errors.absolute + little) / (
        errors.absolute[0] + little
    )
