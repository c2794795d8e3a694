"""Walking the files of a source: in path order, or newest folders first, with a mark that changes when a file does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk_files(
    root: Path, top: str, newest_first: bool = False, unreadable: list[str] | None = None
) -> Iterator[tuple[Path, list[tuple[str, str]]]]:
    """(folder relative to `root`, [(file name, mark)]) of every folder under `root/top`.

    The mark is "size:modification time". Folders come in the order of their names, and newest first in the reverse
    one, which is the order of time where names begin with the year. Folders that cannot be listed are named in
    `unreadable`.
    """

    def failed(error: OSError) -> None:
        if unreadable is not None:
            unreadable.append(f"{os.path.relpath(error.filename, root)} cannot be listed ({error.strerror})")

    for folder, folders, files in os.walk(root / top, onerror=failed, followlinks=True):
        folders.sort(reverse=newest_first)
        marked = [(name, file_mark(os.path.join(folder, name))) for name in sorted(files)]
        yield Path(folder).relative_to(root), marked


def file_mark(path: str | Path) -> str:
    """Size and modification time of a file; "no file" for a dangling link."""
    try:
        status = os.stat(path)
    except OSError:
        return "no file"
    return f"{status.st_size}:{status.st_mtime_ns}"
