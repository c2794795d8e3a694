"""What was observed around a nowcast: the frames to show beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nowcast.archive import Archive
from nowcast.errors import NowcastError


def observed_around(archive: str | Path | Archive, nowcast: xr.Dataset, past_minutes: int = 60) -> xr.Dataset:
    """The frames of an archive that belong beside a nowcast: the past before its issue and what came true after.

    Args:
        archive: archive directory.
        nowcast: what a Nowcaster returns.
        past_minutes: how far back, minutes.

    Returns:
        `Archive.dataset` of the frames that exist in that span; NowcastError when there is none.
    """
    archive = archive if isinstance(archive, Archive) else Archive.open(archive)
    issued = nowcast["issue_time"].values.min().astype("datetime64[s]")
    first, last = issued - np.timedelta64(past_minutes * 60, "s"), nowcast["valid_time"].values.max()
    times = archive.times[(archive.times >= first) & (archive.times <= last.astype("datetime64[s]"))]
    if len(times) == 0:
        raise NowcastError(f"{archive.path} holds no frame between {first} and {last.astype('datetime64[s]')} UTC")
    if archive.shape != (nowcast.sizes["y"], nowcast.sizes["x"]):
        raise NowcastError(
            f"{archive.path} has frames of {archive.shape[0]}×{archive.shape[1]}, the nowcast is "
            f"{nowcast.sizes['y']}×{nowcast.sizes['x']}; give the archive that it was made from"
        )
    return archive.dataset(times)
