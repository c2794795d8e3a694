import multiprocessing
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from radar_tree import SHAPE, Tree, frame_of

from nowcast.archive import Archive
from nowcast.archive.compression import COMPRESSIONS
from nowcast.archive.open_days import OpenDays
from nowcast.archive.summary import summarize
from nowcast.errors import NowcastError
from nowcast.readers.place import placed_grid


def at(*names: str) -> np.ndarray:
    return np.array(names, "datetime64[s]")


def test_frames_come_in_the_order_asked_for_with_repeats_and_gaps(archive: Archive):
    times = at("2018-07-22T00:30", "2018-07-21T00:00", "2018-07-21T00:12", "2018-07-22T00:00", "2018-07-21T00:00")
    frames = archive.read(times)
    assert frames.present.tolist() == [True, True, False, True, True]
    for time, codes in zip(times[frames.present], frames.codes[frames.present], strict=True):
        assert (codes == frame_of(time)).all()
    assert not frames.codes[2].any() and not frames.flags[2].any()


def test_a_crop_is_half_open(archive: Archive):
    whole, part = archive.read(archive.times), archive.read(archive.times, rows=(4, 9), columns=(0, 16))
    assert (part.codes == whole.codes[:, 4:9]).all() and (part.flags == whole.flags[:, 4:9]).all()
    codes, present = archive.read_codes(archive.times, columns=(3, 4))
    assert (codes == whole.codes[:, :, 3:4]).all() and present.all()


@pytest.mark.parametrize("rows", [(0, 13), (-1, 4), (5, 5), (6, 2)])
def test_a_crop_outside_the_frame_is_refused(archive: Archive, rows):
    with pytest.raises(NowcastError, match=r"rows -?\d+ to \d+ \(exclusive\) lie outside the frame, which has 12 rows"):
        archive.read(archive.times, rows=rows)


def test_other_clocks_are_understood(archive: Archive):
    assert archive.read(np.array(["2018-07-21T00:06"], "datetime64[ns]")).present.all()
    assert archive.read(np.datetime64("2018-07-21T00:06")).codes.shape == (1, *SHAPE)
    assert archive.read(at()).codes.shape == (0, *SHAPE)


def test_frames_in_physical_units(archive: Archive):
    data = archive.dataset(at("2018-07-21T00:06", "2018-07-21T00:12"))
    codes = frame_of(np.datetime64("2018-07-21T00:06"))
    assert data.reflectivity.dtype == np.float32 and data.reflectivity.dims == ("time", "y", "x")
    assert np.allclose(data.reflectivity[0], codes * (70 / 255) - 10, atol=1e-5)
    assert (data.reflectivity[1] == -10).all() and (data.valid[1] == 0).all()
    assert float(data.y[0]) > float(data.y[-1])


def test_a_projection_survives_the_disk(tree: Tree):
    tree.day("2018-07-21", 2)
    _, archive = tree.ingest(center=(31.0, 121.9), pixel=500.0)
    assert archive.metadata.grid.same_as(placed_grid(SHAPE, 500.0, (31.0, 121.9)))
    assert archive.dataset(archive.times).crs.attrs["longitude_of_projection_origin"] == 121.9
    tree.ingest(center=(31.0, 121.9), pixel=500.0)


def test_the_summary_says_what_is_there(archive: Archive):
    summary = summarize(archive)
    assert (summary["frames"], summary["days"], summary["missing_slots"]) == (11, 2, 1)
    assert summary["missing"] == ["2018-07-21T00:12:00"] and summary["interval_minutes"] == 6
    assert summary["splits"]["train"] == {"days_listed": 1, "days": 1, "frames": 5}
    frames = archive.read(archive.times)
    assert summary["valid_fraction"] == pytest.approx((frames.flags == 1).mean())
    wet = (frames.codes * (70 / 255) - 10 >= 10 * np.log10(58.53) - 15.6)[frames.flags > 0].mean()
    assert summary["wet_fraction"] == pytest.approx(wet)


def test_splits_are_known_by_name(archive: Archive):
    assert len(archive.split_times("train")) == 5
    with pytest.raises(NowcastError, match="has no split 'validation', its splits are: train, test"):
        archive.split_times("validation")


def test_sentences_for_folders_that_are_no_archive(tmp_path: Path, tree: Tree, archive: Archive):
    with pytest.raises(NowcastError, match="nowhere does not exist, expected the folder of a radar archive"):
        Archive.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NowcastError, match=r"empty is not a radar archive \(no archive.json in it\); make one"):
        Archive.open(tmp_path / "empty")
    with pytest.raises(NowcastError, match="source is not a radar archive .* nowcast ingest FORMAT SOURCE ARCHIVE"):
        Archive.open(tree.root)
    for file in archive.path.rglob("2018*.nc"):
        file.unlink()
    with pytest.raises(NowcastError, match="holds no frames yet; fill it with"):
        Archive.open(archive.path)
    (archive.path / "grid.nc").write_bytes(b"")
    with pytest.raises(NowcastError, match="grid.nc cannot be read"):
        Archive.open(archive.path)
    metadata = (archive.path / "archive.json").read_text()
    (archive.path / "archive.json").write_text(metadata.replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(NowcastError, match="version 9, expected nowcast radar archive version 1"):
        Archive.open(archive.path)
    (archive.path / "archive.json").write_text("{")
    with pytest.raises(NowcastError, match="archive.json does not describe a radar archive"):
        Archive.open(archive.path)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_one_flipped_bit_is_an_error_or_harmless_but_never_other_rain(tree: Tree, compression: str):
    """Without the checksums of the day files most such flips return wrong frames with no word."""
    tree.day("2018-07-21", 6)
    archive = tree.ingest(compression=compression)[1]
    path = archive.path / archive.index.files[0]
    expected, content, refused = archive.read(archive.times), path.read_bytes(), 0
    for position in range(0, len(content), len(content) // 90):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            found = Archive.open(archive.path).read(archive.times)
        except NowcastError as error:
            assert path.name in str(error) and "ingest that day again" in str(error)
            refused += 1
        else:
            assert (found.codes == expected.codes).all() and (found.flags == expected.flags).all(), position
    assert refused > 2


def _sum(archive: Archive) -> int:
    return int(archive.read(archive.times).codes.sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_for_themselves(archive: Archive, method: str):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    expected = _sum(archive)  # files are open now
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_sum, [archive, archive]) == [expected, expected]
    assert pickle.loads(pickle.dumps(archive)).times[0] == archive.times[0]
    assert _sum(archive) == expected


def test_threads_share_an_archive(archive: Archive):
    expected, found = _sum(archive), []
    threads = [threading.Thread(target=lambda: found.append(_sum(archive))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_only_so_many_files_stay_open(archive: Archive):
    days, paths = OpenDays(limit=1), [archive.path / file for file in archive.index.files]
    for path in [*paths, *paths]:
        with days.reading(path) as file:
            assert file.filepath() == str(path)
        assert len(days._files) == 1
    days.close()
    assert not days._files


def test_reading_radar_needs_no_torch():
    code = (
        "import sys, nowcast.ingestion.ingest, nowcast.archive, nowcast.clips.windows; "
        "assert 'torch' not in sys.modules"
    )
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
