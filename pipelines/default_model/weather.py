"""The weather that the default model learns from: synthetic radar of several climates, pixels and intervals, as one.

A network in Lagrangian coordinates sees motion in pixels per interval and never meters or minutes, so days of all
pixel sizes and intervals lie in one archive, whose nominal interval and pixel are those of most radars.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from nowcast.atomic_files import write_text
from nowcast.ingestion.ingest import ingest
from nowcast.synthetic.days import FIRST_DAY
from nowcast.synthetic.synthesize import SyntheticSummary, synthesize

NOMINAL_INTERVAL = np.timedelta64(6, "m")
"""Between the frames of the gathered archive, whatever it was between those of a part."""

FRAMES, SIZE = 36, 288
"""Frames of a day and pixels of a side: crops of 160 pixels fit at many places."""


@dataclass(frozen=True)
class Part:
    """Some days of one climate, seen with one pixel (m) at one interval (minutes)."""

    climate: str
    pixel: float
    interval: int
    days: int
    seed: int


PARTS = (
    Part("convective", 1067, 6, 20, 11),
    Part("mixed", 1067, 6, 11, 12),
    Part("summer", 1067, 6, 8, 13),
    Part("mixed", 1000, 5, 11, 14),
    Part("weak", 1000, 5, 6, 15),
    Part("mixed", 500, 6, 11, 16),
    Part("convective", 500, 10, 8, 17),
    Part("mixed", 500, 10, 11, 18),
    Part("mixed", 2000, 10, 11, 19),
    Part("unsteady", 1067, 6, 18, 20),
    Part("unsteady", 1000, 5, 6, 21),
    Part("unsteady", 500, 10, 8, 22),
    Part("summer", 1067, 6, 28, 23),
)
"""Storms most: they move least predictably, and the balanced loss is theirs."""

VALID_EVERY = 8
"""Every so many days of the gathered archive one is for validation."""


def make_archive(
    folder: Path, parts: Sequence[Part] = PARTS, workers: int | None = None, progress: bool = True
) -> Path:
    """Synthesize the parts, gather their days and ingest them into `folder/archive`; finished work is kept."""
    made = [
        synthesize(
            folder / "parts" / f"{number:02}-{part.climate}-{part.pixel:g}m-{part.interval}min",
            days=part.days,
            seed=part.seed,
            size=SIZE,
            frame_interval=np.timedelta64(part.interval, "m"),
            frames_per_day=FRAMES,
            pixel=part.pixel,
            climate=part.climate,
            workers=workers,
            progress=progress,
        )
        for number, part in enumerate(parts)
    ]
    days = gather(made, folder / "radar")
    splits: dict[str, list[str]] = {"train": [], "valid": []}
    for number, day in enumerate(days):
        splits["valid" if number % VALID_EVERY == VALID_EVERY - 1 else "train"].append(str(day))
    ingest(
        "hko7",
        folder / "radar",
        folder / "archive",
        splits=splits,
        interval=NOMINAL_INTERVAL,
        workers=workers,
        progress=progress,
    )
    return folder / "archive"


def gather(parts: Sequence[SyntheticSummary], tree: Path) -> list[np.datetime64]:
    """The days of all parts one after the other in one tree, their frames `NOMINAL_INTERVAL` apart; returns the days.

    Every other day keeps the benchmark's masks, in which weak echoes (codes below 71) are doubtful; on the others
    every pixel within view may be used, as most radars have it. A part's static mask becomes part of its frames' masks.
    """
    days: list[np.datetime64] = []
    for part in parts:
        with np.load(part.path / "hko_data" / "mask_dat.npz") as masks:
            in_view = ~masks["exclude_mask"].astype(bool)
        everything = zlib.compress(in_view.tobytes())
        for day in part.days:
            date = FIRST_DAY + len(days)
            for slot, image in _frames(part.path, day.date):
                time = date.astype("datetime64[s]") + slot * NOMINAL_INTERVAL
                target = _place(tree / "radarPNG", time, ".png")
                if not target.exists():
                    os.link(image, target)
                mask = _place(tree / "radarPNG_mask", time, ".mask")
                own = part.path / "radarPNG_mask" / image.parent.relative_to(part.path / "radarPNG")
                kept = own / image.with_suffix(".mask").name
                if not mask.exists():
                    mask.write_bytes(kept.read_bytes() if len(days) % 2 and kept.exists() else everything)
            days.append(date)
    write_text(tree / "README", "Synthetic radar of several pixels and intervals, all dated as if 6 minutes apart.\n")
    return days


def _frames(part: Path, day: np.datetime64) -> Iterator[tuple[int, Path]]:
    """(number, file) of the frames of a day, in order of time; numbers count missing frames too."""
    folder = part / "radarPNG" / str(day).replace("-", "/")
    paths = sorted(folder.glob("*.png"))
    times = [np.datetime64(datetime.strptime(path.stem, "RAD%y%m%d%H%M%S"), "s") for path in paths]
    gaps = np.diff(np.array(times)) if len(times) > 1 else np.array([np.timedelta64(1, "s")])
    for time, path in zip(times, paths, strict=True):
        yield int((time - day.astype("datetime64[s]")) / gaps.min()), path


def _place(root: Path, time: np.datetime64, suffix: str) -> Path:
    stamp = time.astype("datetime64[s]").astype(datetime)
    path = root / stamp.strftime("%Y/%m/%d") / (stamp.strftime("RAD%y%m%d%H%M00") + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
