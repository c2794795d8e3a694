"""What holds for a whole archive: `archive.json` (format, interval, splits, source) and `grid.nc` (grid, mask)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from nowcast.archive.day_file import HISTORY, flag_attributes, write_grid
from nowcast.archive.splits import Splits
from nowcast.atomic_files import atomic_file, write_json
from nowcast.errors import NowcastError
from nowcast.radar.grid import Grid

FORMAT = "nowcast radar archive"
FORMAT_VERSION = 1
METADATA_FILE = "archive.json"
GRID_FILE = "grid.nc"


@dataclass(frozen=True, eq=False)
class Metadata:
    """Everything about an archive but its frames.

    Attributes:
        grid: pixel centers and projection.
        interval: frame interval, timedelta64[s].
        static_mask: bool (H, W), True = use this pixel.
        static_mask_source: where the static mask comes from, in words.
        splits: split name → days, datetime64[D].
        splits_from: "day lists", "user" or "none".
        sources: folders that days were read from.
        attributes: CF global attributes that every day file carries.
    """

    grid: Grid
    interval: np.timedelta64
    static_mask: NDArray[np.bool_]
    static_mask_source: str
    splits: Splits = field(default_factory=dict)
    splits_from: str = "none"
    sources: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Write `grid.nc`, then `archive.json`: a folder with the second is an archive and has both."""
    with atomic_file(folder / GRID_FILE) as temporary, netCDF4.Dataset(temporary, "w") as file:
        file.setncatts({"Conventions": "CF-1.10", "history": HISTORY, **metadata.attributes})
        write_grid(file, metadata.grid)
        mask = file.createVariable("static_mask", "u1", ("y", "x"), compression="zlib")
        mask.setncatts({**flag_attributes(metadata.grid), "long_name": "where the radar can see"})
        mask.source = metadata.static_mask_source
        mask.flag_values, mask.flag_meanings = np.array([0, 1], np.uint8), "unseen usable"
        mask[:] = metadata.static_mask.astype(np.uint8)
    write_json(
        folder / METADATA_FILE,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "shape": list(metadata.grid.shape),
            "interval_seconds": int(metadata.interval.astype("timedelta64[s]").astype(int)),
            "static_mask_source": metadata.static_mask_source,
            "splits_from": metadata.splits_from,
            "splits": {name: days.astype(str).tolist() for name, days in metadata.splits.items()},
            "sources": list(metadata.sources),
            "attributes": metadata.attributes,
        },
    )


def is_archive(folder: Path) -> bool:
    """Whether the folder says that it is an archive."""
    return (folder / METADATA_FILE).is_file()


def read_metadata(folder: Path) -> Metadata:
    """Metadata of an archive; NowcastError names the file that is missing or not what it should be."""
    if not folder.is_dir():
        raise NowcastError(f"{folder} does not exist, expected the folder of a radar archive (see nowcast ingest)")
    if not is_archive(folder):
        raise NowcastError(
            f"{folder} is not a radar archive (no {METADATA_FILE} in it); make one with: "
            "nowcast ingest FORMAT SOURCE ARCHIVE"
        )
    content = _read_json(folder / METADATA_FILE)
    try:
        with netCDF4.Dataset(folder / GRID_FILE, "r") as file:
            crs = _attributes(file["crs"]) if "crs" in file.variables else {}
            grid = Grid(np.asarray(file["y"][:], float), np.asarray(file["x"][:], float), crs)
            static_mask = np.asarray(file["static_mask"][:]) != 0
    except (OSError, IndexError, RuntimeError) as error:
        raise NowcastError(
            f"{folder / GRID_FILE} cannot be read as the grid of a radar archive ({error}); remove it together with "
            f"{METADATA_FILE} and ingest again"
        ) from error
    return Metadata(
        grid,
        np.timedelta64(content["interval_seconds"], "s"),
        static_mask,
        content["static_mask_source"],
        {name: np.array(days, "datetime64[D]") for name, days in content["splits"].items()},
        content["splits_from"],
        tuple(content["sources"]),
        content["attributes"],
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content["format"], content["format_version"]
        for key in (
            "interval_seconds",
            "static_mask_source",
            "splits",
            "splits_from",
            "sources",
            "attributes",
        ):
            content[key]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NowcastError(
            f"{path} does not describe a radar archive ({error}); restore it, or ingest into a new folder"
        ) from error
    if found != (FORMAT, FORMAT_VERSION):
        raise NowcastError(
            f"{path} says {found[0]} version {found[1]}, expected {FORMAT} version {FORMAT_VERSION}; "
            "use the version of nowcast that wrote it, or ingest again"
        )
    return dict(content)


def _attributes(variable: netCDF4.Variable) -> dict[str, Any]:
    """Attributes as plain Python values, as pyproj takes them."""
    values = {name: variable.getncattr(name) for name in variable.ncattrs()}
    return {k: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for k, v in values.items()}
