"""Time on the archive's grid: slots, and which of them are missing."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

Times = NDArray[np.datetime64]

LONGEST_NIGHT_GAP = np.timedelta64(3600, "s")
"""A gap across midnight that is longer than this is a break between two events, not missing frames."""


def seconds(times: ArrayLike) -> NDArray[np.int64]:
    """Seconds since 1970-01-01 00:00 UTC of any datetime64, int64, same shape."""
    return np.asarray(times, dtype="datetime64[s]").astype(np.int64)


def interval_seconds(interval: np.timedelta64 | int | float) -> int:
    """A frame interval (timedelta64, or a number of seconds) in whole seconds, > 0; ValueError otherwise."""
    value = interval.astype("timedelta64[s]").astype(int) if isinstance(interval, np.timedelta64) else int(interval)
    if value <= 0:
        raise ValueError(f"the frame interval is {interval}, expected a positive duration")
    return int(value)


def missing_slots(times: ArrayLike, interval: np.timedelta64 | int) -> Times:
    """Slots without a frame inside continuous data, datetime64[s], ascending.

    Continuous means: between the first and the last frame of one UTC day, or across midnight where the gap is no
    longer than an hour. What lies before the first frame of an event or after its last is not missing: radar
    archives hold rainy days, not every day.

    >>> missing_slots(np.array(["2018-07-22T05:54", "2018-07-22T06:06"], "datetime64[s]"), 360)
    array(['2018-07-22T06:00:00'], dtype='datetime64[s]')
    """
    step = interval_seconds(interval)
    present = np.unique(seconds(times))
    gap = np.diff(present)
    same_day = present[1:] // 86400 == present[:-1] // 86400
    continuous = (gap > step) & (same_day | (gap <= LONGEST_NIGHT_GAP.astype(int)))
    slots = [np.arange(present[k] + step, present[k + 1], step) for k in np.flatnonzero(continuous)]
    return np.concatenate(slots or [np.empty(0, np.int64)]).astype("datetime64[s]")


def parse_day(text: str) -> np.datetime64:
    """A day written as YYYY-MM-DD or YYYYMMDD; ValueError says that it is none."""
    compact = text.replace("-", "")
    try:
        if re.fullmatch(r"\d{8}|\d{4}-\d\d-\d\d", text):
            return np.datetime64(f"{compact[:4]}-{compact[4:6]}-{compact[6:]}", "D")
    except ValueError:
        pass  # numpy's words are about its parser
    raise ValueError(f"{text!r} is not a day, expected YYYY-MM-DD such as 2018-07-21")


def parse_days(text: str) -> list[np.datetime64]:
    """A day, or FIRST..LAST, every day from the first to the last; ValueError says what is wrong.

    >>> [str(day) for day in parse_days("2018-07-30..2018-08-01")]
    ['2018-07-30', '2018-07-31', '2018-08-01']
    """
    first, dots, last = (part.strip() for part in text.partition(".."))
    if not dots:
        return [parse_day(first)]
    days = np.arange(parse_day(first), parse_day(last) + np.timedelta64(1, "D"))
    if not len(days):
        raise ValueError(f"{text!r} holds no day, expected FIRST..LAST with the earlier day first")
    return list(days)
