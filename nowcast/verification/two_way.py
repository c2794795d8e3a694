"""One interval for two kinds of chance: another training (seeds) and other weather (blocks of windows)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from nowcast.verification.jackknife import FEWEST_BLOCKS


@dataclass(frozen=True)
class TwoWayInterval:
    """A paired difference first − second with one confidence interval over seeds and blocks.

    Attributes:
        difference: mean over all windows and seeds.
        low, high: ends of the interval; NaN with one seed or fewer than three blocks, when nothing can be told.
        error: standard error; `freedom` its degrees of freedom (Satterthwaite 1946); NaN likewise.
        seeds, blocks: how many there are.
        seed_variance: variance over seeds of a seed's mean difference, the s²_seed of the formula: what more seeds
            average away.
    """

    difference: float
    low: float
    high: float
    error: float
    freedom: float
    seeds: int
    blocks: int
    seed_variance: float

    @property
    def side(self) -> int | None:
        """-1 wholly below 0, 1 wholly above, 0 neither; None where there is no interval."""
        if np.isnan(self.low):
            return None
        return -1 if self.high < 0 else int(self.low > 0)


def two_way_interval(sums: ArrayLike, windows: ArrayLike, level: float = 0.95) -> TwoWayInterval:
    """The interval of a mean paired difference that varies with the seed and with the weather.

        SE² = s²_seed / n + s²_block / k − s²_rest / (n k)

    for n seeds and k blocks: s²_seed is the variance of the seeds' means, s²_block that of the blocks' means, s²_rest
    the mean square of what neither explains, which the first two both hold. Degrees of freedom by Satterthwaite. Blocks
    of unequal size enter by their share of the difference's linearized ratio, as in a jackknife. SE² is never taken
    below what seeds alone, or blocks alone, give.

    Args:
        sums: (seeds, blocks), paired differences summed over the windows of a block.
        windows: (blocks,), windows of each block, above 0.
        level: of the interval.

    >>> interval = two_way_interval([[1.0, 2.0, 3.0], [2.0, 3.0, 5.0]], [1, 1, 1])
    >>> round(interval.difference, 3), interval.seeds, interval.blocks, interval.side
    (2.667, 2, 3, 0)
    """
    table, count = np.asarray(sums, np.float64), np.asarray(windows, np.float64)
    if table.ndim != 2 or count.shape != table.shape[1:] or not (count > 0).all():
        raise ValueError(f"sums are {table.shape} and windows {count.shape}, expected (seeds, blocks) and (blocks,)")
    n, k = table.shape
    difference = float(table.sum() / (n * count.sum()))
    share = k * (table - difference * count) / count.sum()  # each block's part of its seed's mean, (seeds, blocks)
    by_seed, by_block = share.mean(axis=1), share.mean(axis=0)
    seed_variance = float(by_seed.var(ddof=1)) if n > 1 else np.nan
    if n < 2 or k < FEWEST_BLOCKS:
        return TwoWayInterval(difference, np.nan, np.nan, np.nan, np.nan, n, k, seed_variance)
    rest = share - by_seed[:, None] - by_block[None, :] + share.mean()
    squares = np.array([k * seed_variance, n * by_block.var(ddof=1), (rest**2).sum() / ((n - 1) * (k - 1))])
    freedoms = np.array([n - 1, k - 1, (n - 1) * (k - 1)])
    together = squares[0] + squares[1] - squares[2]
    if together > squares[:2].max():
        freedom = float(together**2 / (squares**2 / freedoms).sum())
    else:
        together, freedom = squares[:2].max(), float(freedoms[int(squares[:2].argmax())])
    error = float(np.sqrt(together / (n * k)))
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * error if error else 0.0
    return TwoWayInterval(difference, difference - half, difference + half, error, freedom, n, k, seed_variance)
