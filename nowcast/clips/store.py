"""Clips for training and scoring: uint8 frames held in memory where they fit, one gather per batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from nowcast.archive.archive import Archive, crop
from nowcast.clips.model_input import ModelInput, check_masks, in_domain, model_input, scaled_frames
from nowcast.errors import NowcastError
from nowcast.radar.times import Times, interval_seconds, seconds
from nowcast.sequence import RadarSequence

LOADING_BLOCK = 500
"""Frames read at once while a store fills: a few days, so that loading needs little memory beside the store."""

HELD_BYTES = {"static": 1 + 1 / 8, "frame": 1 + 2 / 8}
"""Bytes that a pixel takes in memory at most: its code, and a bit for each mask."""


class ClipStore:
    """The frames of one split and one crop, served as batches of sequences.

    What is valid, and what a forecaster is given of a frame, says `nowcast.clips.model_input`. A missing frame is all
    zero and nowhere valid. Build it with `from_archive`.
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
        self._valid: NDArray[np.uint8] | None = None
        self._seen: NDArray[np.uint8] | None = None
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
        check_masks(masks)
        wanted = np.unique(np.asarray(times, "datetime64[s]"))
        present = wanted[archive.index.find(wanted)[1]]
        if not len(present):
            raise NowcastError(f"the archive {archive.path} has no frame at any of the {len(wanted)} times asked for")
        down, across = crop(rows, archive.shape[0], "rows"), crop(columns, archive.shape[1], "columns")
        frame = (down.stop - down.start) * (across.stop - across.start)
        needed = (len(present) + 1) * frame * HELD_BYTES[masks]
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
    def corner(self) -> tuple[int, int]:
        """First row and column of the crop in the archive's frames."""
        return (self.rows or (0, 0))[0], (self.columns or (0, 0))[0]

    @property
    def static_mask(self) -> NDArray[np.bool_]:
        """The static mask of the crop, bool (H, W), True = use this pixel."""
        return self._static

    def sequence(self, starts: ArrayLike, observed: int, forecast: int) -> RadarSequence:
        """The clips that start at `starts` (datetime64, B of them): `observed` frames, then `forecast` frames."""
        return as_sequence(self.frames(starts, observed + forecast), observed)

    def frames(self, starts: ArrayLike, length: int) -> ModelInput:
        """The `length` frames from each of `starts` on (datetime64, B of them), (B, length, H, W)."""
        first = seconds(np.atleast_1d(np.asarray(starts, "datetime64[s]")))
        wanted = first[:, None] + np.arange(length) * self.interval  # (B, T)
        position = np.minimum(np.searchsorted(self._seconds, wanted), len(self._seconds) - 1)
        present = self._seconds[position] == wanted
        return self._gather(wanted, np.where(present, position, len(self._seconds)), present)

    def _gather(self, wanted: NDArray[np.int64], position: NDArray[np.int64], present: NDArray[np.bool_]) -> ModelInput:
        """The frames at `position` (the last one is empty), (B, T, H, W)."""
        shape = (*wanted.shape, *self.shape)
        if self._codes is None:
            read = self.archive.read(
                np.where(present, wanted, -1).astype("datetime64[s]").ravel(), self.rows, self.columns
            )
            codes, flags = read.codes.reshape(shape), read.flags.reshape(shape)
            return model_input(codes, flags, present, self._static, self.masks)
        codes = self._codes.index_select(0, torch.from_numpy(position.ravel())).view(shape).numpy()
        valid = self._masked(self._valid, position, present)
        seen = self._masked(self._seen, position, present) if self.masks == "frame" else valid
        return ModelInput(codes, valid, seen)

    def _masked(
        self, held: NDArray[np.uint8] | None, position: NDArray[np.int64], present: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """A mask (B, T, H, W) from its bits; from the static mask where that is all there is to say."""
        if held is None:
            return present[..., None, None] & self._static
        bits = np.unpackbits(held[position.ravel()], axis=1, count=self._static.size)
        return bits.view(np.bool_).reshape(*position.shape, *self.shape)

    def _load(self) -> None:
        """Hold every frame, and after the last an empty one that stands for whatever is missing."""
        count, size = len(self.times), self._static.size
        codes = np.zeros((count + 1, *self.shape), np.uint8)
        names = ("valid", "seen") if self.masks == "frame" else ("valid",)
        masks = {name: np.zeros((count + 1, -(-size // 8)), np.uint8) for name in names}
        for first in range(0, count, LOADING_BLOCK):
            block = slice(first, min(first + LOADING_BLOCK, count))
            read = self.archive.read(self.times[block], self.rows, self.columns)
            frames = model_input(read.codes, read.flags, read.present, self._static, self.masks)
            codes[block] = frames.codes
            for name, held in masks.items():
                held[block] = np.packbits(getattr(frames, name).reshape(len(read.codes), size), axis=1)
        self._codes = torch.from_numpy(codes)
        static = np.packbits(self._static.ravel())
        # Of most radars every frame sees what the static mask says: nothing need be held, nothing unpacked.
        needed = {name: bits for name, bits in masks.items() if not (bits[:count] == static).all()}
        self._valid, self._seen = needed.get("valid"), needed.get("seen")


def as_sequence(frames: ModelInput, observed: int) -> RadarSequence:
    """Frames (B, T, H, W) as sequences, the first `observed` of them observed."""
    fields = scaled_frames(frames.codes).unsqueeze(2)  # (B, T, 1, H, W)
    valid = torch.from_numpy(frames.valid).unsqueeze(2)
    domain = torch.from_numpy(in_domain(frames.seen[:, :observed]))[:, None, None]  # (B, 1, 1, H, W)
    return RadarSequence(fields[:, :observed], valid[:, :observed], fields[:, observed:], valid[:, observed:], domain)
