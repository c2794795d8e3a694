"""Files written atomically, whole or not at all: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nowcast.errors import NowcastError
from nowcast.locks import LOCK_SUFFIX, locked

TEMPORARY_SUFFIX = ".part"
"""Ending of a file that is still being written; whoever finds one after a kill may remove it."""

WRITER_LOCK = f".writer{LOCK_SUFFIX}"
"""Name of the lock file in a folder that takes one writer at a time."""


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; it becomes `path` when the block ends well and vanishes otherwise.

    Same folder, because a rename is atomic only inside one file system; synced before the rename, because some
    file systems would otherwise keep the new name with empty content after a power cut.
    NowcastError where the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise NowcastError(
            f"{path} cannot be written ({error.strerror or error}); choose a folder that is writable and has room"
        ) from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Make `folder` and hold it as its only writer; NowcastError where that cannot be, or another process writes.

    See `nowcast.locks` for what happens when a writer is killed, and on a disk that several hosts share.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = contextlib.ExitStack()
        claim.enter_context(locked(folder / WRITER_LOCK, str(folder)))
    except OSError as error:
        raise NowcastError(f"{folder} cannot be written ({error.strerror or error}); choose another folder") from error
    with claim:
        yield


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write plain data as JSON, atomically."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files that a killed writer left under `folder`; the number removed."""
    leftovers = list(folder.rglob(f".*{TEMPORARY_SUFFIX}"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)
