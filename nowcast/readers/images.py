"""A folder of gray images that a `radar.yaml` describes: any radar whose frames are pictures.

radar.yaml           # what `nowcast.readers.description.ImagesDescription` lists, for example:
                     #   time: "radar_%Y%m%d%H%M.png"
                     #   interval: 10
                     #   unit: dBZ
                     #   linear: {slope: 0.5, offset: -32}
                     #   no_echo: 0
                     #   missing: 255
                     #   zr: [200, 1.6]
                     #   center: [31.0, 121.9]
                     #   pixel: 1000
2018/07/radar_201807210010.png
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.radar.flags import UNSEEN, USABLE
from nowcast.radar.grid import Grid
from nowcast.readers.description import DESCRIPTION, ImagesDescription, read_description, stated_by
from nowcast.readers.files import walk_files
from nowcast.readers.place import bounded_grid, placed_grid
from nowcast.readers.png import decode_image, read_bytes
from nowcast.readers.source import FrameRef, Listing, RadarFrame, SourceFacts, SourceOptions, UnreadableFrame

READER = "image reader 1"
CODES = {
    "Y": r"\d{4}",
    "y": r"\d\d",
    "m": r"\d\d",
    "d": r"\d\d",
    "j": r"\d{3}",
    "H": r"\d\d",
    "M": r"\d\d",
    "S": r"\d\d",
}
SAMPLE = 9
"""Frames that are decoded to find the size of most."""


@dataclass(frozen=True)
class ImagesSource:
    """A folder of images and its description.

    Attributes:
        root: the folder of radar.yaml; `file`: radar.yaml itself.
        description: what it says; `options`: the same, with what the user states in its place.
    """

    root: Path
    file: Path
    description: ImagesDescription
    options: SourceOptions

    @classmethod
    def open(cls, path: Path, options: SourceOptions = SourceOptions()) -> ImagesSource:
        """Take the folder of a radar.yaml, or the file itself (whatever its name); NowcastError where it is wrong."""
        file = (path / DESCRIPTION if path.is_dir() else path).resolve()
        if not file.is_file():
            raise NowcastError(f"{file} does not exist, expected a {DESCRIPTION} that describes a folder of images")
        if options.site is not None:
            raise NowcastError(f"unknown site {options.site!r}; a folder of images knows none, so give a center")
        description = read_description(file, ImagesDescription, "a description of images")
        if description.unit == "dBZ" and description.zr is None and options.zr is None:
            raise NowcastError(
                f"{file} gives values in dBZ and no Z-R relation; add zr: [200, 1.6] or what holds for this radar, or "
                "give --zr A B"
            )
        if description.unit == "mm/h" and options.zr is not None:
            raise NowcastError(f"{file} gives values in mm/h, which need no Z-R relation; leave out --zr")
        _pattern(description.time, file)
        return cls(file.parent, file, description, description.options(options))

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Whether a folder holds a radar.yaml."""
        return (path / DESCRIPTION).is_file()

    @property
    def expected(self) -> str:
        return f"files named like {self.description.time} in {self.root / self.description.folder}"

    def listing(self) -> Listing:
        """List all files, without opening any."""
        found = Listing([])
        for folder, files in walk_files(self.root, self.description.folder, unreadable=found.unreadable):
            for name, mark in files:
                frame = self._frame(folder, name, mark)
                if frame is not None:
                    found.frames.append(frame)
                elif not self._is_ours(folder / name):
                    found.stray.append((folder / name).as_posix())
        return found

    def latest(self, count: int) -> list[FrameRef]:
        """The newest `count` frames, oldest first; opens the newest folders only."""
        frames: list[FrameRef] = []
        for folder, files in walk_files(self.root, self.description.folder, newest_first=True):
            frames += [frame for name, mark in files if (frame := self._frame(folder, name, mark)) is not None]
            if len(frames) >= count:
                break
        return sorted(frames, key=lambda frame: (frame.time, frame.path))[-count:]

    def facts(self, frames: Sequence[FrameRef]) -> SourceFacts:
        """What radar.yaml says, and the size that most of a few of these frames have."""
        shapes: Counter[tuple[int, int]] = Counter()
        reason = ""
        for frame in frames[:: max(1, len(frames) // SAMPLE)]:
            try:
                shapes[self._decode(frame.path).shape] += 1
            except UnreadableFrame as error:
                reason = f"{frame.path} {error}"
        if not shapes:
            raise NowcastError(f"none of the {len(frames)} frames in {self.root} can be decoded, for example {reason}")
        shape = max(shapes, key=lambda shape: (shapes[shape], shape))
        description, interval = self.description, self.options.interval
        assert interval is not None  # the description has one
        grid, place = self._grid(shape)
        static_mask = self._static_mask(shape)
        return SourceFacts(
            grid=grid,
            interval=interval,
            zr=self.options.zr,
            reader=f"{READER}, {description.model_dump_json(include=RULES)}",
            format=f"gray images in {description.unit}, described by {self.file.name}",
            place=place,
            time_stamp=description.time_stamp or "as in the file name; the source does not say what it stands for",
            static_mask=static_mask,
            static_mask_source="" if static_mask is None else f"{description.static_mask} of the source",
            splits=description.split_days(self.file),
            attributes=dict(description.attributes),
        )

    def read(self, frame: FrameRef, facts: SourceFacts) -> RadarFrame:
        """Decode one image and look its gray levels up."""
        levels = self._decode(frame.path)
        if levels.shape != facts.grid.shape:
            found, expected = ("×".join(map(str, shape)) for shape in (levels.shape, facts.grid.shape))
            raise UnreadableFrame(f"is {found}, expected {expected}")
        values, known = self._values(np.iinfo(levels.dtype).max + 1)
        if not known.all():
            unknown = levels[~known[levels]]
            if unknown.size:
                raise UnreadableFrame(f"has the gray level {unknown.flat[0]}, which the table does not list")
        field = values[levels]
        seen = np.isfinite(field) | np.isneginf(field)
        if facts.static_mask is not None:
            seen &= facts.static_mask
        flags = np.where(seen, np.uint8(USABLE), np.uint8(UNSEEN))
        return RadarFrame(field, self.description.unit, flags)

    def _values(self, levels: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Value of every gray level (NaN = unseen, -inf dBZ or 0 mm/h = no echo), and which levels have one."""
        description, every = self.description, np.arange(levels)
        if description.linear is not None:
            values = (description.linear.slope * every + description.linear.offset).astype(np.float32)
            known = np.ones(levels, bool)
        else:
            values, known = np.full(levels, np.nan, np.float32), np.zeros(levels, bool)
            for level, value in (description.table or {}).items():
                if level < levels:
                    values[level], known[level] = value, True
        for special, value in ((description.no_echo, NO_ECHO[description.unit]), (description.missing, np.nan)):
            inside = [level for level in special if level < levels]
            values[inside], known[inside] = value, True
        return values, known

    def _decode(self, path: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
        return decode_image(read_bytes(os.path.join(self.root, path)))

    def _frame(self, folder: Path, name: str, mark: str) -> FrameRef | None:
        match = _pattern(self.description.time, self.file).fullmatch(name)
        if match is None or self._is_ours(folder / name):
            return None
        try:
            stated = datetime.strptime(" ".join(match.groups()), " ".join(f"%{code}" for code in match.groupdict()))
        except ValueError:
            return None
        time = round(stated.replace(tzinfo=UTC).timestamp() - 3600 * self.description.utc_offset)
        path = (folder / name).as_posix()
        return FrameRef(path, time, f"{path} {mark}")

    def _is_ours(self, path: Path) -> bool:
        """Whether a file is the description or the static mask, which are neither frames nor stray."""
        ours = (
            [self.file.name] if self.description.static_mask is None else [self.file.name, self.description.static_mask]
        )
        return path in map(Path, ours)

    def _grid(self, shape: tuple[int, int]) -> tuple[Grid, str]:
        """Grid, and in words who states it."""
        description, options = self.description, self.options
        if description.bounds is not None and options.center is None and options.pixel is None:
            return bounded_grid(shape, description.bounds, options.crs or "EPSG:4326"), f"stated by {self.file.name}"
        if options.pixel is None:
            raise NowcastError(
                f"{self.file} states neither pixel (meters) nor bounds; add one of them, or give --pixel METERS"
            )
        grid = placed_grid(shape, options.pixel, options.center, options.crs)
        if options.center is None:
            return grid, "not stated, a plain Cartesian grid"
        return grid, stated_by(options.center, description.center)

    def _static_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        if self.description.static_mask is None:
            return None
        path = self.root / self.description.static_mask
        try:
            mask = self._decode(self.description.static_mask)
        except UnreadableFrame as error:
            raise NowcastError(f"the static mask {path} {error}") from None
        if mask.shape != shape:
            found, expected = ("×".join(map(str, size)) for size in (mask.shape, shape))
            raise NowcastError(f"the static mask {path} is {found}, expected {expected} like the frames")
        return mask != 0


RULES = {"unit", "linear", "table", "no_echo", "missing", "utc_offset"}
"""Keys of a description by which the same images give other frames."""
NO_ECHO = {"dBZ": -np.inf, "mm/h": 0.0}


@functools.cache
def _pattern(time: str, file: Path) -> re.Pattern[str]:
    """Regular expression of a time pattern, its groups named by their codes; NowcastError where it tells no time."""
    parts, used = [], []
    for literal, code in re.findall(r"([^%]+)|%(.?)", time):
        if literal:
            parts.append(".*".join(map(re.escape, literal.split("*"))))
        elif code in CODES and code not in used:
            parts.append(f"(?P<{code}>{CODES[code]})")
            used.append(code)
        else:
            problem = "twice" if code in used else f"which is none of {', '.join('%' + known for known in CODES)}"
            raise NowcastError(f"{file}: time is {time!r} and has %{code} {problem}")
    day = {"m", "d"} <= set(used) or "j" in used
    if not ({"Y", "y"} & set(used) and day and "H" in used):
        raise NowcastError(
            f"{file}: time is {time!r}, which tells no year, day and hour; for example radar_%Y%m%d%H%M.png"
        )
    return re.compile("".join(parts))
