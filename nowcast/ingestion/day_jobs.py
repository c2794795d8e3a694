"""Writing days in parallel: one process writes one day file at a time, so no two ever share one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nowcast.archive.compression import Compression
from nowcast.archive.day_file import day_path, write_day
from nowcast.archive.index import DIGEST, REPORT, DayFacts
from nowcast.errors import NowcastError
from nowcast.ingestion.read_day import FrameReader
from nowcast.ingestion.schedule import DaySchedule
from nowcast.radar.grid import Grid


@dataclass(frozen=True)
class DayJob:
    """One day to read and write, and the digest of its sources."""

    day: DaySchedule
    digest: str

    @property
    def file(self) -> Path:
        """The day file, relative to the archive."""
        return day_path(self.day.day)


@dataclass(frozen=True, eq=False)
class Settings:
    """What all days of one ingest share."""

    folder: Path
    reader: FrameReader
    grid: Grid
    attributes: dict[str, Any]
    compression: Compression


def run_day(job: DayJob, settings: Settings) -> DayFacts:
    """Read one day and write its file; a day without a usable frame writes nothing and has no times."""
    content, report = settings.reader.read_day(job.day)
    if content is None:
        return DayFacts(0, [], job.digest, report)
    path = settings.folder / job.file
    attributes = {**settings.attributes, DIGEST: job.digest, REPORT: json.dumps(report)}
    write_day(path, content, settings.grid, attributes, settings.compression)
    return DayFacts(path.stat().st_size, content.times.astype(int).tolist(), job.digest, report)


def run_jobs(
    jobs: list[DayJob], settings: Settings, workers: int | None, progress: bool
) -> Iterator[tuple[DayJob, DayFacts]]:
    """Run all jobs, in whatever order they finish, with a progress bar that counts frames.

    An interrupt (Ctrl-C) lets the days in work finish and starts no other, then goes on as KeyboardInterrupt.
    """
    count = min(workers if workers is not None else os.cpu_count() or 1, len(jobs))
    # A log file wants a line now and then, a terminal a moving bar.
    pace = 0.1 if sys.stderr.isatty() else 10.0
    total = sum(job.day.found for job in jobs)
    with tqdm(total=total, unit=" frames", desc="ingest", disable=not progress or not jobs, mininterval=pace) as bar:
        for job, facts in _run(jobs, settings, count):
            bar.update(job.day.found)
            yield job, facts


def _run(jobs: list[DayJob], settings: Settings, workers: int) -> Iterator[tuple[DayJob, DayFacts]]:
    if workers <= 1:
        for job in jobs:
            yield job, run_day(job, settings)
        return
    # Spawned, not forked: HDF5 and OpenCV threads of the parent do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(settings,))
    try:
        pending = {pool.submit(_run_in_worker, job): job for job in jobs}
        for done in as_completed(pending):
            yield pending[done], done.result()
    except BrokenProcessPool as error:
        raise NowcastError(
            "a worker of the ingest died, perhaps for want of memory; finished days are kept, so run the ingest "
            'again with one worker (and in a script of yours, call it under: if __name__ == "__main__")'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker_settings: Settings | None = None


def _begin_worker(settings: Settings) -> None:
    """Ctrl-C reaches every process of the terminal; a worker finishes its day, the parent decides."""
    global _worker_settings
    _worker_settings = settings
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_in_worker(job: DayJob) -> DayFacts:
    assert _worker_settings is not None
    return run_day(job, _worker_settings)
