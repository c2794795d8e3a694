"""What an archive holds, as plain data: for `nowcast info` and for anyone who meets a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nowcast.data.gaps import missing_slots
from nowcast.data.masks import UNSEEN, USABLE
from nowcast.units import HKO7_SCALE, scaled_threshold

if TYPE_CHECKING:
    from nowcast.data.archive import Archive

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


def summarize(archive: Archive) -> dict[str, Any]:
    """Counts, span, gaps, splits and rain of an archive; opens no day file.

    `valid_fraction`: share of all pixels that are usable; `wet_fraction`: share of seen pixels (usable or doubtful)
    with at least 0.1 mm/h; `heavy_fraction`: at least 10 mm/h. None where the day files do not say.
    """
    times, missing = archive.times, missing_slots(archive.times, archive.interval)
    days_of = times.astype("datetime64[D]")
    return {
        "path": str(archive.path),
        "frames": len(times),
        "days": len(archive.days),
        "first": str(times[0]),
        "last": str(times[-1]),
        "interval_minutes": archive.interval.astype(float) / 60,
        "shape": list(archive.shape),
        "pixel_metres": round(float(abs(archive.x[1] - archive.x[0])), 3) if len(archive.x) > 1 else None,
        "projection": archive.crs_attributes.get("grid_mapping_name", "unknown"),
        "source_format": archive.attributes.get("source_format", "unknown"),
        "missing_slots": len(missing),
        "missing": [str(time) for time in missing[:20]],
        "static_mask": archive.metadata.static_mask_source,
        "static_mask_fraction": float(archive.static_mask.mean()),
        "splits": {
            name: {
                "days_listed": len(days),
                "days": int(np.isin(days, archive.days).sum()),
                "frames": int(np.isin(days_of, days).sum()),
            }
            for name, days in archive.splits.items()
        },
        **fractions([facts.report for facts in archive.index.days.values()]),
        "bytes": sum(facts.size for facts in archive.index.days.values()),
    }
