"""Is one forecaster better than another, or was it chance? Paired comparisons that respect dependence.

Overlapping windows and the hours of one rain event are not independent cases, so that a test over windows would find
everything significant. Here windows are first gathered into blocks (days), and blocks are the cases. Differences are
first minus second: for an error, negative means that the first is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nowcast.errors import NowcastError
from nowcast.verification import categorical
from nowcast.verification.jackknife import block_hours, block_jackknife, block_sums
from nowcast.verification.scorecard import COUNTS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """A paired t-test, two-sided: mean difference first − second, t, degrees of freedom and p."""

    difference: float
    t: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class PairedComparison:
    """A difference first − second with its confidence interval, blocks of windows being the cases.

    `significant` is True where the interval leaves 0 out, None where there are too few blocks to tell (NaN interval);
    with fewer than ten blocks take it with caution. `block_hours` is the length of a block.
    """

    difference: float
    low: float
    high: float
    level: float
    blocks: int
    windows: int
    block_hours: float

    @property
    def significant(self) -> bool | None:
        """Whether 0 lies outside the interval."""
        return None if np.isnan(self.low) else not self.low <= 0 <= self.high


def paired_t(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Paired t-test of two rows of independent cases, such as means by day; NaN with fewer than two pairs.

    t = mean(d) / (s / √n), d = first − second, s its sample standard deviation; Student's t, n − 1 degrees of freedom.

    >>> test = paired_t([1.0, 2.0, 3.0], [2.0, 2.5, 5.0])
    >>> round(test.t, 3), test.degrees_of_freedom, round(test.p_value, 3)
    (-2.646, 2, 0.118)
    """
    a, b = (np.asarray(values, np.float64) for values in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"pairs have shapes {a.shape} and {b.shape}, expected two rows of one length")
    difference = a - b
    n = len(difference)
    if n < 2 or np.ptp(difference) == 0:
        return PairedTest(float(difference.mean()) if n else np.nan, np.nan, max(n - 1, 0), np.nan)
    test = stats.ttest_rel(a, b)
    return PairedTest(float(difference.mean()), float(test.statistic), int(test.df), float(test.pvalue))


def paired_t_over_runs_and_scores(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """The test of the MEmeL paper's Table 9: every (run, score) is a pair, scores unscaled.

    With three runs and the two scores B-MAE and B-MSE there are 6 pairs, 5 degrees of freedom; the paper's t = −2.38
    is then p = 0.063, not significant at 5 %. Both scores of a run come from the same forecasts, so the pairs are
    not independent and the p is too small; it is offered to be compared with the paper. To judge, compare by day
    (`compare`) or give `paired_t` one number a run.

    Args:
        first, second: (runs, scores), for example [[B-MAE, B-MSE], …], run by run with the same seeds.
    """
    a, b = (np.asarray(values, np.float64) for values in (first, second))
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"results have shapes {a.shape} and {b.shape}, expected (runs, scores) twice")
    return paired_t(a.ravel(), b.ravel())


def compare(
    scores: xr.Dataset,
    first: str,
    second: str,
    score: str = "balanced_mse",
    threshold: float | None = None,
    block: np.timedelta64 | None = None,
    level: float = 0.95,
) -> PairedComparison:
    """Difference first − second of a score over all windows and lead times, with a jackknife over blocks of windows.

    Args:
        scores: what `nowcast.evaluate` returns, with its scores by window.
        first, second: names in the `forecaster` dimension.
        score: balanced_mse, balanced_mae, or, at a `threshold` in mm/h, csi, hss, pod, far, gss (ets),
            frequency_bias.
        block: windows issued within one block (from 1970-01-01 on) stay together. None takes the longest of a day,
            12, 6 and 3 hours that gives ten blocks, but never less than errors remember (`jackknife.block_hours`).
        level: of the interval.

    For a categorical score the value is the mean over lead times of the score of the summed counts, as in tables.
    With fewer than three blocks the interval is NaN.
    """
    names = [str(name) for name in scores["forecaster"].values]
    for name in (first, second):
        if name not in names:
            raise NowcastError(f"the scores hold no forecaster {name!r}, only {', '.join(names)}")
    times = scores["issue_time"].values.astype("datetime64[s]")
    estimate: Callable[[Array], Array]
    if f"window_{score}" in scores:
        by_window = scores[f"window_{score}"].transpose("forecaster", "issue_time", "lead_time").mean("lead_time")
        a, b = (by_window.sel(forecaster=name).values for name in (first, second))
        usable = np.isfinite(a) & np.isfinite(b)
        times, columns = times[usable], np.stack([a, b, np.ones_like(a)], axis=1)[usable]
        varying = columns[:, 0] - columns[:, 1]
        estimate = _difference_of_means
    elif score in _BY_COUNTS and threshold is not None:
        try:
            counts = [
                scores[f"window_{name}"].sel(threshold=threshold, method="nearest", tolerance=1e-6) for name in COUNTS
            ]
        except KeyError:
            there = ", ".join(f"{value:g}" for value in scores["threshold"].values)
            raise NowcastError(f"the scores have no threshold {threshold:g} mm/h, only {there}") from None
        order = ("forecaster", "issue_time", "lead_time")
        table = np.stack([count.transpose(*order).sel(forecaster=[first, second]).values for count in counts])
        columns = table.transpose(2, 1, 3, 0).reshape(table.shape[2], -1).astype(np.float64)
        estimate = _difference_of_counts(score, leads=table.shape[3])
        varying = np.asarray(estimate(columns))  # window by window; where that is undefined it plays no part
    else:
        known = ", ".join(["balanced_mse", "balanced_mae", *_BY_COUNTS])
        raise NowcastError(f"{score!r} cannot be compared; choose of {known}, categorical ones with a threshold")
    hours = block_hours(varying, times) if block is None else float(block / np.timedelta64(3600, "s"))
    sums = block_sums(columns, times.astype(np.int64) // round(hours * 3600))
    difference, low, high = block_jackknife(estimate, sums, level)
    return PairedComparison(difference, low, high, level, len(sums), len(columns), hours)


_BY_COUNTS: dict[str, Callable[..., Array]] = {
    "csi": lambda h, m, f, c: categorical.csi(h, m, f),
    "hss": categorical.hss,
    "pod": lambda h, m, f, c: categorical.pod(h, m),
    "far": lambda h, m, f, c: categorical.far(h, f),
    "gss": categorical.gss,
    "ets": categorical.ets,
    "frequency_bias": lambda h, m, f, c: categorical.frequency_bias(h, m, f),
}


def _difference_of_means(totals: Array) -> Array:
    return np.asarray((totals[..., 0] - totals[..., 1]) / totals[..., 2])


def _difference_of_counts(score: str, leads: int) -> Callable[[Array], Array]:
    def difference(totals: Array) -> Array:
        counts = totals.reshape(*totals.shape[:-1], 2, leads, len(COUNTS))
        values = _BY_COUNTS[score](*np.moveaxis(counts, -1, 0))
        both = np.isfinite(values).all(axis=-2, keepdims=True)  # lead times at which both are defined
        kept = np.where(both, values, 0).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
        return np.where(both.sum(axis=(-2, -1)) > 0, kept[..., 0] - kept[..., 1], np.nan)

    return difference
