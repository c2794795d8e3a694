"""Everything a real disk holds, in frames small enough to check by eye."""

import json
import os
import shutil
import zlib
from pathlib import Path

import cv2
import netCDF4
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from radar_tree import SHAPE, Tree, frame_of

from nowcast import ingest_hko7
from nowcast.archive import Archive
from nowcast.archive.summary import summarize
from nowcast.errors import NowcastError
from nowcast.readers import png

SIX = np.timedelta64(6, "m")


def slot(time: str) -> np.datetime64:
    return np.datetime64(time, "s")


def assert_equal_to_source(tree: Tree, archive: Archive) -> None:
    """Value by value: codes are the PNG's, flag 1 is the `.mask`."""
    for time in archive.times:
        frames = archive.read([time])
        assert (frames.codes[0] == cv2.imread(str(tree.path(str(time))), cv2.IMREAD_UNCHANGED)).all()
        content = zlib.decompress(tree.path(str(time), "radarPNG_mask").read_bytes())
        assert ((frames.flags[0] == 1) == np.frombuffer(content, bool).reshape(tree.shape)).all()


def test_an_archive_holds_what_the_source_holds(tree: Tree):
    tree.day("2018-07-21", 8, first=2)
    tree.day("2018-07-22", 4, first=236)
    tree.day_list("train", "20180721, 6.1")
    tree.day_list("valid", "20180722, 7.8", beside=True)
    tree.day_list("test", "20180730, 1.0")
    report, archive = tree.ingest()
    assert len(archive.times) == 12 and archive.shape == SHAPE and archive.interval == SIX
    assert archive.times[0] == slot("2018-07-21T00:12") and archive.times[-1] == slot("2018-07-22T23:54")
    assert_equal_to_source(tree, archive)
    assert (archive.static_mask == ~tree.excluded).all()
    assert (report.found, report.written, report.days, report.missing) == (12, 12, 2, [])
    assert report.days_without_folder == ["2018-07-30 (test)"]
    assert report.splits["train"] == {"days_listed": 1, "days": 1, "frames": 8, "rain_mm": 6.1}
    assert len(archive.split_times("valid")) == 4 and len(archive.split_times("test")) == 0
    written = json.loads((archive.path / "ingest_report.json").read_text())
    assert written["found"] == 12 and "12 frames found, 12 in the archive" in str(report)
    assert (archive.path / "ingest_report.txt").read_text() == f"{report}\n"


def test_day_files_are_cf_and_say_what_they_are(tree: Tree):
    tree.day("2018-07-21", 3)
    _, archive = tree.ingest()
    with netCDF4.Dataset(archive.path / "2018/07/20180721.nc") as file:
        assert file.Conventions == "CF-1.10" and "HKO-7" in file.source_format and file.zr_a == 58.53
        assert file["reflectivity"].units == "dBZ" and file["reflectivity"].dtype == np.uint8
        assert file["valid"].flag_meanings == "unseen usable doubtful"
        assert (np.diff(file["y"][:]) < 0).all() and (np.diff(file["x"][:]) > 0).all()
        codes = archive.read(archive.times).codes
        assert np.allclose(file["reflectivity"][:], codes * (70 / 255) - 10, atol=1e-4)


def test_the_zoo_of_broken_frames(tree: Tree):
    paths = tree.day("2018-07-21", 12)
    shape = f"{SHAPE[0]}×{SHAPE[1]}"
    paths[1].write_bytes(paths[1].read_bytes()[:-30])
    cv2.imwrite(str(paths[2]), np.zeros((20, 20), np.uint8))
    gray = frame_of(slot("2018-07-21T00:18"))
    cv2.imwrite(str(paths[3]), np.dstack([gray, gray, gray]))
    cv2.imwrite(str(paths[4]), np.dstack([gray, gray, 255 - gray]))
    cv2.imwrite(str(paths[5]), gray.astype(np.uint16))
    paths[6].write_bytes(b"")
    paths[7].unlink()
    paths[7].symlink_to("nowhere.png")
    paths[8].unlink()
    report, archive = tree.ingest()
    assert report.found == 11 and report.written == 5
    reasons = {line.split()[0][-16:-4]: line.split(" ", 1)[1] for line in report.unreadable}
    assert reasons["180721000600"].startswith("is truncated after")
    assert reasons["180721001200"] == f"is 20×20, expected {shape}"
    assert "channels that differ" in reasons["180721002400"]
    assert reasons["180721003000"] == "has 16-bit values, expected 8-bit"
    assert reasons["180721003600"] == "is empty (0 bytes)"
    assert reasons["180721004200"] == "cannot be read (No such file or directory)"
    assert (archive.read([slot("2018-07-21T00:18")]).codes[0] == gray).all()
    assert len(report.missing) == 7  # six unreadable, one not there
    assert not archive.read([slot("2018-07-21T00:12")]).present.any()


