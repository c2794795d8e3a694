"""Day files kept open between reads, in every process for itself."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import netCDF4

from nowcast.archive.day_file import open_day

OPEN_FILES = 256
"""Opening a day costs as much as reading two clips, and an open one holds little memory (no chunk cache)."""

_lock = threading.Lock()  # netCDF-C is not thread-safe
_inherited: list[object] = []


class OpenDays:
    """The least recently used day files of an archive, safe with threads, forks and pickling."""

    def __init__(self, limit: int = OPEN_FILES) -> None:
        self.limit = limit
        self._files: OrderedDict[Path, netCDF4.Dataset] = OrderedDict()
        self._process = os.getpid()

    @contextmanager
    def reading(self, path: Path) -> Iterator[netCDF4.Dataset]:
        """The open file, for the one thread inside the block; NowcastError where it is damaged."""
        with _lock:
            if self._process != os.getpid():
                # HDF5 handles do not survive a fork; closing the parent's from here would be worse than keeping them.
                _inherited.append(self._files)
                self._files, self._process = OrderedDict(), os.getpid()
            if path not in self._files:
                while len(self._files) >= self.limit:
                    self._files.popitem(last=False)[1].close()
                self._files[path] = open_day(path)
            self._files.move_to_end(path)
            yield self._files[path]

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with _lock:
            while self._files:
                self._files.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["limit"])  # type: ignore[misc]


def _renew_lock() -> None:
    """A forked child must not wait for a thread that only its parent has."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
