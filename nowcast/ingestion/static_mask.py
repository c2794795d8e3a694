"""The static mask of an archive: the source's own, the one already stored, or where the radar was ever usable."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.archive.day_file import open_day
from nowcast.archive.metadata import Metadata
from nowcast.errors import NowcastError
from nowcast.readers.hko7 import Hko7Source

DERIVED = "pixels usable in at least one frame of the archive (the source has no mask_dat.npz)"


def choose_static_mask(
    source: Hko7Source, stored: Metadata | None, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | None, str]:
    """(mask, where it is from): bool (H, W), True = use this pixel; None where it must be derived from the frames.

    NowcastError where mask_dat.npz has another size than the frames.
    """
    found = source.static_mask()
    if found is None:
        if stored is not None and stored.static_mask_source != DERIVED:
            return stored.static_mask, stored.static_mask_source
        return None, DERIVED
    path, mask = found
    if mask.shape != shape:
        raise NowcastError(
            f"exclude_mask in {path} is {mask.shape[0]}×{mask.shape[1]}, expected {shape[0]}×{shape[1]} like the "
            "frames; correct the file, or remove it to ingest without one"
        )
    return mask, "exclude_mask of mask_dat.npz"


def derived_static_mask(days: Iterable[Path], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that were usable in at least one frame of these day files, bool (H, W).

    Better than calling everything seen: outside the radar's coverage no `.mask` is ever True, and the code 0 there
    would be taken for dry weather.
    """
    mask = np.zeros(shape, bool)
    for path in days:
        with open_day(path) as file:
            mask |= np.asarray(file["ever_usable"][:]) != 0
    return mask
