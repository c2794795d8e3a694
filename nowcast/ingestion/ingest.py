"""`nowcast ingest`: from radar files on a disk to an archive, in parallel, incremental, safe to interrupt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.archive.compression import Compression, check_compression
from nowcast.archive.index import (
    DayFacts,
    FrameIndex,
    day_facts,
    day_files,
    read_cache,
    remove_index,
    write_index,
)
from nowcast.archive.metadata import write_metadata
from nowcast.atomic_files import only_writer, remove_leftovers
from nowcast.errors import NowcastError
from nowcast.ingestion.day_jobs import DayJob, Settings, run_jobs
from nowcast.ingestion.plan import SIX_MINUTES, Choices, Preparation, prepare
from nowcast.ingestion.report import IngestReport, describe_splits, gather
from nowcast.ingestion.static_mask import derived_static_mask
from nowcast.readers.hko7 import Hko7Source


def ingest(
    layout: str, source: str | os.PathLike[str], archive: str | os.PathLike[str], **options: Any
) -> IngestReport:
    """Read radar files of a named layout ("hko7") into an archive; the options are those of its reader."""
    if layout not in READERS:
        raise NowcastError(f"{layout!r} is no layout that can be read; expected one of {', '.join(READERS)}")
    return READERS[layout](source, archive, **options)


def ingest_hko7(
    source: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    *,
    splits: Iterable[str] | Mapping[str, Iterable[object]] | None = None,
    days: Iterable[str] | None = None,
    interval: np.timedelta64 = SIX_MINUTES,
    tolerance: np.timedelta64 | None = None,
    compression: Compression = "blosc_lz4",
    pixel_metres: float | None = None,
    center: tuple[float, float] | None = None,
    workers: int | None = None,
    replace_days: bool = False,
    progress: bool = True,
) -> IngestReport:
    """Read radar in the HKO-7 layout into an archive, new or begun; return the report, which lies in it too.

    Arguments:
        source: folder with radarPNG/ (see `nowcast.readers.hko7`), or radarPNG itself.
        archive: folder of the archive; it is made, or days that are new or changed in the source are written to it.
        splits: `["train=2018-07-21,2018-07-22", …]` or a mapping name → days; None takes the day lists beside the
            images. What a user gives stays until the user gives something else.
        days: read only these days (YYYY-MM-DD, or FIRST..LAST); None reads all.
        interval: frame interval; it divides a day.
        tolerance: a frame off the time grid by at most this is used for the nearest free slot; None: a
            quarter of the interval.
        compression: "blosc_lz4" (fastest to read), "zstd", or "zlib" (read by every netCDF-4 tool).
        pixel_metres, center: grid of frames that are not HKO-7's: pixel edge in metres, and (latitude, longitude)
            of the middle in degrees.
        workers: processes; None takes one a core.
        replace_days: let this source overwrite days that came from another one.
        progress: show a progress bar.

    NowcastError where there is no frame, where grid or interval are not the archive's, where a day is in two splits
    or came from another source, or where something cannot be written. An interrupted ingest leaves whole days; the
    same call again goes on and gives the archive that an undisturbed one gives.
    """
    check_compression(compression)
    origin, folder = Hko7Source.open(source), Path(archive).resolve()
    choices = Choices(splits, days, interval, tolerance, compression, pixel_metres, center)
    plan = prepare(origin, folder, choices)
    settings = Settings(folder, plan.reader, plan.metadata.grid, plan.metadata.attributes, compression)
    with only_writer(folder):
        remove_leftovers(folder)
        facts = _readable_facts(folder, plan.reader.shape)
        to_do = [job for job in plan.jobs if not _unchanged(job, facts)]
        if not replace_days:
            _refuse_other_source(plan, folder, to_do, facts)
        write_metadata(folder, plan.metadata)
        if to_do:
            remove_index(folder)
        done = {job.file: facts[job.file] for job in plan.jobs if _unchanged(job, facts)}
        for job, day in run_jobs(to_do, settings, workers, progress):
            done[job.file] = day
            if day.times:
                facts[job.file] = day
        index = FrameIndex.of({file: day_facts(folder, file, plan.reader.shape, facts) for file in day_files(folder)})
        write_index(folder, index)
        if not plan.mask_known:
            mask = derived_static_mask((folder / file for file in index.files), plan.reader.shape)
            write_metadata(folder, replace(plan.metadata, static_mask=mask))
        written = sum(bool(done[job.file].times) for job in to_do)
        report = _report(plan, folder, index, [(job, done[job.file]) for job in plan.jobs], written, days is None)
        report.write(folder)
    if not report.written:
        example = next(iter(report.unreadable), "none")
        raise NowcastError(f"none of the {report.found} frames in {origin.root} could be used, for example {example}")
    return report


def _readable_facts(folder: Path, shape: tuple[int, int]) -> dict[Path, DayFacts]:
    """Facts of the day files that can be read; a damaged one counts as not there, so that it is written again."""
    cached, facts = read_cache(folder), {}
    for file in day_files(folder):
        try:
            facts[file] = day_facts(folder, file, shape, cached)
        except NowcastError:
            continue
    return facts


def _unchanged(job: DayJob, facts: dict[Path, DayFacts]) -> bool:
    """Whether a day was made from the same files by the same rules, and nothing hindered that may be gone now."""
    day = facts.get(job.file)
    return day is not None and day.digest == job.digest and not day.report.get("retry", False)


def _refuse_other_source(plan: Preparation, folder: Path, to_do: list[DayJob], facts: dict[Path, DayFacts]) -> None:
    """NowcastError where a source new to the archive has other frames for days that the archive holds."""
    if plan.stored is None or str(plan.origin.root) in plan.stored.sources:
        return
    conflict = next((job for job in to_do if job.file in facts), None)
    if conflict is not None:
        raise NowcastError(
            f"the archive {folder} already holds {conflict.day.day} from {', '.join(plan.stored.sources)}, and "
            f"{plan.origin.root} has other files for that day; ingest into a new folder, or "
            f"call ingest_hko7(…, replace_days=True) from Python"
        )


def _report(
    plan: Preparation,
    folder: Path,
    index: FrameIndex,
    outcome: list[tuple[DayJob, DayFacts]],
    written: int,
    whole_source: bool,
) -> IngestReport:
    """The account of this run: what it met, and what earlier runs met on days that did not change."""
    metadata, listing = plan.metadata, plan.listing
    fields = gather([(str(job.day.day), facts) for job, facts in outcome], metadata.interval)
    with_frames = [job.day.day for job, facts in outcome if facts.times]
    if whole_source:
        empty = set(listing.day_folders) - {job.day.day for job, _ in outcome}
        fields["empty_days"] = sorted({*fields["empty_days"], *map(str, empty)})
    folders = {*listing.day_folders, *with_frames, *index.times.astype("datetime64[D]")}
    listed = [(name, day) for name, days in metadata.splits.items() for day in days]
    return IngestReport(
        archive=str(folder),
        source=str(plan.origin.root),
        interval_minutes=metadata.interval.astype(int) / 60,
        shape=metadata.grid.shape,
        static_mask=metadata.static_mask_source,
        days=len(with_frames),
        days_written=written,
        days_unchanged=len(with_frames) - written,
        days_without_folder=[f"{day} ({name})" for name, day in listed if day not in folders],
        stray=listing.stray,
        unlisted=listing.unreadable,
        splits=describe_splits(metadata.splits, np.asarray(index.times), plan.rain),
        **fields,
    )


READERS: dict[str, Callable[..., IngestReport]] = {"hko7": ingest_hko7}
"""Layouts that `ingest` knows by name."""
