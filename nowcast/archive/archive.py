"""Reading a radar archive: a folder of CF netCDF files, one per UTC day, on one grid and one frame interval."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.archive.compression import CHUNK_FRAMES
from nowcast.archive.index import FrameIndex, read_index
from nowcast.archive.metadata import Metadata, read_metadata
from nowcast.archive.open_days import OpenDays
from nowcast.archive.splits import Splits
from nowcast.errors import NowcastError
from nowcast.radar.flags import FLAG_MEANINGS
from nowcast.radar.times import Times
from nowcast.units import CANONICAL_SCALE

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames as they lie in the archive.

    Attributes:
        codes: uint8 (T, H, W), 8-bit reflectivity codes, 0 = no echo (or nothing known, where the flag is 0).
        flags: uint8 (T, H, W), 0 unseen, 1 usable, 2 doubtful.
        present: bool (T,), False where the archive has no frame of that time.
    """

    codes: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    present: NDArray[np.bool_]


class Archive:
    """A radar archive open for reading. Use `Archive.open(path)`.

    Safe to hand to other processes, forked or spawned: each opens the day files for itself.
    """

    def __init__(self, path: Path, metadata: Metadata, index: FrameIndex) -> None:
        self.path = path
        self.metadata = metadata
        self.index = index
        self._open = OpenDays()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Archive:
        """Open an archive.

        NowcastError where the folder is not there, is not an archive, holds no frame yet, or has a damaged file.
        """
        folder = Path(path)
        metadata = read_metadata(folder)
        index = read_index(folder, metadata.grid.shape)
        if not len(index.times):
            raise NowcastError(
                f"the radar archive {folder} holds no frames yet; fill it with: nowcast ingest FORMAT SOURCE {folder}"
            )
        return cls(folder, metadata, index)

    @property
    def times(self) -> Times:
        """Frame times, datetime64[s] (N,), strictly ascending, UTC."""
        return self.index.times

    @property
    def interval(self) -> np.timedelta64:
        """Frame interval, timedelta64[s]."""
        return self.metadata.interval

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.metadata.grid.shape

    @property
    def y(self) -> NDArray[np.float64]:
        """Coordinates of pixel centers, (H,), descending: row 0 is north; see `nowcast.radar.grid.Grid`."""
        return self.metadata.grid.y

    @property
    def x(self) -> NDArray[np.float64]:
        """Coordinates of pixel centers, (W,), ascending."""
        return self.metadata.grid.x

    @property
    def pixel_meters(self) -> float | None:
        """Mean edge of a pixel in meters; None for a frame of one pixel."""
        return self.metadata.grid.pixel_meters

    @property
    def crs_attributes(self) -> dict[str, Any]:
        """CF grid mapping attributes, empty where the projection is not known."""
        return self.metadata.grid.crs_attributes

    @property
    def attributes(self) -> dict[str, Any]:
        """CF global attributes: source, Z-R relation, time stamps, resampling, reader."""
        return self.metadata.attributes

    @property
    def static_mask(self) -> NDArray[np.bool_]:
        """bool (H, W), True = use this pixel."""
        return self.metadata.static_mask

    @property
    def splits(self) -> Splits:
        """Split name → days (datetime64[D]), listed days that have no frames included."""
        return self.metadata.splits

    @property
    def days(self) -> NDArray[np.datetime64]:
        """UTC days that have frames, datetime64[D], ascending."""
        return np.unique(self.times.astype("datetime64[D]"))

    def split_times(self, split: str) -> Times:
        """Times of the frames on the days of a split, datetime64[s]; NowcastError lists the splits there are."""
        if split not in self.splits:
            there = ", ".join(self.splits) or "none; name days at ingestion, for example train=2018-07-21,2018-07-22"
            raise NowcastError(f"the archive {self.path} has no split {split!r}, its splits are: {there}")
        return self.times[np.isin(self.times.astype("datetime64[D]"), self.splits[split])]

    def read(
        self, times: ArrayLike, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
    ) -> Frames:
        """Frames at `times` (datetime64, T of them, any order, repeats allowed).

        `rows` and `columns` are half-open crops, `(164, 284)` for rows 164 to 283. A time that is not there gives
        code 0, flag 0 and present False. NowcastError where the crop leaves the frame or a file is damaged.
        """
        codes, flags, present = self._read(times, rows, columns, with_flags=True)
        return Frames(codes, flags, present)

    def read_codes(
        self, times: ArrayLike, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(codes, present) of `read`, at half its cost, where the flags are of no use."""
        codes, _, present = self._read(times, rows, columns, with_flags=False)
        return codes, present

    def dataset(self, times: ArrayLike) -> xr.Dataset:
        """Frames at `times` as CF data in physical units.

        `reflectivity(time, y, x)` float32 dBZ, -10 = no echo; `valid(time, y, x)` uint8 flags; `static_mask(y, x)`
        bool, True = use this pixel; x, y as in the archive's grid; the grid mapping where it has one. A time that is
        not there is unseen everywhere.
        """
        import xarray as xr  # slow to import, and reading raw frames needs none of it

        at = np.atleast_1d(np.asarray(times, "datetime64[s]"))
        frames = self.read(at)
        scale = CANONICAL_SCALE.maximum - CANONICAL_SCALE.minimum
        decibels = (np.arange(256) * (scale / 255) + CANONICAL_SCALE.minimum).astype(np.float32)
        dims, mapping = ("time", "y", "x"), {"grid_mapping": "crs"} if self.crs_attributes else {}
        fields = {
            "reflectivity": (
                dims,
                decibels[frames.codes],
                {"standard_name": "equivalent_reflectivity_factor", "units": "dBZ", **mapping},
            ),
            "valid": (
                dims,
                frames.flags,
                {"flag_values": np.array([0, 1, 2], np.uint8), "flag_meanings": FLAG_MEANINGS, **mapping},
            ),
            "static_mask": (("y", "x"), self.static_mask, {"long_name": "seen by the radar", **mapping}),
        }
        coordinates = {"time": at, **self.coordinates()}
        interval = int(self.interval.astype("timedelta64[s]").astype(int))
        return xr.Dataset(fields, coordinates, attrs={**self.attributes, "frame_interval_seconds": interval})

    def coordinates(
        self, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Coordinates `y`, `x` and, where a place is known, the grid mapping `crs`, for an xarray dataset.

        `rows` and `columns` are half-open crops as in `read`.
        """
        grid = self.metadata.grid
        found: dict[str, Any] = {
            "y": ("y", grid.y[crop(rows, self.shape[0], "rows")], grid.axis_attributes("y")),
            "x": ("x", grid.x[crop(columns, self.shape[1], "columns")], grid.axis_attributes("x")),
        }
        return {**found, "crs": ((), 0, grid.crs_attributes)} if grid.crs_attributes else found

    def close(self) -> None:
        """Close the day files; reading opens them again."""
        self._open.close()

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.times)

    def __repr__(self) -> str:
        minutes = self.interval / np.timedelta64(60, "s")
        days, splits = self.days, ", ".join(self.splits) or "none"
        return (
            f"Archive({str(self.path)!r}: {len(self)} frames of {self.shape[0]}×{self.shape[1]} every {minutes:g} min, "
            f"{days[0]} to {days[-1]}; splits: {splits})"
        )

    def _read(
        self,
        times: ArrayLike,
        rows: tuple[int, int] | None,
        columns: tuple[int, int] | None,
        with_flags: bool,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
        down, across = crop(rows, self.shape[0], "rows"), crop(columns, self.shape[1], "columns")
        wanted, present = self.index.find(np.atleast_1d(np.asarray(times, "datetime64[s]")))
        shape = (len(wanted), down.stop - down.start, across.stop - across.start)
        codes = np.zeros(shape, np.uint8)
        flags = np.zeros(shape if with_flags else (0, *shape[1:]), np.uint8)
        found = np.flatnonzero(present)
        found = found[np.argsort(wanted[found], kind="stable")]
        file_number, frame_number = (
            self.index.file_number[wanted[found]],
            self.index.frame_number[wanted[found]],
        )
        # One read per file and run of nearby frames: a gap shorter than a chunk is decoded anyway.
        breaks = np.flatnonzero((np.diff(file_number) != 0) | (np.diff(frame_number) > CHUNK_FRAMES)) + 1
        for run in np.split(np.arange(len(found)), breaks) if len(found) else ():
            first, last = frame_number[run[0]], frame_number[run[-1]]
            where, offset = found[run], frame_number[run] - first
            contiguous = len(run) == last - first + 1 and (np.diff(where) == 1).all()
            path = self.path / self.index.files[file_number[run[0]]]
            for name, target in (("reflectivity", codes), ("valid", flags))[: 1 + with_flags]:
                block = self._block(path, name, (slice(first, last + 1), down, across))
                if contiguous:
                    target[where[0] : where[-1] + 1] = block
                else:
                    target[where] = block[offset]
        return codes, flags, present

    def _block(self, path: Path, name: str, part: tuple[slice, slice, slice]) -> NDArray[np.uint8]:
        try:
            with self._open.reading(path) as file:
                return np.asarray(file[name][part])
        except (OSError, RuntimeError) as error:
            raise NowcastError(f"{path} is damaged ({error}); remove it and ingest that day again") from error


def crop(bounds: tuple[int, int] | None, size: int, name: str) -> slice:
    """The slice of a half-open crop, None for everything; NowcastError where it is empty or leaves the frame."""
    if bounds is None:
        return slice(0, size)
    first, last = (int(bound) for bound in bounds)
    if not 0 <= first < last <= size:
        raise NowcastError(
            f"{name} {first} to {last} (exclusive) lie outside the frame, which has {size} {name}: "
            f"expected 0 ≤ first < last ≤ {size}"
        )
    return slice(first, last)
