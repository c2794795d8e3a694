"""Place, pixel, interval and Z-R of an archive: from the source or the user, and one of each per archive."""

import json
from pathlib import Path

import numpy as np
import pytest
from radar_tree import Tree

from nowcast import ingest, synthesize
from nowcast.archive import Archive
from nowcast.archive.splits import parse_splits
from nowcast.description import describe
from nowcast.errors import NowcastError
from nowcast.ingestion.plan import source_zr
from nowcast.units import ZRRelation, rain_rate_from_scaled


@pytest.fixture
def two_days(tree: Tree) -> Tree:
    tree.day("2018-07-21", 2)
    tree.day("2018-07-22", 2)
    return tree


def test_rain_is_right_whatever_the_relation_of_the_source(two_days: Tree, tmp_path: Path):
    _, own = two_days.ingest(tmp_path / "own")
    _, other = two_days.ingest(tmp_path / "other", zr=(200.0, 1.6))
    codes = own.read(own.times).codes.astype(float)
    rate = rain_rate_from_scaled(other.read(other.times).codes / 255)
    expected = np.where(codes > 0, (10 ** ((codes * 70 / 255 - 10) / 10) / 200) ** (1 / 1.6), 0)
    inside = (expected > 0.0175) & (expected < 517)
    assert inside.sum() > 300 and np.allclose(rate[inside], expected[inside], rtol=0.021)
    assert not (rate[expected < 0.0165]).any()
    assert (own.read(own.times).flags == other.read(other.times).flags).all()
    assert (other.attributes["source_zr_a"], other.attributes["zr_a"]) == (200.0, 58.53)


def test_a_later_ingest_keeps_what_nobody_states_and_refuses_other_facts(two_days: Tree, tmp_path: Path):
    place = {"center": (31.0, 121.9), "pixel": 1000.0, "zr": (200.0, 1.6)}
    _, archive = two_days.ingest(**place)
    before = archive.read(archive.times).codes
    two_days.day("2018-07-23", 2)
    report, again = two_days.ingest()
    assert (report.days_written, report.days_unchanged) == (1, 2) and again.metadata.grid.same_as(archive.metadata.grid)
    assert again.attributes["place"] == "stated by the user; pixel size stated by the user"
    assert (again.read(archive.times).codes == before).all() and source_zr(again.attributes) == ZRRelation(200, 1.6)
    for other, sentence in (
        ({"zr": (300.0, 1.4)}, r"was made with Z = 200 R\^1.6, not with Z = 300 R\^1.4: one Z-R relation per archive"),
        (
            {"pixel": 500.0},
            "has 12×16 pixels of 1000 m, azim.* about 31.*, which is not 12×16 pixels of 500 m, no place",
        ),
        (
            {"center": (31.0, 122.9), "pixel": 1000.0},
            "which is not .* about 31.000° N 122.900° E of .*: one grid per arch",
        ),
        ({"interval": np.timedelta64(12, "m")}, "has a frame every 6 minutes, not every 12: one interval per archive"),
    ):
        with pytest.raises(NowcastError, match=sentence):
            two_days.ingest(**other)
    two_days.ingest(**place)


def test_an_archive_of_an_earlier_version_goes_on_as_it_was(two_days: Tree):
    _, archive = two_days.ingest(site=None, center=(22.302, 114.174))
    file = archive.path / "archive.json"
    content = json.loads(file.read_text())
    for key in ("source_zr_a", "source_zr_b", "source_quantity", "place"):
        del content["attributes"][key]
    content["static_mask_source"] = "exclude_mask of mask_dat.npz"
    file.write_text(json.dumps(content))
    old = Archive.open(archive.path)
    assert source_zr(old.attributes) == ZRRelation() and old.metadata.grid.center == pytest.approx((22.302, 114.174))
    assert "about 22.302° N 114.174° E" in describe(archive.path)
    report, again = two_days.ingest()
    assert report.days_unchanged == 2 and again.metadata.grid.center == pytest.approx((22.302, 114.174))


