"""The static mask of an archive: the source's own, the one already stored, or where the radar was ever usable."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.archive.day_file import open_day
from nowcast.archive.metadata import Metadata
from nowcast.readers.source import SourceFacts

DERIVED = "pixels usable in at least one frame of the archive"
"""How the description of a derived mask begins."""


def choose_static_mask(facts: SourceFacts, stored: Metadata | None) -> tuple[NDArray[np.bool_] | None, str]:
    """(mask, where it is from): bool (H, W), True = use this pixel; None where it must be derived from the frames."""
    if facts.static_mask is not None:
        return facts.static_mask, facts.static_mask_source
    if stored is not None and not stored.static_mask_source.startswith(DERIVED):
        return stored.static_mask, stored.static_mask_source
    return None, f"{DERIVED} (the source has no static mask)"


def derived_static_mask(days: Iterable[Path], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that were usable in at least one frame of these day files, bool (H, W).

    Better than calling everything seen: outside the radar's coverage no frame is ever usable, and the code 0 there
    would be taken for dry weather.
    """
    mask = np.zeros(shape, bool)
    for path in days:
        with open_day(path) as file:
            mask |= np.asarray(file["ever_usable"][:]) != 0
    return mask
