"""An ingest that is interrupted, repeated, or meets an archive of other content."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from radar_tree import Tree

import nowcast.archive.day_file as dayfile
import nowcast.readers.hko7 as hko7
from nowcast.archive import Archive
from nowcast.archive.index import day_files
from nowcast.archive.summary import summarize
from nowcast.atomic_files import only_writer
from nowcast.errors import NowcastError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def without_reports(folder: Path) -> dict[str, bytes]:
    """The report tells which days this very run wrote."""
    return {name: content for name, content in contents(folder).items() if not name.startswith("ingest_report")}


@pytest.fixture
def three_days(tree: Tree) -> Tree:
    for day in ("2018-07-21", "2018-07-22", "2018-07-23"):
        tree.day(day, 4)
    tree.day_list("train", "20180721, 1", "20180722, 2")
    tree.day_list("test", "20180723, 3")
    return tree


def test_a_second_ingest_skips_every_day(three_days: Tree):
    _, archive = three_days.ingest()
    before, times = without_reports(archive.path), [f.stat().st_mtime_ns for f in archive.path.rglob("*.nc")]
    report, archive = three_days.ingest()
    assert (report.days_written, report.days_unchanged, report.written) == (0, 3, 12)
    assert without_reports(archive.path) == before
    days = [archive.path / file for file in day_files(archive.path)]
    assert {f.stat().st_mtime_ns for f in days} <= set(times)


def test_new_frames_are_added_and_other_days_left_alone(three_days: Tree, tmp_path: Path):
    three_days.ingest()
    three_days.frame("2018-07-23T00:24")
    report, archive = three_days.ingest()
    assert (report.days_written, report.days_unchanged, len(archive.times)) == (1, 2, 13)
    _, fresh = three_days.ingest(tmp_path / "fresh")
    assert without_reports(archive.path) == without_reports(fresh.path)


@pytest.mark.parametrize("change", ["frame", "mask", "static mask"])
def test_what_changed_is_read_again(three_days: Tree, change: str):
    three_days.ingest()
    if change == "frame":
        three_days.frame("2018-07-22T00:06", np.full(three_days.shape, 222, np.uint8))
    elif change == "mask":
        three_days.mask("2018-07-22T00:06", np.zeros(three_days.shape, bool))
    else:
        np.savez(three_days.root / "hko_data" / "mask_dat.npz", exclude_mask=np.zeros(three_days.shape))
    report, archive = three_days.ingest()
    assert report.days_written == (3 if change == "static mask" else 1)
    frames = archive.read([np.datetime64("2018-07-22T00:06")])
    if change == "frame":
        assert (frames.codes == 222).all()
    elif change == "mask":
        assert not (frames.flags == 1).any()
    else:
        assert archive.static_mask.all()


@pytest.mark.parametrize("point", ["reading", "writing"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError])
def test_a_failure_in_mid_day_leaves_whole_days(three_days: Tree, tmp_path: Path, monkeypatch, point, failure):
    archive = tmp_path / "archive"
    calls = {"left": 6 if point == "reading" else 1}

    def failing(original):
        def call(*arguments, **options):
            calls["left"] -= 1
            if calls["left"] < 0:
                raise failure("in mid-day")
            return original(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        if point == "reading":
            patch.setattr(hko7, "decode_frame", failing(hko7.decode_frame))
        else:
            patch.setattr(dayfile, "seconds", failing(dayfile.seconds))
        with pytest.raises(failure):
            three_days.ingest(archive)
    assert [str(file) for file in day_files(archive)] == ["2018/07/20180721.nc"]
    assert not list(archive.rglob(".*.part"))
    assert len(Archive.open(archive).times) == 4  # what is there can be used
    report, again = three_days.ingest(archive)
    assert (report.days_written, report.days_unchanged) == (2, 1)
    _, fresh = three_days.ingest(tmp_path / "fresh")
    assert without_reports(again.path) == without_reports(fresh.path)


def test_a_killed_process_leaves_whole_days(three_days: Tree, tmp_path: Path):
    """SIGKILL, so that nothing can clean up behind itself."""
    slow = (
        "import sys, time, nowcast.archive.day_file as d\n"
        "from nowcast import ingest_hko7\n"
        "flags = d.flag_attributes\n"
        "def stop(grid):\n"
        "    print('writing', flush=True); time.sleep(60 if stop.calls else 0); stop.calls += 1\n"
        "    return flags(grid)\n"
        "stop.calls = 0\n"
        "d.flag_attributes = stop\n"
        "ingest_hko7(sys.argv[1], sys.argv[2], workers=1, progress=False)\n"
    )
    archive = tmp_path / "archive"
    command = [sys.executable, "-c", slow, str(three_days.root), str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()  # the second day is being written
        process.send_signal(signal.SIGKILL)
    assert [str(file) for file in day_files(archive)] == ["2018/07/20180721.nc"]
    assert list(archive.rglob(".*.part"))
    _, again = three_days.ingest(archive)
    assert not list(archive.rglob(".*.part"))
    _, fresh = three_days.ingest(tmp_path / "fresh")
    assert without_reports(again.path) == without_reports(fresh.path)


@pytest.mark.skipif(os.name != "posix", reason="signals of process groups")
def test_ctrl_c_with_workers_leaves_whole_days(tree: Tree, tmp_path: Path):
    for number in range(1, 29):
        tree.day(f"2018-07-{number:02}", 1)
    program = tmp_path / "ingest_them.py"
    program.write_text(
        "import sys\nfrom nowcast import ingest_hko7\n"
        "if __name__ == '__main__':\n    ingest_hko7(sys.argv[1], sys.argv[2], workers=2, progress=False)\n"
    )
    archive = tmp_path / "archive"
    process = subprocess.Popen(
        [sys.executable, str(program), str(tree.root), str(archive)], stderr=subprocess.PIPE, start_new_session=True
    )
    deadline = time.monotonic() + 30
    while not (archive.is_dir() and day_files(archive)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert not list(archive.rglob(".*.part"))
    assert len(Archive.open(archive).times) == len(day_files(archive))
    report, again = tree.ingest(archive)
    assert report.written == len(again.times) == 28


def test_a_damaged_day_is_written_again(three_days: Tree):
    _, archive = three_days.ingest()
    day = archive.path / "2018/07/20180722.nc"
    whole = day.read_bytes()
    day.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NowcastError, match=r"20180722.nc cannot be read as a day of a radar archive .* remove it and"):
        Archive.open(archive.path)
    report, _ = three_days.ingest()
    assert report.days_written == 1 and day.read_bytes() == whole


def test_an_archive_opens_without_its_index(three_days: Tree):
    _, archive = three_days.ingest()
    (archive.path / "index.json").write_text("[")
    assert (Archive.open(archive.path).times == archive.times).all()
    (archive.path / "index.json").unlink()
    opened = Archive.open(archive.path)
    assert (opened.times == archive.times).all() and summarize(opened) == summarize(archive)


def test_one_grid_and_one_interval_per_archive(three_days: Tree, tmp_path: Path):
    _, archive = three_days.ingest()
    other = Tree(tmp_path / "other", shape=(20, 20))
    other.day("2018-08-01", 2)
    with pytest.raises(NowcastError, match=r"are 20×20, the archive .* holds 12×16: one grid per archive"):
        other.ingest(archive.path)
    with pytest.raises(NowcastError, match="has a frame every 6 minutes, not every 3: one interval per archive"):
        three_days.ingest(interval=np.timedelta64(3, "m"))
    with pytest.raises(
        NowcastError, match="which is not 12×16 pixels of 1067 m, azimuthal equidistant about 31.000° N 121.900° E"
    ):
        three_days.ingest(center=(31.0, 121.9))


def test_days_of_another_source_are_not_overwritten(three_days: Tree, tmp_path: Path):
    _, archive = three_days.ingest()
    other = Tree(tmp_path / "other")
    other.root.mkdir()
    other.static_mask()
    other.day("2018-07-30", 2)
    other.ingest(archive.path)  # another day of the same grid is welcome
    other.day("2018-07-22", 2)
    (tmp_path / "third").mkdir()
    other.root = other.root.rename(tmp_path / "third" / "source")
    before = without_reports(archive.path)
    with pytest.raises(NowcastError, match="already holds 2018-07-22 from .*; ingest into a new folder, or call"):
        other.ingest(archive.path)
    assert without_reports(archive.path) == before
    report, replaced = other.ingest(archive.path, replace_days=True)
    assert report.written == 4 and len(replaced.times) == 12
    assert replaced.splits.keys() == {"train", "test"}


def test_a_moved_source_with_the_same_files_is_the_same_source(three_days: Tree, tmp_path: Path):
    _, archive = three_days.ingest()
    three_days.root = three_days.root.rename(tmp_path / "moved")
    report, _ = three_days.ingest(archive.path)
    assert report.days_unchanged == 3


def test_splits_a_user_gave_stay(three_days: Tree):
    given = ["train=2018-07-23", "test=2018-07-21"]
    _, archive = three_days.ingest(splits=given)
    assert archive.splits["train"].astype(str).tolist() == ["2018-07-23"]
    _, archive = three_days.ingest()
    assert archive.splits["train"].astype(str).tolist() == ["2018-07-23"]
    _, archive = three_days.ingest(splits=["train=2018-07-22"])
    assert {n: d.astype(str).tolist() for n, d in archive.splits.items()} == {"train": ["2018-07-22"]}


def test_a_corrected_day_list_moves_its_day(three_days: Tree):
    three_days.ingest()
    three_days.day_list("train", "20180721, 1")
    three_days.day_list("valid", "20180722, 2")
    _, archive = three_days.ingest()
    assert {n: d.astype(str).tolist() for n, d in archive.splits.items()} == {
        "train": ["2018-07-21"],
        "test": ["2018-07-23"],
        "valid": ["2018-07-22"],
    }


def test_folders_that_are_no_place_for_an_archive(three_days: Tree, tmp_path: Path):
    with pytest.raises(NowcastError, match="is not a radar archive but holds other files"):
        three_days.ingest(three_days.root)
    (tmp_path / "file").write_text("")
    with pytest.raises(NowcastError, match="is a file, expected a new or empty folder"):
        three_days.ingest(tmp_path / "file")
    with pytest.raises(NowcastError, match="cannot be written"):
        three_days.ingest(tmp_path / "file" / "archive")


def test_one_writer_at_a_time(three_days: Tree, tmp_path: Path):
    with (
        only_writer(tmp_path / "archive"),
        pytest.raises(NowcastError, match=f"process {os.getpid()} on .* is writing"),
    ):
        three_days.ingest(tmp_path / "archive")