def test_a_source_may_state_its_place_beside_its_frames(two_days: Tree, tmp_path: Path):
    (two_days.root / "radar.yaml").write_text(
        "center: [31.0, 121.9]\npixel: 1000\nzr: [200, 1.6]\nattributes: {institution: A service, source: a radar}\n"
    )
    report, archive = two_days.ingest()
    assert archive.metadata.grid.center == pytest.approx((31.0, 121.9)) and archive.pixel_meters == 1000
    assert archive.attributes["institution"] == "A service" and archive.attributes["source"] == "a radar"
    assert archive.attributes["place"] == "stated by radar.yaml; pixel size stated by radar.yaml"
    assert "about 31.000° N 121.900° E" in str(report) and "Z = 200 R^1.6" in str(report)
    _, moved = two_days.ingest(tmp_path / "moved", center=(30.0, 121.9))
    assert moved.metadata.grid.center == pytest.approx((30.0, 121.9)) and moved.pixel_meters == 1000
    (two_days.root / "radar.yaml").write_text("pixels: 1000\n")
    with pytest.raises(
        NowcastError, match="radar.yaml: pixels is not a key of a radar description; did you mean pixel"
    ):
        two_days.ingest(tmp_path / "typo")


def test_synthetic_radar_states_its_pixel_and_interval(tmp_path: Path):
    synthesize(
        tmp_path / "radar",
        days=1,
        seed=1,
        size=48,
        frames_per_day=4,
        pixel=500,
        frame_interval=np.timedelta64(10, "m"),
        progress=False,
    )
    report = ingest("hko7", tmp_path / "radar", tmp_path / "archive", workers=1, progress=False)
    archive = Archive.open(tmp_path / "archive")
    assert report.written == 4 and archive.interval == np.timedelta64(600, "s") and archive.pixel_meters == 500
    assert "synthetic radar" in archive.attributes["source"]


def test_no_place_is_told_everywhere(two_days: Tree):
    report, archive = two_days.ingest()
    for text in (str(report), describe(archive.path)):
        assert "no place (plain Cartesian grid)" in text and "pixel size assumed as in HKO-7" in text
    data = archive.dataset(archive.times)
    assert "crs" not in data.coords and data.attrs["place"].startswith("not stated")


@pytest.mark.parametrize("name", ["trian", "Test", "vaild", "val", "training", "tests", "validation"])
def test_a_typo_in_a_split_is_told(name: str):
    with pytest.raises(NowcastError, match=f"unknown split '{name}', did you mean (train|valid|test)\\?"):
        parse_splits([f"{name}=2018-07-21"])


def test_splits_of_other_names_are_welcome():
    names = ["train", "typhoon", "winter", "test2", "train_small", "storms", "latest"]
    assert list(parse_splits([f"{name}=2018-07-{day}" for day, name in enumerate(names, 10)])) == names


def test_a_split_without_a_frame_is_refused(two_days: Tree):
    with pytest.raises(
        NowcastError, match=r"the split test \(2019-07-21\); the days that have frames run from 2018-07-21"
    ):
        two_days.ingest(splits=["train=2018-07-21", "test=2019-07-21"])
    two_days.ingest(splits=["train=2018-07-21"], days=["2018-07-21"])
    report, archive = two_days.ingest(splits=["train=2018-07-21", "test=2018-07-22"], days=["2018-07-22"])
    assert len(archive.split_times("train")) == 2
    with pytest.raises(NowcastError, match="the days to ingest: '2018-02-30' is not a day, expected YYYY-MM-DD"):
        two_days.ingest(days=["2018-02-30"])
    with pytest.raises(
        NowcastError, match="the split train=2018-13-01: '2018-13-01' is not a day, expected YYYY-MM-DD"
    ):
        two_days.ingest(splits=["train=2018-13-01"])


def test_a_refused_ingest_leaves_nothing_behind(two_days: Tree, tmp_path: Path):
    for path in two_days.root.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    target = tmp_path / "new" / "folder" / "archive"
    with pytest.raises(NowcastError, match="none of the 4 frames .* could be used"):
        two_days.ingest(target)
    assert not (tmp_path / "new").exists()
    target.mkdir(parents=True)
    with pytest.raises(NowcastError, match="could be used"):
        two_days.ingest(target)
    assert target.is_dir() and not list(target.iterdir())


def test_a_failed_second_ingest_keeps_the_first(two_days: Tree, tmp_path: Path):
    _, archive = two_days.ingest()
    other = Tree(tmp_path / "other")
    other.root.mkdir()
    other.static_mask()
    other.frame("2018-08-01T00:00").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    with pytest.raises(NowcastError):
        other.ingest(archive.path)
    assert (Archive.open(archive.path).read(archive.times).codes == archive.read(archive.times).codes).all()
