"""What is issued is what is scored: the nowcast of `forecast` is the window of `evaluate`, value by value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from nowcast import Archive, Run, evaluate, forecast, ingest_hko7, read_experiment, synthesize, train
from nowcast.clips.store import ClipStore
from nowcast.clips.windows import fixed_windows
from nowcast.evaluation import Windows
from nowcast.evaluation.protocols import issue
from nowcast.forecaster import Forecaster
from nowcast.models import ModelForecaster, baseline, load_model
from nowcast.units import rain_rate_from_scaled

OBSERVED, LEAD_STEPS = 5, 4


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A day of radar with clutter, and gaps of one and of two frames."""
    folder = tmp_path_factory.mktemp("gaps")
    synthesize(folder / "radar", days=2, seed=3, size=64, frames_per_day=30, workers=1, progress=False)
    frames = sorted((folder / "radar" / "radarPNG").rglob("*.png"))[30:]
    for lost in (6, 11, 12, 20):
        frames[lost].unlink(missing_ok=True)
    ingest_hko7(folder / "radar", folder / "archive", workers=1, progress=False)
    archive = Archive.open(folder / "archive")
    flags = archive.read(archive.times).flags
    assert (flags == 2).any() and not archive.static_mask.all(), "clutter, and a blind part"
    assert (np.diff(archive.times[-25:]) > archive.interval).sum() >= 3, "gaps"
    return archive


@pytest.fixture(scope="module")
def run(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Run:
    toy = Path(__file__).parent / "toy.yaml"
    changes = {"data.archive": str(archive.path), "training.steps": 60, "data.observed": OBSERVED}
    changes |= {"data.bridge": 2, "training.drop_frames": 0.2}
    changes |= {"training.learning_rate": 5e-3, "training.validate_every": 60}
    return train(read_experiment(toy, changes), tmp_path_factory.mktemp("runs"), progress=False)


def scored(archive: Archive, forecaster: Forecaster, masks: str) -> dict[np.datetime64, np.ndarray]:
    """Issue time → the raw forecast that `evaluate` scores, mm/h (T, H, W), for every window of the last day."""
    times = archive.times[archive.times >= archive.days[-1]]
    starts = fixed_windows(times, OBSERVED, LEAD_STEPS, 1, 2, archive.interval)
    clips = ClipStore.from_archive(archive, times, masks=masks)
    windows = Windows(clips, starts, OBSERVED, LEAD_STEPS, archive.interval, 1)
    return {
        windows.issue_times(batch.starts)[0]: rain_rate_from_scaled(batch.forecasts["it"][0, :, 0].numpy())
        for batch in issue({"it": forecaster}, windows, batch_size=1, ensembles=False)
    }


@pytest.mark.parametrize("masks", ["static", "frame"])
@pytest.mark.parametrize("name", ["persistence", "extrapolation", "sprog", "steps", "run"])
def test_the_nowcast_is_the_window_of_the_evaluation(archive: Archive, run: Run, name: str, masks: str) -> None:
    if name in ("sprog", "steps"):
        pytest.importorskip("pysteps")
    forecaster = ModelForecaster(load_model(run), bridge=2) if name == "run" else baseline(name, archive)
    windows = scored(archive, forecaster, masks)
    assert np.nanmax([np.nanmax(field) for field in windows.values()]) > 0.1, "a forecaster of rain"
    gaps = 0
    for issue_time, expected in list(windows.items())[:: 4 if name in ("sprog", "steps") else 1]:
        if issue_time not in archive.times:  # scored, but a nowcast is issued when a frame has come
            continue
        issued = forecast(run if name == "run" else name, archive, at=issue_time, lead_steps=LEAD_STEPS, masks=masks)
        gaps += issued.attrs["observed_frames_missing"] > 0
        assert issued.attrs["observed_frames_bridged"] == (
            issued.attrs["observed_frames_missing"] if name == "run" else 0
        )
        np.testing.assert_array_equal(issued["rain_rate"].values[0], expected.astype(np.float32))
        outside = ~issued["static_mask"].values
        assert np.isnan(expected[:, outside]).all() and outside.any(), "nothing is told of where the radar never looks"
    assert gaps >= 1


def test_masks_are_the_runs_unless_said_otherwise(archive: Archive, run: Run) -> None:
    assert run.experiment.data.masks == "frame"
    at = archive.times[-8]
    own = forecast(run, archive, at=at)
    assert own.attrs["masks"] == "frame"
    xr.testing.assert_identical(own, forecast(run, archive, at=at, masks="frame"))
    assert forecast("persistence", archive, at=at).attrs["masks"] == "static"
    other = forecast(run, archive, at=at, masks="static")
    assert not np.array_equal(other["rain_rate"], own["rain_rate"], equal_nan=True)


def test_scores_do_not_depend_on_where_the_radar_never_looks(archive: Archive, tmp_path: Path) -> None:
    """A forecaster that rains on everything the radar cannot see is scored as if it did not."""
    blind = torch.from_numpy(~archive.static_mask)

    def wet_outside(observed, observed_valid, lead_steps):
        made = baseline("persistence")(observed, observed_valid, lead_steps).nan_to_num(nan=0.0)
        made[..., blind] = 1.0
        return made

    options = {"archive": archive, "observed": OBSERVED, "forecast": LEAD_STEPS, "split": "valid", "cases": False}
    scores = evaluate({"wet": wet_outside}, **options)
    for name in ("balanced_mse", "csi", "fss"):
        one, other = (scores[name].sel(forecaster=who).values for who in ("wet", "persistence"))
        np.testing.assert_allclose(one, other, rtol=1e-12, equal_nan=True, err_msg=name)