def test_broken_and_absent_masks_give_way_to_the_rule(tree: Tree):
    tree.day("2018-07-21", 5)
    wrong = ~tree.excluded  # a mask that differs from the rule
    tree.mask("2018-07-21T00:00", wrong)
    masks = [tree.path(f"2018-07-21T00:{minute:02}", "radarPNG_mask") for minute in (6, 12, 18, 24)]
    masks[0].write_bytes(masks[0].read_bytes()[:-6])
    masks[1].write_bytes(zlib.compress(bytes(100)))
    masks[2].unlink()
    masks[3].write_bytes(b"")
    report, archive = tree.ingest()
    assert report.masks_computed == 4 and len(report.broken_masks) == 3
    assert any("of another size (100 pixels, expected 192)" in line for line in report.broken_masks)
    frames = archive.read(archive.times)
    assert ((frames.flags[0] == 1) == wrong).all()
    noise = (frames.codes > 0) & (frames.codes < 71)
    assert ((frames.flags[1:] == 1) == (~tree.excluded & ~noise[1:])).all()
    assert ((frames.flags == 2) == (~tree.excluded & noise))[1:].all()


def test_times_off_grid_and_duplicates(tree: Tree):
    tree.day("2018-07-21", 3)
    off = tree.frame("2018-07-21T00:19:00")  # slot 00:18 is free
    tree.frame("2018-07-21T00:07:00")  # 00:06 is there
    tree.frame("2018-07-21T00:26:30")  # 150 s from 00:24
    tree.frame("2018-07-21T23:59:00")  # the first slot of the next day
    report, archive = tree.ingest()
    assert (report.found, report.written) == (7, 5)
    assert (archive.read([slot("2018-07-21T00:18")]).codes[0] == cv2.imread(str(off), -1)).all()
    assert archive.times[-1] == slot("2018-07-22T00:00") and (archive.path / "2018/07/20180722.nc").is_file()
    assert len(report.snapped) == 2 and "is 60 s off, used for 00:18" in report.snapped[0]
    assert len(report.duplicated) == 1 and "RAD180721000700.png repeats 00:06" in report.duplicated[0]
    assert len(report.off_grid) == 1 and "is 150 s from the nearest slot, not used" in report.off_grid[0]


def test_a_duplicate_stands_in_for_a_broken_frame(tree: Tree):
    paths = tree.day("2018-07-21", 3)
    paths[1].write_bytes(b"")
    spare = tree.frame("2018-07-21T00:07:00")
    report, archive = tree.ingest()
    assert report.written == 3 and len(report.unreadable) == 1
    assert (archive.read([slot("2018-07-21T00:06")]).codes[0] == cv2.imread(str(spare), -1)).all()


def test_a_frame_in_the_wrong_folder_belongs_to_the_day_of_its_name(tree: Tree):
    tree.day("2018-07-21", 2)
    source = tree.frame("2018-07-22T00:00")
    shutil.move(source, tree.path("2018-07-21T00:00").parent / source.name)
    _, archive = tree.ingest()
    assert archive.times[-1] == slot("2018-07-22T00:00")


def test_stray_files_and_empty_days_are_reported(tree: Tree):
    tree.day("2018-07-21", 2)
    folder = tree.path("2018-07-21T00:00").parent
    for name in (".DS_Store", "Thumbs.db", "RAD181332000000.png", "RAD18072100000.png", "RAD180721000000.jpg"):
        (folder / name).write_bytes(b"?")
    (folder.parent / "23").mkdir()
    broken = tree.frame("2018-07-24T00:00")
    broken.write_bytes(b"")
    report, archive = tree.ingest()
    assert len(report.stray) == 5 and len(archive.times) == 2
    assert report.empty_days == ["2018-07-23", "2018-07-24"]


