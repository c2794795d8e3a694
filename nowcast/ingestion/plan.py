"""All that an ingest decides before it reads a frame: grid, interval, masks, splits, and which frame goes where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.archive.metadata import GRID_FILE, Metadata, is_archive, read_metadata
from nowcast.archive.splits import Splits, merge_splits, parse_splits, refuse_overlap
from nowcast.atomic_files import TEMPORARY_SUFFIX
from nowcast.errors import NowcastError
from nowcast.ingestion.day_jobs import DayJob
from nowcast.ingestion.read_day import READER, FrameReader, majority_shape
from nowcast.ingestion.schedule import DaySchedule, schedule
from nowcast.ingestion.static_mask import choose_static_mask
from nowcast.radar.grid import Grid, hko7_grid
from nowcast.readers.hko7 import Hko7Source, Listing
from nowcast.units import HKO7_ZR

DAY = 86400
SIX_MINUTES = np.timedelta64(360, "s")


@dataclass(frozen=True, eq=False)
class Choices:
    """What a caller of `ingest_hko7` chose; see there."""

    splits: Iterable[str] | Mapping[str, Iterable[object]] | None = None
    days: Iterable[str] | None = None
    interval: np.timedelta64 = SIX_MINUTES
    tolerance: np.timedelta64 | None = None
    compression: str = "blosc_lz4"
    pixel_metres: float | None = None
    center: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Preparation:
    """An ingest ready to run.

    Attributes:
        stored: metadata of the archive as it is now, None for a new one; `metadata` as it will be.
        mask_known: False where the static mask must be derived once the frames are read.
        jobs: one a day, in order; `rain` the source's day lists, split name → day → mm.
    """

    origin: Hko7Source
    listing: Listing
    stored: Metadata | None
    metadata: Metadata
    mask_known: bool
    reader: FrameReader
    jobs: list[DayJob]
    rain: dict[str, dict[np.datetime64, float]]


def prepare(origin: Hko7Source, folder: Path, choices: Choices) -> Preparation:
    """Decide everything, write nothing; NowcastError where source, archive and choices contradict each other."""
    stored = _stored_metadata(folder)
    listing = origin.listing()
    interval, tolerance = _time_grid(choices, stored, folder)
    shape = _shape(origin, listing, stored, folder)
    grid = _grid(stored, folder, shape, choices)
    static_mask, mask_source = choose_static_mask(origin, stored, shape)
    days = _scheduled(listing, interval, tolerance, choices.days)
    rain = origin.day_lists()
    splits, splits_from = _splits(choices.splits, rain, stored, days)
    mask_digest = "derived" if static_mask is None else hashlib.sha256(static_mask.tobytes()).hexdigest()
    rules = (READER, shape, interval, tolerance, mask_digest, choices.compression)
    earlier = stored.sources if stored is not None else ()
    until_derived = stored.static_mask if stored is not None else np.ones(shape, bool)
    metadata = Metadata(
        grid=grid,
        interval=np.timedelta64(interval, "s"),
        static_mask=until_derived if static_mask is None else static_mask,
        static_mask_source=mask_source,
        splits=splits,
        splits_from=splits_from,
        sources=(*earlier, *({str(origin.root)} - set(earlier))),
        attributes=_attributes(tolerance),
    )
    return Preparation(
        origin=origin,
        listing=listing,
        stored=stored,
        metadata=metadata,
        mask_known=static_mask is not None,
        reader=FrameReader(origin.root, shape, static_mask),
        jobs=[DayJob(day, day.digest(*rules)) for day in days],
        rain=rain,
    )


def _stored_metadata(folder: Path) -> Metadata | None:
    """Metadata of an archive already begun; NowcastError where the folder holds something else."""
    if is_archive(folder):
        return read_metadata(folder)
    if folder.exists() and not folder.is_dir():
        raise NowcastError(f"{folder} is a file, expected a new or empty folder for the archive")
    if folder.is_dir():
        ours = (GRID_FILE, TEMPORARY_SUFFIX)  # left by an ingest that was killed in its first moment
        foreign = next((path.name for path in sorted(folder.iterdir()) if not path.name.endswith(ours)), None)
        if foreign is not None:
            raise NowcastError(
                f"{folder} is no radar archive but holds other files ({foreign}); give a new or empty folder"
            )
    return None


def _time_grid(choices: Choices, stored: Metadata | None, folder: Path) -> tuple[int, int]:
    """(interval, tolerance) in seconds."""
    interval = float(choices.interval / np.timedelta64(1, "s"))
    if not interval > 0 or DAY % interval or interval % 1:
        raise NowcastError(
            f"the frame interval is {interval / 60:g} minutes, expected one that divides a day, such as 5 or 6"
        )
    if stored is not None and stored.interval.astype(int) != interval:
        raise NowcastError(
            f"the archive {folder} has a frame every {stored.interval.astype(int) / 60:g} minutes, not every "
            f"{interval / 60:g}: one interval per archive, so ingest into a new folder"
        )
    half = interval // 2
    tolerance = interval // 4 if choices.tolerance is None else float(choices.tolerance / np.timedelta64(1, "s"))
    if not 0 <= tolerance <= half:
        raise NowcastError(f"the tolerance is {tolerance:g} s, expected 0 to {half:g} s (half the interval)")
    return int(interval), int(tolerance)


def _shape(origin: Hko7Source, listing: Listing, stored: Metadata | None, folder: Path) -> tuple[int, int]:
    """(H, W) that most frames have; NowcastError where there is none, or it is not the archive's."""
    images = origin.root / origin.images
    if not listing.frames:
        problem = f" ({listing.unreadable[0]})" if listing.unreadable else ""
        raise NowcastError(
            f"{images} holds no radar frame{problem}, expected files like 2018/07/21/RAD180721001200.png in it"
        )
    shape = majority_shape(origin.root, listing.frames)
    if shape is None:
        raise NowcastError(
            f"none of the {len(listing.frames)} frames in {images} is a readable PNG file, for example "
            f"{listing.frames[0].image}; check the copy and its permissions"
        )
    if stored is not None and stored.grid.shape != shape:
        there = stored.grid.shape
        raise NowcastError(
            f"frames in {images} are {shape[0]}×{shape[1]}, the archive {folder} holds {there[0]}×{there[1]}: one grid "
            "per archive, so ingest into a new folder"
        )
    return shape


