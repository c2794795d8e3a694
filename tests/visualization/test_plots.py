"""Score plots, galleries and training curves are files that show what the dataset holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from nowcast.errors import NowcastError
from nowcast.visualization import Case, colors, plot_case, plot_gallery, plot_scores, plot_training, skill

LEADS = np.arange(1, 6) * np.timedelta64(360, "s")


@pytest.fixture
def scores() -> xr.Dataset:
    names, thresholds = ["persistence", "convgru"], [0.5, 30.0]
    fall = np.linspace(0.8, 0.3, 5)
    csi = np.stack([fall, fall + 0.1])[:, :, None] * [1.0, 0.5]
    grid = ("forecaster", "lead_time", "threshold")
    return xr.Dataset(
        {
            "balanced_mse": (grid[:2], np.stack([1 - fall, 0.9 - fall]) * 1e4),
            "mae": (grid[:2], np.stack([1 - fall, 0.9 - fall])),
            "csi": (grid, csi),
            "pod": (grid, csi),
            "far": (grid, 1 - csi),
            "hits": (grid, np.ones(csi.shape, np.int64)),
        },
        {"forecaster": names, "lead_time": LEADS, "threshold": thresholds},
    )


def shows(path: Path, color: str) -> bool:
    """Whether a picture holds pixels of exactly this color."""
    with Image.open(path) as image:
        return bool((np.array(image.convert("RGB")) == colors.rgb(color)).all(axis=-1).sum() > 20)


def test_each_family_gets_its_file_in_the_forecasters_colors(scores, tmp_path):
    drawn = plot_scores(scores, tmp_path / "plots")
    assert [path.name for path in drawn] == ["errors.png", "categorical.png", "performance.png"]
    for path in drawn:
        assert shows(path, colors.FORECASTER_COLORS[0])
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(path.name for path in drawn)


def test_undefined_scores_are_drawn_as_gaps(scores, tmp_path):
    scores["far"][:, 2:, 0] = np.nan
    scores["csi"][..., 1] = np.nan
    scores["pod"][..., 1] = np.nan
    assert len(plot_scores(scores, tmp_path)) == 3
    assert len(plot_scores(scores.where(False), tmp_path)) == 3  # nothing defined at all


def test_probabilistic_and_spatial_scores(scores, tmp_path):
    share = np.linspace(0, 1, 11)
    scores["fss"] = (("forecaster", "lead_time", "threshold", "window"), np.full((2, 5, 2, 2), 0.5))
    scores["reliability"] = (("forecaster", "threshold", "probability"), np.tile(share, (2, 2, 1)))
    scores["rank_histogram"] = (("forecaster", "lead_time", "rank"), np.ones((2, 5, 8), np.int64))
    scores = scores.assign_coords(window=[1, 9], probability=share)
    names = [path.name for path in plot_scores(scores, tmp_path)]
    assert names == [
        "errors.png",
        "categorical.png",
        "fss.png",
        "performance.png",
        "reliability.png",
        "rank_histogram.png",
    ]


def test_lead_times_without_an_interval_count_frames(scores, tmp_path):
    assert len(plot_scores(scores.assign_coords(lead_time=np.arange(1, 6)), tmp_path)) == 3


def test_a_dataset_of_one_forecaster_needs_no_dimension(scores, tmp_path):
    assert len(plot_scores(scores.isel(forecaster=1, drop=True), tmp_path)) == 3


def test_lines_carry_the_scores(scores):
    from matplotlib.figure import Figure

    axis = Figure().subplots()
    skill._lines(axis, scores, scores["balanced_mse"], skill.Look(["persistence", "convgru"]))
    assert axis.lines[1].get_xdata().tolist() == [6, 12, 18, 24, 30]
    assert axis.lines[1].get_ydata() == pytest.approx(scores["balanced_mse"].sel(forecaster="convgru").values)


def test_markers_stand_on_a_handful_of_points_and_on_lonely_ones():
    values = np.ones(20)
    values[[9, 11]] = np.nan
    assert skill._marked(values) == [0, 3, 6, 9, 10, 12, 15, 18]


def test_scores_without_lead_time_and_unwritable_folder(scores, tmp_path):
    with pytest.raises(NowcastError, match="has no lead times"):
        plot_scores(scores.isel(lead_time=0, drop=True), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NowcastError, match=r"errors.png cannot be written"):
        plot_scores(scores, tmp_path / "file")


def a_case(label: str = "heaviest", **changes: object) -> Case:
    observed = np.zeros((2, 20, 20), np.float32)
    observed[-1, 5:10, 5:10] = 7.0
    observation = np.zeros((3, 20, 20), np.float32)
    fields = {
        "label": label,
        "issue_time": np.datetime64("2018-07-24T03:30", "s"),
        "lead_times": LEADS[:3],
        "observed": observed,
        "observation": observation,
        "forecasts": {"persistence": np.repeat(observed[-1:], 3, axis=0), "convgru": observation},
        "valid": np.ones((20, 20), bool),
    }
    return Case(**{**fields, **changes})  # type: ignore[arg-type]


def test_case_sheet_places_every_field(tmp_path):
    path = plot_case(a_case(), tmp_path / "case.png")
    with Image.open(path) as image:
        sheet = np.array(image.convert("RGB"))
    rain = (sheet == colors.class_rgb(colors.classify(np.array(7.0)))).all(axis=-1)
    top, step = 24 + 62 + 24, 208  # panels of 200 pixels, 8 apart
    for row in range(3):
        for column in range(4):
            cell = rain[top + row * step :, 24 + column * step :][:200, :200]
            expected = 50 * 50 if (row, column) == (0, 0) or (row == 1 and column > 0) else 0
            assert cell.sum() == expected, (row, column)
            if expected:
                assert cell[50:100, 50:100].all()


def test_invalid_pixels_of_a_case_are_unseen(tmp_path):
    assert not shows(plot_case(a_case(), tmp_path / "all.png"), colors.UNSEEN)
    valid = np.ones((3, 20, 20), bool)
    valid[:, :4] = False
    assert shows(plot_case(a_case(valid=valid), tmp_path / "some.png"), colors.UNSEEN)


def test_gallery_names_files_by_label(tmp_path):
    drawn = plot_gallery([a_case("best"), a_case("best"), a_case("Heaviest rain")], tmp_path / "cases")
    assert [path.name for path in drawn] == ["case_best.png", "case_best_2.png", "case_heaviest_rain.png"]
    assert all(path.exists() for path in drawn)


def test_a_contradicting_case_cannot_be_built():
    with pytest.raises(ValueError, match=r"the forecast of x is \(2, 20, 20\)"):
        a_case(forecasts={"x": np.zeros((2, 20, 20))})
    with pytest.raises(ValueError, match="for 2 lead times"):
        a_case(lead_times=LEADS[:2])
    with pytest.raises(ValueError, match="valid is"):
        a_case(valid=np.ones((5, 5), bool))


def test_training_curve(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,loss,validation_loss,validation_balanced_mse\n10,1.5,,\n20,1.2,1.3,9000\n30,1.1,,\n")
    path = plot_training(log, tmp_path / "training.png")
    assert shows(path, colors.FORECASTER_COLORS[0])
    log.write_text("step,loss\n")
    with pytest.raises(NowcastError, match="holds no training rows"):
        plot_training(log, path)
    with pytest.raises(NowcastError, match="cannot be read"):
        plot_training(tmp_path / "none.csv", path)
