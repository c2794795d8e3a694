"""Reading one day of an HKO-7 source: decoding, masks, and an account of all that was met on the disk."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nowcast.archive.day_file import DayContent
from nowcast.ingestion.schedule import DaySchedule
from nowcast.radar.flags import flags_of_frame
from nowcast.radar.pixel_counts import PIXEL_COUNTS, count_pixels
from nowcast.readers.hko7 import FoundFrame
from nowcast.readers.png import UnreadableFrame, decode_frame, header_shape, read_bytes

READER = "HKO-7 PNG reader 1"
"""Raise the number when the same files would give other frames: days read by an older reader are read again."""


@dataclass(frozen=True, eq=False)
class FrameReader:
    """How frames of one source are read: source folder, (H, W), and static mask (True = use; None = not known).

    One reader serves one thread: the frames of a day lie in memory that the next day overwrites, because touching
    fresh memory for each day would cost a fifth of the ingest.
    """

    root: Path
    shape: tuple[int, int]
    static_mask: NDArray[np.bool_] | None
    _memory: list[NDArray[np.uint8]] = field(default_factory=list, repr=False)

    def read_day(self, day: DaySchedule) -> tuple[DayContent | None, dict[str, Any]]:
        """(frames, report) of a day; None where no frame of it can be read. The frames last until the next call.

        Of several frames for one slot the best that can be read is taken. The report is plain data: counts found
        and written, snapped to a slot, off grid, duplicated, unreadable and broken masks with reasons, masks
        computed, pixel counts, and `retry` where a failure may heal without the files changing.
        """
        report = _empty_report(day)
        codes, flags = self._empty(len(day.slots))
        times: list[int] = []
        for slot, candidates in day.slots.items():
            position, taken = len(times), None
            for frame in candidates:
                if taken is not None:
                    report["duplicated"].append(
                        f"{frame.image} repeats {_clock(slot)}, {Path(taken.image).name} is used"
                    )
                elif self._read_frame(frame, codes[position], flags[position], report):
                    taken = frame
            if taken is not None:
                times.append(slot)
                if taken.time != slot:
                    report["snapped"].append(
                        f"{taken.image} is {abs(taken.time - slot)} s off, used for {_clock(slot)}"
                    )
        codes, flags = codes[: len(times)], flags[: len(times)]
        report["written"] = len(times)
        if not times:
            return None, report
        return DayContent(np.array(times).astype("datetime64[s]"), codes, flags), report

    def _empty(self, frames: int) -> NDArray[np.uint8]:
        """Codes and flags (2, T, H, W) to fill."""
        if not self._memory or self._memory[0].shape[1] < frames:
            self._memory[:] = [np.empty((2, frames, *self.shape), np.uint8)]
        return self._memory[0][:, :frames]

    def _read_frame(
        self, frame: FoundFrame, codes: NDArray[np.uint8], flags: NDArray[np.uint8], report: dict[str, Any]
    ) -> bool:
        """Fill one frame's codes and flags (H, W); False where it cannot be read, the reason put into the report."""
        try:
            codes[:] = decode_frame(read_bytes(os.path.join(self.root, frame.image)), self.shape)
        except UnreadableFrame as error:
            report["unreadable"].append(f"{frame.image} {error}")
            report["retry"] |= error.retry
            return False
        usable = None
        if frame.mask is not None:
            try:
                usable = read_mask(os.path.join(self.root, frame.mask), self.shape)
            except UnreadableFrame as error:
                report["broken_masks"].append(f"{frame.mask} {error}")
                report["retry"] |= error.retry
        report["masks_computed"] += usable is None
        flags[:] = flags_of_frame(codes, usable, self.static_mask)
        for kind, count in count_pixels(codes, flags).items():
            report["pixels"][kind] += count
        return True


def read_mask(path: str | Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Usable pixels, bool (H, W), of a `.mask` file: a zlib stream of H·W bytes, nonzero = use this pixel.

    UnreadableFrame where the stream is damaged or of another length.
    """
    size = shape[0] * shape[1]
    try:
        # Bounded, so that a damaged stream cannot ask for more memory than one mask and a byte.
        stream = zlib.decompressobj()
        content = stream.decompress(read_bytes(path), size + 1)
    except zlib.error as error:
        raise UnreadableFrame(f"is damaged ({error})") from error
    if len(content) != size or not stream.eof:
        found = "more" if len(content) > size else str(len(content))
        raise UnreadableFrame(f"is damaged or of another size ({found} pixels, expected {size})")
    return (np.frombuffer(content, np.uint8) != 0).reshape(shape)


def _empty_report(day: DaySchedule) -> dict[str, Any]:
    return {
        "found": day.found,
        "written": 0,
        "duplicated": [],
        "snapped": [],
        "off_grid": [f"{f.image} is {away} s from the nearest slot, not used" for f, away in day.off_grid],
        "unreadable": [],
        "broken_masks": [],
        "masks_computed": 0,
        "retry": False,
        "pixels": dict.fromkeys(PIXEL_COUNTS, 0),
    }


def _clock(slot: int) -> str:
    return str(np.datetime64(slot, "s"))[11:16]


def majority_shape(root: Path, frames: list[FoundFrame], sample: int = 1000) -> tuple[int, int] | None:
    """(H, W) of most frames, by the headers of at most `sample` evenly spaced ones; None where none has a header.

    Of sizes equally frequent the larger is taken.
    """
    shapes: Counter[tuple[int, int]] = Counter()
    for frame in frames[:: max(1, -(-len(frames) // sample))]:
        try:
            with open(os.path.join(root, frame.image), "rb") as file:
                shape = header_shape(file.read(24))
        except OSError:
            continue
        if shape is not None:
            shapes[shape] += 1
    return max(shapes, key=lambda shape: (shapes[shape], shape)) if shapes else None
