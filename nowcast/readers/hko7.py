"""Radar in the HKO-7 layout: which files there are, and which frame of which day each of them is.

    radarPNG/YYYY/MM/DD/RADyymmddHHMM00.png         8-bit grey reflectivity, row 0 north
    radarPNG_mask/YYYY/MM/DD/RADyymmddHHMM00.mask   zlib of H*W booleans, True = use this pixel
    hko7_rainy_{train,valid,test}_days.txt          lines `YYYYMMDD, mm`
    mask_dat.npz                                    exclude_mask, nonzero = excluded

The lists and mask_dat.npz lie beside the image folder or in hko_data/. (HKO-7 benchmark, Shi et al. 2017.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.readers.day_lists import find_day_lists, read_day_list

FRAME_NAME = re.compile(r"RAD(\d{12})\.png", re.IGNORECASE)
IMAGES, MASKS = "radarPNG", "radarPNG_mask"


@dataclass(frozen=True)
class FoundFrame:
    """One image file: path and `.mask` path (relative to the source; None = no mask), time in seconds, and a
    fingerprint (sizes and modification times) that changes when either file does."""

    image: str
    mask: str | None
    time: int
    fingerprint: str


@dataclass(frozen=True)
class Listing:
    """All files of a source: frames in path order, days that have a folder, other files, folders not readable."""

    frames: list[FoundFrame]
    day_folders: list[np.datetime64]
    stray: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Hko7Source:
    """A folder in the HKO-7 layout.

    Attributes:
        root: the folder that holds the images folder; report paths are relative to it.
        images: name of the images folder inside it; `masks` likewise, whether it exists or not.
    """

    root: Path
    images: str = IMAGES
    masks: str = MASKS

    @classmethod
    def open(cls, source: str | os.PathLike[str]) -> Hko7Source:
        """Take SOURCE or SOURCE/radarPNG; NowcastError where neither is there."""
        folder = Path(source).resolve()
        if not folder.is_dir():
            raise NowcastError(f"{folder} does not exist, expected a folder in the HKO-7 layout ({IMAGES}/YYYY/MM/DD)")
        if (folder / IMAGES).is_dir():
            return cls(folder)
        if folder.name == IMAGES or any(re.fullmatch(r"\d{4}", path.name) for path in folder.iterdir()):
            return cls(folder.parent, folder.name, f"{folder.name}_mask")
        raise NowcastError(f"{folder} has no {IMAGES} folder, expected {IMAGES}/YYYY/MM/DD/RADyymmddHHMM00.png in it")

    @property
    def beside(self) -> list[Path]:
        """Folders in which day lists and mask_dat.npz may lie."""
        return [self.root, self.root / "hko_data", self.root / self.images]

    def listing(self) -> Listing:
        """List all files, without opening any."""
        frames: list[FoundFrame] = []
        days: list[np.datetime64] = []
        stray: list[str] = []
        unreadable: list[str] = []
        fingerprints = dict(self._walk(self.masks, [], []))
        for path, mark in self._walk(self.images, days, unreadable):
            time = frame_time(Path(path).name)
            if time is None:
                stray.append(path)
                continue
            inside = Path(path).relative_to(self.images).with_suffix(".mask")
            mask = (Path(self.masks) / inside).as_posix()
            there = mask in fingerprints
            frames.append(
                FoundFrame(path, mask if there else None, time, f"{path} {mark} {fingerprints.get(mask, '-')}")
            )
        return Listing(frames, days, stray, unreadable)

    def day_lists(self) -> dict[str, dict[np.datetime64, float]]:
        """Split name → day → rain (mm), for the lists that are there."""
        return {name: read_day_list(path) for name, path in find_day_lists(self.beside).items()}

    def static_mask(self) -> tuple[Path, NDArray[np.bool_]] | None:
        """File and static mask, bool (H, W), True = use this pixel; None without a mask_dat.npz.

        NowcastError where the file is there but is not what it should be.
        """
        path = next((p for p in (folder / "mask_dat.npz" for folder in self.beside) if p.is_file()), None)
        if path is None:
            return None
        try:
            with np.load(path, allow_pickle=False) as content:
                excluded = np.asarray(content["exclude_mask"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise NowcastError(
                f"cannot read exclude_mask from {path} ({error}); restore the file, or remove it to ingest without one"
            ) from error
        if excluded.ndim != 2:
            raise NowcastError(f"exclude_mask in {path} has shape {excluded.shape}, expected (H, W)")
        return path, excluded == 0

    def _walk(self, top: str, days: list[np.datetime64], unreadable: list[str]) -> Iterator[tuple[str, str]]:
        """(path relative to the root, "size:time") of every file under `top`, in path order."""

        def failed(error: OSError) -> None:
            name = os.path.relpath(error.filename, self.root)
            unreadable.append(f"{name} cannot be listed ({error.strerror})")

        for folder, folders, files in os.walk(self.root / top, onerror=failed, followlinks=True):
            folders.sort()
            relative = Path(folder).relative_to(self.root)
            day = _folder_day(relative)
            if day is not None:
                days.append(day)
            for name in sorted(files):
                try:
                    status = os.stat(os.path.join(folder, name))
                    mark = f"{status.st_size}:{status.st_mtime_ns}"
                except OSError:
                    mark = "no file"  # a dangling link: found, and unreadable
                yield (relative / name).as_posix(), mark


def frame_time(name: str) -> int | None:
    """Seconds since 1970 (UTC) that a frame's name states; None where it is not a frame's name.

    >>> np.datetime64(frame_time("RAD180721001200.png"), "s")
    np.datetime64('2018-07-21T00:12:00')
    """
    match = FRAME_NAME.fullmatch(name)
    if match is None:
        return None
    try:
        # %y takes 69..99 for the last century; the oldest digital archives begin in the 1990s.
        return int(datetime.strptime(match[1], "%y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _folder_day(relative: Path) -> np.datetime64 | None:
    """The day of a folder …/YYYY/MM/DD, None for any other."""
    try:
        return np.datetime64("-".join(relative.parts[-3:]), "D") if len(relative.parts) == 4 else None
    except ValueError:
        return None
