"""Confidence intervals where the cases are blocks of windows: delete one block at a time, then Student's t.

Windows of one rain event are not independent, so whole blocks (days, or as long as errors remember) are the cases, and
there are few of them. A percentile bootstrap of k blocks then promises 95 % and covers 50 % with k = 2, 74 % with 3,
85 % with 6; the jackknife with k − 1 degrees of freedom covers 94-95 % at any k
(tests/verification/test_coverage.py repeats the simulation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]

FEWEST_BLOCKS = 3
"""With fewer blocks there is no interval: two cases tell nothing of their spread."""

ENOUGH_BLOCKS = 10
"""With fewer blocks an interval is wide and leans on the normality of two handfuls of numbers: say so beside it."""

BLOCK_HOURS = (24.0, 12.0, 6.0, 3.0)
"""Block lengths to choose from, hours."""


def block_sums(values: ArrayLike, blocks: ArrayLike) -> Array:
    """Sums over the windows (first axis) of every block, in the order of the block labels."""
    table = np.asarray(values, np.float64)
    labels, index = np.unique(np.asarray(blocks), return_inverse=True)
    sums = np.zeros((len(labels), *table.shape[1:]))
    np.add.at(sums, index, table)
    return sums


def block_jackknife(
    statistic: Callable[[Array], Array], sums: Array, level: float = 0.95
) -> tuple[float, float, float]:
    """(estimate, low, high) of a statistic of sums, blocks being the cases.

    SE² = (k − 1)/k · Σ (θ₋ᵢ − θ̄)² over the k blocks, θ₋ᵢ the statistic without block i (Tukey 1958; Künsch 1989 for
    blocks); the interval is estimate ± t · SE with k − 1 degrees of freedom. No random numbers.

    Args:
        statistic: maps totals (…, columns) to values (…).
        sums: (blocks, columns), what every block adds.
        level: of the interval.

    The ends are NaN with fewer than `FEWEST_BLOCKS` blocks, or where the statistic is undefined without one of them.
    """
    total = sums.sum(axis=0)
    estimate, count = float(statistic(total)), len(sums)
    if count < FEWEST_BLOCKS or not np.isfinite(estimate):
        return estimate, np.nan, np.nan
    without = np.asarray(statistic(total - sums), np.float64)
    if not np.isfinite(without).all():
        return estimate, np.nan, np.nan
    error = float(np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum()))
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    return estimate, estimate - half, estimate + half


def decorrelation_hours(values: ArrayLike, times: ArrayLike) -> float:
    """How long errors remember, hours: the lag at which the autocorrelation of `values` falls to 1/e.

    Args:
        values: one number a window (N,), such as the difference of two forecasters' errors.
        times: issue times, datetime64 (N,), any order; pairs of windows are gathered by their distance in time.

    Between two lags the crossing is interpolated. The longest lag looked at (a quarter of the span, a day at most)
    where the correlation never falls so far; a day where the values do not vary or are fewer than three: nothing is
    known of their memory then.
    """
    series, at = np.asarray(values, np.float64), np.asarray(times).astype("datetime64[s]").astype(np.int64)
    usable = np.isfinite(series)
    series, at = series[usable], at[usable]
    order = np.argsort(at)
    series, at = series[order], at[order]
    if len(series) < 3 or np.ptp(series) <= 1e-9 * np.abs(series).max():
        return BLOCK_HOURS[0]
    series = series - series.mean()
    steps = np.diff(at)
    step = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    longest = min(86400, int(at[-1] - at[0]) // 4)
    before, variance = 1.0, float((series**2).mean())
    for lag in range(1, longest // step + 1 if step else 0):
        # Partners `lag` steps later, to half a step; gaps have none.
        partner = np.searchsorted(at, at + lag * step - step // 2)
        inside = partner < len(at)
        inside[inside] &= np.abs(at[partner[inside]] - at[inside] - lag * step) <= step // 2
        if inside.sum() < 3:
            break
        correlation = float((series[inside] * series[partner[inside]]).mean()) / variance
        if correlation < np.exp(-1):
            share = (before - np.exp(-1)) / (before - correlation)
            return float((lag - 1 + share) * step / 3600)
        before = correlation
    return longest / 3600 if step and longest >= step else 0.0


def block_hours(values: ArrayLike, times: ArrayLike) -> float:
    """The block length that suits windows, hours.

    The longest of `BLOCK_HOURS` that gives `ENOUGH_BLOCKS` blocks; but never shorter than errors remember
    (`decorrelation_hours` of `values`), since blocks of one storm would otherwise be counted as several. Then there may
    be too few blocks for an interval, which is the honest answer.
    """
    seconds = np.asarray(times).astype("datetime64[s]").astype(np.int64)
    memory = decorrelation_hours(values, times)
    allowed = [hours for hours in BLOCK_HOURS if hours >= memory] or [BLOCK_HOURS[0]]
    for hours in allowed:
        if len(np.unique(seconds // int(hours * 3600))) >= ENOUGH_BLOCKS:
            return hours
    return allowed[-1]
