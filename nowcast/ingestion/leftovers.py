"""An ingest that wrote no day leaves no archive behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nowcast.archive.index import INDEX_FILE, day_files
from nowcast.archive.metadata import GRID_FILE, METADATA_FILE, is_archive
from nowcast.atomic_files import WRITER_LOCK
from nowcast.ingestion.report import REPORT_JSON, REPORT_TEXT

WRITTEN = (METADATA_FILE, GRID_FILE, INDEX_FILE, REPORT_JSON, REPORT_TEXT)


@contextmanager
def no_empty_archive(folder: Path) -> Iterator[None]:
    """Take back what a failed ingest has made of a new archive, unless a day was written.

    For the one writer of the folder only, who would else take back what another one has begun.
    """
    began = is_archive(folder)
    try:
        yield
    except BaseException:
        if not began and not day_files(folder):
            for name in WRITTEN:
                (folder / name).unlink(missing_ok=True)
        raise


@contextmanager
def no_empty_folders(folder: Path) -> Iterator[None]:
    """Take back the folders that a failed ingest has made, where nothing is left in them but the lock it gave back."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        lock = folder / WRITER_LOCK
        if folder.is_dir() and list(folder.iterdir()) == [lock] and not lock.stat().st_size:  # nobody stands in it
            lock.unlink()
        for path in made:
            try:
                path.rmdir()
            except OSError:  # something of others is in it
                break
        raise
