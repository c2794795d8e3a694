"""The latest frames of a dataset, slot by slot: what a nowcast is issued on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.radar.flags import UNSEEN, USABLE
from nowcast.radar.times import Times
from nowcast.units import CANONICAL_SCALE


@dataclass(frozen=True, eq=False)
class LatestFrames:
    """Frames one interval apart, the latest last; slots without a frame are code 0 and flag 0.

    Attributes:
        codes: uint8 (T, H, W), 8-bit codes of reflectivity.
        flags: uint8 (T, H, W), 0 unseen, 1 usable, 2 doubtful.
        present: bool (T,), False where there is no frame.
        times: datetime64[s] (T,).
        static_mask: bool (H, W), True = use this pixel.
    """

    codes: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    present: NDArray[np.bool_]
    times: Times
    static_mask: NDArray[np.bool_]


def interval_of(observed: xr.Dataset) -> np.timedelta64 | None:
    """Frame interval that a dataset states, timedelta64[s]; None where it does not. NowcastError where it is not radar.

    `observed` holds reflectivity(time, y, x) in dBZ.
    """
    if "reflectivity" not in observed or observed["reflectivity"].dims != ("time", "y", "x"):
        raise NowcastError("the observed dataset has no reflectivity(time, y, x) in dBZ; give Archive.dataset(times)")
    if observed.sizes["time"] == 0:
        raise NowcastError("the observed dataset holds no frame; a nowcast needs at least one")
    given = observed.attrs.get("frame_interval_seconds")
    return None if given is None else np.timedelta64(int(given), "s")


def shortest_step(observed: xr.Dataset) -> np.timedelta64:
    """The shortest time between two frames, for a dataset that does not state its interval."""
    times = observed["time"].values.astype("datetime64[s]")
    if len(times) < 2:
        raise NowcastError("the observed dataset holds one frame and no frame_interval_seconds attribute")
    return np.timedelta64(np.diff(np.sort(times)).min(), "s")


def pixel_of(observed: xr.Dataset) -> float | None:
    """Edge of a pixel in meters; None where x is missing, one pixel wide, or in another unit."""
    if "x" not in observed.coords or observed.sizes["x"] < 2:
        return None
    meters = {"m": 1, "km": 1000}.get(observed["x"].attrs.get("units", "m"))
    return None if meters is None else round(float(abs(observed["x"][1] - observed["x"][0])) * meters, 3)


def latest_frames(observed: xr.Dataset, count: int, interval: np.timedelta64) -> LatestFrames:
    """The last `count` slots of a dataset, up to its latest frame.

    Args:
        observed: reflectivity(time, y, x) in dBZ, NaN = unseen; where known, valid(time, y, x) flags and
            static_mask(y, x), True = use this pixel.
        count: number of slots.
        interval: frame interval.
    """
    have = observed["time"].values.astype("datetime64[s]")
    times = have.max() - interval * np.arange(count - 1, -1, -1)
    shape = (observed.sizes["y"], observed.sizes["x"])
    codes, flags = np.zeros((count, *shape), np.uint8), np.full((count, *shape), UNSEEN, np.uint8)
    present = np.isin(times, have)
    for slot in np.flatnonzero(present):
        frame = observed.isel(time=int(np.flatnonzero(have == times[slot])[0]))
        reflectivity = frame["reflectivity"].values
        given = frame["valid"].values if "valid" in observed else USABLE
        codes[slot] = CANONICAL_SCALE.encode(CANONICAL_SCALE.scale(reflectivity))
        flags[slot] = np.where(np.isfinite(reflectivity), given, UNSEEN)
    static_mask = np.ones(shape, bool)
    if "static_mask" in observed:
        static_mask = observed["static_mask"].transpose("y", "x").values.astype(bool)
    return LatestFrames(codes, flags, present, times, static_mask)
