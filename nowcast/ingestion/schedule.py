"""Which source frame fills which slot of the archive's time grid."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nowcast.readers.source import FrameRef


@dataclass
class DaySchedule:
    """One UTC day.

    Attributes:
        day: datetime64[D].
        slots: slot time (seconds since 1970) → frames that could fill it, best first: nearest in time, then by name.
        off_grid: frames too far from any slot, with the distance to the nearest one in seconds.
    """

    day: np.datetime64
    slots: dict[int, list[FrameRef]] = field(default_factory=dict)
    off_grid: list[tuple[FrameRef, int]] = field(default_factory=list)

    @property
    def found(self) -> int:
        """Number of frames in the source."""
        return sum(map(len, self.slots.values())) + len(self.off_grid)

    def digest(self, *settings: object) -> str:
        """Changes when a source file of the day (name, size, modification time) or a setting changes."""
        frames = [
            *(f for slot in sorted(self.slots) for f in self.slots[slot]),
            *(f for f, _ in self.off_grid),
        ]
        lines = [*(str(setting) for setting in settings), *(frame.fingerprint for frame in frames)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def schedule(frames: Iterable[FrameRef], interval: int, tolerance: int) -> list[DaySchedule]:
    """Days in order, with every frame assigned to the nearest slot within `tolerance`.

    Slots are multiples of `interval` (seconds) from 00:00 UTC; a frame that belongs to the slot of midnight belongs
    to the day that begins there, whatever folder it lies in.
    """
    days: dict[int, DaySchedule] = {}
    offers: dict[int, list[FrameRef]] = defaultdict(list)
    for frame in frames:
        slot = (frame.time + interval // 2) // interval * interval
        away = abs(frame.time - slot)
        if away <= tolerance:
            offers[slot].append(frame)
        else:
            _day(days, frame.time).off_grid.append((frame, away))
    for slot in sorted(offers):
        _day(days, slot).slots[slot] = sorted(offers[slot], key=lambda f: (abs(f.time - slot), f.time, f.label))
    return [days[number] for number in sorted(days)]


def _day(days: dict[int, DaySchedule], time: int) -> DaySchedule:
    number = time // 86400
    return days.setdefault(number, DaySchedule(np.datetime64(number, "D")))
