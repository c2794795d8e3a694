"""How fields are compressed inside an archive: fast to read first, portable on request."""

from __future__ import annotations

from typing import Any, Literal

import netCDF4
import numpy as np
from numpy.typing import NDArray

from nowcast.errors import NowcastError

Compression = Literal["blosc_lz4", "zstd", "zlib"]
COMPRESSIONS: tuple[Compression, ...] = ("blosc_lz4", "zstd", "zlib")
"""Fastest to read first. zlib is read by every netCDF-4 tool; the others need netCDF-C ≥ 4.9 with its plugins, as
the netCDF4 and conda-forge packages have."""

CHUNK_FRAMES = 10
"""Frames per chunk: random 20-frame clips read fastest with 10 (docs/data.md)."""


def check_compression(compression: str) -> None:
    """NowcastError where this compression is unknown, or the installed netCDF4 was built without it."""
    if compression not in COMPRESSIONS:
        raise NowcastError(f"compression is {compression!r}, expected one of {', '.join(COMPRESSIONS)}")
    built_with = {"blosc_lz4": "__has_blosc_support__", "zstd": "__has_zstandard_support__"}
    if compression in built_with and not all(getattr(netCDF4, flag, False) for flag in built_with.values()):
        raise NowcastError(f"this netCDF4 package was built without {compression} or zstd; choose compression zlib")


def compression_options(compression: Compression, values: NDArray[np.uint8]) -> dict[str, Any]:
    """Options of createVariable. Shuffling bytes or bits makes 8-bit fields slower and larger."""
    if compression == "blosc_lz4" and _shrinks_surely(values):
        return {"compression": "blosc_lz4", "complevel": 5, "blosc_shuffle": 0, "shuffle": False}
    return {"compression": "zstd" if compression == "blosc_lz4" else compression, "complevel": 1, "shuffle": False}


def _shrinks_surely(values: NDArray[np.uint8]) -> bool:
    """Whether every chunk has enough repetition for LZ4 to shrink it.

    The netCDF filter of Blosc fails on a chunk that does not shrink, and the file with it. Where 3 % of the bytes, and
    some thousands, repeat the eight before them, LZ4 saves far more than its overhead; real radar has 12 % and more
    even in the middle of a typhoon. zstd takes whatever comes.
    """
    for first in range(0, len(values), CHUNK_FRAMES):
        chunk = np.ascontiguousarray(values[first : first + CHUNK_FRAMES]).reshape(-1)
        words = chunk[: chunk.size // 8 * 8].view(np.uint64)
        repeated = 8 * np.count_nonzero(words[1:] == words[:-1])
        if repeated < max(4096, 0.03 * chunk.size):
            return False
    return True
