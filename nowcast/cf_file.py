"""Writing CF-1.10 netCDF: what xarray leaves out or puts in that the conventions and GIS readers mind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.atomic_files import atomic_file
from nowcast.errors import NowcastError

if TYPE_CHECKING:
    import xarray as xr


def software() -> str:
    """Name and version of this program, for the attribute `source` of what it makes."""
    return f"nowcast {_version()}"


def write_cf(dataset: xr.Dataset, path: Path, encoding: Mapping[Any, Mapping[str, Any]] | None = None) -> Path:
    """Write a dataset as CF-1.10 netCDF-4, atomically; NowcastError where that cannot be.

    Times become whole seconds, labels characters (a string variable that is named like its dimension is not a CF
    coordinate), coordinates carry no _FillValue, and the grid mapping has a name. `encoding` is xarray's, and comes
    on top. Global attributes that the dataset lacks are added: Conventions, source, version, history.
    """
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} written by {software()}"
    added = {"source": software(), "version": _version(), "history": stamp}
    file = dataset.assign_attrs({**added, **dataset.attrs, "Conventions": "CF-1.10"})
    for name in {variable.attrs.get("grid_mapping") for variable in file.variables.values()} & set(file.variables):
        file[name].attrs.setdefault("long_name", "coordinate reference system")
    merged = {
        name: {**_encoding(variable, name in file.coords), **(encoding or {}).get(name, {})}
        for name, variable in file.variables.items()
    }
    try:
        with atomic_file(path) as temporary:
            file.to_netcdf(temporary, engine="netcdf4", encoding=merged)
    except RuntimeError as error:  # what the netCDF library says of a full disk
        raise NowcastError(f"{path} cannot be written ({error}); choose a folder that has room") from error
    return path


def _version() -> str:
    try:
        return version("nowcast")
    except PackageNotFoundError:  # run from a folder, not installed
        return "unknown"


def _encoding(variable: xr.Variable, coordinate: bool) -> dict[str, Any]:
    if np.issubdtype(variable.dtype, np.datetime64):
        return {"units": "seconds since 1970-01-01", "dtype": "int64", "_FillValue": None}
    if np.issubdtype(variable.dtype, np.timedelta64):
        return {"units": "seconds", "dtype": "int64", "_FillValue": None}
    if variable.dtype.kind in "OU":
        return {"dtype": "S1"}
    return {"_FillValue": None} if coordinate else {}
