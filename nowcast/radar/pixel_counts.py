"""How many pixels of a frame are usable, seen, wet, heavy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.radar.flags import UNSEEN, USABLE
from nowcast.units import HKO7_SCALE, scaled_threshold

WET, HEAVY = 0.1, 10.0
"""Rain rates in mm/h from which a pixel counts as wet, and as heavy rain."""
PIXEL_COUNTS = ("all", "usable", "seen", "wet", "heavy")

_CODES = HKO7_SCALE.decode(np.arange(256))
WET_CODE, HEAVY_CODE = (int(np.argmax(_CODES >= scaled_threshold(rate))) for rate in (WET, HEAVY))


def count_pixels(codes: NDArray[np.uint8], flags: NDArray[np.uint8]) -> dict[str, int]:
    """Pixels of one frame, by PIXEL_COUNTS; wet and heavy count among the seen ones (usable or doubtful)."""
    seen = flags != UNSEEN
    echo = codes * seen
    return {
        "all": codes.size,
        "usable": int(np.count_nonzero(flags == USABLE)),
        "seen": int(np.count_nonzero(seen)),
        "wet": int(np.count_nonzero(echo >= WET_CODE)),
        "heavy": int(np.count_nonzero(echo >= HEAVY_CODE)),
    }


def fractions(reports: list[dict[str, Any]]) -> dict[str, float | None]:
    """Shares from the pixel counts of day reports; None where nothing was counted."""
    counts = {key: sum(report.get("pixels", {}).get(key, 0) for report in reports) for key in PIXEL_COUNTS}

    def share(part: str, whole: str) -> float | None:
        return counts[part] / counts[whole] if counts[whole] else None

    return {
        "valid_fraction": share("usable", "all"),
        "wet_fraction": share("wet", "seen"),
        "heavy_fraction": share("heavy", "seen"),
    }
