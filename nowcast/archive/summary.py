"""What an archive holds, as plain data: for `nowcast info` and for anyone who meets a folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from nowcast.archive.archive import Archive
from nowcast.radar.pixel_counts import fractions
from nowcast.radar.times import missing_slots


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
        "pixel_meters": None if archive.pixel_meters is None else round(archive.pixel_meters, 3),
        "grid": archive.metadata.grid.describe(),
        "place": archive.attributes.get("place", "unknown"),
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
