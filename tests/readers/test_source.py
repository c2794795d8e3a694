"""The doors of the room: formats by name, formats of other packages, and frames without an archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from radar_tree import Tree, frame_of

import nowcast.archive
import nowcast.ingestion
from nowcast import ingest
from nowcast.archive import Archive
from nowcast.errors import NowcastError
from nowcast.radar.grid import centered_grid
from nowcast.readers import READERS, files, format_names, load_reader, open_source, recognized_format
from nowcast.readers.canonical import canonical_frame
from nowcast.readers.source import FrameRef, Listing, RadarFrame, SourceFacts, SourceOptions
from nowcast.units import rain_rate_from_scaled


@dataclass(frozen=True)
class DaySource:
    """A format that is nobody's: one .npy of rain rates (T, H, W) a day, every 15 minutes, -1 = unseen."""

    root: Path
    expected: str = "files like 2018-07-21.npy"

    @classmethod
    def open(cls, path: Path, options: SourceOptions) -> DaySource:
        return cls(path.resolve())

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        return any(path.glob("*.npy"))

    def listing(self) -> Listing:
        frames = []
        for file in sorted(self.root.glob("*.npy")):
            midnight = np.datetime64(file.stem, "s").astype(int)
            for number in range(len(np.load(file, mmap_mode="r"))):
                mark = f"{file.name} {file.stat().st_size} {number}"
                frames.append(FrameRef(file.name, int(midnight) + 900 * number, mark, str(number)))
        return Listing(frames)

    def latest(self, count: int) -> list[FrameRef]:
        return self.listing().frames[-count:]

    def facts(self, frames: Sequence[FrameRef]) -> SourceFacts:
        shape = np.load(self.root / frames[0].path, mmap_mode="r").shape[1:]
        return SourceFacts(
            grid=centered_grid(shape, 250.0),
            interval=np.timedelta64(900, "s"),
            zr=None,
            reader="day reader 1",
            format="days of rain rates",
            place="not stated",
            time_stamp="start of the scan",
            attributes={"institution": "a small weather service"},
        )

    def read(self, frame: FrameRef, facts: SourceFacts) -> RadarFrame:
        rate = np.load(self.root / frame.path)[int(frame.member or 0)]
        return RadarFrame(np.where(rate < 0, np.nan, rate), "mm/h", np.ones(rate.shape, np.uint8))


@pytest.fixture
def days(tmp_path: Path) -> Path:
    folder = tmp_path / "days"
    folder.mkdir()
    for number, day in enumerate(("2018-07-21", "2018-07-22")):
        rate = np.random.default_rng(number).gamma(0.5, 4, (6, 5, 7)).clip(0.02, 400)
        rate[:, 0, 0], rate[:, 1] = -1, 0
        np.save(folder / f"{day}.npy", rate)
    return folder


def check_days(archive: Archive, days: Path) -> None:
    assert len(archive.times) == 12 and archive.interval == np.timedelta64(900, "s") and archive.pixel_meters == 250
    assert archive.attributes["institution"] == "a small weather service"
    assert archive.attributes["source_quantity"] == "rain rate" and "source_zr_a" not in archive.attributes
    rate = np.concatenate([np.load(file) for file in sorted(days.glob("*.npy"))])
    frames = archive.read(archive.times)
    stored = rain_rate_from_scaled(frames.codes / 255)
    assert (frames.flags[rate < 0] == 0).all() and (frames.flags[rate >= 0] == 1).all()
    assert (stored[rate == 0] == 0).all() and np.allclose(stored[rate > 0], rate[rate > 0], rtol=0.021)


def test_a_file_may_hold_many_times_and_a_reader_may_be_given(days: Path, tmp_path: Path):
    report = ingest(DaySource, days, tmp_path / "a", workers=1, progress=False)
    assert report.found == report.written == 12 and report.days == 2
    check_days(Archive.open(tmp_path / "a"), days)
    assert ingest(DaySource, days, tmp_path / "a", workers=1, progress=False).days_unchanged == 2


