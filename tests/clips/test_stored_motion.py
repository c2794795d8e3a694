"""Motion beside the archive: what the forecaster would find itself, and found once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from nowcast.archive import Archive
from nowcast.clips import stored_motion
from nowcast.clips.store import ClipStore
from nowcast.clips.stored_motion import ClipsInMotion, StoredMotion
from nowcast.errors import NowcastError
from nowcast.motion.observed import observed_motion


@pytest.fixture
def archive(small_archive: Path, tmp_path: Path) -> Archive:
    shutil.copytree(small_archive, tmp_path / "archive", ignore=shutil.ignore_patterns("motion"))
    return Archive.open(tmp_path / "archive")


@pytest.mark.parametrize("masks", ["static", "frame"])
def test_stored_is_what_the_forecaster_finds(archive: Archive, masks: str) -> None:
    store = ClipStore.from_archive(archive, archive.times, masks=masks)
    stored = StoredMotion.of(archive, archive.times, masks, history=4)
    starts = archive.times[[3, 10, 45, 80]]
    clips = ClipsInMotion(store, stored).sequence(starts, 4, 2)
    found = observed_motion(clips.observed, clips.observed_valid)
    assert found.abs().max() > 0.5  # it rains and moves
    assert clips.motion is not None and torch.allclose(clips.motion, found, atol=2e-3)


def test_nothing_after_a_frame_is_looked_at(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    latest = []

    def spy(frames: np.ndarray, valid: np.ndarray) -> np.ndarray:
        latest.append(frames[-1].copy())
        return np.zeros((2, 7, 7), np.float32)

    monkeypatch.setattr(stored_motion, "motion_at_nodes", spy)
    StoredMotion.of(archive, archive.times, "static", history=3)
    frames = ClipStore.from_archive(archive, archive.times, masks="static").frames(archive.times, 1).codes[:, 0]
    assert len(latest) == len(frames)
    for issued, last in zip(frames, latest, strict=True):
        assert np.allclose(issued / np.float32(255), last)


def test_found_once_and_again_where_a_day_has_changed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    days: list[str] = []
    find = stored_motion.find_day

    def spy(path: str, masks: str, history: int, day: str, file: str, source: str) -> str | None:
        days.append(day)
        return find(path, masks, history, day, file, source)

    monkeypatch.setattr(stored_motion, "find_day", spy)
    with ThreadPoolExecutor(1) as executor:
        StoredMotion.of(archive, archive.times[:5], history=2, executor=executor)
        assert days == [str(archive.days[0])]
        StoredMotion.of(archive, archive.times, history=2, executor=executor)
        assert sorted(days) == [str(day) for day in archive.days]
        StoredMotion.of(archive, archive.times, history=2, executor=executor)
        assert len(days) == len(archive.days)
        stored = StoredMotion.of(
            archive, archive.times, history=3, executor=executor
        )  # another history: another motion
        assert len(days) == 2 * len(archive.days)
    next(stored.folder.rglob("*.npz")).write_bytes(b"cut short")
    before = len(days)
    StoredMotion.of(archive, archive.times, history=3)
    assert len(days) == before + 1


def test_where_there_is_no_frame(archive: Archive) -> None:
    stored = StoredMotion.of(archive, archive.times, history=3)
    after = archive.times[-1] + archive.interval
    found = stored.read([archive.times[-1], after, after + 20 * archive.interval])
    assert torch.equal(found[0], found[1])
    assert not found[2].any()


def test_a_crop_sees_the_motion_of_the_whole_frame(archive: Archive) -> None:
    rows, columns = (8, 40), (16, 40)
    stored = StoredMotion.of(archive, archive.times, history=4)
    whole = ClipsInMotion(ClipStore.from_archive(archive, archive.times), stored)
    part = ClipsInMotion(ClipStore.from_archive(archive, archive.times, rows, columns), stored)
    at = archive.times[5:6]
    motion, cropped = (clips.sequence(at, 4, 1).motion for clips in (whole, part))
    assert motion is not None and cropped is not None
    assert torch.allclose(cropped[..., :4, :3], motion[..., 1:5, 2:5], atol=1e-5)


def test_damage_is_told(archive: Archive) -> None:
    stored = StoredMotion.of(archive, archive.times, history=2)
    shutil.rmtree(stored.folder)
    with pytest.raises(NowcastError, match="remove the folder"):
        stored.read(archive.times[:1])
