"""Forecast files: one nowcast as CF-1.10 netCDF that any netCDF tool opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nowcast.cf_file import write_cf
from nowcast.errors import NowcastError
from nowcast.units import HKO7_SCALE, HKO7_ZR

RAIN_RATE = {"standard_name": "rainfall_rate", "units": "mm h-1"}
"""What every rain rate says of itself (CF standard name; mm/h)."""

FRAME_MADE: dict[str, Any] = {
    "long_name": "what the frame before the issue time is",
    "flag_values": np.array([0, 1, 2], np.int8),
    "flag_meanings": "observed made_from_its_neighbors missing",
}
"""What `observed_frame_made` says of itself."""


def write_forecast(nowcast: xr.Dataset, path: str | Path, reflectivity: bool = False) -> Path:
    """Write one nowcast as CF-1.10 netCDF: `rainfall_rate(lead_time, y, x)` and its times and grid.

    Args:
        nowcast: what a Nowcaster returns, with one issue time.
        path: file ending in .nc; replaced whole if it exists.
        reflectivity: also write `reflectivity` in dBZ.
    """
    path = Path(path)
    if path.suffix != ".nc":
        raise NowcastError(f"{path} does not end in .nc; a nowcast is written as netCDF")
    if nowcast.sizes.get("issue_time") != 1:
        raise NowcastError(f"a forecast file holds one issue time, found {nowcast.sizes.get('issue_time')}; select one")
    one = nowcast.isel(issue_time=0)
    mapping = nowcast["rain_rate"].attrs.get("grid_mapping")
    grid = {"grid_mapping": mapping} if mapping else {}
    rate = {**RAIN_RATE, "coordinates": "time forecast_reference_time"}
    file = xr.Dataset(
        {
            "rainfall_rate": (
                ("lead_time", "y", "x"),
                one["rain_rate"].values,
                {**rate, "long_name": "rain rate, nowcast", **grid},
            ),
            "observed_rainfall_rate": (
                ("observed_time", "y", "x"),
                one["observed_rain_rate"].values,
                {
                    "standard_name": "rainfall_rate",
                    "units": "mm h-1",
                    "long_name": "rain rate, observed before the issue time",
                    **grid,
                },
            ),
            "static_mask": (
                ("y", "x"),
                one["static_mask"].values.astype(np.int8),
                {
                    "long_name": "seen by the radar",
                    "flag_values": np.array([0, 1], np.int8),
                    "flag_meanings": "unseen seen",
                    **grid,
                },
            ),
        },
        coords={
            "forecast_reference_time": ((), one["issue_time"].values, {"standard_name": "forecast_reference_time"}),
            "lead_time": ("lead_time", one["lead_time"].values, {"standard_name": "forecast_period"}),
            "time": ("lead_time", one["valid_time"].values, {"standard_name": "time"}),
            "observed_time": ("observed_time", one["observed_time"].values, {"standard_name": "time"}),
            "y": nowcast["y"],
            "x": nowcast["x"],
        },
        attrs={
            **{key: value for key, value in nowcast.attrs.items() if key not in ("source", "history", "version")},
            "title": "Precipitation nowcast",
        },
    )
    if reflectivity:
        decibels = HKO7_ZR.reflectivity(one["rain_rate"].values).clip(HKO7_SCALE.minimum, HKO7_SCALE.maximum)
        attrs = {"standard_name": "equivalent_reflectivity_factor", "units": "dBZ", **grid}
        file["reflectivity"] = (("lead_time", "y", "x"), decibels.astype(np.float32), attrs)
    if "observed_frame_made" in one:
        file["observed_frame_made"] = ("observed_time", one["observed_frame_made"].values.astype(np.int8), FRAME_MADE)
    if mapping:
        file[mapping] = nowcast[mapping]
    fields = ("rainfall_rate", "observed_rainfall_rate", "reflectivity")
    return write_cf(file, path, {name: {"zlib": True, "complevel": 4} for name in fields if name in file})


def read_forecast(path: str | Path) -> xr.Dataset:
    """The nowcast of a file that `write_forecast` made, as `Nowcaster` returned it."""
    path = Path(path)
    try:
        with xr.open_dataset(path, decode_timedelta=True) as opened:
            file = opened.load()
    except FileNotFoundError:
        raise NowcastError(
            f"{path} does not exist; make it with `nowcast forecast RUN ARCHIVE --output {path}`"
        ) from None
    except (OSError, ValueError) as error:
        raise NowcastError(f"{path} is not a readable netCDF file ({str(error).splitlines()[0][:120]})") from None
    if "rainfall_rate" not in file or "lead_time" not in file["rainfall_rate"].dims:
        raise NowcastError(
            f"{path} holds no rainfall_rate(lead_time, y, x); expected a file made by `nowcast forecast`"
        )
    issue = file["forecast_reference_time"].values
    nowcast = xr.Dataset(
        {
            "rain_rate": (("issue_time", "lead_time", "y", "x"), file["rainfall_rate"].values[None], dict(RAIN_RATE)),
            "observed_rain_rate": (("observed_time", "y", "x"), file["observed_rainfall_rate"].values, dict(RAIN_RATE)),
            "static_mask": (("y", "x"), file["static_mask"].values.astype(bool)),
        },
        coords={
            "issue_time": [issue],
            "lead_time": file["lead_time"].values,
            "valid_time": (("issue_time", "lead_time"), file["time"].values[None]),
            "observed_time": file["observed_time"].values,
            "y": file["y"],
            "x": file["x"],
        },
        attrs=file.attrs,
    )
    if "observed_frame_made" in file:
        nowcast["observed_frame_made"] = ("observed_time", file["observed_frame_made"].values, dict(FRAME_MADE))
    mapping = file["rainfall_rate"].attrs.get("grid_mapping") or file["rainfall_rate"].encoding.get("grid_mapping")
    if mapping in file.variables:
        nowcast[mapping] = file[mapping].reset_coords(drop=True)
        for name in ("rain_rate", "observed_rain_rate", "static_mask"):
            nowcast[name].attrs["grid_mapping"] = mapping
    return nowcast
