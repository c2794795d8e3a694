"""Writing days in parallel: each day is a task of plain data that writes one file, so no two ever share one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nowcast.archive.compression import Compression
from nowcast.archive.day_file import day_path, write_day
from nowcast.archive.index import DIGEST, REPORT, DayFacts
from nowcast.errors import NowcastError
from nowcast.ingestion.read_day import read_day
from nowcast.ingestion.schedule import DaySchedule
from nowcast.readers.source import Source, SourceFacts

_writing = threading.Lock()  # netCDF-C is not thread-safe, and an executor may have threads


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
class IngestContext:
    """What all days of one ingest share; `attributes` become global attributes of the day files."""

    folder: Path
    source: Source
    facts: SourceFacts
    attributes: dict[str, Any]
    compression: Compression


def run_day(job: DayJob, context: IngestContext) -> DayFacts:
    """Read one day and write its file; a day without a usable frame writes nothing and has no times."""
    content, report = read_day(context.source, context.facts, job.day)
    if content is None:
        return DayFacts(0, [], job.digest, report)
    path = context.folder / job.file
    attributes = {**context.attributes, DIGEST: job.digest, REPORT: json.dumps(report)}
    with _writing:
        write_day(path, content, context.facts.grid, attributes, context.compression)
    return DayFacts(path.stat().st_size, content.times.astype(int).tolist(), job.digest, report)


def run_jobs(
    jobs: list[DayJob], context: IngestContext, workers: int | None, executor: Executor | None, progress: bool
) -> Iterator[tuple[DayJob, DayFacts]]:
    """Run all jobs, in whatever order they finish, with a progress bar that counts frames.

    Without an executor, `workers` processes are started (None: one a core), or none for one worker or one day. An
    interrupt (Ctrl-C) lets the days in work finish and starts no other, then goes on as KeyboardInterrupt.
    """
    # A log file wants a line now and then, a terminal a moving bar.
    pace = 0.1 if sys.stderr.isatty() else 10.0
    total = sum(job.day.found for job in jobs)
    with tqdm(total=total, unit=" frames", desc="ingest", disable=not progress or not jobs, mininterval=pace) as bar:
        for job, facts in _run(jobs, context, workers, executor):
            bar.update(job.day.found)
            yield job, facts


def _run(
    jobs: list[DayJob], context: IngestContext, workers: int | None, executor: Executor | None
) -> Iterator[tuple[DayJob, DayFacts]]:
    processes = min(workers if workers is not None else os.cpu_count() or 1, len(jobs))
    if executor is None and processes <= 1:
        for job in jobs:
            yield job, run_day(job, context)
        return
    # Spawned, not forked: HDF5 and OpenCV threads of the parent do not survive a fork.
    own = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) if executor is None else None
    pool = executor or own
    assert pool is not None
    pending: dict[Future[DayFacts], DayJob] = {}
    try:
        with _born_deaf_to_interrupts():
            pending.update({pool.submit(run_day, job, context): job for job in jobs})
        for done in as_completed(pending):
            yield pending[done], done.result()
    except BrokenExecutor as error:
        raise NowcastError(
            "a worker of the ingest died, perhaps for want of memory; finished days are kept, so run the ingest "
            'again with one worker (and in a script of yours, call it under: if __name__ == "__main__")'
        ) from error
    finally:
        for future in pending:
            future.cancel()
        wait(pending)
        if own is not None:
            own.shutdown()


@contextmanager
def _born_deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, which reaches every process of a terminal: the parent decides.

    A blocked signal is inherited from the first instruction on, while Python code in the worker could only ignore
    it after a second of imports; and one that comes meanwhile is delivered to the parent at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # starting it would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
