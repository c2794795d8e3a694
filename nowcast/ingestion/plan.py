"""All that an ingest decides before it reads a frame: grid, interval, masks, splits, and which frame goes where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.archive.index import day_files
from nowcast.archive.metadata import GRID_FILE, Metadata, is_archive, read_metadata
from nowcast.archive.splits import Splits, merge_splits, parse_splits, refuse_overlap, refuse_typo
from nowcast.atomic_files import TEMPORARY_SUFFIX, WRITER_LOCK
from nowcast.errors import NowcastError
from nowcast.ingestion.day_jobs import DayJob
from nowcast.ingestion.schedule import DaySchedule, schedule
from nowcast.ingestion.static_mask import choose_static_mask
from nowcast.radar.times import parse_day, parse_days
from nowcast.readers.source import Listing, Rain, Source, SourceFacts
from nowcast.units import CANONICAL_ZR, ZRRelation

DAY = 86400


@dataclass(frozen=True, eq=False)
class IngestOptions:
    """What a caller of `ingest` chose, but for what it states about the source; see there."""

    splits: Iterable[str] | Mapping[str, Iterable[object]] | None = None
    days: Iterable[str] | None = None
    tolerance: np.timedelta64 | None = None
    compression: str = "blosc_lz4"


@dataclass(frozen=True, eq=False)
class IngestPlan:
    """An ingest ready to run.

    Attributes:
        facts: the source's, with the archive's in place of what nobody states.
        stored: metadata of the archive as it is now, None for a new one; `metadata` as it will be.
        mask_known: False where the static mask must be derived once the frames are read.
        jobs: one a day, in order; `rain` the source's day lists, split name → day → mm.
    """

    source: Source
    facts: SourceFacts
    listing: Listing
    stored: Metadata | None
    metadata: Metadata
    mask_known: bool
    jobs: list[DayJob]
    rain: dict[str, Rain]


def prepare(source: Source, folder: Path, options: IngestOptions) -> IngestPlan:
    """Decide everything, write nothing; NowcastError where source, archive and options contradict each other."""
    stored = _stored_metadata(folder)
    listing = source.listing()
    if not listing.frames:
        problem = f" ({listing.unreadable[0]})" if listing.unreadable else ""
        raise NowcastError(f"{source.root} holds no radar frame{problem}, expected {source.expected}")
    facts = _agreed(source.facts(listing.frames), stored, source, folder)
    interval, tolerance = _time_grid(facts.interval, options.tolerance)
    static_mask, mask_source = choose_static_mask(facts, stored)
    facts = replace(facts, static_mask=static_mask)
    days = _scheduled(listing, interval, tolerance, options.days)
    splits, splits_from = _splits(options.splits, facts.splits, stored, days, _days_in(folder))
    mask_digest = "derived" if static_mask is None else hashlib.sha256(static_mask.tobytes()).hexdigest()
    rules = [facts.reader, facts.grid.shape, interval, tolerance, mask_digest, options.compression]
    if facts.zr not in (None, CANONICAL_ZR):
        rules.append(facts.zr)
    earlier = stored.sources if stored is not None else ()
    until_derived = stored.static_mask if stored is not None else np.ones(facts.grid.shape, bool)
    metadata = Metadata(
        grid=facts.grid,
        interval=np.timedelta64(interval, "s"),
        static_mask=until_derived if static_mask is None else static_mask,
        static_mask_source=mask_source,
        splits=splits,
        splits_from=splits_from,
        sources=(*earlier, *({str(source.root)} - set(earlier))),
        attributes=_attributes(facts, tolerance),
    )
    jobs = [DayJob(day, day.digest(*rules)) for day in days]
    return IngestPlan(source, facts, listing, stored, metadata, static_mask is not None, jobs, facts.splits)


def _stored_metadata(folder: Path) -> Metadata | None:
    """Metadata of an archive already begun; NowcastError where the folder holds something else."""
    if is_archive(folder):
        return read_metadata(folder)
    if folder.exists() and not folder.is_dir():
        raise NowcastError(f"{folder} is a file, expected a new or empty folder for the archive")
    if folder.is_dir():
        ours = (GRID_FILE, TEMPORARY_SUFFIX, WRITER_LOCK)  # left by an ingest that was killed in its first moment
        foreign = next((path.name for path in sorted(folder.iterdir()) if not path.name.endswith(ours)), None)
        if foreign is not None:
            raise NowcastError(
                f"{folder} is not a radar archive but holds other files ({foreign}); give a new or empty folder"
            )
    return None


def _days_in(folder: Path) -> list[np.datetime64]:
    """Days that an archive holds already."""
    return [parse_day(file.stem) for file in day_files(folder)]


def _agreed(facts: SourceFacts, stored: Metadata | None, source: Source, folder: Path) -> SourceFacts:
    """The facts that this ingest works by; NowcastError where the source's are not the archive's.

    What neither the source nor the user states is as it is in the archive.
    """
    if stored is None:
        return facts
    advice = "per archive, so ingest into a new folder"
    there, here = stored.grid, facts.grid
    if there.shape != here.shape:
        raise NowcastError(
            f"frames in {source.root} are {here.shape[0]}×{here.shape[1]}, the archive {folder} holds "
            f"{there.shape[0]}×{there.shape[1]}: one grid {advice}"
        )
    if "grid" in facts.assumed:
        facts = replace(facts, grid=there, place=stored.attributes.get("place", facts.place))
    elif not there.same_as(here):
        raise NowcastError(
            f"the archive {folder} has {there.describe()}, which is not {here.describe()} of {source.root}: one grid "
            f"{advice}"
        )
    minutes = [time.astype("timedelta64[s]").astype(int) / 60 for time in (stored.interval, facts.interval)]
    if "interval" in facts.assumed:
        facts = replace(facts, interval=stored.interval)
    elif minutes[0] != minutes[1]:
        raise NowcastError(
            f"the archive {folder} has a frame every {minutes[0]:g} minutes, not every {minutes[1]:g}: one interval "
            f"{advice}"
        )
    relation = source_zr(stored.attributes)
    if "zr" in facts.assumed:
        return replace(facts, zr=relation)
    if relation != facts.zr:
        raise NowcastError(
            f"the archive {folder} was made with {relation_in_words(relation)}, not with "
            f"{relation_in_words(facts.zr)}: one Z-R relation {advice}"
        )
    return facts


def source_zr(attributes: Mapping[str, Any]) -> ZRRelation | None:
    """The Z-R relation by which an archive's source was read, from the archive's attributes; None for rain rates."""
    if "source_zr_a" in attributes:
        return ZRRelation(float(attributes["source_zr_a"]), float(attributes["source_zr_b"]))
    return None if attributes.get("source_quantity") == "rain rate" else CANONICAL_ZR  # archives of earlier versions


def relation_in_words(zr: ZRRelation | None) -> str:
    """The Z-R relation of a source."""
    return "rain rates" if zr is None else f"Z = {zr.a:g} R^{zr.b:g}"


def _time_grid(stated: np.timedelta64, wanted_tolerance: np.timedelta64 | None) -> tuple[int, int]:
    """(interval, tolerance) in seconds."""
    interval = float(stated / np.timedelta64(1, "s"))
    if not interval > 0 or DAY % interval or interval % 1:
        raise NowcastError(
            f"the frame interval is {interval / 60:g} minutes, expected one that divides a day, such as 5 or 6"
        )
    half = interval // 2
    tolerance = interval // 4 if wanted_tolerance is None else float(wanted_tolerance / np.timedelta64(1, "s"))
    if not 0 <= tolerance <= half:
        raise NowcastError(f"the tolerance is {tolerance:g} s, expected 0 to {half:g} s (half the interval)")
    return int(interval), int(tolerance)


def _scheduled(listing: Listing, interval: int, tolerance: int, only: Iterable[str] | None) -> list[DaySchedule]:
    """The days to ingest; NowcastError where no frame fits the time grid or none is on the days asked for."""
    days = schedule(listing.frames, interval, tolerance)
    if not any(day.slots for day in days):
        raise NowcastError(
            f"none of the {len(listing.frames)} frames, for example {listing.frames[0].label}, lies within "
            f"{tolerance} s of a slot of the {interval / 60:g}-minute grid from 00:00 UTC; give their frame interval"
        )
    if only is None:
        return days
    try:
        wanted = {day for text in only for day in parse_days(text)}
    except ValueError as error:
        raise NowcastError(f"the days to ingest: {error}") from None
    chosen = [day for day in days if day.day in wanted]
    if not chosen:
        raise NowcastError(
            f"the source has no frame on the days asked for; its days run from {days[0].day} to {days[-1].day}"
        )
    return chosen


def _splits(
    given: Iterable[str] | Mapping[str, Iterable[object]] | None,
    rain: Mapping[str, Rain],
    stored: Metadata | None,
    days: list[DaySchedule],
    known_days: Iterable[np.datetime64],
) -> tuple[Splits, str]:
    """(splits, where they are from). What a user gave stays until the user gives something else."""
    if given is not None:
        splits = parse_splits(given)
        _refuse_empty(splits, [*(day.day for day in days), *known_days])
        return splits, "user"
    if stored is not None and stored.splits_from == "user":
        return stored.splits, "user"
    for name in rain:
        refuse_typo(name)
    found = {name: np.array(sorted(amounts), "datetime64[D]") for name, amounts in rain.items()}
    merged = merge_splits(stored.splits if stored is not None else {}, found, [day.day for day in days])
    refuse_overlap(merged)
    return merged, "day lists" if merged else "none"


def _refuse_empty(splits: Splits, days: list[np.datetime64]) -> None:
    """NowcastError for a split none of whose days has a frame: a typo in a date would be found after the training."""
    empty = next((name for name, listed in splits.items() if not np.isin(listed, days).any()), None)
    if empty is not None:
        listed = splits[empty]
        given = str(listed[0]) if len(listed) == 1 else f"{listed[0]} to {listed[-1]}"
        raise NowcastError(
            f"no frame lies on the days of the split {empty} ({given}); the days that have frames run from "
            f"{min(days)} to {max(days)}"
        )


def _attributes(facts: SourceFacts, tolerance: int) -> dict[str, Any]:
    """Global attributes of the archive's files."""
    source_zr = {} if facts.zr is None else {"source_zr_a": facts.zr.a, "source_zr_b": facts.zr.b}
    return {
        "title": "radar reflectivity archive",
        "source": "weather radar",
        **facts.attributes,
        "source_format": facts.format,
        "source_quantity": "rain rate" if facts.zr is None else "reflectivity",
        **source_zr,
        "zr_relation": "Z = a R^b, Z in mm6 m-3, R in mm h-1; it holds for the reflectivity in this file",
        "zr_a": CANONICAL_ZR.a,
        "zr_b": CANONICAL_ZR.b,
        "place": facts.place,
        "time_stamp": facts.time_stamp,
        "resampling": f"none in space; frames up to {tolerance} s off the time grid stand in the nearest free slot",
        "reader": facts.reader,
    }
