"""Frames missing before a nowcast is issued: bridged, refused or answered by a baseline, and always said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

from nowcast import (
    Archive,
    Nowcaster,
    NowcastError,
    Run,
    forecast,
    read_experiment,
    read_forecast,
    train,
    write_forecast,
)
from nowcast.cli import app
from nowcast.models import ModelForecaster, TrainedFor, baseline_named, reach_of

TOY = Path(__file__).parent / "toy.yaml"


class Given(torch.nn.Module):
    """A network that forecasts the mean of what it is given, and keeps it."""

    def forward(self, observed: torch.Tensor, observed_valid: torch.Tensor, lead_steps: int) -> torch.Tensor:
        self.observed, self.valid = observed, observed_valid
        return observed.mean(dim=1, keepdim=True).expand(-1, lead_steps, -1, -1, -1)


def knocked_out(archive: Archive, at: int, slots: tuple[int, ...], count: int = 5) -> xr.Dataset:
    """The `count` frames up to frame `at` of the archive, without some."""
    kept = [k for k in range(count) if k not in slots]
    return archive.dataset(archive.times[at - count + 1 : at + 1][kept])


def wettest(archive: Archive) -> int:
    """The frame with the most echo in all five frames up to it, none of which is missing."""
    echo = archive.read_codes(archive.times)[0].mean(axis=(1, 2))
    whole = [k for k in range(4, len(echo)) if archive.times[k] - archive.times[k - 4] == 4 * archive.interval]
    return max(whole, key=lambda k: echo[k - 4 : k + 1].min())


def test_a_bridged_gap_hardly_changes_the_input(small_archive: Path) -> None:
    archive, network = Archive.open(small_archive), Given()
    at = wettest(archive)
    nowcaster = Nowcaster(ModelForecaster(network, bridge=2), observed_frames=5, lead_steps=2)
    whole = nowcaster(knocked_out(archive, at, ()))
    complete = network.observed.clone()
    for slots in ((3,), (2, 3), (0,)):
        nowcast = nowcaster(knocked_out(archive, at, slots))
        assert nowcast.attrs["observed_frames_bridged"] == len(slots) == nowcast.attrs["observed_frames_missing"]
        assert np.flatnonzero(nowcast["observed_frame_made"].values == 1).tolist() == list(slots)
        assert np.isfinite(nowcast["observed_rain_rate"].values[list(slots)]).any()
        bridged, empty = network.observed, complete.clone()
        empty[:, list(slots)] = 0
        assert (bridged - complete).abs().mean() < 0.5 * (empty - complete).abs().mean()
        mean, truth = (float(field["rain_rate"].mean()) for field in (nowcast, whole))
        assert mean == pytest.approx(truth, rel=0.2)


def test_too_long_a_gap_is_refused_or_answered_by_the_fallback(small_archive: Path, tmp_path: Path) -> None:
    archive = Archive.open(small_archive)
    at, network = wettest(archive), ModelForecaster(Given(), bridge=1)
    observed = knocked_out(archive, at, (1, 2))
    gone = ", ".join(str(time)[11:16] for time in archive.times[at - 3 : at - 1])
    limits = TrainedFor("the run it")
    with pytest.raises(
        NowcastError, match=rf"2 are missing \({gone} UTC\); the run it bridges .* up to 1; .*--fallback"
    ):
        Nowcaster(network, 5, 2, trained_for=limits)(observed)
    spare = baseline_named("extrapolation", archive)
    nowcast = Nowcaster(network, 5, 2, trained_for=limits, fallback=spare)(observed)
    assert nowcast.attrs["fallback"].startswith("extrapolation instead of the run it: of the 5 observed frames 2 are")
    alone = Nowcaster.from_baseline("extrapolation", 5, 2)(observed)
    np.testing.assert_array_equal(nowcast["rain_rate"], alone["rain_rate"])
    assert nowcast["observed_frame_made"].values.tolist() == [0, 2, 2, 0, 0]
    again = read_forecast(write_forecast(nowcast, tmp_path / "f.nc"))
    assert again.attrs["fallback"] == nowcast.attrs["fallback"]
    assert again["observed_frame_made"].values.tolist() == [0, 2, 2, 0, 0]


def test_a_network_trained_without_bridging_is_not_given_gaps(small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    nowcaster = Nowcaster(ModelForecaster(Given()), 5, 2)
    nowcaster(knocked_out(archive, 20, ()))
    with pytest.raises(NowcastError, match="1 are missing .* was trained without missing frames"):
        nowcaster(knocked_out(archive, 20, (3,)))


def test_where_nothing_was_seen_nothing_is_told(small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    observed = knocked_out(archive, 20, ())
    down = observed.assign(valid=xr.zeros_like(observed["valid"]))
    for forecaster in (
        ModelForecaster(Given(), bridge=2),
        ModelForecaster(Given()),
        baseline_named("persistence").forecaster,
    ):
        nowcast = Nowcaster(forecaster, 5, 2)(down)
        assert np.isnan(nowcast["rain_rate"].values).all() and not nowcast["static_mask"].values.any()
        assert (nowcast["observed_frame_made"] == 2).all()


def test_more_than_was_trained_is_refused_or_marked(small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    observed = knocked_out(archive, 20, ())
    limits = TrainedFor("the run it", np.timedelta64(360, "s"), lead_steps=3, reach=18, pixel=500.0)
    nowcaster = Nowcaster(ModelForecaster(Given()), 5, 3, trained_for=limits)
    pixels = "pixels of 1066.67 m, the run it was trained on pixels of 500 m"
    assert nowcaster(observed).attrs["caution"] == pixels
    with pytest.raises(NowcastError, match="4 lead steps, the run it was trained for 3; .* --beyond-training"):
        nowcaster(observed, 4)
    small = observed.isel(y=slice(0, 17))
    with pytest.raises(NowcastError, match="frames of 17×48, smaller than the reach of the run it, 18 pixels"):
        nowcaster(small)
    marked = nowcaster(small, 4, beyond_training=True).attrs["caution"].split("; ")
    assert [part.split(",")[0] for part in marked] == [
        "beyond training: 4 lead steps",
        "beyond training: frames of 17×48",
        "pixels of 1066.67 m",
    ]
    assert reach_of(read_experiment(TOY).model) == 3 * 2 * 3


def test_history_is_read_from_the_archive(small_archive: Path) -> None:
    class Historian:
        history_steps = 9

        def __call__(self, observed: torch.Tensor, observed_valid: torch.Tensor, lead_steps: int) -> torch.Tensor:
            self.observed = observed
            return observed[:, -1:].expand(-1, lead_steps, -1, -1, -1)

    archive, historian = Archive.open(small_archive), Historian()
    nowcast = forecast(Nowcaster(historian, 3, 2), archive, at=archive.times[20])
    assert nowcast.sizes["observed_time"] == 3 and historian.observed.shape[1] == 9
    frames = archive.read(archive.times[12:21])
    expected = frames.codes * ((frames.flags != 0) & archive.static_mask) / np.float32(255)
    np.testing.assert_array_equal(historian.observed[0, :, 0], expected)


@pytest.fixture(scope="module")
def run(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = {"data.archive": str(small_archive), "training.steps": 2, "data.bridge": 1}
    return train(read_experiment(TOY, changes), tmp_path_factory.mktemp("runs"), progress=False)


def test_the_command_says_what_it_did(run: Run, small_archive: Path, tmp_path: Path) -> None:
    archive = Archive.open(small_archive)
    gap = int(np.flatnonzero(np.diff(archive.times[:40]) == 2 * archive.interval)[0]) + 1
    options = ["forecast", str(run.path), str(small_archive), "-o", str(tmp_path / "f.nc")]
    done = CliRunner().invoke(app, [*options, "--at", str(archive.times[gap])])
    assert done.exit_code == 0 and "only 2 of 3 observed frames were there, 1 were made" in done.output, done.output
    longer = CliRunner().invoke(app, [*options, "--lead-steps", "5"])
    assert longer.exit_code == 1 and "--beyond-training" in longer.output
    longer = CliRunner().invoke(app, [*options, "--lead-steps", "5", "--beyond-training"])
    assert longer.exit_code == 0 and "nowcast: beyond training: 5 lead steps" in longer.output, longer.output
    wrong = CliRunner().invoke(app, [*options, "--fallback", "climatology"])
    assert wrong.exit_code == 1 and "climatology is not a baseline; expected one of persistence" in wrong.output
    typo = CliRunner().invoke(app, ["forecast", "extrapolaton", *options[2:]])
    assert typo.exit_code == 1 and "did you mean extrapolation?" in typo.output, typo.output
