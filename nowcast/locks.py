"""Locks that name their holder: host and process stand in the lock file.

The operating system holds the lock and drops it when the process ends in whatever way, so a killed process leaves none
behind. Between hosts that share a disk this cannot be relied on (`flock` on NFS may hold on one host only), so a lock
file that names a process of another host counts as held, too, for as long as that process gives signs of life: it
touches the file now and then, and is taken for dead after five silent minutes. What remains, where `flock` does not
reach over hosts: two of them that begin in the same moment may not see each other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nowcast.errors import NowcastError

LOCK_SUFFIX = ".lock"
POLL_SECONDS = 0.2
TOUCH_SECONDS, SILENT_SECONDS = 30.0, 300.0
"""How often a holder touches its lock file, and after what silence it is taken for dead by other hosts: longer than NFS
keeps a file's time in its cache (a minute)."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, or may; a process that is unknown has written no name (yet)."""

    host: str | None = None
    process: int | None = None

    @property
    def is_here(self) -> bool:
        """Whether it is not known to be on another host."""
        return self.host is None or self.host == socket.gethostname()

    def __str__(self) -> str:
        return "another process" if self.process is None else f"process {self.process} on {self.host}"


@contextmanager
def locked(path: Path, what: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`, made where it does not exist, for as long as the block runs.

    Args:
        path: the lock file; its folder exists. It stays, empty, when the lock is given back.
        what: what the lock is about, for messages.
        waiting: told once who holds the lock, if somebody does; then this waits. Without it a held lock is refused.

    Raises:
        NowcastError: somebody else holds the lock; OSError: the file cannot be written.
    """
    lock = FileLock(path, thread_local=False)
    told = False
    while (holder := _acquire(lock, path)) is not None:
        advice = _advice(holder)
        if waiting is None:
            raise NowcastError(f"{holder} is writing {what}; wait until it has finished{advice}")
        if not told:
            waiting(f"{holder} is writing {what}; waiting for it{advice}")
            told = True
        time.sleep(POLL_SECONDS if holder.is_here else 10 * POLL_SECONDS)
    try:
        _write(path, json.dumps({"host": socket.gethostname(), "process": os.getpid()}))
        with _signs_of_life(path):
            yield
    finally:
        _write(path, "")
        lock.release()


def _acquire(lock: FileLock, path: Path) -> Holder | None:
    """None where the lock is ours now, else who holds it."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _named(path) or Holder()
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise  # other than a file system without locks, where the name alone has to do
    holder = _named(path)
    if holder is None or holder.is_here or _silent_seconds(path) > SILENT_SECONDS:
        return None  # nobody, or a process that was killed
    lock.release()
    return holder


def _named(path: Path) -> Holder | None:
    """Who stands in the lock file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Holder(str(content["host"]), int(content["process"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # Windows lets nobody write a file that is locked
        path.write_text(text, encoding="utf-8")


@contextmanager
def _signs_of_life(path: Path) -> Iterator[None]:
    """Touch the lock file every now and then."""
    over = threading.Event()

    def touch() -> None:
        while not over.wait(TOUCH_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=touch, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _silent_seconds(path: Path) -> float:
    """Seconds since the lock file was touched, by the clock of the disk that it lies on."""
    probe = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _advice(holder: Holder) -> str:
    return "" if holder.is_here else f"; it counts as dead after {SILENT_SECONDS / 60:.0f} silent minutes"
