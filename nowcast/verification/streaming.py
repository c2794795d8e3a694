"""What all scores share: totals that add up (update → merge → compute), ratios last."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray


class StreamingScore:
    """Base of every streaming score: registered totals, so that merge and reset cannot forget any.

    A subclass registers its totals in `__init__`, adds to them in its own `update`, and turns them into a dataset in
    `dataset`. Totals are float64 or int64 and only ever added, so the order of windows does not matter and merging
    the parts of several workers equals one pass (counts exactly, sums to rounding).
    """

    def __init__(self, lead_steps: int, frame_interval: np.timedelta64 | None = None, **settings: object) -> None:
        if lead_steps < 1:
            raise ValueError(f"lead_steps is {lead_steps}, expected at least 1")
        self.lead_steps = lead_steps
        self.frame_interval = frame_interval
        self.settings = {"lead_steps": lead_steps, "frame_interval": frame_interval, **settings}
        self.totals: dict[str, NDArray[Any]] = {}

    def register(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> None:
        """Declare a total; it starts at zero."""
        self.totals[name] = np.zeros(shape, dtype)

    def reset(self) -> None:
        """Forget everything that was added."""
        for total in self.totals.values():
            total[...] = 0

    def merge(self, other: Self) -> Self:
        """Add what another score of the same kind and settings has collected; returns self."""
        if type(other) is not type(self) or other.settings != self.settings:
            raise ValueError(
                f"cannot merge {type(other).__name__} {other.settings} into {type(self).__name__} {self.settings}"
            )
        for name, total in self.totals.items():
            total += other.totals[name]
        return self

    def dataset(self) -> xr.Dataset:
        """The scores of all that was added so far."""
        raise NotImplementedError

    def lead_time(self) -> xr.Variable:
        """Coordinate: timedelta64 when the frame interval is known, else lead steps 1, 2, …"""
        steps = np.arange(1, self.lead_steps + 1)
        if self.frame_interval is None:
            return xr.Variable("lead_time", steps, {"long_name": "lead step"})
        times = (steps * self.frame_interval).astype("timedelta64[ns]")
        return xr.Variable("lead_time", times, {"long_name": "lead time"})


def ratio(numerator: Any, denominator: Any) -> NDArray[np.float64]:
    """Numerator over denominator in float64; NaN where the denominator is 0.

    >>> ratio([1, 1], [2, 0]).tolist()
    [0.5, nan]
    """
    above, below = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
