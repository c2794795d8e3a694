"""Small radar worlds for the pictures: a square of rain that walks east, on a grid of 1 km."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nowcast.units import HKO7_ZR

ISSUE = np.datetime64("2018-07-24T03:30:00", "s")
INTERVAL = np.timedelta64(360, "s")
SIZE = 40
RATE = 7.0


def walking_square(position: int, size: int = SIZE, rate: float = RATE) -> np.ndarray:
    """Rain of `rate` mm/h in rows 10..19 and ten columns from `position`."""
    field = np.zeros((size, size), np.float32)
    field[10:20, position : position + 10] = rate
    return field


def nowcast(leads: int = 3, **changes: object) -> xr.Dataset:
    """A nowcast that moves the square one pixel a frame; the northern two rows are never seen."""
    fields = np.stack([walking_square(10 + k) for k in range(1, leads + 1)])
    static_mask = np.ones((SIZE, SIZE), bool)
    static_mask[:2] = False
    lead = np.arange(1, leads + 1) * INTERVAL
    dataset = xr.Dataset(
        {
            "rain_rate": (("issue_time", "lead_time", "y", "x"), fields[None]),
            "static_mask": (("y", "x"), static_mask),
        },
        {
            "issue_time": [ISSUE],
            "lead_time": lead,
            "valid_time": (("issue_time", "lead_time"), (ISSUE + lead)[None]),
            "y": (np.arange(SIZE)[::-1] * 1000.0),
            "x": np.arange(SIZE) * 1000.0,
        },
    )
    return dataset.assign(changes) if changes else dataset


def observed(first: int = -4, last: int = 3, missing: tuple[int, ...] = ()) -> xr.Dataset:
    """What Archive.dataset gives: frames `first`..`last` around the issue time; missing ones are nowhere seen."""
    steps = list(range(first, last + 1))
    rate = np.stack([walking_square(10 + 2 * k) for k in steps])
    reflectivity = np.where(rate > 0, HKO7_ZR.reflectivity(np.maximum(rate, 1e-3)), -10.0).astype(np.float32)
    valid = np.ones(rate.shape, np.uint8)
    for index, step in enumerate(steps):
        if step in missing:
            reflectivity[index], valid[index] = -10, 0
    grid = nowcast()
    return xr.Dataset(
        {"reflectivity": (("time", "y", "x"), reflectivity), "valid": (("time", "y", "x"), valid)},
        {"time": ISSUE + np.array(steps) * INTERVAL, "y": grid["y"].values, "x": grid["x"].values},
    )
