"""What a run learns from and is validated on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from nowcast.archive import Archive
from nowcast.archive.archive import crop
from nowcast.clips.split_windows import Windows, refuse_no_window, window_starts, windows_of
from nowcast.clips.store import ClipStore
from nowcast.clips.stored_motion import ClipsInMotion, StoredMotion
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.sequence import RadarSequence
from nowcast.training.sampling import Sampler


def open_archive(experiment: Experiment) -> Archive:
    """The archive that an experiment names."""
    if experiment.data.archive is None:
        raise NowcastError(f"{experiment.name} names no archive; give data.archive in the file or --archive ARCHIVE")
    return Archive.open(Path(experiment.data.archive))


def check_clips(archive: Archive, experiment: Experiment) -> None:
    """NowcastError where there is nothing to learn from, told before a frame is read."""
    data = experiment.data
    crop(data.rows, archive.shape[0], "rows")
    crop(data.columns, archive.shape[1], "columns")
    refuse_no_window(archive, "train", data, None, window_starts(archive, "train", data, None))


def training_clips(archive: Archive, experiment: Experiment) -> Windows:
    """Every clip of the train split with at most `data.max_missing` frames missing in a row."""
    return windows_of(archive, "train", experiment.data, None)


def validation_clips(archive: Archive, experiment: Experiment) -> Windows | None:
    """Every window of the validation split, by the fixed protocol; None where the archive has none."""
    data, rules = experiment.data, experiment.evaluation
    if "valid" not in archive.splits or not len(window_starts(archive, "valid", data, rules)):
        return None
    return windows_of(archive, "valid", data, rules)


def motion_of(archive: Archive, experiment: Experiment, progress: bool = False) -> StoredMotion | None:
    """The stored motion of the frames to learn from and to validate on; None for a network that needs none."""
    if experiment.model.coordinates != "lagrangian":
        return None
    times = [archive.split_times(split) for split in ("train", "valid") if split in archive.splits]
    data = experiment.data
    return StoredMotion.of(archive, np.concatenate(times), data.masks, data.observed, progress=progress)


def in_motion(windows: Windows, motion: StoredMotion) -> Windows:
    """The same windows, every sequence with the stored motion of its issue time."""
    assert isinstance(windows.clips, ClipStore)
    return replace(windows, clips=ClipsInMotion(windows.clips, motion))


def endless_batches(
    sampler: Sampler,
    first_step: int,
    share: slice = slice(None),
    prepare: Callable[[RadarSequence, int], RadarSequence] | None = None,
) -> Generator[RadarSequence, None, None]:
    """Random training batches from optimizer step `first_step` on, each a pure function of (seed, step).

    The next batch is made while the current one is used. `share` takes part of every batch (one process of several);
    `prepare(batch, step)` does to a batch what else is to be done before the network sees it.
    """

    def make(step: int) -> RadarSequence:
        batch = sampler.batch(step, share)
        return batch if prepare is None else prepare(batch, step)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="clips") as ahead:
        step = first_step
        coming = ahead.submit(make, step)
        while True:
            batch = coming.result()
            step += 1
            coming = ahead.submit(make, step)
            yield batch
