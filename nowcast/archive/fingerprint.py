"""What an archive is, in few numbers: for telling whether a run meets the data again that it learned from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nowcast.archive.archive import Archive
from nowcast.radar.times import interval_seconds

LEARNED_FROM = ("train", "valid")
"""Splits that training reads; the others may grow without changing any optimizer step."""


def fingerprint(archive: Archive) -> str:
    """SHA-256 of which frames an archive holds, where, and how they are split; moving it changes nothing."""
    digest = hashlib.sha256(json.dumps([archive.shape, int(archive.interval.astype(int))]).encode())
    digest.update(archive.times.astype("int64").tobytes())
    digest.update(np.packbits(archive.static_mask).tobytes())
    for name in sorted(archive.splits):
        digest.update(name.encode())
        digest.update(np.sort(archive.splits[name]).astype("datetime64[D]").astype("int64").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class ArchiveFacts:
    """What a run remembers of its archive; plain data, JSON both ways.

    Attributes:
        interval_seconds: frame interval.
        shape: (H, W) of the frames.
        pixel: edge of a pixel in meters; None where the grid is in degrees, or one pixel wide.
        static_mask: first digits of the SHA-256 of the static mask.
        splits: split that training reads → "N frames, digits", the digits of the SHA-256 of its frame times.
    """

    interval_seconds: int
    shape: tuple[int, int]
    pixel: float | None
    static_mask: str
    splits: dict[str, str]

    @classmethod
    def of(cls, archive: Archive) -> ArchiveFacts:
        """The facts of an archive."""
        splits = {name: archive.split_times(name) for name in LEARNED_FROM if name in archive.splits}
        return cls(
            interval_seconds(archive.interval),
            archive.shape,
            pixel_metres(archive),
            _digits(np.packbits(archive.static_mask)),
            {name: f"{len(times)} frames, {_digits(times.astype('int64'))}" for name, times in splits.items()},
        )

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> ArchiveFacts:
        """The facts that `plain` gave; KeyError or TypeError where something is missing."""
        return cls(**{**content, "shape": tuple(content["shape"])})

    def plain(self) -> dict[str, Any]:
        """The facts as plain data."""
        return asdict(self)

    def difference(self, other: ArchiveFacts) -> str | None:
        """The first thing in which two archives differ for whoever learns from them, in words; None where nothing."""
        for name, found, wanted in (
            ("frames", f"{other.interval_seconds / 60:g} min apart", f"{self.interval_seconds / 60:g} min apart"),
            ("frames of", "×".join(map(str, other.shape)), "×".join(map(str, self.shape))),
            ("pixels of", f"{other.pixel} m", f"{self.pixel} m"),
            ("another static mask", other.static_mask, self.static_mask),
        ):
            if found != wanted:
                return name if name.startswith("another") else f"{name} {found} instead of {wanted}"
        for split in LEARNED_FROM:
            found, wanted = other.splits.get(split, "no such split"), self.splits.get(split, "no such split")
            if found != wanted:
                there, here = (facts.split(", ")[0] for facts in (found, wanted))
                return f"another {split} split ({there}" + (f" instead of {here})" if there != here else ")")
        return None


def pixel_metres(archive: Archive) -> float | None:
    """Edge of a pixel in meters, to a millimeter; None where the grid is in degrees, or one pixel wide."""
    if archive.metadata.grid.geographic or len(archive.x) < 2:
        return None
    return round(float(abs(archive.x[1] - archive.x[0])), 3)


def _digits(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
