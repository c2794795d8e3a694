"""The door: whatever a source measures becomes the one scale of all archives.

The codes of an archive are the reflectivity that the canonical relation (Z = 58.53 R^1.56) gives for the source's
rain rate. So rain rates, thresholds and losses mean the same on every archive, and one model can learn from several
radars, each with a Z-R relation of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.radar.flags import UNSEEN
from nowcast.readers.source import RadarFrame
from nowcast.units import CANONICAL_SCALE, CANONICAL_ZR, ZRRelation


def canonical_frame(frame: RadarFrame, zr: ZRRelation | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(codes, flags) uint8 (H, W) of a frame whose source has the relation `zr` (None where it gives rain rates).

    A pixel that is NaN is unseen, whatever its flag. Rain rates outside 0.017 to 517 mm/h, the ends of the scale,
    become 0 mm/h and 517 mm/h.
    """
    if frame.unit == "code":
        same = zr is None or zr == CANONICAL_ZR
        return (frame.field if same else _code_table(zr)[frame.field]), frame.flags
    field = np.asarray(frame.field, np.float64)
    unseen = np.isnan(field)
    flags = np.where(unseen, np.uint8(UNSEEN), frame.flags) if unseen.any() else frame.flags
    decibels = CANONICAL_ZR.reflectivity(np.maximum(field, 0)) if frame.unit == "mm/h" else canonical_dbz(field, zr)
    return CANONICAL_SCALE.encode(CANONICAL_SCALE.scale(decibels)), flags


def canonical_dbz(decibels: ArrayLike, zr: ZRRelation | None) -> NDArray[np.float64]:
    """Reflectivity by the canonical relation of the rain that the relation `zr` finds in a reflectivity, both dBZ.

    >>> marshall_palmer = ZRRelation(200.0, 1.6)
    >>> float(CANONICAL_ZR.rain_rate(canonical_dbz(35.0, marshall_palmer)).round(6))
    5.615084
    >>> float(marshall_palmer.rain_rate(35.0).round(6))
    5.615084
    """
    field = np.asarray(decibels, np.float64)
    if zr is None or zr == CANONICAL_ZR:
        return field
    # Straight in decibels: dBZ = 10 log10(a) + 10 b log10(R) for both relations.
    return 10 * np.log10(CANONICAL_ZR.a) + CANONICAL_ZR.b / zr.b * (field - 10 * np.log10(zr.a))


def _code_table(zr: ZRRelation | None) -> NDArray[np.uint8]:
    """Canonical code of each of the source's 256 codes; no echo stays no echo."""
    decibels = CANONICAL_SCALE.reflectivity(np.arange(256) / 255)
    table = CANONICAL_SCALE.encode(CANONICAL_SCALE.scale(canonical_dbz(decibels, zr)))
    table[0] = 0
    return table
