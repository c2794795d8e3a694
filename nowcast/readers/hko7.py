"""Radar in the HKO-7 layout: the benchmark itself, or any other radar that was put into its folders.

    radarPNG/YYYY/MM/DD/RADyymmddHHMM00.png         8-bit gray reflectivity, row 0 north
    radarPNG_mask/YYYY/MM/DD/RADyymmddHHMM00.mask   zlib of H*W booleans, True = use this pixel
    hko7_rainy_{train,valid,test}_days.txt          lines `YYYYMMDD, mm`
    mask_dat.npz                                    exclude_mask, nonzero = excluded
    radar.yaml                                      place, pixel, interval, Z-R (not of the benchmark; may be absent)

The lists and mask_dat.npz lie beside the image folder or in hko_data/. (HKO-7 benchmark, Shi et al. 2017.) The
layout itself says nothing about the place: only who names the site "hong-kong" gets that of the benchmark.
"""

from __future__ import annotations

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
from nowcast.radar.grid import Grid
from nowcast.readers.description import DESCRIPTION, RadarDescription, read_description, stated_by
from nowcast.readers.files import walk_files
from nowcast.readers.hko7_day_lists import find_day_lists, read_day_list
from nowcast.readers.hko7_flags import flags_of_frame, read_mask
from nowcast.readers.place import placed_grid
from nowcast.readers.png import decode_frame, header_shape, read_bytes
from nowcast.readers.source import FrameRef, Listing, RadarFrame, SourceFacts, SourceOptions, UnreadableFrame
from nowcast.units import HKO7_ZR

READER = "HKO-7 PNG reader 1"
FRAME_NAME = re.compile(r"RAD(\d{12})\.png", re.IGNORECASE)
IMAGES, MASKS = "radarPNG", "radarPNG_mask"
SIX_MINUTES = np.timedelta64(360, "s")

HKO7_SHAPE = (480, 480)
HKO7_PIXEL = 512_000.0 / 480
"""Meters: 480 pixels over 512 km (Shi et al. 2017, section 4)."""
HONG_KONG = (22.302, 114.174)
"""Latitude and longitude in degrees of the middle of HKO-7 frames: the paper says "centered in Hong Kong"."""
APPROXIMATE = "approximate: the source states its extent and that it is centered in Hong Kong, not its projection"
SITE = "hong-kong"


