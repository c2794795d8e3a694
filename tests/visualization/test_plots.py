"""Score plots, galleries and training curves are files that show what the dataset holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from maps import color_of, maps
from matplotlib.figure import Figure
from PIL import Image

from nowcast.errors import NowcastError
from nowcast.visualization import Case, colors, plot_case, plot_gallery, plot_scores, plot_training, skill, style

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


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are saved from here on, by file name."""
    kept: dict[str, Figure] = {}
    save = style.save

    def keep(figure: Figure, path: Path, dpi: int = 160) -> Path:
        kept[path.name] = figure
        return save(figure, path, dpi)

    monkeypatch.setattr(style, "save", keep)
    return kept


def drawn_values(figure: Figure) -> list[np.ndarray]:
    """Heights of the lines of all panels, panel by panel, forecaster by forecaster."""
    return [np.asarray(line.get_ydata(), float) for axis in figure.axes for line in axis.lines]


def expected_values(scores: xr.Dataset, *names: str) -> list[np.ndarray]:
    """The same from the dataset: score by score (row), threshold by threshold (column)."""
    panels = [field for name in names for field in np.moveaxis(scores[name].values, -1, 0)]
    return [line for panel in panels for line in panel]


def test_undefined_scores_are_drawn_as_gaps(scores, figures, tmp_path):
    scores["far"][:, 2:, 0] = np.nan
    scores["csi"][..., 1] = np.nan
    scores["pod"][..., 1] = np.nan
    plot_scores(scores, tmp_path)
    expected = expected_values(scores, "csi", "pod", "far")
    np.testing.assert_array_equal(drawn_values(figures["categorical.png"]), expected)  # NaN, not zero
    words = ["".join(text.get_text() for text in axis.texts) for axis in figures["categorical.png"].axes]
    assert [("undefined" in text) for text in words] == [False, True, False, True, False, False]


def test_where_nothing_is_defined_every_panel_says_so(scores, figures, tmp_path):
    assert len(plot_scores(scores.where(False), tmp_path)) == 3
    for figure in figures.values():
        assert all(
            any("undefined" in text.get_text() for text in axis.texts) for axis in figure.axes if axis.get_visible()
        )


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


def test_lead_times_without_an_interval_count_frames(scores, figures, tmp_path):
    plot_scores(scores.assign_coords(lead_time=np.arange(1, 6)), tmp_path)
    axis = figures["errors.png"].axes[0]
    assert axis.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    assert axis.get_xlabel() == "lead time, frames"


def test_a_dataset_of_one_forecaster_needs_no_dimension(scores, figures, tmp_path):
    plot_scores(scores.isel(forecaster=1, drop=True), tmp_path)
    both = expected_values(scores, "csi", "pod", "far")
    np.testing.assert_array_equal(drawn_values(figures["categorical.png"]), both[1::2])


def test_lines_carry_the_scores(scores):
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
    rain, places = (sheet == color_of(7.0)).all(axis=-1), maps(sheet)
    rows, columns = (
        {edge: n for n, edge in enumerate(sorted({place[axis].start for place in places}))} for axis in (0, 1)
    )
    cells = {(rows[down.start], columns[across.start]): rain[down, across] for down, across in places}
    # The observed field, beside it the observation; below the forecasts, persistence first: no other map is there.
    assert set(cells) == {(0, 0), *((row, column) for row in range(3) for column in (1, 2, 3))}
    for place, cell in cells.items():
        expected = np.zeros((200, 200), bool)
        expected[50:100, 50:100] = place == (0, 0) or place[0] == 1
        assert (cell == expected).all(), place


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


def test_a_look_of_some_keeps_colors_and_order():
    look = style.Look(["a", "b", "c"])
    some = look.only(name for name in ("c", "b"))
    assert some.names == ["b", "c"] and look.names == ["a", "b", "c"]
    assert some.line("c") == look.line("c")
