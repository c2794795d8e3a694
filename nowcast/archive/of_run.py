"""The archive that a run was trained on, and what the run remembers of it."""

from __future__ import annotations

from pathlib import Path

from nowcast.archive.archive import Archive
from nowcast.archive.fingerprint import ArchiveFacts
from nowcast.errors import NowcastError
from nowcast.run import Run


def archive_of(run: Run) -> Archive:
    """The archive that a run names; NowcastError with the remedy where it names none, or the archive was moved."""
    path = run.experiment.data.archive
    if path is None:
        raise NowcastError(f"the run {run.path} names no archive; give --archive ARCHIVE")
    if not Path(path).is_dir():
        raise NowcastError(
            f"{path} does not exist: the run {run.path} was trained on the archive there; where it has been moved to, "
            "say with --archive ARCHIVE"
        )
    return Archive.open(path)


def facts_of(run: Run) -> ArchiveFacts | None:
    """What a run remembers of its archive; None for runs of older versions, which remember nothing."""
    content = run.trained_on
    if content is None:
        return None
    try:
        return ArchiveFacts.from_plain(content)
    except (KeyError, TypeError) as error:
        raise NowcastError(
            f"{run.trained_on_file} does not describe an archive ({error}); restore it, or remove it and train on"
        ) from None
