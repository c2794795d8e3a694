"""One day of an archive: a CF-1.10 netCDF-4 file, written atomically."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from nowcast.archive.compression import CHUNK_FRAMES, Compression, compression_options
from nowcast.atomic_files import atomic_file
from nowcast.errors import NowcastError
from nowcast.radar.flags import DOUBTFUL, FLAG_MEANINGS, UNSEEN, USABLE
from nowcast.radar.grid import Grid
from nowcast.radar.times import Times, seconds
from nowcast.units import CANONICAL_SCALE


@dataclass(frozen=True, eq=False)
class DayContent:
    """The frames of one UTC day.

    Attributes:
        times: datetime64[s] (T,), strictly ascending, T ≥ 1.
        codes: uint8 (T, H, W), 8-bit reflectivity codes, 0 = no echo; row 0 is north.
        flags: uint8 (T, H, W), 0 unseen, 1 usable, 2 doubtful.
    """

    times: Times
    codes: NDArray[np.uint8]
    flags: NDArray[np.uint8]


HISTORY = "ingested by nowcast"
"""Neither time nor version, so that the same frames give the same file."""


def day_path(day: np.datetime64) -> Path:
    """Path of a day inside its archive: 2018/07/20180721.nc."""
    year, month, number = str(day.astype("datetime64[D]")).split("-")
    return Path(year, month, f"{year}{month}{number}.nc")


def write_day(
    path: Path,
    content: DayContent,
    grid: Grid,
    attributes: dict[str, Any],
    compression: Compression = "blosc_lz4",
) -> None:
    """Write one day; an interrupted call leaves nothing. `attributes` become global attributes of the file.

    Nothing in the file depends on when or by whom it was written, so the same frames give the same file. Every chunk
    has a checksum (HDF5's Fletcher-32): a flipped bit is an error when it is read, and not other rain.
    NowcastError where it cannot be written.
    """
    try:
        with atomic_file(path) as temporary, netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
            file.setncatts({"Conventions": "CF-1.10", "history": HISTORY, **attributes})
            _write(file, content, grid, compression)
    except RuntimeError as error:  # what the netCDF library says of a full disk
        raise NowcastError(f"cannot write {path} ({error}); is the disk full?") from error


def _write(file: netCDF4.Dataset, content: DayContent, grid: Grid, compression: Compression) -> None:
    file.createDimension("time", len(content.times))
    write_grid(file, grid)
    time = file.createVariable("time", "i8", ("time",), fletcher32=True)
    time.setncatts({"standard_name": "time", "axis": "T", "calendar": "standard"})
    time.units = "seconds since 1970-01-01 00:00:00"
    time[:] = seconds(content.times)
    for name, values, attributes in (
        ("reflectivity", content.codes, _REFLECTIVITY | mapping_attribute(grid)),
        ("valid", content.flags, {"long_name": "where the radar can see", **flag_attributes(grid)}),
    ):
        options = compression_options(compression, values)
        chunk = (min(CHUNK_FRAMES, len(values)), *grid.shape)
        # Whole chunks are written, so a cache would only copy them: without one, writing takes 0.4 of the time.
        field = file.createVariable(
            name, "u1", ("time", "y", "x"), chunksizes=chunk, chunk_cache=1024, fletcher32=True, **options
        )
        field.set_auto_maskandscale(False)
        field.setncatts(attributes)
        field[:] = values
    usable = file.createVariable("ever_usable", "u1", ("y", "x"), compression="zlib", fletcher32=True)
    usable.setncatts({"long_name": "1 where a frame of the day was usable", **mapping_attribute(grid)})
    ever = np.zeros(grid.shape, bool)
    for flags in content.flags:  # frame by frame: a field of the size of the day would cost more than the rest
        ever |= flags == USABLE
    usable[:] = ever.astype(np.uint8)


_REFLECTIVITY = {
    "standard_name": "equivalent_reflectivity_factor",
    "long_name": "radar reflectivity",
    "units": "dBZ",
    "scale_factor": np.float32((CANONICAL_SCALE.maximum - CANONICAL_SCALE.minimum) / 255),
    "add_offset": np.float32(CANONICAL_SCALE.minimum),
    "comment": "the lowest value means that the radar saw no echo, where valid is not unseen",
    "ancillary_variables": "valid",
}


def open_day(path: Path) -> netCDF4.Dataset:
    """A day file open for reading raw codes: no masked arrays, no scaling, no chunk cache to speak of.

    The default cache of 64 MiB a variable would hold a whole day of each of hundreds of open files, and makes
    single reads slower: with a cache smaller than a chunk, chunks are decoded straight into the result.
    NowcastError where the file is truncated or is not a day of an archive.
    """
    try:
        file = netCDF4.Dataset(path, "r")
        file.set_auto_mask(False)
        file.set_auto_scale(False)
        for name in ("reflectivity", "valid"):
            file[name].set_var_chunk_cache(size=1024, nelems=101, preemption=1.0)
        return file
    except (OSError, IndexError, RuntimeError) as error:
        raise NowcastError(
            f"{path} cannot be read as a day of a radar archive ({error}); remove it and ingest that day again"
        ) from error


def write_grid(file: netCDF4.Dataset, grid: Grid) -> None:
    """Dimensions y, x with their coordinates, and the grid mapping where there is one."""
    for name, values in (("y", grid.y), ("x", grid.x)):
        file.createDimension(name, len(values))
        axis = file.createVariable(name, "f8", (name,))
        axis.setncatts(grid.axis_attributes(name))
        axis[:] = values
    if grid.crs_attributes:
        file.createVariable("crs", "i4").setncatts(grid.crs_attributes)


def mapping_attribute(grid: Grid) -> dict[str, str]:
    """The attribute that ties a field to its grid mapping; empty where the projection is not known."""
    return {"grid_mapping": "crs"} if grid.crs_attributes else {}


def flag_attributes(grid: Grid) -> dict[str, Any]:
    """CF attributes of a variable of flags."""
    values = np.array([UNSEEN, USABLE, DOUBTFUL], np.uint8)
    return {"flag_values": values, "flag_meanings": FLAG_MEANINGS, **mapping_attribute(grid)}
