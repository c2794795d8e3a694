"""What a run learns from and is validated on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nowcast.archive import Archive
from nowcast.clips.store import ClipStore
from nowcast.clips.windows import clip_starts, fixed_windows, sample_starts
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.sequence import RadarSequence


@dataclass(frozen=True)
class SplitClips:
    """The clips of one split: frames in reach, and the times at which a clip may start.

    Attributes:
        store: the frames.
        starts: datetime64[s] (N,), sorted.
        observed, forecast: frames of a clip.
    """

    store: ClipStore
    starts: np.ndarray
    observed: int
    forecast: int

    def batch(self, starts: np.ndarray) -> RadarSequence:
        """The clips that start at the given times."""
        return self.store.sequence(starts, self.observed, self.forecast)

    def batches(self, batch_size: int) -> Iterator[RadarSequence]:
        """Every clip once, in order of time; the last batch may be smaller."""
        for first in range(0, len(self.starts), batch_size):
            yield self.batch(self.starts[first : first + batch_size])


def open_archive(experiment: Experiment) -> Archive:
    """The archive that an experiment names."""
    if experiment.data.archive is None:
        raise NowcastError(f"{experiment.name} names no archive; give data.archive in the file or --archive ARCHIVE")
    return Archive.open(Path(experiment.data.archive))


def training_clips(archive: Archive, experiment: Experiment) -> SplitClips:
    """Every clip of the train split with at most `data.max_missing` frames missing in a row."""
    data = experiment.data
    times = archive.split_times("train")
    starts = clip_starts(times, data.observed + data.forecast, data.max_missing, archive.interval)
    if len(starts) == 0:
        raise NowcastError(
            f"{archive.path} has no training clip of {data.observed} + {data.forecast} frames: its train split holds "
            f"{len(times)} frames; ingest more days, or lower data.observed, data.forecast or raise data.max_missing"
        )
    return _clips(archive, times, starts, experiment)


def validation_clips(archive: Archive, experiment: Experiment) -> SplitClips | None:
    """Every window of the validation split, by the fixed protocol; None where the archive has none."""
    data, rules = experiment.data, experiment.evaluation
    if "valid" not in archive.splits or len(times := archive.split_times("valid")) == 0:
        return None
    starts = fixed_windows(times, data.observed, data.forecast, rules.stride, rules.max_missing, archive.interval)
    return _clips(archive, times, starts, experiment) if len(starts) else None


def _clips(archive: Archive, times: np.ndarray, starts: np.ndarray, experiment: Experiment) -> SplitClips:
    data = experiment.data
    store = ClipStore.from_archive(
        archive,
        times,
        rows=data.rows,
        columns=data.columns,
        masks=data.masks,
        in_memory=data.in_memory,
        memory_gib=data.memory_gib,
    )
    return SplitClips(store, starts, data.observed, data.forecast)


def endless_batches(
    clips: SplitClips, batch_size: int, seed: int, first_step: int, share: slice = slice(None)
) -> Generator[RadarSequence, None, None]:
    """Random training batches from optimizer step `first_step` on, each a pure function of (seed, step).

    The next batch is made while the current one is used. `share` takes part of every batch (one process of several).
    """

    def make(step: int) -> RadarSequence:
        return clips.batch(sample_starts(clips.starts, batch_size, seed, step)[share])

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="clips") as ahead:
        step = first_step
        coming = ahead.submit(make, step)
        while True:
            batch = coming.result()
            step += 1
            coming = ahead.submit(make, step)
            yield batch
