"""Nowcasts: what goes in comes out in the right units, times and places, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
import xarray as xr

from nowcast import Archive, Nowcaster, NowcastError, evaluate, forecast, read_forecast, train, write_forecast
from nowcast.clips.surroundings import observed_around
from nowcast.run import Run


def echo(observed: torch.Tensor, observed_valid: torch.Tensor, lead_steps: int) -> torch.Tensor:
    """A forecaster that repeats the first frame it was given, a little weaker each time."""
    fading = torch.linspace(1, 0.5, lead_steps).view(1, -1, 1, 1, 1)
    return observed[:, :1] * fading


@pytest.fixture(scope="module")
def run(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    from nowcast import read_experiment

    toy = read_experiment(Path(__file__).parent / "toy.yaml", {"data.archive": str(small_archive), "training.steps": 2})
    return train(toy, tmp_path_factory.mktemp("runs"), progress=False)


def test_the_nowcast_of_a_forecaster_by_hand(small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    wettest = int(np.argmax(archive.read_codes(archive.times)[0].mean(axis=(1, 2))))
    times = archive.times[wettest] + archive.interval * np.arange(3)
    nowcast = Nowcaster(echo, observed_frames=3, lead_steps=4)(archive.dataset(times))
    assert nowcast["rain_rate"].dims == ("issue_time", "lead_time", "y", "x")
    assert nowcast["issue_time"].values[0] == times[-1]
    assert nowcast["lead_time"].values.astype("timedelta64[m]").astype(int).tolist() == [6, 12, 18, 24]
    assert (nowcast["valid_time"].values[0] == times[-1] + np.arange(1, 5) * archive.interval).all()

    frames = archive.read(times)
    codes = frames.codes[0].astype(float) * (frames.flags[0] != 0)
    dbz = codes / 255 * 70 - 10
    expected = np.where(codes > 0, 10 ** ((dbz - 10 * np.log10(58.53)) / 15.6), 0)
    assert expected.max() > 1, "this frame should hold rain"
    unseen = (frames.flags == 0).all(axis=0)
    expected[unseen] = np.nan  # the radar never looks there, so that nothing is known of it
    np.testing.assert_allclose(nowcast["rain_rate"].values[0, 0], expected, rtol=1e-4, atol=1e-6)
    assert unseen.any() and np.array_equal(~unseen, nowcast["static_mask"].values)
    assert np.isnan(nowcast["observed_rain_rate"].values[:, unseen]).all()


def test_a_missing_frame_is_unseen_not_dry(small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    seen: list[torch.Tensor] = []

    def spy(observed: torch.Tensor, observed_valid: torch.Tensor, lead_steps: int) -> torch.Tensor:
        seen.append(observed_valid)
        return observed[:, :lead_steps]

    dataset = archive.dataset(archive.times[[0, 2]]).assign_attrs(frame_interval_seconds=360)
    nowcast = Nowcaster(spy, observed_frames=3, lead_steps=1)(dataset)
    assert nowcast.attrs["observed_frames_missing"] == 1 and nowcast.attrs["observed_frames_used"] == 2
    assert [bool(frame.any()) for frame in seen[0][0]] == [True, False, True]


def test_latest_frames_by_default_and_no_future_needed(run: Run, small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    nowcast = forecast(run, archive)
    assert nowcast["issue_time"].values[0] == archive.times[-1]
    assert nowcast.sizes["lead_time"] == 4
    known = np.isfinite(nowcast["rain_rate"].values[0])
    assert np.array_equal(known, np.broadcast_to(nowcast["static_mask"].values, known.shape)) and known.any()


def test_an_issue_time_sees_no_later_frame(run: Run, small_archive: Path, tmp_path: Path) -> None:
    archive = Archive.open(small_archive)
    at = archive.times[20]
    whole = forecast(run, archive, at=str(at))
    past = Nowcaster.from_run(run)(archive.dataset(archive.times[18:21]))
    np.testing.assert_array_equal(whole["rain_rate"].values, past["rain_rate"].values)
    with pytest.raises(NowcastError, match="9 lead steps, the run toy was trained for 4; .*--beyond-training"):
        forecast(run.path, small_archive, at=at, lead_steps=9)
    assert "caution" not in whole.attrs
    longer = forecast(run.path, small_archive, tmp_path / "f.nc", at=f"{at}Z", lead_steps=9, beyond_training=True)
    caution = "beyond training: 9 lead steps, the run toy was trained for 4"
    assert longer.attrs["caution"] == read_forecast(tmp_path / "f.nc").attrs["caution"] == caution
    assert longer.sizes["lead_time"] == 9
    np.testing.assert_allclose(longer["rain_rate"].values[:, :4], whole["rain_rate"].values, rtol=1e-5, atol=1e-6)


def test_round_trip_through_a_cf_file(run: Run, small_archive: Path, tmp_path: Path) -> None:
    nowcast = forecast(run, small_archive, tmp_path / "f.nc")
    again = read_forecast(tmp_path / "f.nc")
    names = (
        "rain_rate",
        "observed_rain_rate",
        "observed_frame_made",
        "static_mask",
        "lead_time",
        "valid_time",
        "issue_time",
    )
    for name in (*names, "x", "y"):
        np.testing.assert_array_equal(again[name].values, nowcast[name].values, err_msg=name)
    with netCDF4.Dataset(tmp_path / "f.nc") as file:  # what a tool that knows nothing of us sees
        rate = file["rainfall_rate"]
        assert rate.dimensions == ("lead_time", "y", "x") and rate.units == "mm h-1"
        assert rate.standard_name == "rainfall_rate" and file.Conventions == "CF-1.10"
        assert file["lead_time"].standard_name == "forecast_period" and file["lead_time"].units == "seconds"
        assert file["lead_time"][:].tolist() == [360, 720, 1080, 1440]
        assert file["forecast_reference_time"].standard_name == "forecast_reference_time"
        assert file.model_run == "toy" and len(file.config_sha256) == 64 and file.observed_frames_used == 3


def test_the_grid_mapping_travels(small_archive: Path, tmp_path: Path) -> None:
    archive = Archive.open(small_archive)
    dataset = archive.dataset(archive.times[:3])
    dataset["crs"] = ((), 0, {"grid_mapping_name": "azimuthal_equidistant", "latitude_of_projection_origin": 22.0})
    dataset["reflectivity"].attrs["grid_mapping"] = "crs"
    write_forecast(Nowcaster(echo, 3, 2)(dataset), tmp_path / "f.nc", reflectivity=True)
    with netCDF4.Dataset(tmp_path / "f.nc") as file:
        assert file["rainfall_rate"].grid_mapping == "crs" == file["reflectivity"].grid_mapping
        assert file["crs"].latitude_of_projection_origin == 22.0 and file["reflectivity"].units == "dBZ"
    assert read_forecast(tmp_path / "f.nc")["rain_rate"].attrs["grid_mapping"] == "crs"


def test_observed_around_takes_past_and_future(run: Run, small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    nowcast = forecast(run, archive, at=archive.times[20])
    times = observed_around(archive, nowcast, past_minutes=18)["time"].values
    assert times.min() >= archive.times[20] - np.timedelta64(18, "m")
    assert times.max() <= nowcast["valid_time"].values.max() and times.max() > archive.times[20]


def test_mistakes_are_told(run: Run, small_archive: Path, tmp_path: Path) -> None:
    with pytest.raises(NowcastError, match="holds no frame at 1999-01-01T00:00:00 UTC; the first is"):
        forecast(run, small_archive, at="1999-01-01")
    with pytest.raises(NowcastError, match="'noon' is not a time; expected UTC"):
        forecast(run, small_archive, at="noon")
    with pytest.raises(NowcastError, match="does not end in .nc"):
        forecast(run, small_archive, tmp_path / "f.txt")
    with pytest.raises(NowcastError, match="0 lead steps"):
        forecast(run, small_archive, lead_steps=0)
    with pytest.raises(NowcastError, match="none is neither a run directory nor one of default, persistence"):
        forecast(tmp_path / "none", small_archive)
    with pytest.raises(NowcastError, match="holds no config.yaml"):
        forecast(tmp_path, small_archive)
    with pytest.raises(NowcastError, match="no reflectivity"):
        Nowcaster(echo, 3, 2)(xr.Dataset({"rain": ("time", [1.0])}))
    (tmp_path / "torn.nc").write_bytes(b"CDF")
    with pytest.raises(NowcastError, match="torn.nc is not a readable netCDF file"):
        read_forecast(tmp_path / "torn.nc")
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with pytest.raises(NowcastError, match="cannot be written"):
        forecast(run, small_archive, tmp_path / "blocked" / "f.nc")


def test_a_command_reads_a_checkpoint_once(
    run: Run, small_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path, **options: object) -> object:
        read.append(Path(path))
        return load(path, **options)

    load = torch.load
    monkeypatch.setattr(torch, "load", counted)
    forecast(run, small_archive)
    assert read == [run.checkpoint("best")]
    read.clear()
    evaluate(run, output=tmp_path / "scores")
    assert read == [run.checkpoint("best")]
