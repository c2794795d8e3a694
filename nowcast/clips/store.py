"""Clips for training and scoring: uint8 frames held in memory where they fit, one gather per batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nowcast.archive.archive import Archive, crop
from nowcast.errors import NowcastError
from nowcast.radar.flags import USABLE
from nowcast.radar.times import Times, interval_seconds, seconds
from nowcast.sequence import RadarSequence

MASKS = ("static", "frame")
LOADING_BLOCK = 500
"""Frames read at once while a store fills: a few days, so that loading needs little memory beside the store."""


class ClipStore:
    """The frames of one split and one crop, served as batches of sequences.

    `masks="static"`: valid = static mask, on frames that exist. `masks="frame"`: valid = flag 1, the `.mask` of the
    2017 benchmark. A missing frame is all zero and nowhere valid. Build it with `from_archive`.
    """

    def __init__(
        self,
        archive: Archive,
        times: Times,
        rows: tuple[int, int] | None,
        columns: tuple[int, int] | None,
        masks: str,
        in_memory: bool,
    ) -> None:
        self.archive, self.times, self.masks = archive, times, masks
        self.rows, self.columns = rows, columns
        self.interval = interval_seconds(archive.interval)
        self._static = archive.static_mask[crop(rows, archive.shape[0], "rows"), :]
        self._static = np.ascontiguousarray(self._static[:, crop(columns, archive.shape[1], "columns")])
        self._seconds = seconds(times)
        self._codes: torch.Tensor | None = None
        self._usable: torch.Tensor | None = None
        if in_memory:
            self._load()

    @classmethod
    def from_archive(
        cls,
        archive: Archive,
        times: ArrayLike,
        rows: tuple[int, int] | None = None,
        columns: tuple[int, int] | None = None,
        masks: str = "static",
        in_memory: bool | None = None,
        memory_gib: float = 8.0,
    ) -> ClipStore:
        """A store of the frames at `times` (datetime64; times without a frame count as missing).

        Arguments:
            rows, columns: half-open crop, `(164, 284)` for rows 164 to 283; None for everything.
            masks: "static" or "frame".
            in_memory: True holds the frames in memory, False reads clips from the archive, None holds them where
                they fit `memory_gib` (GiB).

        NowcastError where the crop leaves the frame or no frame is at `times`.
        """
        if masks not in MASKS:
            raise NowcastError(f"masks is {masks!r}, expected one of {', '.join(MASKS)}")
        wanted = np.unique(np.asarray(times, "datetime64[s]"))
        present = wanted[archive.index.find(wanted)[1]]
        if not len(present):
            raise NowcastError(f"the archive {archive.path} has no frame at any of the {len(wanted)} times asked for")
        down, across = crop(rows, archive.shape[0], "rows"), crop(columns, archive.shape[1], "columns")
        frame = (down.stop - down.start) * (across.stop - across.start)
        needed = (len(present) + 1) * frame * (2 if masks == "frame" else 1)
        fits = needed <= memory_gib * 2**30
        return cls(archive, present, rows, columns, masks, fits if in_memory is None else in_memory)

    @property
    def in_memory(self) -> bool:
        """Whether the frames are held in memory."""
        return self._codes is not None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the crop."""
        return self._static.shape[0], self._static.shape[1]

    @property
    def static_mask(self) -> NDArray[np.bool_]:
        """The static mask of the crop, bool (H, W), True = use this pixel."""
        return self._static

    def sequence(self, starts: ArrayLike, observed: int, forecast: int) -> RadarSequence:
        """The clips that start at `starts` (datetime64, B of them): `observed` frames, then `forecast` frames."""
        first = seconds(np.atleast_1d(np.asarray(starts, "datetime64[s]")))
        wanted = first[:, None] + np.arange(observed + forecast) * self.interval  # (B, T)
        position = np.minimum(np.searchsorted(self._seconds, wanted), len(self._seconds) - 1)
        present = self._seconds[position] == wanted
        codes, valid = self._gather(wanted, np.where(present, position, len(self._seconds)), present)
        fields = codes.to(torch.float32).div_(255.0).unsqueeze(2)  # (B, T, 1, H, W)
        valid = valid.unsqueeze(2)
        return RadarSequence(fields[:, :observed], valid[:, :observed], fields[:, observed:], valid[:, observed:])

    def _gather(
        self, wanted: NDArray[np.int64], position: NDArray[np.int64], present: NDArray[np.bool_]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes uint8 and valid bool, both (B, T, H, W), of the frames at `position` (the last one is empty)."""
        shape = (*wanted.shape, *self.shape)
        if self._codes is not None:
            flat = torch.from_numpy(position.ravel())
            codes = self._codes.index_select(0, flat).view(shape)
            if self._usable is not None:
                return codes, self._usable.index_select(0, flat).view(shape)
        else:
            times = np.where(present, wanted, -1).astype("datetime64[s]").ravel()
            if self.masks == "frame":
                frames = self.archive.read(times, self.rows, self.columns)
                usable = torch.from_numpy(frames.flags == USABLE)
                return torch.from_numpy(frames.codes).view(shape), usable.view(shape)
            read = self.archive.read_codes(times, self.rows, self.columns)[0]
            codes = torch.from_numpy(read).view(shape)
        return codes, torch.from_numpy(present)[..., None, None] & torch.from_numpy(self._static)

    def _load(self) -> None:
        """Hold every frame, and after the last an empty one that stands for whatever is missing."""
        shape = (len(self.times) + 1, *self.shape)
        codes = np.zeros(shape, np.uint8)
        usable = np.zeros(shape, np.bool_) if self.masks == "frame" else None
        for first in range(0, len(self.times), LOADING_BLOCK):
            block = slice(first, min(first + LOADING_BLOCK, len(self.times)))
            if usable is None:
                codes[block], _ = self.archive.read_codes(self.times[block], self.rows, self.columns)
            else:
                frames = self.archive.read(self.times[block], self.rows, self.columns)
                codes[block], usable[block] = frames.codes, frames.flags == USABLE
        self._codes = torch.from_numpy(codes)
        self._usable = None if usable is None else torch.from_numpy(usable)