def test_a_reader_of_another_package_has_a_name(days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "site"
    info = package / "their_radar-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-radar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[nowcast.readers]\ndays = {__name__}:DaySource\nlost = no_such_package:Reader\n"
    )
    with pytest.raises(NowcastError, match="unknown radar format 'days'; expected one of hko7"):
        ingest("days", days, tmp_path / "a", progress=False)
    monkeypatch.syspath_prepend(package)
    assert format_names() == [*READERS, "days", "lost"]
    ingest("days", days, tmp_path / "a", workers=1, progress=False)
    check_days(Archive.open(tmp_path / "a"), days)
    with pytest.raises(NowcastError, match="'lost', no_such_package:Reader, cannot be imported .*no_such_package"):
        load_reader("lost")
    (info / "entry_points.txt").write_text(f"[nowcast.readers]\nhko7 = {__name__}:DaySource\n")
    assert format_names() == [*READERS] and load_reader("hko7") is not DaySource


def test_a_frame_of_another_size_than_the_grid_is_reported(days: Path, tmp_path: Path):
    np.save(days / "2018-07-23.npy", np.ones((1, 9, 7)))
    report = ingest(DaySource, days, tmp_path / "a", workers=1, progress=False)
    assert report.unreadable == ["2018-07-23.npy [0] is 9×7, expected 5×7"] and report.written == 12


def test_every_reader_loads_and_nothing_above_knows_a_format():
    for name in READERS:
        assert callable(load_reader(name).open)
    for room in (nowcast.ingestion, nowcast.archive):
        for file in Path(room.__path__[0]).glob("*.py"):
            text = file.read_text().lower()
            assert not [word for word in ("hko", "mask_dat", "png", "radarpng") if word in text], file


def test_a_folder_is_recognized(tree: Tree, tmp_path: Path):
    tree.day("2018-07-21", 1)
    assert recognized_format(tree.root) == "hko7" and recognized_format(tmp_path) is None


def test_frames_of_a_live_loop_need_no_archive(tree: Tree):
    tree.day("2018-07-20", 6)
    tree.day("2018-07-21", 3)
    source = open_source("hko7", tree.root)
    frames = source.latest(5)
    assert [str(np.datetime64(f.time, "s"))[8:16] for f in frames] == [
        "20T00:24",
        "20T00:30",
        "21T00:00",
        "21T00:06",
        "21T00:12",
    ]
    facts = source.facts(frames)
    codes, flags = canonical_frame(source.read(frames[-1], facts), facts.zr)
    assert (codes == frame_of(np.datetime64("2018-07-21T00:12"))).all() and not flags[:3].any()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.integers(1, 5), st.sets(st.integers(0, 9), min_size=1, max_size=3), max_size=4),
    st.integers(1, 9),
)
def test_the_latest_are_the_last_of_all(tmp_path_factory, minutes, count):
    tree = Tree(tmp_path_factory.mktemp("latest"))
    (tree.root / "radarPNG").mkdir()
    for day, slots in minutes.items():
        for slot in slots:
            tree.frame(f"2018-07-{day:02}T00:{6 * slot:02}", mask=slot % 2 == 0)
    source = open_source("hko7", tree.root)
    everything = sorted(source.listing().frames, key=lambda frame: frame.time)
    assert source.latest(count) == everything[-count:]


def test_the_latest_are_found_without_looking_at_the_rest(tree: Tree, monkeypatch: pytest.MonkeyPatch):
    for day in range(1, 9):
        tree.day(f"2018-07-{day:02}", 4)
    looked_at = []
    monkeypatch.setattr(files, "file_mark", lambda path: looked_at.append(path) or "mark")
    assert len(open_source("hko7", tree.root).latest(3)) == 3
    assert len(looked_at) == 8 and all("/2018/07/08/" in str(path) for path in looked_at)