@dataclass(frozen=True)
class Hko7Source:
    """A folder in the HKO-7 layout.

    Attributes:
        root: the folder that holds the images folder; report paths are relative to it.
        images: name of the images folder inside it; `masks` likewise, whether it exists or not.
        description: what a radar.yaml in the root says, if there is one.
        options: the same, with what the user states in its place.
    """

    root: Path
    images: str = IMAGES
    masks: str = MASKS
    options: SourceOptions = SourceOptions()
    description: RadarDescription = RadarDescription()

    @classmethod
    def open(cls, path: str | os.PathLike[str], options: SourceOptions = SourceOptions()) -> Hko7Source:
        """Take SOURCE or SOURCE/radarPNG; NowcastError where neither is there."""
        if options.site not in (None, SITE):
            raise NowcastError(
                f"unknown site {options.site!r}; the hko7 layout knows {SITE} (HKO-7), else give a center"
            )
        folder = Path(path).resolve()
        if not folder.is_dir():
            raise NowcastError(f"{folder} does not exist, expected a folder in the HKO-7 layout ({IMAGES}/YYYY/MM/DD)")
        if (folder / IMAGES).is_dir():
            root, images, masks = folder, IMAGES, MASKS
        elif folder.name == IMAGES or any(re.fullmatch(r"\d{4}", path.name) for path in folder.iterdir()):
            root, images, masks = folder.parent, folder.name, f"{folder.name}_mask"
        else:
            raise NowcastError(
                f"{folder} has no {IMAGES} folder, expected {IMAGES}/YYYY/MM/DD/RADyymmddHHMM00.png in it"
            )
        file, description = root / DESCRIPTION, RadarDescription()
        if file.is_file():
            description = read_description(file, RadarDescription, "a radar description")
        return cls(root, images, masks, description.options(options), description)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Whether a folder holds radarPNG/."""
        return (path / IMAGES).is_dir()

    @property
    def expected(self) -> str:
        return f"files like {self.images}/2018/07/21/RAD180721001200.png in it"

    @property
    def beside(self) -> list[Path]:
        """Folders in which day lists and mask_dat.npz may lie."""
        return [self.root, self.root / "hko_data", self.root / self.images]

    def listing(self) -> Listing:
        """List all files, without opening any."""
        found = Listing([])
        masks = {
            (folder / name).as_posix(): mark
            for folder, files in walk_files(self.root, self.masks)
            for name, mark in files
        }
        for folder, files in walk_files(self.root, self.images, unreadable=found.unreadable):
            day = _folder_day(folder)
            if day is not None:
                found.days.append(day)
            for name, mark in files:
                frame = self._frame(folder, name, mark, masks)
                if frame is None:
                    found.stray.append((folder / name).as_posix())
                else:
                    found.frames.append(frame)
        return found

    def latest(self, count: int) -> list[FrameRef]:
        """The newest `count` frames, oldest first; opens the newest day folders only."""
        frames: list[FrameRef] = []
        for folder, files in walk_files(self.root, self.images, newest_first=True):
            beside = (Path(self.masks) / folder.relative_to(self.images)).as_posix()
            # The frames' own folder only: those inside it come in their turn.
            _, marked = next(walk_files(self.root, beside), (None, [])) if files else (None, [])
            masks = {f"{beside}/{name}": mark for name, mark in marked}
            frames += [frame for name, mark in files if (frame := self._frame(folder, name, mark, masks)) is not None]
            if len(frames) >= count:
                break
        return sorted(frames, key=lambda frame: (frame.time, frame.path))[-count:]

    def facts(self, frames: Sequence[FrameRef]) -> SourceFacts:
        """What most of these frames are, with the static mask and the day lists beside them."""
        shape = majority_shape(self.root, frames)
        if shape is None:
            raise NowcastError(
                f"none of the {len(frames)} frames in {self.root / self.images} is a readable PNG file, for example "
                f"{frames[0].path}; check the copy and its permissions"
            )
        grid, place = self._grid(shape)
        static_mask = self._static_mask(shape)
        options = self.options
        stated = {
            "grid": (options.center, options.pixel, options.crs, options.site) != (None,) * 4,
            "interval": options.interval is not None,
            "zr": options.zr is not None,
        }
        return SourceFacts(
            grid=grid,
            interval=options.interval if options.interval is not None else SIX_MINUTES,
            zr=options.zr or HKO7_ZR,
            reader=READER,
            format="HKO-7 layout: 8-bit PNG, codes 0 to 255 for -10 to 60 dBZ",
            place=place,
            time_stamp=self.description.time_stamp
            or "as in the file name, taken as UTC; the source does not say whether a scan starts or ends then",
            static_mask=static_mask,
            static_mask_source="exclude_mask of mask_dat.npz" if static_mask is not None else "",
            splits={
                **self.description.split_days(self.root / DESCRIPTION),
                **{name: read_day_list(path) for name, path in find_day_lists(self.beside).items()},
            },
            attributes=dict(self.description.attributes),
            assumed=frozenset(name for name, known in stated.items() if not known),
        )

    def read(self, frame: FrameRef, facts: SourceFacts) -> RadarFrame:
        """Decode one PNG and its `.mask`, where it has a good one."""
        shape, usable, problem, retry = facts.grid.shape, None, None, False
        codes = decode_frame(read_bytes(os.path.join(self.root, frame.path)), shape)
        if frame.companion is not None:
            try:
                usable = read_mask(os.path.join(self.root, frame.companion), shape)
            except UnreadableFrame as error:
                problem, retry = f"{frame.companion} {error}", error.retry
        flags = flags_of_frame(codes, usable, facts.static_mask)
        return RadarFrame(codes, "code", flags, usable is None, problem, retry)

    def _frame(self, folder: Path, name: str, mark: str, masks: dict[str, str]) -> FrameRef | None:
        """The frame of a file, None for any other file; `masks`: path → mark of the masks that are there."""
        time = frame_time(name)
        if time is None:
            return None
        path = (folder / name).as_posix()
        mask = (Path(self.masks) / folder.relative_to(self.images) / name).with_suffix(".mask").as_posix()
        there = mask in masks
        fingerprint = f"{path} {mark} {masks.get(mask, '-')}"
        return FrameRef(path, time, fingerprint, companion=mask if there else None)

    def _grid(self, shape: tuple[int, int]) -> tuple[Grid, str]:
        """Grid, and in words who states it."""
        options = self.options
        if options.site is not None:
            if shape != HKO7_SHAPE:
                raise NowcastError(
                    f"the frames in {self.root / self.images} are {shape[0]}×{shape[1]}, expected 480×480 of HKO-7 at "
                    f"the site {SITE}; give the center of this cut-out instead (--center LAT LON)"
                )
            return placed_grid(shape, HKO7_PIXEL, HONG_KONG, comment=APPROXIMATE), "HKO-7, centered in Hong Kong"
        pixel = options.pixel if options.pixel is not None else HKO7_PIXEL
        grid = placed_grid(shape, pixel, options.center, options.crs)
        stated = self.description
        size = "assumed as in HKO-7" if options.pixel is None else stated_by(options.pixel, stated.pixel)
        place = "not stated, a plain Cartesian grid"
        if options.center is not None:
            place = stated_by(options.center, stated.center)
        return grid, f"{place}; pixel size {size}"

    def _static_mask(self, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
        """Static mask, bool (H, W), True = use this pixel; None without a mask_dat.npz.

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
        if excluded.shape != shape:
            raise NowcastError(
                f"exclude_mask in {path} is {'×'.join(map(str, excluded.shape))}, expected {shape[0]}×{shape[1]} like "
                "the frames; correct the file, or remove it to ingest without one"
            )
        return excluded == 0


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


def majority_shape(root: Path, frames: Sequence[FrameRef], sample: int = 1000) -> tuple[int, int] | None:
    """(H, W) of most frames, by the headers of at most `sample` evenly spaced ones; None where none has a header.

    Of sizes equally frequent the larger is taken.
    """
    shapes: Counter[tuple[int, int]] = Counter()
    for frame in frames[:: max(1, -(-len(frames) // sample))]:
        try:
            with open(os.path.join(root, frame.path), "rb") as file:
                shape = header_shape(file.read(24))
        except OSError:
            continue
        if shape is not None:
            shapes[shape] += 1
    return max(shapes, key=lambda shape: (shapes[shape], shape)) if shapes else None


def _folder_day(relative: Path) -> np.datetime64 | None:
    """The day of a folder …/YYYY/MM/DD, None for any other."""
    try:
        return np.datetime64("-".join(relative.parts[-3:]), "D") if len(relative.parts) == 4 else None
    except ValueError:
        return None
