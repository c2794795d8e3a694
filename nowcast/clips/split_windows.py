"""The windows of a split: which frames are observed, which are to be forecast, and the tensors of any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from nowcast.archive import Archive
from nowcast.clips.store import ClipStore
from nowcast.clips.windows import clip_starts, fixed_windows
from nowcast.config import DataConfig, EvaluationConfig
from nowcast.errors import NowcastError
from nowcast.radar.times import Times
from nowcast.sequence import RadarSequence


class Clips(Protocol):
    """Where frames come from; `nowcast.clips.store.ClipStore` is one."""

    def sequence(self, starts: ArrayLike, observed: int, forecast: int) -> RadarSequence:
        """The clips that start at `starts` (datetime64, B of them)."""
        ...


@dataclass(frozen=True)
class Windows:
    """Windows of `observed` and then `forecast` frames: to learn from, to validate on, to be scored on.

    Attributes:
        clips: where the frames come from.
        starts: first frame of every window, datetime64[s], ascending.
        observed, forecast: frames of a window before and after its issue.
        interval: frame interval, timedelta64.
        stride: frames between the windows of an episode; the frames that arrive at a time in the online protocol.
        batch_size: windows in memory at a time, where nobody asks for another number.
        past: where frames before a window come from, for `history`; None takes `clips`.
    """

    clips: Clips
    starts: Times
    observed: int
    forecast: int
    interval: np.timedelta64
    stride: int = 5
    batch_size: int = 8
    past: Clips | None = None

    def __iter__(self) -> Iterator[RadarSequence]:
        """Every window once, in order of time, `batch_size` at a time; the last batch may be smaller."""
        return self.batches()

    def only(self, starts: Times) -> Windows:
        """Some of the windows, by their starts."""
        return replace(self, starts=starts)

    def sequence(self, starts: ArrayLike) -> RadarSequence:
        """The windows that start at the given times."""
        return self.clips.sequence(starts, self.observed, self.forecast)

    def batches(self, batch_size: int | None = None) -> Iterator[RadarSequence]:
        """Every window once, in order of time; the last batch may be smaller."""
        size = batch_size or self.batch_size
        for first in range(0, len(self.starts), size):
            yield self.sequence(self.starts[first : first + size])

    def history(self, starts: Times, steps: int) -> tuple[Tensor, Tensor]:
        """The `steps` frames up to the issue of windows and where they are valid, both (B, steps, 1, H, W).

        They may reach back before the window and the split; frames that do not exist are zero and nowhere valid.
        """
        frames = self.past if self.past is not None else self.clips
        before = frames.sequence(starts - (steps - self.observed) * self.interval, steps, 0)
        return before.observed, before.observed_valid

    def issue_times(self, starts: Times) -> Times:
        """Time of the last observed frame of windows."""
        return np.asarray(starts + (self.observed - 1) * self.interval, "datetime64[s]")

    def episodes(self) -> list[Times]:
        """Runs of windows `stride` frames apart; a gap in the data begins a new one."""
        if not len(self.starts):
            return []
        breaks = np.flatnonzero(np.diff(self.starts) != self.stride * self.interval) + 1
        return np.split(self.starts, breaks)


def windows_of(
    archive: Archive, split: str, data: DataConfig, rules: EvaluationConfig | None, only: Times | None = None
) -> Windows:
    """The windows of a split; NowcastError where there is none.

    Args:
        archive: the archive.
        split: name of one of its splits; NowcastError lists them.
        data: numbers of frames, crop, masks, and how frames are held.
        rules: of the benchmark's fixed protocol; None takes every frame at which a clip with at most
            `data.max_missing` frames missing in a row may start, to learn from.
        only: starts of some of the windows; these alone are given, and only the frames within their reach are held.
    """
    times = archive.split_times(split)
    if only is None:
        starts = window_starts(archive, split, data, rules)
        refuse_no_window(archive, split, data, rules, starts)
    else:
        starts = only
        end = only.max() + (data.observed + data.forecast) * archive.interval
        times = times[(times >= only.min()) & (times < end)]
    crop = {"rows": data.rows, "columns": data.columns, "masks": data.masks}
    clips = ClipStore.from_archive(archive, times, **crop, in_memory=data.in_memory, memory_gib=data.memory_gib)  # type: ignore[arg-type]
    past = ClipStore.from_archive(archive, archive.times, **crop, in_memory=False)  # type: ignore[arg-type]
    shape = (data.observed, data.forecast, archive.interval)
    if rules is None:
        return Windows(clips, starts, *shape, stride=1, past=past)
    return Windows(clips, starts, *shape, rules.stride, rules.batch_size, past)


def refuse_no_window(
    archive: Archive, split: str, data: DataConfig, rules: EvaluationConfig | None, starts: Times
) -> None:
    """NowcastError where a split has no window; arguments as for `windows_of`, and its `window_starts`."""
    if not len(starts):
        kind, frames = "training clip" if rules is None else "window", len(archive.split_times(split))
        raise NowcastError(
            f"{archive.path} has no {kind} of {data.observed} + {data.forecast} frames in its {split} split of "
            f"{frames} frames; ingest more days, or ask for fewer observed or forecast frames or more missing ones"
        )


def window_starts(archive: Archive, split: str, data: DataConfig, rules: EvaluationConfig | None) -> Times:
    """First frames of the windows of a split, datetime64[s], ascending; arguments as for `windows_of`."""
    times = archive.split_times(split)
    if rules is None:
        return clip_starts(times, data.observed + data.forecast, data.max_missing, archive.interval)
    return fixed_windows(times, data.observed, data.forecast, rules.stride, rules.max_missing, archive.interval)
