"""A folder of gray images and its radar.yaml: the door of every format, proved by rain rates known beforehand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from nowcast import ingest
from nowcast.archive import Archive
from nowcast.errors import NowcastError
from nowcast.readers import open_source, recognized_format
from nowcast.readers.description import ImagesDescription
from nowcast.units import rain_rate_from_scaled

DOCUMENT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
MARSHALL_PALMER = yaml.safe_load(DOCUMENT.partition("```yaml\n")[2].partition("```")[0])
"""The example of docs/data.md."""
LEVELS = np.arange(96, dtype=np.uint8).reshape(8, 12) + 70
LEVELS[0] = 0
LEVELS[1, :3] = 255


def describe(folder: Path, /, **changes: object) -> Path:
    """Write radar.yaml; a change to None removes the key."""
    content = {key: value for key, value in {**MARSHALL_PALMER, **changes}.items() if value is not None}
    (folder / "radar.yaml").write_text(yaml.safe_dump(content))
    return folder


def frame(folder: Path, name: str, levels: np.ndarray = LEVELS) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), levels)
    return path


def rates(archive: Archive) -> np.ndarray:
    return rain_rate_from_scaled(archive.read(archive.times).codes / 255)


def read(folder: Path, **options: object) -> tuple[object, Archive]:
    report = ingest("images", folder, folder.parent / "archive", workers=1, progress=False, **options)  # type: ignore[arg-type]
    return report, Archive.open(folder.parent / "archive")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    for minute in (0, 10, 30):
        frame(made, f"2018/07/radar_2018072100{minute:02}.png")
    return describe(made)


def test_reflectivity_becomes_the_rain_of_its_own_relation(folder: Path):
    (folder / "2018" / "notes.txt").write_text("?")
    report, archive = read(folder)
    assert report.found == 3 and report.missing == ["2018-07-21T00:20:00"] and report.stray == ["2018/notes.txt"]
    assert archive.interval == np.timedelta64(600, "s") and archive.metadata.grid.center == pytest.approx((31, 121.9))
    assert (archive.attributes["source_zr_a"], archive.attributes["source_zr_b"]) == (200, 1.6)
    assert archive.attributes["zr_a"] == 58.53 and archive.attributes["place"] == "stated by radar.yaml"
    frames, found = archive.read(archive.times), rates(archive)
    assert (frames.flags[:, LEVELS == 255] == 0).all() and (frames.flags[:, LEVELS < 255] == 1).all()
    assert (found[:, 0] == 0).all()
    expected = (10 ** ((0.5 * LEVELS - 32) / 10) / 200) ** (1 / 1.6)
    wet = (LEVELS > 0) & (LEVELS < 255) & (expected > 0.02)
    assert wet.sum() > 70 and np.allclose(found[:, wet], expected[wet], rtol=0.021)
    assert read(folder)[0].days_unchanged == 1


def test_a_table_of_rain_rates(folder: Path):
    levels = np.repeat(np.array([[0], [1], [2], [9]], np.uint8), 5, axis=1)
    for file in folder.rglob("*.png"):
        frame(file.parent, file.name, levels)
    table = {0: 0, 1: 0.5, 2: 12.5}
    describe(folder, unit="mm/h", linear=None, table=table, no_echo=None, missing=9, zr=None)
    _, archive = read(folder)
    assert np.allclose(rates(archive)[:, :3, 0], [[0, 0.5, 12.5]] * 3, rtol=0.021)
    assert (archive.read(archive.times).flags[:, 3] == 0).all()
    assert archive.attributes["source_quantity"] == "rain rate" and "source_zr_a" not in archive.attributes
    frame(folder, "2018/07/radar_201807210040.png", np.full((4, 5), 7, np.uint8))
    report, _ = read(folder)
    assert report.unreadable == [
        "2018/07/radar_201807210040.png has the gray level 7, which the table does not list",
    ]


def test_what_changes_the_values_is_read_again(folder: Path):
    read(folder)
    describe(folder, linear={"slope": 0.5, "offset": -30})
    assert read(folder)[0].days_written == 1
    describe(folder, linear={"slope": 0.5, "offset": -30}, attributes={"institution": "a service"})
    report, archive = read(folder)
    assert report.days_written == 0 and archive.attributes["institution"] == "a service"


def test_sixteen_bits_other_image_kinds_and_a_clock_ahead_of_utc(tmp_path: Path):
    folder = tmp_path / "images"
    levels = np.array([[0, 1000, 65535], [20000, 30000, 40000]], np.uint16)
    frame(folder, "composite-R7-20180721.0805.tiff", levels)
    describe(
        folder,
        time="composite-R*-%Y%m%d.%H%M.tiff",
        unit="mm/h",
        linear={"slope": 0.01},
        no_echo=None,
        missing=65535,
        zr=None,
        interval=5,
        utc_offset=8,
    )
    _, archive = read(folder)
    assert archive.times.astype(str).tolist() == ["2018-07-21T00:05:00"]
    assert np.allclose(rates(archive)[0][levels < 65535], [0, 10, 200, 300, 400], rtol=0.021)


def test_a_latitude_longitude_grid(folder: Path):
    describe(folder, center=None, pixel=None, bounds=[120, 30, 123, 32])
    _, archive = read(folder)
    assert archive.x[0] == 120.125 and archive.y[-1] == 30.125
    data = archive.dataset(archive.times)
    assert data["y"].attrs["standard_name"] == "latitude" and data["crs"].attrs["grid_mapping_name"] == (
        "latitude_longitude"
    )
    assert "latitude longitude about 31.000° N 121.500° E" in archive.metadata.grid.describe()


def test_a_static_mask_and_splits(folder: Path):
    mask = np.full(LEVELS.shape, 255, np.uint8)
    mask[-2:] = 0
    frame(folder, "mask.png", mask)
    describe(folder, static_mask="mask.png", splits={"train": ["2018-07-21"], "test": "2018-07-22..2018-07-24"})
    report, archive = read(folder)
    assert report.stray == [] and not archive.static_mask[-2:].any() and archive.static_mask[:-2].all()
    assert not archive.read(archive.times).flags[:, -2:].any()
    assert len(archive.splits["test"]) == 3 and len(archive.split_times("train")) == 3
    frame(folder, "mask.png", mask[:4])
    with pytest.raises(NowcastError, match=r"the static mask .*mask.png is 4×12, expected 8×12 like the frames"):
        read(folder)


def test_broken_frames_are_told_and_the_rest_is_read(folder: Path):
    first, second, _ = sorted(folder.rglob("*.png"))
    first.write_bytes(first.read_bytes()[:-20])
    frame(second.parent, second.name, np.zeros((3, 3), np.uint8))
    color = np.dstack([LEVELS, LEVELS, 255 - LEVELS])
    frame(folder, "radar_201807210040.png", color)
    frame(folder, "radar_201807210050.png", np.dstack([LEVELS] * 3))
    report, archive = read(folder)
    reasons = [line.partition(".png ")[2] for line in sorted(report.unreadable)]
    assert len(archive.times) == 2 and reasons[1] == "is 3×3, expected 8×12"
    assert reasons[0].startswith("is truncated after") and "channels that differ" in reasons[2]


def test_the_user_wins_over_the_file(folder: Path):
    _, archive = read(folder, center=(-27.7, 153.2), pixel=500.0, zr=(300, 1.4))
    assert archive.metadata.grid.center == pytest.approx((-27.7, 153.2)) and archive.pixel_meters == 500
    assert archive.attributes["source_zr_a"] == 300 and archive.attributes["place"] == "stated by the user"
    with pytest.raises(NowcastError, match=r"about 27.700° S 153.200° E, which is not .* about 31.000° N 121.900° E"):
        read(folder)


def test_every_key_is_documented():
    table = DOCUMENT.partition("## A folder of images")[2].partition("## A format of your own")[0]
    assert [key for key in ImagesDescription.model_fields if f"`{key}`" not in table] == []


def test_the_latest_and_recognition(folder: Path):
    assert recognized_format(folder) == "images"
    newest = open_source("images", folder).latest(2)
    assert [frame.path[-8:-4] for frame in newest] == ["0010", "0030"]
    assert open_source("images", folder / "radar.yaml").latest(9)[-1] == newest[-1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"time": None}, "radar.yaml: time is missing, expected text"),
        ({"interval": None}, "interval is missing; give the minutes from frame to frame"),
        ({"unit": "mm"}, "unit is 'mm', expected dBZ or mm/h"),
        ({"liner": {"slope": 1}}, "liner is not a key of a description of images; did you mean linear?"),
        ({"linear": {"slop": 1}}, "linear.slope is missing, expected a number; .*linear.slop is not a key"),
        (
            {"linear": None},
            "neither linear nor table is given; give one of them, to say what a gray level means in dBZ",
        ),
        ({"table": {0: 1}}, "linear and table are both given"),
        ({"zr": None}, "gives values in dBZ and no Z-R relation; add zr: "),
        ({"unit": "mm/h"}, "zr is given for frames in mm/h, which need no Z-R relation"),
        ({"missing": [255, 0]}, "gray level 0 is in no_echo and in missing"),
        ({"pixel": None}, "states neither pixel .meters. nor bounds; add one of them"),
        ({"bounds": [1, 2, 3, 4]}, "bounds are given beside center or pixel"),
        ({"center": None, "pixel": None, "bounds": [3, 2, 1, 4]}, "the bounds 3 2 1 4 are not west < east"),
        ({"pixel": -1}, "pixel is -1, expected a number above 0"),
        ({"center": [131, 21]}, "center.0 is 131, expected a number from -90 to 90"),
        ({"crs": "Mars"}, "'Mars' is not a coordinate reference system"),
        ({"time": "radar_%d%m.png"}, "which tells no year, day and hour; for example radar_%Y"),
        ({"time": "radar_%Q.png"}, "has %Q which is none of %Y, %y"),
        ({"time": "radar_%Y%Y.png"}, "has %Y twice"),
        ({"time": "rain_%Y%m%d%H%M.png"}, "holds no radar frame, expected files named like rain_"),
        ({"interval": 7}, "the frame interval is 7 minutes, expected one that divides a day"),
        ({"splits": {"train": ["2018-13-01"]}}, "splits.train: '2018-13-01' is not a day"),
        ({"static_mask": "none.png"}, "the static mask .*none.png cannot be read"),
        ({"folder": "elsewhere"}, "holds no radar frame"),
    ],
)
def test_one_sentence_for_every_mistake(folder: Path, changes: dict[str, object], sentence: str):
    describe(folder, **changes)
    with pytest.raises(NowcastError, match=sentence) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and not (folder.parent / "archive").exists()


def test_a_file_that_is_no_description(folder: Path, tmp_path: Path):
    for content, sentence in (("[1, 2", "is not valid YAML"), ("[1, 2]", "radar.yaml: "), ("", "time is missing")):
        (folder / "radar.yaml").write_text(content)
        with pytest.raises(NowcastError, match=sentence) as caught:
            read(folder)
        assert "\n" not in str(caught.value)
    (folder / "radar.yaml").unlink()
    with pytest.raises(NowcastError, match="radar.yaml does not exist, expected a radar.yaml that describes a folder"):
        read(folder)
    with pytest.raises(NowcastError, match="unknown site 'hong-kong'; a folder of images knows none"):
        read(describe(folder), site="hong-kong")
    with pytest.raises(NowcastError, match="values in mm/h, which need no Z-R relation; leave out --zr"):
        read(describe(folder, unit="mm/h", zr=None), zr=(200, 1.6))
