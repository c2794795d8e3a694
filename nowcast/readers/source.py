"""What every radar format is read through: a source lists its frames, states its facts once, and reads one frame.

A format is one file of this room with a class that fulfills `Source`, opened by its `open(path, options)`, and one
line in `READERS` (`nowcast.readers`), or one entry point of the group `nowcast.readers` in a package of yours.
Nothing above this room knows formats; an archive is filled by `ingest`, and a live loop needs none:

    source = open_source("hko7", "/radar")
    frames = source.latest(5)
    facts = source.facts(frames)
    fields = [canonical_frame(source.read(frame, facts), facts.zr) for frame in frames]   # codes, flags
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.radar.grid import Grid
from nowcast.units import ZRRelation

Rain = dict[np.datetime64, float]
"""Day (datetime64[D]) → its rain in mm, NaN where that is not known."""


class UnreadableFrame(Exception):
    """One file that cannot be used; the message is the reason, to follow its name. `retry`: may heal by itself."""

    def __init__(self, reason: str, retry: bool = False) -> None:
        super().__init__(reason)
        self.retry = retry


@dataclass(frozen=True)
class FrameRef:
    """Where one frame lies.

    Attributes:
        path: file, relative to the source's root, with / between its parts.
        time: seconds since 1970-01-01 00:00 UTC.
        fingerprint: changes when the frame's files do (names, sizes, modification times).
        member: which frame inside the file, where that holds several.
        companion: a second file that belongs to the frame, such as its quality mask; relative to the root.
    """

    path: str
    time: int
    fingerprint: str
    member: str | None = None
    companion: str | None = None

    @property
    def label(self) -> str:
        """How reports name the frame."""
        return self.path if self.member is None else f"{self.path} [{self.member}]"


@dataclass(frozen=True)
class Listing:
    """All that lies in a source, none of it opened.

    Attributes:
        frames: in path order.
        days: days that the source has a place for (a folder), with or without frames, datetime64[D].
        stray: files that are not frames; `unreadable`: folders that could not be listed, with the reason.
    """

    frames: list[FrameRef]
    days: list[np.datetime64] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class SourceFacts:
    """What holds for all frames of a source.

    Attributes:
        grid: pixel centers and, where it is known, the projection; `place` says in words who states them.
        interval: frame interval, timedelta64[s].
        zr: the relation by which the source's reflectivity is rain; None where the source gives rain rates.
        reader: name and number of the reader; a higher number means that the same files give other frames now.
        format: the layout in one line; `time_stamp`: what the time of a frame stands for.
        static_mask: bool (H, W), True = use this pixel; None where the source has none. `static_mask_source`: what
            it is and where it is from.
        splits: split name → days and their rain.
        assumed: which of "grid", "interval", "zr" neither the source nor the user states, so that an archive which
            knows better may overrule them.
        attributes: further CF global attributes, such as the institution.
    """

    grid: Grid
    interval: np.timedelta64
    zr: ZRRelation | None
    reader: str
    format: str
    place: str
    time_stamp: str
    static_mask: NDArray[np.bool_] | None = None
    static_mask_source: str = ""
    splits: dict[str, Rain] = field(default_factory=dict)
    assumed: frozenset[str] = frozenset()
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RadarFrame:
    """One frame as the source has it; `nowcast.readers.canonical` brings it to the scale of archives.

    Attributes:
        field: (H, W), row 0 north; NaN = unseen. uint8 where `unit` is "code".
        unit: "dBZ"; "mm/h"; or "code": reflectivity in 255 steps from -10 to 60 dBZ, 0 = no echo (the fastest).
            No echo is -inf dBZ or 0 mm/h.
        flags: uint8 (H, W), 0 unseen, 1 usable, 2 doubtful (noise filter, clutter).
        flags_by_rule: True where a rule gave the flags in place of the frame's own quality mask.
        problem: what was wrong with the quality mask, a sentence that names the file; `retry`: may heal by itself.
    """

    field: NDArray[Any]
    unit: Literal["dBZ", "mm/h", "code"]
    flags: NDArray[np.uint8]
    flags_by_rule: bool = True
    problem: str | None = None
    retry: bool = False


@dataclass(frozen=True)
class SourceOptions:
    """What a user states about a source, over what its files say; None means: as the files say.

    Attributes:
        center: latitude and longitude in degrees of the middle of the frame.
        pixel: edge of a pixel in meters.
        crs: the projection, in any words that pyproj takes ("EPSG:32651", a PROJ string, WKT).
        site: the name of a place that the reader knows, instead of center, pixel and crs.
        zr: the Z-R relation of the source's reflectivity.
        interval: frame interval.
    """

    center: tuple[float, float] | None = None
    pixel: float | None = None
    crs: str | None = None
    site: str | None = None
    zr: ZRRelation | None = None
    interval: np.timedelta64 | None = None

    def __post_init__(self) -> None:
        if self.center is not None:
            latitude, longitude = self.center
            if not (-90 <= latitude <= 90 and -180 <= longitude <= 360):
                raise NowcastError(
                    f"the center {latitude:g} {longitude:g} is not a latitude (-90 to 90) and a longitude (-180 to "
                    "360) in degrees; give --center LAT LON"
                )
        if self.pixel is not None and not 0 < self.pixel < 1e6:
            raise NowcastError(f"the pixel size is {self.pixel:g} m, expected meters, more than 0 and below 1 000 000")
        if self.zr is not None and not (0 < self.zr.a < 1e6 and 0 < self.zr.b < 100):
            raise NowcastError(
                f"the Z-R relation has a = {self.zr.a:g} and b = {self.zr.b:g}, expected Z = a R^b with both above 0, "
                "such as 200 1.6"
            )
        if self.site is not None and (self.center, self.pixel, self.crs) != (None, None, None):
            raise NowcastError(
                f"the site {self.site} states center, pixel size and projection itself; give either the site or these"
            )


class Source(Protocol):
    """Radar frames of one format in one place. Plain data, so that it can be sent to other processes.

    Attributes:
        root: folder (or file) that the paths of frames are relative to; it names the source.
        expected: what a source of this format holds, to follow "expected" in an error.
    """

    @property
    def root(self) -> Path: ...

    @property
    def expected(self) -> str: ...

    def listing(self) -> Listing:
        """All frames, none of them opened where the format allows that."""

    def latest(self, count: int) -> list[FrameRef]:
        """The newest `count` frames (fewer where there are fewer), oldest first, without listing all the others."""

    def facts(self, frames: Sequence[FrameRef]) -> SourceFacts:
        """What holds for these frames, one or more; NowcastError where none of them tells, or they contradict."""

    def read(self, frame: FrameRef, facts: SourceFacts) -> RadarFrame:
        """One frame of `facts.grid.shape`; UnreadableFrame with the reason where that cannot be."""


class Reader(Protocol):
    """What `READERS` names: how a path becomes a Source (usually the Source's own class)."""

    def open(self, path: Path, options: SourceOptions) -> Source:
        """The source at `path`; NowcastError where it is not of this format or cannot have one of the options."""

    def recognizes(self, path: Path) -> bool:
        """Whether a folder or file looks like this format; cheap."""