def test_a_frame_without_permission_is_tried_again(tree: Tree, monkeypatch: pytest.MonkeyPatch):
    paths = tree.day("2018-07-21", 3)

    def denied(path: str, mode: str) -> object:
        if Path(path) == paths[1].resolve():
            raise PermissionError(13, "Permission denied", str(path))
        return open(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(png, "open", denied, raising=False)
        report, _ = tree.ingest()
    assert report.unreadable == ["radarPNG/2018/07/21/RAD180721000600.png cannot be read (Permission denied)"]
    report, archive = tree.ingest()
    assert report.written == 3 and report.days_written == 1 and len(archive.times) == 3


def test_most_frames_decide_the_size_square_or_not(tree: Tree):
    tree.shape = (9, 21)
    tree.static_mask()
    tree.day("2018-07-21", 3)
    cv2.imwrite(str(tree.path("2018-07-21T00:06")), np.zeros((480, 480), np.uint8))
    report, archive = tree.ingest()
    assert archive.shape == (9, 21) and report.unreadable[0].endswith("is 480×480, expected 9×21")
    assert archive.crs_attributes == {} and round(archive.x[1] - archive.x[0], 2) == 1066.67


def test_without_a_static_mask_it_is_where_the_radar_ever_was_usable(tree: Tree):
    shutil.rmtree(tree.root / "hko_data")
    usable = np.zeros(SHAPE, bool)
    usable[5:, 4:] = True
    for minute in (0, 6):
        tree.frame(f"2018-07-21T00:{minute:02}", np.full(SHAPE, 200, np.uint8))
        tree.mask(f"2018-07-21T00:{minute:02}", usable)
    _, archive = tree.ingest()
    assert (archive.static_mask == usable).all() and "usable in at least one frame" in summarize(archive)["static_mask"]
    assert set(np.unique(archive.read(archive.times).flags)) == {0, 1}


@pytest.mark.parametrize("kind", ["root", "images"])
def test_the_source_may_be_the_image_folder(tree: Tree, kind: str, tmp_path: Path):
    tree.day("2018-07-21", 2)
    report = ingest_hko7(tree.root if kind == "root" else tree.root / "radarPNG", tmp_path / "a", progress=False)
    assert report.written == 2 and report.masks_computed == 0


def test_another_frame_interval(tree: Tree):
    for minute in (0, 10, 20, 40):
        tree.frame(f"2018-07-21T00:{minute:02}")
    report, archive = tree.ingest(interval=np.timedelta64(10, "m"))
    assert archive.interval == np.timedelta64(600, "s") and report.missing == ["2018-07-21T00:30:00"]


def test_only_some_days(tree: Tree):
    for day in ("2018-07-21", "2018-07-22", "2018-07-23"):
        tree.day(day, 2)
    report, archive = tree.ingest(days=["2018-07-21..2018-07-22"])
    assert archive.days.astype(str).tolist() == ["2018-07-21", "2018-07-22"] and report.empty_days == []
    with pytest.raises(NowcastError, match="no frame on the days asked for; its days run from 2018-07-21 to"):
        tree.ingest(days=["2019-01-01"])


def test_processes_write_what_one_process_writes(tree: Tree, tmp_path: Path):
    tree.day("2018-07-21", 3)
    tree.day("2018-07-22", 3)
    tree.ingest(tmp_path / "one")
    ingest_hko7(tree.root, tmp_path / "two", workers=2, progress=False)
    for file in ("2018/07/20180721.nc", "2018/07/20180722.nc", "grid.nc", "archive.json", "index.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize("compression", ["blosc_lz4", "zstd", "zlib"])
def test_every_compression_holds_the_same(tree: Tree, compression: str):
    tree.day("2018-07-21", 3)
    _, archive = tree.ingest(compression=compression)
    assert_equal_to_source(tree, archive)


def test_sentences_for_sources_that_are_none(tree: Tree, tmp_path: Path):
    with pytest.raises(NowcastError, match="does not exist, expected a folder in the HKO-7 layout"):
        ingest_hko7(tmp_path / "nowhere", tmp_path / "a")
    with pytest.raises(NowcastError, match="has no radarPNG folder"):
        tree.ingest()
    (tree.root / "radarPNG").mkdir()
    with pytest.raises(NowcastError, match="source holds no radar frame, expected files like radarPNG"):
        tree.ingest()
    broken = tree.frame("2018-07-21T00:00")
    broken.write_bytes(b"x")
    with pytest.raises(NowcastError, match="none of the 1 frames in .* is a readable PNG file"):
        tree.ingest()
    tree.frame("2018-07-21T00:00").rename(tree.path("2018-07-21T00:03"))
    with pytest.raises(NowcastError, match="none of the 1 frames, .*180721000300.png, lies within 90 s"):
        tree.ingest()
    with pytest.raises(NowcastError, match="interval is 7 minutes, expected one that divides a day"):
        tree.ingest(interval=np.timedelta64(7, "m"))
    with pytest.raises(NowcastError, match="compression is 'rar', expected one of"):
        tree.ingest(compression="rar")


def test_frames_that_can_all_not_be_used(tree: Tree):
    path = tree.frame("2018-07-21T00:00")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(NowcastError, match="none of the 1 frames .* could be used, .*is truncated after 40 bytes"):
        tree.ingest()


def test_a_static_mask_of_another_size_or_damaged_is_refused(tree: Tree):
    tree.day("2018-07-21", 2)
    path = tree.root / "hko_data" / "mask_dat.npz"
    np.savez(path, exclude_mask=np.zeros((5, 5), np.uint8))
    with pytest.raises(NowcastError, match="mask_dat.npz is 5×5, expected 12×16"):
        tree.ingest()
    path.write_bytes(b"PK rubbish")
    with pytest.raises(NowcastError, match="cannot read exclude_mask from .*mask_dat.npz"):
        tree.ingest()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 239), min_size=1, max_size=8), st.sets(st.integers(0, 239), max_size=4))
def test_any_set_of_frames_round_trips(tmp_path_factory, first_day, second_day):
    tree = Tree(tmp_path_factory.mktemp("any") / "source")
    tree.root.mkdir()
    tree.static_mask()
    for day, slots in (("2018-07-21", first_day), ("2018-07-22", second_day)):
        for number in slots:
            tree.day(day, 1, first=number)
    report, archive = tree.ingest()
    assert report.written == len(archive.times) == len(first_day) + len(second_day)
    assert_equal_to_source(tree, archive)


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_days_may_be_links(tree: Tree, tmp_path: Path):
    tree.day("2018-07-21", 2)
    folder = tree.path("2018-07-21T00:00").parent
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert tree.ingest()[0].written == 2
