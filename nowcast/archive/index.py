"""What each day file holds, with a cache that makes opening an archive of a thousand days instant."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.archive.day_file import open_day
from nowcast.atomic_files import write_json
from nowcast.errors import NowcastError
from nowcast.radar.times import Times, seconds

INDEX_FILE = "index.json"
"""A cache only: whoever changes day files removes it first, and an archive without it opens more slowly."""

DIGEST, REPORT = "sources_digest", "ingest_report"
"""Global attributes of a day file: digest of the sources it was made from, and what its ingestion met (JSON)."""


@dataclass(frozen=True)
class DayFacts:
    """One day file: its size in bytes, frame times in seconds since 1970, source digest and ingest report."""

    size: int
    times: list[int]
    digest: str = ""
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Frames of an archive in time order.

    Attributes:
        days: day file (relative to the archive) → its facts, in day order.
        times: datetime64[s] (N,), strictly ascending.
        file_number: int (N,), position in `files`.
        frame_number: int (N,), position inside the file.
    """

    days: dict[Path, DayFacts]
    files: tuple[Path, ...]
    times: Times
    file_number: NDArray[np.int64]
    frame_number: NDArray[np.int64]

    @classmethod
    def of(cls, days: dict[Path, DayFacts]) -> FrameIndex:
        """The index of these day files."""
        lengths = [len(facts.times) for facts in days.values()]
        nothing = np.empty(0, np.int64)
        times = np.concatenate([nothing, *(np.asarray(facts.times, np.int64) for facts in days.values())])
        return cls(
            days,
            tuple(days),
            times.astype("datetime64[s]"),
            np.repeat(np.arange(len(days)), lengths),
            np.concatenate([nothing, *(np.arange(length) for length in lengths)]),
        )

    def find(self, times: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(positions, present): positions are -1 where no frame has that time; shape of `times`."""
        wanted, have = seconds(times), seconds(self.times)
        positions = np.searchsorted(have, wanted)
        present = positions < len(have)
        present[present] = have[positions[present]] == wanted[present]
        return np.where(present, positions, -1), present


def day_files(folder: Path) -> list[Path]:
    """Day files of an archive in day order, relative to it."""
    pattern = f"{'[0-9]' * 4}/{'[0-9]' * 2}/{'[0-9]' * 8}.nc"
    return sorted(path.relative_to(folder) for path in folder.glob(pattern))


def read_index(folder: Path, shape: tuple[int, int]) -> FrameIndex:
    """The index of an archive whose frames have `shape`; NowcastError names a day file that is damaged."""
    cached = read_cache(folder)
    return FrameIndex.of({file: day_facts(folder, file, shape, cached) for file in day_files(folder)})


def day_facts(folder: Path, file: Path, shape: tuple[int, int], cached: dict[Path, DayFacts]) -> DayFacts:
    """Facts of one day file, from the cache where that knows a file of this size, else from the file itself.

    A truncated file has another size than the cache says, so it is opened and met here.
    NowcastError names a file that cannot be read or holds another grid.
    """
    size = (folder / file).stat().st_size
    if file in cached and cached[file].size == size:
        return cached[file]
    with open_day(folder / file) as content:
        found = content["reflectivity"].shape[1:]
        if found != shape:
            raise NowcastError(
                f"{folder / file} holds frames of {found[0]}×{found[1]}, expected {shape[0]}×{shape[1]} as in the rest "
                "of the archive; remove it and ingest that day again"
            )
        times = np.asarray(content["time"][:], np.int64).tolist()
        report = json.loads(getattr(content, REPORT, "{}"))
        return DayFacts(size, times, getattr(content, DIGEST, ""), report)


def write_index(folder: Path, index: FrameIndex) -> None:
    """Write the cache."""
    facts = {file.as_posix(): [day.size, day.digest, day.times, day.report] for file, day in index.days.items()}
    write_json(folder / INDEX_FILE, facts, indent=None)


def remove_index(folder: Path) -> None:
    """Remove the cache, before day files change."""
    (folder / INDEX_FILE).unlink(missing_ok=True)


def read_cache(folder: Path) -> dict[Path, DayFacts]:
    """What the cache knows; empty where it is not there or makes no sense."""
    try:
        content = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        return {
            Path(file): DayFacts(int(size), list(times), str(digest), dict(report))
            for file, (size, digest, times, report) in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
