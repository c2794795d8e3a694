"""A run that issues the blend which follows recent errors: trained, forecast, evaluated, written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nowcast import Archive, Nowcaster, NowcastError, Run, evaluate, forecast, read_forecast, train
from nowcast.config import Experiment
from nowcast.models import named
from nowcast.models.blend import RecentBlend, read_start_weights


@pytest.fixture(scope="module")
def blended_run(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from nowcast import read_experiment

    keys = {"data.archive": str(small_archive), "training.steps": 2, "blend": "recent"}
    toy = read_experiment(Path(__file__).parent / "toy.yaml", keys)
    return train(toy, tmp_path_factory.mktemp("runs"), progress=False)


def test_training_fits_start_weights_and_the_run_issues_the_blend(blended_run: Run) -> None:
    weights = read_start_weights(blended_run.path / "blend.json")
    assert weights is not None and list(weights) == ["fading", "network"] and len(weights["network"]) == 4
    made = named(blended_run.path)
    assert isinstance(made.forecaster, RecentBlend) and made.forecaster.start_weights == weights
    assert not isinstance(named(blended_run, blend="none").forecaster, RecentBlend)


def test_the_file_says_the_weights_and_the_blend_can_be_left_out(
    blended_run: Run, small_archive: Path, tmp_path: Path
) -> None:
    archive = Archive.open(small_archive)
    at = str(archive.times[np.argmax(archive.read_codes(archive.times)[0].mean(axis=(1, 2)))])
    issued = forecast(blended_run, small_archive, tmp_path / "blend.nc", at=at)
    attributes = read_forecast(tmp_path / "blend.nc").attrs
    parts = [attributes[f"blend_weight_{name}"] for name in ("extrapolation", "fading", "network")]
    np.testing.assert_allclose(np.sum(parts, axis=0), np.ones(4), atol=1e-5)
    assert attributes["blend"] == "recent"
    alone = forecast(blended_run, small_archive, at=at, blend="none")
    assert "blend" not in alone.attrs and not alone["rain_rate"].equals(issued["rain_rate"])


def test_nothing_after_the_issue_time_is_learned(blended_run: Run, small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    at = archive.times[30]
    nowcaster = Nowcaster.from_run(blended_run)
    before = archive.times[archive.times <= at]
    one = nowcaster(archive.dataset(before))
    np.testing.assert_array_equal(one["rain_rate"], forecast(blended_run, archive, at=at)["rain_rate"])


@pytest.mark.parametrize("protocol", ["fixed", "online"])
def test_both_protocols_score_the_blend(blended_run: Run, small_archive: Path, tmp_path: Path, protocol: str) -> None:
    scores = evaluate(blended_run, archive=small_archive, output=tmp_path, protocol=protocol, families=("basic",))
    assert np.isfinite(scores.balanced_mse.sel(forecaster="toy")).all()


def test_only_a_run_can_be_blended(
    small_archive: Path, small_experiment: Callable[..., Experiment], blended_run: Run
) -> None:
    with pytest.raises(NowcastError, match="only a run can be blended"):
        forecast("extrapolation", small_archive, blend="recent")
    with pytest.raises(NowcastError, match="blend is 'always', expected one of none, recent"):
        forecast(blended_run, small_archive, blend="always")
    assert small_experiment().blend == "none"
