"""The model that comes with the package: it loads as it is, forecasts, says what it was not trained for, is small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from nowcast.archive import Archive
from nowcast.cli import app
from nowcast.evaluation import evaluate
from nowcast.forecaster_names import DEFAULT_RUN, run_or_name
from nowcast.forecasting import Nowcaster, forecast
from nowcast.ingestion.ingest import ingest
from nowcast.models.trained_for import Ranges
from nowcast.run import Run
from nowcast.synthetic.synthesize import synthesize
from pipelines.default_model.card import card_lines, read_rows

CARD = Path(__file__).resolve().parents[1] / "docs" / "default-model.md"


def archive_of(folder: Path, interval: int, pixel: float) -> Archive:
    """Some frames of 64×64 pixels."""
    synthesize(folder / "radar", days=1, seed=3, size=64, frames_per_day=20,
               frame_interval=np.timedelta64(interval, "m"), pixel=pixel, progress=False)  # fmt: skip
    ingest("hko7", folder / "radar", folder / "archive", splits={"test": ["2020-06-01"]}, pixel=pixel,
           interval=np.timedelta64(interval, "m"), workers=1, progress=False)  # fmt: skip
    return Archive.open(folder / "archive")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive as the default model was trained for."""
    return archive_of(tmp_path_factory.mktemp("known"), 5, 1000)


def test_it_forecasts_by_name_and_says_nothing_where_it_is_at_home(known: Archive) -> None:
    nowcast = forecast("default", known)
    assert nowcast.sizes["lead_time"] == 10 and nowcast.attrs["model_run"] == "default"
    assert (nowcast["lead_time"].values[0] / np.timedelta64(1, "m")) == 5
    assert "caution" not in nowcast.attrs and nowcast.attrs["blend"] == "recent"
    rates = nowcast["rain_rate"].values
    assert np.isfinite(rates).mean() > 0.3 and np.nanmax(rates) < 300


def test_it_says_that_an_archive_is_far_from_its_training(tmp_path: Path) -> None:
    far = archive_of(tmp_path, 15, 4000)
    output = tmp_path / "nowcast.nc"
    issued = CliRunner().invoke(app, ["forecast", "default", str(far.path), "-o", str(output)])
    assert issued.exit_code == 0, issued.output
    for words in ("frames 15 min apart", "trained on frames 5 to 10 min apart", "pixels of 4000 m"):
        assert words in issued.stderr
    with xr.open_dataset(output, decode_timedelta=True) as written:
        assert "trained on pixels of 500 to 2000 m" in written.attrs["caution"]


def test_it_is_evaluated_by_name_and_nothing_is_written_into_the_package(known: Archive) -> None:
    before = sorted(DEFAULT_RUN.rglob("*"))
    scores = evaluate(
        ["default", "extrapolation"], archive=known, masks="static", stride=1, families=("basic",), cases=False
    )
    assert set(scores["forecaster"].values) == {"default", "extrapolation", "persistence"}
    assert np.isfinite(scores["balanced_mse"].values).all()
    assert sorted(DEFAULT_RUN.rglob("*")) == before


def test_a_run_in_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "config.yaml").write_text("name: mine\n")
    monkeypatch.chdir(tmp_path)
    found = run_or_name("default")
    assert isinstance(found, Run) and found.experiment.name == "mine"


def test_the_package_is_small_and_loads_without_pickle() -> None:
    files = [path for path in DEFAULT_RUN.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"config.yaml", "best.ckpt", "trained_for.json", "scores.csv", "README.md"}
    assert sum(path.stat().st_size for path in files) <= 2_000_000
    content = torch.load(DEFAULT_RUN / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True)
    assert "optimizer" not in content
    run = Run.open(DEFAULT_RUN)
    assert run.experiment.name == "default" and run.experiment.data.archive is None
    assert Ranges.of(run) == Ranges((300.0, 600.0), (500.0, 2000.0))
    assert Nowcaster.from_run(run).observed_frames == 5


def test_the_cards_figures_are_those_of_the_file_beside_the_weights() -> None:
    rows = read_rows(DEFAULT_RUN / "scores.csv")
    assert {row["set"] for row in rows} >= {"shanghai", "bom", "knmi", "fmi"}
    assert all(0 < float(row["balanced_mse"]) and 0 <= float(row["csi_2"]) <= 1 for row in rows)
    for card in (CARD, DEFAULT_RUN / "README.md"):
        text = card.read_text(encoding="utf-8")
        for line in card_lines(rows):
            assert line in text, f"{card} lacks {line}"
    assert CARD.read_text(encoding="utf-8") == (DEFAULT_RUN / "README.md").read_text(encoding="utf-8")
