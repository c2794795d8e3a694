"""Motion beside the archive: optical flow once a frame, so that training never waits for it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm import tqdm

from nowcast.archive import Archive
from nowcast.atomic_files import atomic_file
from nowcast.clips.model_input import check_masks, model_input, scaled_frames
from nowcast.clips.store import ClipStore
from nowcast.errors import NowcastError
from nowcast.motion import nodes, optical_flow
from nowcast.motion.observed import motion_at_nodes
from nowcast.radar.times import seconds
from nowcast.sequence import RadarSequence

FOLDER = "motion"
"""Folder inside the archive."""

SHORT = 2e8
"""Pixels to find motion for (20 s on one core) below which no further process is worth its start."""

DAYS_OPEN = 64
"""Days of motion held at a time: 240 MB of 480×480 frames every 6 minutes."""


class StoredMotion:
    """Motion at the nodes at the time of every frame, found from it and the `history` - 1 slots before it.

    Lies in `ARCHIVE/motion/KEY/YYYY/MM/YYYYMMDD.npz`; the key names the rule of the masks, the history and a digest of
    the constants of the optical flow, so that motion found in another way is never read. Nothing later than a frame is
    looked at. Use `StoredMotion.of(archive, …)`, which finds what is missing.
    """

    def __init__(self, archive: Archive, masks: str, history: int) -> None:
        check_masks(masks)
        self.archive, self.masks, self.history = archive, masks, history
        self.folder = archive.path / FOLDER / f"{masks}-{history}-{_constants()}"
        self._day = lru_cache(DAYS_OPEN)(self._read_day)

    @classmethod
    def of(
        cls,
        archive: Archive,
        times: ArrayLike,
        masks: str = "static",
        history: int = 5,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> StoredMotion:
        """The motion at `times`, found and written where it is not yet stored or its day has changed since.

        Args:
            archive: the archive; its folder must be writable where motion is missing.
            times: datetime64, those that have no frame are passed over; whole days are found.
            masks: "static" or "frame" (`nowcast.clips.model_input`).
            history: frames that motion may be found from, as many as the forecaster observes.
            executor: finds days in parallel; None takes one process a core, or this one alone where work is short.
            progress: show a progress bar.
        """
        stored = cls(archive, masks, history)
        wanted = np.asarray(times, "datetime64[s]")
        days = np.unique(wanted[archive.index.find(wanted)[1]].astype("datetime64[D]"))
        stale = [day for day in days if not stored._is_fresh(day)]
        if stale:
            stored._find(stale, executor, progress)
        return stored

    def read(self, times: ArrayLike) -> Tensor:
        """Motion at `times` (datetime64, N of them), (N, 2, h, w) float32 pixels per interval: columns, rows.

        Where the last frame is missing, that of the latest frame in the history; zero where there is none.
        """
        wanted = np.atleast_1d(np.asarray(times, "datetime64[s]"))
        slots = wanted[:, None] - self.archive.interval * np.arange(self.history)  # latest first
        present = self.archive.index.find(slots)[1]
        shape = tuple(nodes.node_count(size) for size in self.archive.shape)
        found = np.zeros((len(wanted), 2, *shape), np.float32)
        for k in np.flatnonzero(present.any(axis=1)):
            latest = slots[k, present[k].argmax()]
            at, motion = self._day(str(latest.astype("datetime64[D]")))
            found[k] = motion[np.searchsorted(at, seconds(latest))]
        return torch.from_numpy(found)

    def _find(self, days: Sequence[np.datetime64], executor: Executor | None, progress: bool) -> None:
        times = self.archive.times
        of_day = {day: int((times.astype("datetime64[D]") == day).sum()) for day in days}
        tasks = [
            (str(self.archive.path), self.masks, self.history, str(day), str(self._file(day)), self._source(day))
            for day in days
        ]
        pixels = sum(of_day.values()) * self.archive.shape[0] * self.archive.shape[1]
        with ExitStack() as stack:
            bar = stack.enter_context(
                tqdm(total=sum(of_day.values()), desc="motion", unit="frame", disable=not progress)
            )
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            if executor is None and pixels > SHORT and min(cores, len(days)) > 1:
                spawn = multiprocessing.get_context("spawn")
                executor = stack.enter_context(ProcessPoolExecutor(min(cores, len(days)), mp_context=spawn))
            if executor is None:
                for task, day in zip(tasks, days, strict=True):
                    _checked(find_day(*task))
                    bar.update(of_day[day])
                return
            going = {executor.submit(find_day, *task): day for task, day in zip(tasks, days, strict=True)}
            for done in as_completed(going):
                _checked(done.result())
                bar.update(of_day[going[done]])

    def _file(self, day: np.datetime64) -> Path:
        text = str(day)
        return self.folder / text[:4] / text[5:7] / f"{text.replace('-', '')}.npz"

    def _source(self, day: np.datetime64) -> str:
        """What the motion of a day is found from: its day file and, for the history, the one before."""
        facts = {file.stem: facts for file, facts in self.archive.index.days.items()}
        names = [str(each).replace("-", "") for each in (day - np.timedelta64(1, "D"), day)]
        known = [[facts[name].size, facts[name].digest] if name in facts else None for name in names]
        return json.dumps([known, hashlib.sha256(self.archive.static_mask.tobytes()).hexdigest()[:16]])

    def _is_fresh(self, day: np.datetime64) -> bool:
        try:
            with np.load(self._file(day)) as content:
                return str(content["source"]) == self._source(day)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return False

    def _read_day(self, day: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        file = self._file(np.datetime64(day, "D"))
        try:
            with np.load(file) as content:
                return content["seconds"], content["motion"].astype(np.float32)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            raise NowcastError(
                f"{file} is missing or cannot be read; remove the folder {self.folder} to find motion again"
            ) from None


class ClipsInMotion:
    """Clips with the stored motion of their issue times (`nowcast.clips.split_windows.Clips`)."""

    def __init__(self, clips: ClipStore, motion: StoredMotion) -> None:
        self.clips, self.motion = clips, motion

    def sequence(self, starts: ArrayLike, observed: int, forecast: int) -> RadarSequence:
        """The clips that start at `starts` (datetime64, B of them)."""
        at = np.atleast_1d(np.asarray(starts, "datetime64[s]"))
        whole = self.motion.read(at + (observed - 1) * self.motion.archive.interval)
        motion = [nodes.crop_motion(each, *self.clips.corner, self.clips.shape) for each in whole]
        return replace(self.clips.sequence(at, observed, forecast), motion=torch.stack(motion))


def find_day(path: str, masks: str, history: int, day: str, file: str, source: str) -> str | None:
    """Find and write the motion of one day; a task of plain data for any executor. Returns what went wrong, if it did.

    Args:
        path: archive.
        masks, history: as for `StoredMotion.of`.
        day: YYYY-MM-DD.
        file: to write.
        source: what it is found from.
    """
    try:
        archive = Archive.open(path)
        times = archive.times[archive.times.astype("datetime64[D]") == np.datetime64(day, "D")]
        slots = times[:, None] + archive.interval * np.arange(-history + 1, 1)
        needed, position = np.unique(slots, return_inverse=True)
        read = archive.read(needed)
        frames = model_input(read.codes, read.flags, read.present, archive.static_mask, masks)
        motion = np.stack(
            [
                motion_at_nodes(scaled_frames(frames.codes[at]).numpy(), frames.valid[at])
                for at in position.reshape(slots.shape)
            ]
        )
        with atomic_file(Path(file)) as temporary, open(temporary, "wb") as opened:
            np.savez(opened, seconds=seconds(times), motion=motion.astype(np.float16), source=np.array(source))
    except NowcastError as error:
        return str(error)
    return None


def _checked(complaint: str | None) -> None:
    if complaint is not None:
        raise NowcastError(complaint)


def _constants() -> str:
    """Digest of all that the motion depends on beside the frames."""
    settings: list[Any] = [1, nodes.SPACING]
    settings += [optical_flow.ECHO, optical_flow.PAIRS, optical_flow.SMOOTHING, optical_flow.SMALLEST]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