def _grid(stored: Metadata | None, folder: Path, shape: tuple[int, int], choices: Choices) -> Grid:
    """The stored grid, unless the caller asks for one: then that must be the same."""
    if stored is not None and choices.pixel_metres is None and choices.center is None:
        return stored.grid
    grid = hko7_grid(shape, choices.pixel_metres, choices.center)
    if stored is not None and not stored.grid.same_as(grid):
        raise NowcastError(
            f"the archive {folder} has another pixel size or center than the ones given: one grid per archive, so "
            "ingest into a new folder"
        )
    return grid


def _scheduled(listing: Listing, interval: int, tolerance: int, only: Iterable[str] | None) -> list[DaySchedule]:
    """The days to ingest; NowcastError where no frame fits the time grid or none is on the days asked for."""
    days = schedule(listing.frames, interval, tolerance)
    if not any(day.slots for day in days):
        raise NowcastError(
            f"none of the {len(listing.frames)} frames, for example {listing.frames[0].image}, lies within "
            f"{tolerance} s of a slot of the {interval / 60:g}-minute grid from 00:00 UTC; give their frame interval"
        )
    if only is None:
        return days
    wanted = set(parse_splits({"days": only})["days"])
    chosen = [day for day in days if day.day in wanted]
    if not chosen:
        raise NowcastError(
            f"the source has no frame on the days asked for; its days run from {days[0].day} to {days[-1].day}"
        )
    return chosen


def _splits(
    given: Iterable[str] | Mapping[str, Iterable[object]] | None,
    rain: dict[str, dict[np.datetime64, float]],
    stored: Metadata | None,
    days: list[DaySchedule],
) -> tuple[Splits, str]:
    """(splits, where they are from). What a user gave stays until the user gives something else."""
    if given is not None:
        return parse_splits(given), "user"
    if stored is not None and stored.splits_from == "user":
        return stored.splits, "user"
    found = {name: np.array(sorted(amounts), "datetime64[D]") for name, amounts in rain.items()}
    merged = merge_splits(stored.splits if stored is not None else {}, found, [day.day for day in days])
    refuse_overlap(merged)
    return merged, "day lists" if merged else "none"


def _attributes(tolerance: int) -> dict[str, Any]:
    return {
        "title": "radar reflectivity archive",
        "source": "weather radar",
        "source_format": "HKO-7 layout: 8-bit PNG, codes 0 to 255 for -10 to 60 dBZ",
        "zr_relation": "Z = a R^b, Z in mm6 m-3, R in mm h-1",
        "zr_a": HKO7_ZR.a,
        "zr_b": HKO7_ZR.b,
        "time_stamp": "as in the file name, taken as UTC; the source does not say whether a scan starts or ends then",
        "resampling": f"none in space; frames up to {tolerance} s off the time grid stand in the nearest free slot",
        "reader": READER,
    }
