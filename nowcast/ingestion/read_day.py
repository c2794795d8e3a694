"""Reading one day of a source: frames to codes and flags, and an account of all that was met on the disk."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.archive.day_file import DayContent
from nowcast.ingestion.schedule import DaySchedule
from nowcast.radar.pixel_counts import PIXEL_COUNTS, count_pixels
from nowcast.readers.canonical import canonical_frame
from nowcast.readers.source import FrameRef, Source, SourceFacts, UnreadableFrame

_scratch = threading.local()
"""Memory for the frames of a day, kept for the next one: touching fresh memory would cost a fifth of an ingest."""


def read_day(source: Source, facts: SourceFacts, day: DaySchedule) -> tuple[DayContent | None, dict[str, Any]]:
    """(frames, report) of a day; None where no frame of it can be read. The frames last until the thread's next call.

    Of several frames for one slot the best that can be read is taken. The report is plain data: counts found and
    written, snapped to a slot, off grid, duplicated, unreadable and broken masks with reasons, masks computed, pixel
    counts, and `retry` where a failure may heal without the files changing.
    """
    report = _empty_report(day)
    codes, flags = _memory(len(day.slots), facts.grid.shape)
    times: list[int] = []
    for slot, candidates in day.slots.items():
        position, taken = len(times), None
        for frame in candidates:
            if taken is not None:
                name = taken.label.rpartition("/")[2]
                report["duplicated"].append(f"{frame.label} repeats {_clock(slot)}, {name} is used")
            elif _read_frame(source, facts, frame, codes[position], flags[position], report):
                taken = frame
        if taken is not None:
            times.append(slot)
            if taken.time != slot:
                away = abs(taken.time - slot)
                report["snapped"].append(f"{taken.label} is {away} s off, used for {_clock(slot)}")
    codes, flags = codes[: len(times)], flags[: len(times)]
    report["written"] = len(times)
    if not times:
        return None, report
    return DayContent(np.array(times).astype("datetime64[s]"), codes, flags), report


def _read_frame(
    source: Source,
    facts: SourceFacts,
    frame: FrameRef,
    codes: NDArray[np.uint8],
    flags: NDArray[np.uint8],
    report: dict[str, Any],
) -> bool:
    """Fill one frame's codes and flags (H, W); False where it cannot be read, the reason put into the report."""
    try:
        found = source.read(frame, facts)
        if found.field.shape != codes.shape or found.flags.shape != codes.shape:
            shapes = ["×".join(map(str, shape)) for shape in (found.field.shape, codes.shape)]
            raise UnreadableFrame(f"is {shapes[0]}, expected {shapes[1]}")
    except UnreadableFrame as error:
        report["unreadable"].append(f"{frame.label} {error}")
        report["retry"] |= error.retry
        return False
    if found.problem is not None:
        report["broken_masks"].append(found.problem)
        report["retry"] |= found.retry
    report["masks_computed"] += found.flags_by_rule
    codes[:], flags[:] = canonical_frame(found, facts.zr)
    for kind, count in count_pixels(codes, flags).items():
        report["pixels"][kind] += count
    return True


def _memory(frames: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Codes and flags (2, T, H, W) to fill."""
    kept: NDArray[np.uint8] | None = getattr(_scratch, "frames", None)
    if kept is None or kept.shape[2:] != shape or kept.shape[1] < frames:
        kept = _scratch.frames = np.empty((2, frames, *shape), np.uint8)
    return kept[:, :frames]


def _empty_report(day: DaySchedule) -> dict[str, Any]:
    return {
        "found": day.found,
        "written": 0,
        "duplicated": [],
        "snapped": [],
        "off_grid": [f"{f.label} is {away} s from the nearest slot, not used" for f, away in day.off_grid],
        "unreadable": [],
        "broken_masks": [],
        "masks_computed": 0,
        "retry": False,
        "pixels": dict.fromkeys(PIXEL_COUNTS, 0),
    }


def _clock(slot: int) -> str:
    return str(np.datetime64(slot, "s"))[11:16]
