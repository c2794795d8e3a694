"""Synthetic radar: the same bytes for the same seed, the layout of HKO-7, and rain that moves as the flow says."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import norm

from nowcast.errors import NowcastError
from nowcast.synthetic.convective_cells import Cells
from nowcast.synthetic.days import encode, frame_mask
from nowcast.synthetic.flow_fields import COARSE, FlowField, Vortex, advect, enlarge
from nowcast.synthetic.rain_fields import DETECTION, EvolvingField, box_size, rain_frames
from nowcast.synthetic.static_echoes import StaticEchoes
from nowcast.synthetic.synthesize import SyntheticSummary, synthesize
from nowcast.synthetic.uplift import Front, Slopes
from nowcast.synthetic.weather_regimes import CLIMATES, NO_ECHO, PIXEL_KM, REGIMES, regime_of_day
from nowcast.units import HKO7_SCALE, rain_rate_from_scaled

SMALL = {"seed": 7, "size": 48, "frames_per_day": 12, "progress": False}


def tree_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSummary:
    """Four days of 48 frames, 96×96."""
    out = tmp_path_factory.mktemp("synthetic") / "radar"
    return synthesize(out, days=4, seed=3, size=96, frames_per_day=48, workers=2, progress=False)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    synthesize(tmp_path / "one", days=3, workers=1, **SMALL)
    synthesize(tmp_path / "three", days=3, workers=3, **SMALL)
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "three")


def test_another_seed_gives_other_rain(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", days=1, **SMALL)
    synthesize(tmp_path / "b", days=1, **{**SMALL, "seed": 8})
    first, second = tree_bytes(tmp_path / "a"), tree_bytes(tmp_path / "b")
    shared = [name for name in first if name.endswith(".png") and name in second]
    assert shared and all(first[name] != second[name] for name in shared)


def test_a_longer_archive_begins_with_the_shorter_one_and_extends_it_in_place(tmp_path: Path) -> None:
    synthesize(tmp_path / "grown", days=2, **SMALL)
    short = tree_bytes(tmp_path / "grown")
    grown = synthesize(tmp_path / "grown", days=4, **SMALL)
    whole = synthesize(tmp_path / "whole", days=4, **SMALL)
    assert grown.days == whole.days
    assert tree_bytes(tmp_path / "grown") == tree_bytes(tmp_path / "whole")
    assert all(tree_bytes(tmp_path / "whole")[name] == short[name] for name in short if name.startswith("radarPNG"))


def test_a_killed_run_is_completed(tmp_path: Path) -> None:
    synthesize(tmp_path / "radar", days=1, **SMALL)
    half_written = tmp_path / "radar" / "radarPNG" / "2020" / "06" / "02"
    half_written.mkdir(parents=True)
    (half_written / "RAD200602000000.png").write_bytes(b"half")
    synthesize(tmp_path / "radar", days=2, **SMALL)
    synthesize(tmp_path / "whole", days=2, **SMALL)
    assert tree_bytes(tmp_path / "radar") == tree_bytes(tmp_path / "whole")


def test_a_shorter_day_is_the_beginning_of_a_longer_one() -> None:
    long = [field for field, _ in islice(rain_frames(1, 0, 64, 6.0), 6)]
    short = [field for field, _ in islice(rain_frames(1, 0, 64, 6.0), 3)]
    assert np.array_equal(long[:3], short)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(NowcastError, match="not empty and was not made by"):
        synthesize(tmp_path, days=1, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_other_settings_and_fewer_days_are_refused(tmp_path: Path) -> None:
    synthesize(tmp_path / "radar", days=2, **SMALL)
    with pytest.raises(NowcastError, match="seed 7 instead of 8"):
        synthesize(tmp_path / "radar", days=2, **{**SMALL, "seed": 8})
    with pytest.raises(NowcastError, match="holds 2 days already, more than the 1 asked for"):
        synthesize(tmp_path / "radar", days=1, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"days": 0}, "days is 0, expected 1"),
        ({"size": 8}, "size is 8, expected 32"),
        ({"frames_per_day": 241}, "frames_per_day is 241, expected 1 to 240"),
        ({"frame_interval": np.timedelta64(7, "m")}, "420 s, expected 1 to 30 whole minutes that divide a day"),
        ({"pixel": 100.0}, "100 m wide, expected 250 to 4000 m"),
        (
            {"climate": "martian"},
            "unknown climate 'martian', expected one of summer, convective, unsteady, stratiform, weak, mixed",
        ),
    ],
)
def test_settings_that_cannot_be_met_are_refused(tmp_path: Path, wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(NowcastError, match=sentence):
        synthesize(tmp_path / "radar", **{"days": 1, **SMALL, **wrong})
    assert not (tmp_path / "radar").exists()


def test_a_folder_made_before_there_was_a_choice_of_climate_is_extended(tmp_path: Path) -> None:
    synthesize(tmp_path / "radar", days=1, **SMALL)
    marker = tmp_path / "radar" / "synthetic.json"
    found = json.loads(marker.read_text())
    assert (found["settings"].pop("climate"), found["settings"].pop("pixel_m")) == ("summer", None)
    marker.write_text(json.dumps(found))
    with pytest.raises(NowcastError, match="climate summer instead of weak"):
        synthesize(tmp_path / "radar", days=2, climate="weak", **SMALL)
    assert len(synthesize(tmp_path / "radar", days=2, **SMALL).days) == 2


def test_the_summary_tells_what_is_on_disk(made: SyntheticSummary) -> None:
    images = sorted((made.path / "radarPNG").rglob("*.png"))
    masks = sorted((made.path / "radarPNG_mask").rglob("*.mask"))
    assert len(images) == made.frames == 4 * 48 - len(made.missing)
    assert len(masks) == made.frames - len(made.masks_missing)
    on_disk = {np.datetime64(datetime.strptime(path.stem, "RAD%y%m%d%H%M%S"), "s") for path in images}
    for day in made.days:
        slots = {day.date.astype("datetime64[s]") + np.timedelta64(6 * i, "m") for i in range(48)}
        assert slots - set(day.missing) == {time for time in on_disk if time.astype("datetime64[D]") == day.date}
        assert 1 <= len(day.missing) <= 6
    assert len(made.truncated) == len(made.masks_missing) == 1
    assert {day.regime for day in made.days} == {regime.name for regime in REGIMES}


def test_names_follow_the_layout(made: SyntheticSummary) -> None:
    for path in (made.path / "radarPNG").rglob("*.png"):
        time = datetime.strptime(path.name, "RAD%y%m%d%H%M00.png")
        assert path.parent == made.path / "radarPNG" / f"{time:%Y}" / f"{time:%m}" / f"{time:%d}"
        mask = made.path / "radarPNG_mask" / f"{time:%Y/%m/%d}" / f"{path.stem}.mask"
        assert mask.exists() != (np.datetime64(time, "s") in made.masks_missing)


def test_exactly_one_png_is_truncated(made: SyntheticSummary) -> None:
    images = sorted((made.path / "radarPNG").rglob("*.png"))
    cut = [path for path in images if not path.read_bytes().endswith(b"IEND\xaeB`\x82")]
    assert [np.datetime64(datetime.strptime(path.stem, "RAD%y%m%d%H%M%S"), "s") for path in cut] == list(made.truncated)


def test_masks_follow_the_rule_pixel_by_pixel(made: SyntheticSummary) -> None:
    with np.load(made.path / "hko_data" / "mask_dat.npz") as static:
        assert set(static.files) == {"exclude_mask", "out_boundary_mask", "outlier_mask"}
        excluded = static["exclude_mask"].astype(bool)
        assert np.array_equal(excluded, static["out_boundary_mask"].astype(bool) | static["outlier_mask"].astype(bool))
    checked = 0
    for mask in sorted((made.path / "radarPNG_mask").rglob("*.mask")):
        time = np.datetime64(datetime.strptime(mask.stem, "RAD%y%m%d%H%M%S"), "s")
        if time in made.truncated:
            continue
        usable = np.frombuffer(zlib.decompress(mask.read_bytes()), np.uint8)
        codes = pixels(Path(str(mask).replace("radarPNG_mask", "radarPNG")).with_suffix(".png"))
        assert codes.dtype == np.uint8 and codes.shape == (96, 96)
        assert set(np.unique(usable)) <= {0, 1} and usable.size == 96 * 96
        doubtful = (codes / 255 > 0) & (codes / 255 < round(0.28 * 255) / 255)
        assert np.array_equal(usable.reshape(96, 96).astype(bool), ~excluded & ~doubtful)
        assert not codes[excluded & ~StaticEchoes(3, 96).outliers].any()
        checked += 1
    assert checked > 150


def test_frame_mask_at_the_noise_limit() -> None:
    codes = np.array([[0, 1, 70, 71, 255, 255]], np.uint8)
    excluded = np.array([[False, False, False, False, False, True]])
    assert frame_mask(codes, excluded).tolist() == [[True, False, False, True, True, False]]


def test_codes_are_the_formula_of_the_layout() -> None:
    reflectivity = np.array([[NO_ECHO, DETECTION, 25.0, 59.9]], np.float32)
    assert encode(reflectivity).tolist() == [[0, 51, 128, 255]]
    assert encode(reflectivity)[0, 1:].tolist() == HKO7_SCALE.encode((reflectivity[0, 1:] + 10) / 70).tolist()


def test_splits_are_in_the_day_lists(made: SyntheticSummary, tmp_path: Path) -> None:
    listed = {}
    for split, days in made.splits.items():
        text = (made.path / "hko_data" / f"hko7_rainy_{split}_days.txt").read_text()
        rows = [line.split(", ") for line in text.splitlines()]
        listed[split] = [row[0] for row in rows]
        assert listed[split] == [str(day).replace("-", "") for day in days]
        rain = {day.date: day.rain for day in made.days}
        assert [float(row[1]) for row in rows] == [rain[day] for day in days]
    assert listed == {"train": ["20200601", "20200604"], "valid": ["20200602"], "test": ["20200603"]}

    lone = synthesize(tmp_path / "lone", days=1, **SMALL)
    assert [len(lone.splits[split]) for split in ("train", "valid", "test")] == [1, 0, 0]
    assert (tmp_path / "lone" / "hko_data" / "hko7_rainy_test_days.txt").read_text() == ""


def test_the_day_list_gives_the_mean_rain_of_usable_pixels(made: SyntheticSummary) -> None:
    excluded = StaticEchoes(3, 96).excluded
    for day in made.days[1:]:
        folder = made.path / "radarPNG" / str(day.date).replace("-", "/")
        rates = [rain_rate_from_scaled(pixels(path) / 255)[~excluded].mean() for path in folder.glob("*.png")]
        # the day's own sum includes its few missing frames
        assert day.rain == pytest.approx(np.mean(rates) * 4.8, rel=0.15, abs=0.06)


def test_rain_rates_are_spread_as_radar_shows_them() -> None:
    """Bounds a factor of two and more around docs/data.md: this guards against a broken field, not a poor one."""
    rates = []
    for day in range(8):
        for field, _ in islice(rain_frames(1, day, 160, 6.0), 0, 30, 6):
            assert field.shape == (160, 160) and field.dtype == np.float32
            assert ((field == NO_ECHO) | ((field >= DETECTION) & (field < 60))).all()
            rates.append(rain_rate_from_scaled((field + 10) / 70))
    share = {threshold: float((np.stack(rates) >= threshold).mean()) for threshold in (0.1, 0.5, 2, 5, 10, 30)}
    assert 0.02 < share[0.1] < 0.25
    assert 0.6 < share[0.5] / share[0.1] < 0.95
    assert 0.35 < share[2] / share[0.5] < 0.8
    assert 0.2 < share[5] / share[2] < 0.75
    assert 0.03 < share[10] / share[2] < 0.4
    assert 0.0002 < share[30] / share[2] < 0.08


def carried(field: np.ndarray, flows: list[np.ndarray]) -> np.ndarray:
    """A field carried forward through the flows, without memory loss, growth or decay; an oracle of its own."""
    rows, columns = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32)
    for east, south in flows:
        field = cv2.remap(field, columns - east, rows - south, cv2.INTER_LINEAR, borderValue=NO_ECHO)
    return np.asarray(field)


@pytest.mark.parametrize("day", range(4))
def test_rain_goes_where_the_flow_carries_it(day: int) -> None:
    frames = list(islice(rain_frames(2, day, 192, 6.0), 24))
    steps, inner = 4, (slice(32, 160), slice(32, 160))
    now, moved, later = [], [], []
    for start in range(0, 20, 4):
        flows = [flow for _, flow in frames[start + 1 : start + 1 + steps]]
        now.append(frames[start][0][inner])
        moved.append(carried(frames[start][0], flows)[inner])
        later.append(frames[start + steps][0][inner])
    still, carried_along = (np.corrcoef(np.ravel(forecast), np.ravel(later))[0, 1] for forecast in (now, moved))
    # a typhoon's core turns in place, so that standing still is not a bad forecast of it
    gain = 0.02 if regime_of_day(2, day).vortex else 0.2
    assert carried_along > max(still + gain, 0.6)


def test_motion_is_that_of_rain() -> None:
    """Between 3 and 30 m/s, at most 10 pixels in six minutes: visible, and within reach of a small network."""
    meters = PIXEL_KM * 1000 / 360
    for day in range(4):
        flow = next(islice(rain_frames(1, day, 96, 6.0), 5, None))[1]
        speed = np.hypot(*flow) * meters
        assert 3 < speed.mean() < 25 and speed.max() < 30


def test_small_scales_forget_first() -> None:
    """Correlation after 30 min in the frame that moves with the flow, for waves around 80, 20 and 6 km."""
    field = EvolvingField(np.random.default_rng(0), 256, 6.0, slope=3.5, outer_km=200.0, lifetime=60.0)
    shift = np.full((256, 256), 3, np.float32)  # whole pixels: interpolation has no part in it
    before = field.field
    for _ in range(5):
        after = field.step(shift, np.zeros_like(shift))
    after = np.roll(after, -15, axis=1)
    wave = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None]) / PIXEL_KM
    first, second = np.fft.rfft2(before), np.fft.rfft2(after)
    kept = []
    for length in (80, 20, 6):
        band = (wave > 0.8 / length) & (wave < 1.25 / length)
        kept.append(
            float(
                (first * second.conj()).real[band].sum()
                / np.sqrt((abs(first[band]) ** 2).sum() * (abs(second[band]) ** 2).sum())
            )
        )
        expected = np.exp(-30 / (60 * (length / 2 / 10) ** 0.9))
        assert kept[-1] == pytest.approx(expected, abs=0.12)
    assert kept[0] > kept[1] > kept[2]


def test_the_field_stays_gaussian_with_unit_variance_in_a_vortex() -> None:
    rng = np.random.default_rng(1)
    vortex = Vortex(rng, 256, PIXEL_KM)
    flow = FlowField(rng, 256, 6.0, PIXEL_KM, 8.0, vortex)
    field = EvolvingField(rng, 256, 6.0, slope=3.5, outer_km=60.0, lifetime=60.0)
    for frame in range(40):
        values = field.step(*(enlarge(component, 256) for component in flow.at(frame / 10)))
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.std() == pytest.approx(1, abs=0.25)
    assert (values > norm.isf(0.1) * values.std()).mean() == pytest.approx(0.1, abs=0.05)


def test_a_vortex_keeps_rain_at_its_distance() -> None:
    """A patch carried for an hour around a resting center stays on its circle, counterclockwise as seen from above."""
    vortex = Vortex(np.random.default_rng(0), 256, PIXEL_KM)
    vortex.drift, vortex.miss = 0.0, 0.0
    flow = FlowField(np.random.default_rng(0), 256, 6.0, PIXEL_KM, 0.0, vortex)
    flow.eddies = [(np.zeros((32, 32)), np.zeros((32, 32)))] * 2
    rows, columns = np.mgrid[:256, :256]
    patch = np.exp(-((rows - 128) ** 2 + (columns - 178) ** 2) / 50).astype(np.float32)  # 50 pixels east
    for _ in range(6):
        patch = advect(patch, *(enlarge(component, 256) for component in flow.at(0.0)))
    weight = patch / patch.sum()
    row, column = (weight * rows).sum() - 128, (weight * columns).sum() - 128
    assert np.hypot(row, column) == pytest.approx(50, abs=2)
    assert row < -15  # it went north first


def test_advection_wraps_and_moves_whole_pixels_exactly() -> None:
    field = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    east, south = np.full((64, 64), 3, np.float32), np.full((64, 64), -2, np.float32)
    assert np.allclose(advect(field, east, south), np.roll(field, (-2, 3), (0, 1)), atol=1e-5)


def test_the_flow_of_the_eddies_has_no_divergence() -> None:
    flow = FlowField(np.random.default_rng(0), 512, 6.0, PIXEL_KM, 0.0)
    for east, south in flow.eddies:
        divergence = np.roll(east, -1, 1) - np.roll(east, 1, 1) + np.roll(south, -1, 0) - np.roll(south, 1, 0)
        assert np.abs(divergence).max() < 1e-9 * max(np.abs(east).max(), 1)


def test_boxes_exceed_their_windows() -> None:
    for size in (32, 120, 128, 480, 700):
        box = box_size(size)
        assert box >= max(256, 1.33 * size) and box % COARSE == 0


def test_a_finer_pixel_shows_the_same_wind_and_larger_cells() -> None:
    """Meters per second do not depend on the pixel or the interval; a cell of 4 km is twice as many pixels wide."""
    speeds, radii = [], []
    for pixel_km, minutes in ((0.5, 5.0), (1.0, 10.0), (2.0, 6.0)):
        flow = next(islice(rain_frames(1, 0, 96, minutes, pixel_km), 2, None))[1]
        speeds.append(float(np.hypot(*flow).mean()) * pixel_km * 1000 / (60 * minutes))
        cells = Cells(np.random.default_rng(0), 256, minutes, replace(REGIMES[0], cells=2000.0), pixel_km)
        still = np.zeros((256, 256), np.float32)
        cells.step(FlowField(np.random.default_rng(0), 256, minutes, pixel_km, 0.0), still, still, still)
        radii.append(float(cells.table[:, 5].mean()) * pixel_km)
    assert speeds == pytest.approx([speeds[0]] * 3, rel=0.3)
    assert radii == pytest.approx([radii[0]] * 3, rel=0.15)


def test_strong_cells_outlive_weak_ones_where_storms_endure() -> None:
    storm = next(regime for regime in CLIMATES["convective"] if regime.name == "clusters")
    cells = Cells(np.random.default_rng(0), 512, 6.0, replace(storm, cells=1500.0))
    still = np.zeros((512, 512), np.float32)
    cells.step(FlowField(np.random.default_rng(0), 512, 6.0, PIXEL_KM, 5.0), still, still, still)
    life, peak = cells.table[:, 3], cells.table[:, 4]
    assert len(life) > 200
    assert life[peak > 44].mean() > 1.5 * life[peak < 38].mean()
    assert np.hypot(cells.table[:, 8], cells.table[:, 9]).mean() * cells.pixels**-1 == pytest.approx(1.9, abs=0.4)


def test_drizzle_is_wide_and_light_and_keeps_moving() -> None:
    """As the Dutch sample of docs/data.md: half of the area wet, next to nothing above 10 mm/h."""
    drizzle = [day for day in range(3) if regime_of_day(0, day, "weak").name == "drizzle"][0]
    frames = [field for field, _ in islice(rain_frames(0, drizzle, 128, 6.0, 1.0, "weak"), 0, 20, 5)]
    rates = rain_rate_from_scaled((np.stack(frames) + 10) / 70)
    assert 0.25 < (rates >= 0.1).mean() < 0.85
    assert (rates >= 10).mean() < 0.01


def test_slopes_stand_and_a_front_crosses_the_box() -> None:
    slopes = Slopes(np.random.default_rng(0), 256, 1.0, lift=1.0)
    assert slopes.pattern.min() == 0 and np.sqrt((slopes.pattern**2).mean()) == pytest.approx(1.0)
    front = Front(np.random.default_rng(1), 256, strength=1.2)
    before = front.lift()
    assert before.shape == (256 // COARSE,) * 2 and before.max() <= 1.2 + 1e-6 and before.min() >= -0.48 - 1e-6
    front.wave, front.share = 2 * np.pi / 256 * np.array([1, 0]), 1.0
    front.at_rest = np.arange(256 // COARSE)[None] * COARSE * front.wave[0] + np.zeros((256 // COARSE, 1))
    before = front.lift()
    front.step((2.0 * COARSE, 0.0))
    assert np.allclose(front.lift(), np.roll(before, 2, axis=1), atol=1e-5)


def test_every_climate_shows_its_kinds_in_turn() -> None:
    for climate, regimes in CLIMATES.items():
        shown = [regime_of_day(5, day, climate).name for day in range(len(regimes))]
        assert sorted(shown) == sorted(regime.name for regime in regimes)
    assert len(CLIMATES["mixed"]) == sum(len(CLIMATES[name]) for name in ("convective", "stratiform", "weak"))


def test_every_block_of_four_days_shows_every_weather_and_splits_are_varied() -> None:
    orders = set()
    for seed in range(8):
        names = [regime_of_day(seed, day).name for day in range(24)]
        for block in range(0, 24, 4):
            assert sorted(names[block : block + 4]) == sorted(regime.name for regime in REGIMES)
        for first in (1, 2):  # the days of valid and test
            assert len({names[day] for day in range(first, 24, 6)}) == len(REGIMES)
            assert names[first] != names[first + 6]
        orders.add(tuple(names))
    assert len(orders) > 1


def test_the_site_excludes_about_a_fifth() -> None:
    for size in (128, 480):
        site = StaticEchoes(1, size)
        assert 0.2 < site.excluded.mean() < 0.26
        assert site.outliers.any() and not (site.outliers & site.unseen).any()
        dry = site.add(np.zeros((size, size), np.uint8), np.random.default_rng(0))
        clutter = dry[~site.excluded]
        assert 0 < (clutter > 0).mean() < 0.02
        assert ((clutter > 0) & (clutter < 71)).sum() > (clutter >= 71).sum() > 0
