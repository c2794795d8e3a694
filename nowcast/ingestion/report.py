"""What an ingest found, wrote and could not use: as data (JSON) and as text a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.archive.index import DayFacts
from nowcast.archive.splits import Splits
from nowcast.atomic_files import write_json, write_text
from nowcast.radar.pixel_counts import fractions
from nowcast.radar.times import Times, missing_slots

REPORT_JSON, REPORT_TEXT = "ingest_report.json", "ingest_report.txt"
LISTED = 20
"""Entries of each kind that the text lists; the JSON file has all."""

KINDS = {
    "unreadable": "frames that could not be used",
    "broken_masks": "broken masks (the format's rule stands in)",
    "snapped": "frames off grid, used for the nearest slot",
    "off_grid": "frames off grid, not used",
    "duplicated": "frames for a slot that was taken",
    "missing": "missing slots",
    "empty_days": "days without a usable frame",
    "days_without_folder": "listed days without a folder",
    "stray": "files that are not frames",
    "unlisted": "folders that could not be listed",
}


@dataclass(frozen=True)
class IngestReport:
    """One run of an ingest, with what earlier runs met on the days that did not change.

    Attributes:
        archive, source: folders.
        grid: pixels and place in words; `place`: who states them; `rain`: the source's Z-R relation, or that it
            gives rain rates.
        found: frames in the source; `written`: frames of the source that are in the archive now.
        days, days_written, days_unchanged: days with frames in the source, and what this run did with them.
        unreadable, broken_masks, snapped, off_grid, duplicated: sentences that name a file and a reason.
        masks_computed: frames whose `.mask` is absent or broken.
        missing: slots without a frame inside continuous data (see `missing_slots`), ISO times.
        empty_days, days_without_folder, stray, unlisted: days and files.
        splits: name → days listed, days in the archive, frames, rain of the listed days in mm (None = not known).
        valid_fraction, wet_fraction, heavy_fraction: shares of pixels (see `nowcast.archive.summary.summarize`).
    """

    archive: str
    source: str
    interval_minutes: float
    shape: tuple[int, int]
    grid: str
    place: str
    rain: str
    static_mask: str
    found: int
    written: int
    days: int
    days_written: int
    days_unchanged: int
    masks_computed: int
    unreadable: list[str] = field(default_factory=list)
    broken_masks: list[str] = field(default_factory=list)
    snapped: list[str] = field(default_factory=list)
    off_grid: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    empty_days: list[str] = field(default_factory=list)
    days_without_folder: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    splits: dict[str, dict[str, Any]] = field(default_factory=dict)
    valid_fraction: float | None = None
    wet_fraction: float | None = None
    heavy_fraction: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def write(self, folder: Path) -> Path:
        """Write `ingest_report.json` and `ingest_report.txt`; the path of the second."""
        write_json(folder / REPORT_JSON, self.as_dict())
        write_text(folder / REPORT_TEXT, f"{self}\n")
        return folder / REPORT_TEXT

    def __str__(self) -> str:
        lines = [
            f"{self.source} → {self.archive}",
            f"{self.found} frames found, {self.written} in the archive, {len(self.missing)} missing slots "
            f"({self.shape[0]}×{self.shape[1]}, every {self.interval_minutes:g} min)",
            f"grid: {self.grid} ({self.place})",
            f"rain: {self.rain}",
            f"{self.days} days: {self.days_written} written, {self.days_unchanged} unchanged",
            f"masks: {self.written - self.masks_computed} from files, {self.masks_computed} by the format's rule; "
            f"static mask: {self.static_mask}",
            f"usable pixels {_percent(self.valid_fraction)}, wet (≥ 0.1 mm/h) {_percent(self.wet_fraction)} and heavy "
            f"(≥ 10 mm/h) {_percent(self.heavy_fraction)} of the seen ones",
        ]
        for name, split in self.splits.items():
            rain = "" if split["rain_mm"] is None else f", {split['rain_mm']:g} mm of rain on the listed days"
            lines.append(
                f"split {name}: {split['days']} of {split['days_listed']} listed days, {split['frames']} frames{rain}"
            )
        if not self.splits:
            lines.append("no splits: no day lists found and none given, so training needs splits (train, valid, test)")
        for kind, words in KINDS.items():
            entries = getattr(self, kind)
            if entries:
                lines.append(f"{len(entries)} {words}:")
                lines.extend(f"  {entry}" for entry in entries[:LISTED])
                if len(entries) > LISTED:
                    lines.append(f"  … and {len(entries) - LISTED} more in {REPORT_JSON}")
        return "\n".join(lines)


def describe_splits(
    splits: Splits, times: Times, rain: dict[str, dict[np.datetime64, float]]
) -> dict[str, dict[str, Any]]:
    """Counts of each split: listed days, days with frames, frames, and rain in mm where the lists give it."""
    days = times.astype("datetime64[D]")
    described = {}
    for name, listed in splits.items():
        amounts = [rain.get(name, {}).get(day, np.nan) for day in listed]
        known = len(amounts) > 0 and not np.isnan(amounts).any()
        described[name] = {
            "days_listed": len(listed),
            "days": int(np.isin(listed, days).sum()),
            "frames": int(np.isin(days, listed).sum()),
            "rain_mm": round(float(np.sum(amounts)), 1) if known else None,
        }
    return described


def gather(days: Iterable[tuple[str, DayFacts]], interval: np.timedelta64) -> dict[str, Any]:
    """The fields of an IngestReport that add up over days; `days` are (ISO day, facts) in order."""
    days = list(days)
    reports = [facts.report for _, facts in days]
    times = np.array([time for _, facts in days for time in facts.times], np.int64).astype("datetime64[s]")
    lists = ("unreadable", "broken_masks", "snapped", "off_grid", "duplicated")
    return {
        **{kind: [entry for report in reports for entry in report.get(kind, [])] for kind in lists},
        **{kind: sum(report.get(kind, 0) for report in reports) for kind in ("found", "written", "masks_computed")},
        "missing": [str(time) for time in missing_slots(times, interval)],
        "empty_days": [day for day, facts in days if not facts.times],
        **fractions(reports),
    }


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"
