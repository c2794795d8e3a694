"""`nowcast ingest`: from a source of radar frames to an archive, in parallel, incremental, safe to interrupt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

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
from nowcast.ingestion.day_jobs import DayJob, IngestContext, run_jobs
from nowcast.ingestion.leftovers import no_empty_archive, no_empty_folders
from nowcast.ingestion.plan import IngestOptions, IngestPlan, prepare, relation_in_words
from nowcast.ingestion.report import IngestReport, describe_splits, gather
from nowcast.ingestion.static_mask import derived_static_mask
from nowcast.readers import open_source
from nowcast.readers.source import Reader, SourceOptions
from nowcast.units import ZRRelation


def ingest(
    format: str | Reader,
    source: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    *,
    splits: Iterable[str] | Mapping[str, Iterable[object]] | None = None,
    days: Iterable[str] | None = None,
    interval: np.timedelta64 | None = None,
    tolerance: np.timedelta64 | None = None,
    center: tuple[float, float] | None = None,
    pixel: float | None = None,
    crs: str | None = None,
    site: str | None = None,
    zr: tuple[float, float] | ZRRelation | None = None,
    compression: Compression = "blosc_lz4",
    workers: int | None = None,
    executor: Executor | None = None,
    replace_days: bool = False,
    progress: bool = True,
) -> IngestReport:
    """Read radar files into an archive, new or begun; return the report, which lies in it too.

    Arguments:
        format: name of a radar format (`nowcast.readers.format_names()`), or a reader of your own.
        source: folder or file of that format.
        archive: folder of the archive; it is made, or days that are new or changed in the source are written to it.
        splits: `["train=2018-07-21,2018-07-22", …]` or a mapping name → days; None takes the source's own, where it
            has any. What a user gives stays until the user gives something else.
        days: read only these days (YYYY-MM-DD, or FIRST..LAST); None reads all.
        interval: frame interval; it divides a day. None: what the source says or its format usually has.
        tolerance: a frame off the time grid by at most this is used for the nearest free slot; None: a
            quarter of the interval.
        center, pixel, crs, site: the place, where the source does not state it (see
            `nowcast.readers.source.SourceOptions`). Without a place the archive has a plain Cartesian grid.
        zr: a and b of the source's relation Z = a R^b; None: what the source says or its format usually has.
        compression: "blosc_lz4" (fastest to read), "zstd", or "zlib" (read by every netCDF-4 tool, GDAL included).
        workers: processes; None takes one a core. Only where no executor is given.
        executor: where days are read; its workers must see the same folders. None: processes of this machine.
        replace_days: let this source overwrite days that came from another one.
        progress: show a progress bar.

    NowcastError where there is no frame, where grid, interval or Z-R relation are not the archive's, where a day is
    in two splits or came from another source, or where something cannot be written. An interrupted ingest leaves
    whole days; the same call again goes on and gives the archive that an undisturbed one gives, whatever the workers.
    """
    check_compression(compression)
    relation = ZRRelation(*zr) if isinstance(zr, tuple) else zr
    origin = open_source(format, Path(source), SourceOptions(center, pixel, crs, site, relation, interval))
    folder = Path(archive).resolve()
    plan = prepare(origin, folder, IngestOptions(splits, days, tolerance, compression))
    shape = plan.facts.grid.shape
    context = IngestContext(folder, origin, plan.facts, plan.metadata.attributes, compression)
    with no_empty_folders(folder), only_writer(folder), no_empty_archive(folder):
        remove_leftovers(folder)
        facts = _readable_facts(folder, shape)
        to_do = [job for job in plan.jobs if not _unchanged(job, facts)]
        if not replace_days:
            _refuse_other_source(plan, folder, to_do, facts)
        write_metadata(folder, plan.metadata)
        if to_do:
            remove_index(folder)
        done = {job.file: facts[job.file] for job in plan.jobs if _unchanged(job, facts)}
        for job, day in run_jobs(to_do, context, workers, executor, progress):
            done[job.file] = day
            if day.times:
                facts[job.file] = day
        index = FrameIndex.of({file: day_facts(folder, file, shape, facts) for file in day_files(folder)})
        write_index(folder, index)
        if not plan.mask_known:
            mask = derived_static_mask((folder / file for file in index.files), shape)
            write_metadata(folder, replace(plan.metadata, static_mask=mask))
        written = sum(bool(done[job.file].times) for job in to_do)
        report = _report(plan, folder, index, [(job, done[job.file]) for job in plan.jobs], written, days is None)
        report.write(folder)
        if not report.written:
            example = next(iter(report.unreadable), "none")
            raise NowcastError(
                f"none of the {report.found} frames in {origin.root} could be used, for example {example}"
            )
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


def _refuse_other_source(plan: IngestPlan, folder: Path, to_do: list[DayJob], facts: dict[Path, DayFacts]) -> None:
    """NowcastError where a source new to the archive has other frames for days that the archive holds."""
    if plan.stored is None or str(plan.source.root) in plan.stored.sources:
        return
    conflict = next((job for job in to_do if job.file in facts), None)
    if conflict is not None:
        raise NowcastError(
            f"the archive {folder} already holds {conflict.day.day} from {', '.join(plan.stored.sources)}, and "
            f"{plan.source.root} has other files for that day; ingest into a new folder, or "
            f"call ingest(…, replace_days=True) from Python"
        )


def _report(
    plan: IngestPlan,
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
        empty = set(listing.days) - {job.day.day for job, _ in outcome}
        fields["empty_days"] = sorted({*fields["empty_days"], *map(str, empty)})
    folders = {*listing.days, *with_frames, *index.times.astype("datetime64[D]")}
    listed = [(name, day) for name, days in metadata.splits.items() for day in days]
    return IngestReport(
        archive=str(folder),
        source=str(plan.source.root),
        interval_minutes=metadata.interval.astype(int) / 60,
        shape=metadata.grid.shape,
        grid=metadata.grid.describe(),
        place=plan.facts.place,
        rain=relation_in_words(plan.facts.zr),
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
