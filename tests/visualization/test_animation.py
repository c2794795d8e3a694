"""The animation, read back from the files as a viewer would see it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from maps import color_of, maps
from PIL import Image, ImageSequence
from walking_square import INTERVAL, ISSUE, RATE, SIZE, nowcast, observed, walking_square

from nowcast.errors import NowcastError
from nowcast.units import HKO7_ZR
from nowcast.visualization import animate, colors
from nowcast.visualization.scenes import gaps_in_words, observations, scenes

SCALE = 10
"""40 pixels are drawn in 400."""


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def panel(frame: np.ndarray, number: int, like: np.ndarray | None = None) -> np.ndarray:
    """The map of a panel, counted from the left; `like` is a frame that shows a map where this one is blank."""
    return frame[maps(frame if like is None else like)[number]]


def raining(field: np.ndarray, rate: float = RATE) -> np.ndarray:
    """Grid pixels that show the color of a rate, bool (SIZE, SIZE)."""
    assert field.shape[:2] == (SIZE * SCALE, SIZE * SCALE)
    return (field == color_of(rate)).all(axis=-1)[SCALE // 2 :: SCALE, SCALE // 2 :: SCALE]


def test_panels_show_the_rain_where_it_is(tmp_path):
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif", observed()))
    assert len(frames) == 5 + 3
    for lead in (1, 2, 3):
        frame = frames[4 + lead]
        assert (raining(panel(frame, 0)) == (walking_square(10 + 2 * lead) > 0)).all()
        assert (raining(panel(frame, 1)) == (walking_square(10 + lead) > 0)).all()


def test_persistence_is_the_last_observed_frame_at_every_lead(tmp_path):
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif", observed(missing=(0,))))
    last = panel(frames[3], 0)  # the frame of the issue time is missing, so the one before it persists
    assert (raining(last) == (walking_square(8) > 0)).all()
    for frame in frames[5:]:
        assert (raining(panel(frame, 2)) == (walking_square(8) > 0)).all()


def test_another_nowcast_takes_the_third_panel(tmp_path):
    rival = nowcast()
    rival["rain_rate"][0] = np.stack([walking_square(10 + 3 * lead) for lead in (1, 2, 3)])
    rival.attrs["model_run"] = "extrapolation"
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif", observed(), beside=rival))
    for lead in (1, 2, 3):
        assert (raining(panel(frames[4 + lead], 1)) == (walking_square(10 + lead) > 0)).all()
        assert (raining(panel(frames[4 + lead], 2)) == (walking_square(10 + 3 * lead) > 0)).all()
    with pytest.raises(NowcastError, match="differ in their lead_time"):
        animate(nowcast(), tmp_path / "a.gif", observed(), beside=rival.isel(lead_time=[0]))


def test_only_what_the_nowcast_was_given_is_called_input():
    shown = nowcast(observed_time=ISSUE + np.array([-1, 0]) * np.timedelta64(360, "s"))
    past = np.timedelta64(3600, "s")
    one = shown.set_coords("observed_time").isel(issue_time=0)
    told = scenes(one, ISSUE, observations(one, observed(), ISSUE, past), past)
    words = [scene.pictures["nowcast"].status.split()[0] for scene in told if scene.past]
    assert words == ["observed", "observed", "observed", "input", "input"]


def test_all_panels_play_the_observed_past(tmp_path):
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif", observed()))
    for index, step in enumerate(range(-4, 1)):
        for number in range(3):
            assert (raining(panel(frames[index], number)) == (walking_square(10 + 2 * step) > 0)).all()


def test_unseen_is_hatched_and_dry_is_not(tmp_path):
    frame = frames_of(animate(nowcast(), tmp_path / "a.gif", observed()))[-1]
    for number in range(3):
        unseen = {tuple(color) for color in panel(frame, number)[: 2 * SCALE].reshape(-1, 3).tolist()}
        assert unseen == {colors.rgb(colors.UNSEEN), colors.rgb(colors.UNSEEN_LINE)}
        dry = {tuple(color) for color in panel(frame, number)[2 * SCALE : 9 * SCALE].reshape(-1, 3).tolist()}
        assert dry == {colors.rgb(colors.DRY), colors.rgb(colors.DRY_LINE)}


def test_unknown_places_of_a_nowcast_are_neither_dry_nor_unseen(tmp_path):
    forecast = nowcast()
    forecast["rain_rate"][:, :, :, :3] = np.nan
    frame = frames_of(animate(forecast, tmp_path / "a.gif", observed()))[-1]
    unknown = (panel(frame, 1) == colors.rgb(colors.UNKNOWN)).all(axis=-1)[5::SCALE, 5::SCALE]
    expected = np.zeros((SIZE, SIZE), bool)
    expected[2:, :3] = True
    assert (unknown == expected).all()


def test_frames_the_file_carries_are_enough(tmp_path):
    past = observed(last=0)
    rate = HKO7_ZR.rain_rate(past["reflectivity"].values).astype(np.float32)
    carried = nowcast(observed_rain_rate=(("observed_time", "y", "x"), rate), observed_time=past["time"].values)
    frames = frames_of(animate(carried, tmp_path / "a.gif"))
    assert len(frames) == 5 + 3
    assert (raining(panel(frames[-1], 2, like=frames[0])) == (walking_square(10) > 0)).all()
    blank = panel(frames[-1], 0, like=frames[0])[5 * SCALE : 15 * SCALE]
    assert (blank == 255).all()  # not yet observed: paper, the words stand lower


def test_alone_a_nowcast_has_one_panel(tmp_path):
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif"))
    assert len(frames) == 3
    assert frames[0].shape[1] < 600


def test_a_missing_frame_of_the_past_keeps_its_place_and_is_blank(tmp_path):
    frames = frames_of(animate(nowcast(), tmp_path / "a.gif", observed(missing=(-2,))))
    assert len(frames) == 5 + 3
    assert not raining(panel(frames[2], 0, like=frames[3])).any()
    assert raining(panel(frames[3], 0)).any()


def test_durations(tmp_path):
    path = animate(nowcast(), tmp_path / "a.gif", observed(), frames_per_second=5, pause_seconds=3)
    with Image.open(path) as image:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
    assert durations == [200] * 4 + [1000] + [200] * 2 + [3000]


def test_gif_webp_and_apng_hold_the_very_colors_of_the_png_frames(tmp_path):
    first = animate(nowcast(), tmp_path / "a.png", observed())
    assert first == tmp_path / "a_000.png"
    series = [np.array(Image.open(path).convert("RGB")) for path in sorted(tmp_path.glob("a_*.png"))]
    assert len(series) == 8
    for suffix in ("gif", "webp", "apng"):
        frames = frames_of(animate(nowcast(), tmp_path / f"a.{suffix}", observed()))
        assert len(frames) == 8
        assert all((one == other).all() for one, other in zip(frames, series, strict=True)), suffix


def test_a_shorter_series_leaves_no_frames_of_a_longer_one(tmp_path):
    (tmp_path / "a_notes.png").write_bytes(b"mine")
    animate(nowcast(leads=3), tmp_path / "a.png")
    animate(nowcast(leads=1), tmp_path / "a.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_000.png", "a_notes.png"]


def test_mp4_can_be_decoded(tmp_path):
    cv2 = pytest.importorskip("cv2")
    try:
        path = animate(nowcast(), tmp_path / "a.mp4", observed(), frames_per_second=5, pause_seconds=1)
    except NowcastError as error:
        assert "write .gif" in str(error)
        pytest.skip("no video encoder here")
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(5)
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 7 + 2 + 4  # 0.33 s at the issue time, 1 s at the end
    found, frame = video.read()
    assert found and frame.shape[0] % 2 == 0


@pytest.mark.parametrize("shape", [(17, 90), (90, 17), (1, 1), (530, 500)])
def test_any_grid_can_be_drawn(tmp_path, shape):
    forecast = nowcast(leads=1).isel(y=[0] * shape[0], x=[5] * shape[1]).drop_vars(["x", "y"])
    frames = frames_of(animate(forecast, tmp_path / "a.gif"))
    assert len(frames) == 1


def test_all_dry_all_unknown_and_huge(tmp_path):
    for value, color in ((0.0, colors.DRY), (np.nan, colors.UNKNOWN), (1e30, colors.RAIN_COLORS[-1])):
        forecast = nowcast()
        forecast["rain_rate"][:] = value
        frame = frames_of(animate(forecast, tmp_path / "a.gif", observed()))[-1]
        assert (panel(frame, 1)[205, 203] == colors.rgb(color)).all()


def test_a_large_field_is_reduced_by_mean_rate(tmp_path):
    field = np.zeros((800, 800), np.float32)
    field[400:, :400:2] = 14.0  # mean of each pair: 7
    forecast = nowcast(leads=1).drop_vars("static_mask").isel(y=[0] * 800, x=[0] * 800).drop_vars(["x", "y"])
    forecast["rain_rate"][0, 0] = field
    frame = frames_of(animate(forecast, tmp_path / "a.gif"))[0]
    shown = panel(frame, 0)
    assert shown.shape[:2] == (400, 400)
    assert (shown[205:395, 3:197] == color_of(7.0)).all()
    assert (shown[205:395, 203:395] == colors.rgb(colors.DRY)).all()


def test_a_crop_of_the_archive_finds_its_place(tmp_path):
    forecast = nowcast().isel(y=slice(8, 28), x=slice(5, 25))
    frame = frames_of(animate(forecast, tmp_path / "a.gif", observed()))[-1]
    field = panel(frame, 0)[10::20, 10::20]
    assert ((field == color_of(RATE)).all(axis=-1) == (walking_square(16)[8:28, 5:25] > 0)).all()


def test_issue_time_is_chosen(tmp_path):
    later = nowcast().assign_coords(issue_time=[ISSUE + np.timedelta64(3600, "s")])
    later["rain_rate"] = later["rain_rate"] * 0
    both = xr.concat(
        [nowcast().drop_vars("valid_time"), later.drop_vars("valid_time")], "issue_time", data_vars="minimal"
    )
    rain = [
        raining(panel(frames_of(animate(both, tmp_path / "a.gif", issue_time=time))[0], 0)).any()
        for time in (None, "2018-07-24T03:30")
    ]
    assert rain == [False, True]
    with pytest.raises(NowcastError, match="No nowcast was issued at 2018-07-25"):
        animate(both, tmp_path / "a.gif", issue_time="2018-07-25")


def test_errors_are_sentences(tmp_path):
    with pytest.raises(NowcastError, match=r"ends in '.avi', expected one of .gif, .webp"):
        animate(nowcast(), tmp_path / "a.avi")
    with pytest.raises(NowcastError, match="lacks lead_time, rain_rate"):
        animate(nowcast().drop_vars(["rain_rate", "lead_time", "valid_time"]), tmp_path / "a.gif")
    with pytest.raises(NowcastError, match="is empty"):
        animate(nowcast().isel(lead_time=[]), tmp_path / "a.gif")
    with pytest.raises(NowcastError, match="not on the grid"):
        animate(nowcast(), tmp_path / "a.gif", observed().assign_coords(x=np.arange(SIZE) * 777.0))
    with pytest.raises(NowcastError, match="frames_per_second is 0"):
        animate(nowcast(), tmp_path / "a.gif", frames_per_second=0)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(NowcastError, match="cannot be written"):
        animate(nowcast(), tmp_path / "file" / "a.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(NowcastError, match="cannot be written"):
        animate(nowcast(), tmp_path / "a.gif")


def bridged_nowcast(status: int = 1) -> xr.Dataset:
    """A nowcast whose frame before the last was missing and made: the square stands where no frame has it."""
    inputs = np.stack([walking_square(20), walking_square(25), walking_square(10)])
    made = nowcast(
        observed_rain_rate=(("observed_time", "y", "x"), inputs),
        observed_frame_made=("observed_time", np.array([0, status, 0], np.int8)),
    ).assign_coords(observed_time=ISSUE + np.array([-2, -1, 0]) * INTERVAL)
    return made.assign_attrs(observed_frames_missing=1, observed_frames_bridged=int(status == 1))


def test_a_bridged_frame_is_marked_and_is_no_observation(tmp_path):
    seen_by = observed(missing=(-1,))
    made, past = bridged_nowcast().isel(issue_time=0), 4 * INTERVAL
    told = scenes(made, ISSUE, observations(made, seen_by, ISSUE, past), past)
    before = next(scene for scene in told if scene.time == ISSUE - INTERVAL)
    assert before.pictures["nowcast"].status == "bridged 03:24 UTC"
    assert (before.pictures["nowcast"].rain_rate == walking_square(25)).all()
    assert before.pictures["observed"].message == "missing frame"
    own = observations(made, None, ISSUE, past)
    assert own is not None and ISSUE - INTERVAL not in own.times and len(own.times) == 2
    for status, words in ((1, "1 input frame missing, 1 bridged"), (2, "1 input frame missing")):
        assert gaps_in_words(bridged_nowcast(status)) == words
    assert gaps_in_words(nowcast()) == ""
    unmarked = bridged_nowcast().assign_attrs(observed_frames_missing=0, observed_frames_bridged=0)
    plain, marked = (frames_of(animate(one, tmp_path / "a.gif", seen_by))[0] for one in (unmarked, bridged_nowcast()))
    assert plain.shape == marked.shape and (plain[:80] != marked[:80]).any(), "the title says it"
