"""What a comparison could have shown: the power of a paired t-test, before and after it was made."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

MOST_PAIRS = 100_000
"""More pairs than this are out of anybody's reach; `pairs_needed` stops there."""


def power_of_pairs(effect: float, deviation: float, pairs: int, level: float = 0.95) -> float:
    """Probability that a two-sided paired t-test of `pairs` shows a true difference `effect`.

    `deviation` is the standard deviation of one paired difference, in the unit of `effect`. Noncentral t.

    >>> round(power_of_pairs(effect=0.33, deviation=2.14, pairs=3), 2)
    0.05
    """
    if pairs < 2:
        return float("nan")
    freedom, shift = pairs - 1, abs(effect) / deviation * math.sqrt(pairs)
    edge = float(stats.t.ppf((1 + level) / 2, freedom))
    return float(stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift))


def pairs_needed(effect: float, deviation: float, power: float = 0.8, level: float = 0.95) -> int | None:
    """Fewest pairs whose paired t-test shows a true difference `effect` with this power; None above `MOST_PAIRS`.

    >>> pairs_needed(effect=1.56, deviation=0.76)
    5
    """
    if not (math.isfinite(effect) and math.isfinite(deviation)) or effect == 0:
        return None
    low, high = 2, 2
    while power_of_pairs(effect, deviation, high, level) < power:
        low, high = high, high * 2
        if low > MOST_PAIRS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of_pairs(effect, deviation, middle, level) >= power else (middle + 1, high)
    return low


def smallest_shown(error: float, freedom: float, power: float = 0.8, level: float = 0.95) -> float:
    """The smallest true difference that an interval with this standard error shows with this power.

    (t at the interval's end + t at the power) · error, Student's t of `freedom` degrees; NaN where there is none.
    """
    if not (np.isfinite(error) and np.isfinite(freedom)):
        return float("nan")
    return float((stats.t.ppf((1 + level) / 2, freedom) + stats.t.ppf(power, freedom)) * error)
