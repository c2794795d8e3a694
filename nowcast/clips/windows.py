"""Where windows and clips may start: gap-aware enumeration, and random sampling that a resumed run repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.radar.times import Times, interval_seconds, seconds


@dataclass(frozen=True)
class WindowReport:
    """How the walk of `fixed_windows` went: starts it tried, and how many of them each rule rejected.

    Attributes:
        frames: frames on the grid.
        off_grid: frames dropped because they lie off the grid of the others.
        tried: starts tried; `tried = windows + missing_observed + missing_forecast + too_short`.
        windows: starts accepted.
        missing_observed: too many consecutive frames missing, first in the observed part.
        missing_forecast: the same, first in the part to forecast.
        too_short: no frame follows before the window ends: the data end or break off there.
        episodes: runs of windows at a constant stride, each after a rejected start.
    """

    frames: int
    off_grid: int
    tried: int
    windows: int
    missing_observed: int
    missing_forecast: int
    too_short: int
    episodes: int

    def __str__(self) -> str:
        return (
            f"{self.windows} windows in {self.episodes} episodes; of {self.tried} starts tried, rejected: "
            f"{self.missing_observed} missing observed frames, {self.missing_forecast} missing frames to forecast, "
            f"{self.too_short} too short a run; {self.off_grid} frames off grid"
        )

    def as_dict(self) -> dict[str, int]:
        """Plain data for JSON."""
        return asdict(self)


def fixed_windows(
    times: ArrayLike,
    observed: int,
    forecast: int,
    stride: int,
    max_missing: int,
    interval: np.timedelta64 | int,
) -> Times:
    """Start times of the benchmark's *fixed* protocol (Shi et al. 2017), datetime64[s], ascending.

    Arguments:
        times: times of the frames that exist (any order).
        observed, forecast, stride: numbers of frames.
        max_missing: the longest run of consecutive missing frames that a window may hold.
        interval: frame interval, timedelta64 or seconds.

    The walk starts at the first frame. A valid window moves the start by `stride` slots, be there a frame or not;
    an invalid one moves it to the next frame that exists. A window is valid when no run of missing frames in its
    `observed + forecast` slots is longer than `max_missing`, counting runs at its edges as far as they lie inside
    it, and when both parts hold a frame. Midnight is no border. With 5 observed and 20 forecast frames, stride 5 and
    2 missing, the official validation frames give 2166 windows in 45 episodes.
    """
    starts = [
        s
        for s, reason in _walk(*_slots(times, interval)[:2], observed, forecast, stride, max_missing, interval)
        if reason is None
    ]
    return np.array(starts, np.int64).astype("datetime64[s]")


def window_report(
    times: ArrayLike,
    observed: int,
    forecast: int,
    stride: int,
    max_missing: int,
    interval: np.timedelta64 | int,
) -> WindowReport:
    """Counts of the walk that `fixed_windows` takes with the same arguments."""
    slots, origin, off_grid = _slots(times, interval)
    counts = {"missing_observed": 0, "missing_forecast": 0, "too_short": 0}
    windows = episodes = 0
    fresh = True
    for _, reason in _walk(slots, origin, observed, forecast, stride, max_missing, interval):
        if reason is None:
            windows += 1
            episodes += fresh
        else:
            counts[reason] += 1
        fresh = reason is not None
    tried = windows + sum(counts.values())
    return WindowReport(len(slots), off_grid, tried, windows, episodes=episodes, **counts)


def clip_starts(times: ArrayLike, length: int, max_missing: int, interval: np.timedelta64 | int) -> Times:
    """Every frame at which a clip of `length` slots may start, datetime64[s], ascending.

    No run of missing frames inside the clip is longer than `max_missing`; 0 asks for clips without a gap.
    """
    _check(length=length, max_missing=max_missing)
    slots, origin, _ = _slots(times, interval)
    last = np.searchsorted(slots, slots + length, side="left") - 1  # last frame of each clip
    too_long = np.diff(slots) - 1 > max_missing
    gaps_before = np.concatenate([[0], np.cumsum(too_long)])  # too long gaps before frame k
    positions = np.arange(len(slots))
    valid = (gaps_before[last] == gaps_before[positions]) & (slots + length - 1 - slots[last] <= max_missing)
    return (slots[valid] * interval_seconds(interval) + origin).astype("datetime64[s]")


def sample_starts(candidates: ArrayLike, batch_size: int, seed: int, step: int) -> Times:
    """`batch_size` starts drawn with replacement from `candidates`: a pure function of its arguments.

    Nothing is remembered between steps, so a resumed run sees the clips that an uninterrupted one sees.
    """
    starts = np.asarray(candidates, "datetime64[s]")
    if not len(starts):
        raise ValueError("there is no clip to sample from")
    _check(batch_size=batch_size, seed=seed, step=step)
    return starts[generator(seed, step).integers(0, len(starts), size=batch_size)]


def generator(seed: int, step: int) -> np.random.Generator:
    """Random numbers of an optimizer step: the same for the same arguments, whatever was drawn before."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, step])))


def _walk(
    slots: NDArray[np.int64],
    origin: int,
    observed: int,
    forecast: int,
    stride: int,
    max_missing: int,
    interval: np.timedelta64 | int,
) -> Iterator[tuple[int, str | None]]:
    """(start in seconds, None or the reason of its rejection) for every start that the protocol tries."""
    _check(observed=observed, forecast=forecast, stride=stride, max_missing=max_missing)
    step = interval_seconds(interval)
    position = int(slots[0]) if len(slots) else 0
    while len(slots) and position <= slots[-1]:
        reason = _rejection(slots, position, observed, forecast, max_missing)
        yield position * step + origin, reason
        if reason is None:
            position += stride
        else:
            following = int(np.searchsorted(slots, position, side="right"))
            if following == len(slots):
                return
            position = int(slots[following])


def _rejection(slots: NDArray[np.int64], start: int, observed: int, forecast: int, max_missing: int) -> str | None:
    """Why a window may not start at `start`, None where it may."""
    end = start + observed + forecast
    inside = slots[np.searchsorted(slots, start) : np.searchsorted(slots, end)]
    edges = np.concatenate([[start - 1], inside, [end]])
    too_long = np.flatnonzero(np.diff(edges) - 1 > max_missing)
    if len(too_long):
        first = too_long[0]
        if first == len(inside) and len(inside):
            return "too_short"
        return "missing_observed" if edges[first] + 1 < start + observed else "missing_forecast"
    split = start + observed
    if not len(inside) or inside[0] >= split:
        return "missing_observed"
    return None if inside[-1] >= split else "missing_forecast"


def _slots(times: ArrayLike, interval: np.timedelta64 | int) -> tuple[NDArray[np.int64], int, int]:
    """Slot numbers (unique, ascending), the time of slot 0 in seconds, and how many frames are off the grid.

    The grid is the one most frames lie on, so that data which start at 00:02 are as good as any.
    """
    step = interval_seconds(interval)
    present = np.unique(seconds(times))
    if not len(present):
        return present, 0, 0
    phases, counts = np.unique(present % step, return_counts=True)
    origin = int(phases[counts.argmax()])
    on_grid = present[present % step == origin]
    return (on_grid - origin) // step, origin, len(present) - len(on_grid)


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        least = 0 if name in ("max_missing", "seed", "step") else 1
        if value < least:
            raise ValueError(f"{name} is {value}, expected a whole number of at least {least}")
