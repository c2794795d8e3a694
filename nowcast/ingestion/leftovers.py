"""An ingest that wrote no day leaves no archive behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nowcast.archive.index import INDEX_FILE, day_files
from nowcast.archive.metadata import GRID_FILE, METADATA_FILE, is_archive
from nowcast.ingestion.report import REPORT_JSON, REPORT_TEXT

WRITTEN = (METADATA_FILE, GRID_FILE, INDEX_FILE, REPORT_JSON, REPORT_TEXT)


@contextmanager
def no_empty_archive(folder: Path, made: list[Path]) -> Iterator[None]:
    """Take back what a failed ingest has made of a new archive, and the folders it made, unless a day was written.

    For the one writer of the folder only, who would else take back what another one has begun.
    """
    began = is_archive(folder)
    try:
        yield
    except BaseException:
        if not began and not day_files(folder):
            for name in WRITTEN:
                (folder / name).unlink(missing_ok=True)
            for path in made:
                try:
                    path.rmdir()
                except OSError:  # another program's file is in it
                    break
        raise
