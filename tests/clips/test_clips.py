import numpy as np
import pytest
import torch
from radar_tree import SHAPE, Tree, frame_of

from nowcast.archive import Archive
from nowcast.clips.store import HELD_BYTES, ClipStore
from nowcast.errors import NowcastError

START = np.datetime64("2018-07-21T00:00", "s")
GAP = 2  # the slot that `archive` does not have


@pytest.fixture(params=[True, False], ids=["memory", "disk"])
def in_memory(request) -> bool:
    return request.param


def test_a_clip_is_the_frames_scaled(archive: Archive, in_memory: bool):
    store = ClipStore.from_archive(archive, archive.times, in_memory=in_memory)
    clip = store.sequence([START, START + np.timedelta64(360, "s")], observed=3, forecast=2)
    assert store.in_memory == in_memory and clip.observed.shape == (2, 3, 1, *SHAPE) and clip.lead_steps == 2
    assert clip.observed.dtype == torch.float32
    for sample, first in enumerate((0, 1)):
        for step in range(5):
            part, index = (clip.observed, step) if step < 3 else (clip.observation, step - 3)
            codes = frame_of(START + (first + step) * np.timedelta64(360, "s"))
            expected = codes * archive.static_mask * (first + step != GAP)
            assert (part[sample, index, 0].numpy() == expected.astype(np.float32) / np.float32(255)).all()


@pytest.mark.parametrize("masks", ["static", "frame"])
def test_masks_of_both_kinds(archive: Archive, in_memory: bool, masks: str):
    store = ClipStore.from_archive(archive, archive.times, masks=masks, in_memory=in_memory)
    clip = store.sequence([START], observed=4, forecast=2)
    flags = archive.read(START + np.arange(6) * np.timedelta64(360, "s")).flags
    expected = flags == 1 if masks == "frame" else np.broadcast_to(archive.static_mask, flags.shape).copy()
    expected[GAP] = False
    assert (torch.cat([clip.observed_valid, clip.valid], 1)[0, :, 0].numpy() == expected).all()
    fields = torch.cat([clip.observed, clip.observation], 1)[0, :, 0].numpy()
    assert not fields[~expected].any() and fields[expected].any(), "what is not valid is given to nobody"


def test_a_crop_of_a_clip(archive: Archive, in_memory: bool):
    whole = ClipStore.from_archive(archive, archive.times, in_memory=in_memory)
    part = ClipStore.from_archive(archive, archive.times, rows=(2, 8), columns=(5, 9), in_memory=in_memory)
    assert part.shape == (6, 4) and part.static_mask.shape == (6, 4)
    one, other = whole.sequence([START], 2, 3), part.sequence([START], 2, 3)
    assert torch.equal(other.observation, one.observation[..., 2:8, 5:9])
    assert torch.equal(other.valid, one.valid[..., 2:8, 5:9])
    with pytest.raises(NowcastError, match="columns 5 to 17 .* lie outside the frame, which has 16 columns"):
        ClipStore.from_archive(archive, archive.times, columns=(5, 17))


def test_frames_of_other_splits_are_not_there(archive: Archive, in_memory: bool):
    store = ClipStore.from_archive(archive, archive.split_times("train"), in_memory=in_memory)
    clip = store.sequence([np.datetime64("2018-07-22T00:00")], 2, 2)
    assert not clip.observed.any() and not clip.valid.any()


def test_memory_and_disk_give_the_same(archive: Archive):
    starts = START + np.array([0, 3, 1, 400, 239, -5]) * np.timedelta64(360, "s")
    for masks in ("static", "frame"):
        one, other = (
            ClipStore.from_archive(archive, archive.times, masks=masks, in_memory=where).sequence(starts, 3, 4)
            for where in (True, False)
        )
        for name in ("observed", "observed_valid", "observation", "valid", "in_domain"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_what_fits_is_held_in_memory(archive: Archive):
    frame = SHAPE[0] * SHAPE[1] / 2**30
    frames = {masks: 12 * HELD_BYTES[masks] for masks in ("static", "frame")}
    for masks, needed in frames.items():
        for memory, fits in ((needed * 1.001, True), (needed * 0.999, False)):
            store = ClipStore.from_archive(archive, archive.times, masks=masks, memory_gib=memory * frame)
            assert store.in_memory == fits


def test_many_frames_are_loaded_in_blocks(tree: Tree, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nowcast.clips.store.LOADING_BLOCK", 3)
    tree.day("2018-07-21", 8)
    _, archive = tree.ingest()
    clip = ClipStore.from_archive(archive, archive.times, masks="frame").sequence([START], 7, 1)
    usable = archive.read(archive.times[:7])
    assert (clip.observed[0, :, 0].numpy() * 255 == usable.codes * (usable.flags == 1)).all()


def test_sentences(archive: Archive):
    with pytest.raises(NowcastError, match="masks is 'none', expected one of static, frame"):
        ClipStore.from_archive(archive, archive.times, masks="none")
    with pytest.raises(NowcastError, match="has no frame at any of the 1 times asked for"):
        ClipStore.from_archive(archive, [np.datetime64("2001-01-01")])
