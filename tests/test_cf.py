"""Every file that the project writes, before the judges of the field: compliance-checker and GDAL."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Geod, Transformer

from nowcast import evaluate, forecast, ingest, synthesize
from nowcast.archive import Archive
from nowcast.evaluation.files import read_cases, read_scores

CENTER = (31.0, 121.9)
PIXEL = 1000.0
PLACES = {
    "placed": {"center": CENTER, "pixel": PIXEL},
    "projected": {"center": CENTER, "pixel": PIXEL, "crs": "EPSG:32651"},
    "plain": {},
}
UNSIGNED_PACKING = "must be equivalent data types or reflectivity must be of type byte, short, or int"
"""CF 1.10 allows unsigned bytes (section 2.2) but forgot them among the packed types (section 8.1); CF 1.11 names them
(cf-convention/cf-conventions issue 427), the checker does not yet."""


@dataclass
class World:
    """An archive (zlib), a nowcast of it, and the folder of an evaluation."""

    archive: Archive
    forecast: Path
    scores: Path


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cf") / "radar"
    synthesize(folder, days=3, seed=7, size=40, frames_per_day=20, workers=1, progress=False)
    (folder / "radar.yaml").write_text("attributes: {institution: A weather service}\n")
    return folder


@pytest.fixture(scope="module")
def worlds(radar: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    made = {}
    for name, place in PLACES.items():
        folder = tmp_path_factory.mktemp(name)
        ingest("hko7", radar, folder / "archive", compression="zlib", workers=1, progress=False, **place)  # type: ignore[arg-type]
        archive = Archive.open(folder / "archive")
        forecast("extrapolation", archive, folder / "nowcast.nc", lead_steps=4)
        if name == "placed":
            evaluate(["extrapolation"], archive=archive, observed=2, forecast=3, output=folder / "scores")
        made[name] = World(archive, folder / "nowcast.nc", folder / "scores")
    return made


def failures(path: Path) -> Iterator[str]:
    """What compliance-checker finds wrong with a file, its warnings and suggestions apart."""
    runner = pytest.importorskip("compliance_checker.runner")
    suite = runner.CheckSuite()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite.load_all_available_checkers()
        groups, errors = suite.run_all(suite.load_dataset(str(path)), ["cf:1.10"], skip_checks=[])["cf:1.10"]
    assert groups and not errors, errors
    for group in groups:
        passed, of = group.value
        if group.weight == 3 and passed < of:
            yield from group.msgs


@pytest.mark.parametrize("name", ["placed", "plain"])
def test_every_file_is_cf(worlds: dict[str, World], name: str):
    world = worlds[name]
    day = world.archive.path / world.archive.index.files[0]
    assert [message for message in failures(day) if UNSIGNED_PACKING not in message] == []
    others = [world.archive.path / "grid.nc", world.scores / "scores.nc", world.scores / "cases.nc"]
    for file in [world.forecast, *(others if name == "placed" else [])]:  # the checker takes a second a file
        assert list(failures(file)) == [], file


def test_the_checker_would_find_what_it_should(worlds: dict[str, World], tmp_path: Path):
    broken = xr.open_dataset(worlds["placed"].forecast, decode_timedelta=True).load()
    broken["x"].attrs.pop("standard_name")
    broken["rainfall_rate"].attrs["units"] = "mm per hour of rain"
    broken.to_netcdf(tmp_path / "broken.nc")
    found = "\n".join(failures(tmp_path / "broken.nc"))
    assert "projection_x_coordinate" in found and "_FillValue" in found and "mm per hour" in found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("placed", "forecast"), ("placed", "day"), ("placed", "cases"), ("projected", "forecast"), ("projected", "day")],
)
def test_gdal_reads_place_and_values(worlds: dict[str, World], name: str, kind: str):
    rasterio = pytest.importorskip("rasterio")
    world = worlds[name]
    if kind == "forecast":
        path, variable = world.forecast, "rainfall_rate"
        expected = xr.open_dataset(path, decode_timedelta=True)[variable].values[0]
    elif kind == "day":
        path, variable = world.archive.path / world.archive.index.files[0], "reflectivity"
        expected = world.archive.dataset(world.archive.times[:1])["reflectivity"].values[0]
    else:
        path, variable = world.scores / "cases.nc", "observed"
        expected = read_cases(path)["observed"].values[0, 0]
    with rasterio.open(f"netcdf:{path}:{variable}") as raster:
        values = raster.read(1) * raster.scales[0] + raster.offsets[0]
        transform, crs = raster.transform, CRS.from_wkt(raster.crs.to_wkt())
    assert np.allclose(values, expected, atol=1e-4, equal_nan=True) and np.nanmax(values) > 0
    to_geographic = Transformer.from_crs(crs, 4326, always_xy=True)
    at_corner = rasterio.transform.xy(transform, 19.5, 19.5)  # between the four pixels in the middle
    assert to_geographic.transform(*at_corner)[::-1] == pytest.approx(CENTER, abs=1e-6)
    longitude, latitude = to_geographic.transform(*rasterio.transform.xy(transform, 3, 33))
    azimuth, _, distance = Geod(ellps="WGS84").inv(CENTER[1], CENTER[0], longitude, latitude)
    east, north = (33 - 19.5) * PIXEL, (19.5 - 3) * PIXEL
    if name == "placed":  # azimuthal equidistant: distance and azimuth from the middle are true
        assert distance == pytest.approx(np.hypot(east, north), abs=1)
        assert azimuth == pytest.approx(np.degrees(np.arctan2(east, north)), abs=1e-3)
    else:  # UTM: scale within 0.1 %, north turned by the convergence of meridians
        assert distance == pytest.approx(np.hypot(east, north), rel=1e-3)
        assert azimuth == pytest.approx(np.degrees(np.arctan2(east, north)), abs=1)


def test_coordinates_are_ascending_east_and_descending_north_without_fill_values(worlds: dict[str, World]):
    for world in worlds.values():
        for path in (world.archive.path / world.archive.index.files[0], world.archive.path / "grid.nc", world.forecast):
            with netCDF4.Dataset(path) as file:
                for axis, sign in (("x", 1), ("y", -1)):
                    assert (np.diff(file[axis][:]) * sign > 0).all()
                    assert "_FillValue" not in file[axis].ncattrs()
                    projected = bool(world.archive.crs_attributes)
                    assert ("standard_name" in file[axis].ncattrs()) == projected
                    assert getattr(file[axis], "axis", None) == (axis.upper() if projected else None)


def test_a_forecast_says_who_made_it_of_what(worlds: dict[str, World]):
    nowcast = xr.open_dataset(worlds["placed"].forecast, decode_timedelta=True)
    assert nowcast.attrs["Conventions"] == "CF-1.10" and nowcast.attrs["institution"] == "A weather service"
    assert nowcast.attrs["source"].startswith("nowcast") and nowcast.attrs["version"]
    assert nowcast.attrs["place"].startswith("stated by the user") and "written by nowcast" in nowcast.attrs["history"]
    assert nowcast["y"].attrs["standard_name"] == "projection_y_coordinate"
    assert xr.open_dataset(worlds["plain"].forecast, decode_timedelta=True).attrs["place"].startswith("not stated")


def test_scores_and_cases_tell_units_names_and_where_they_come_from(worlds: dict[str, World]):
    world = worlds["placed"]
    scores, cases = read_scores(world.scores), read_cases(world.scores)
    for dataset in (scores, cases):
        for name, variable in dataset.variables.items():
            assert name == "crs" or variable.attrs["long_name"], name
            assert name == "crs" or variable.dtype.kind not in "fi" or "units" in variable.attrs, name
    assert scores["csi"].attrs["units"] == "1" and scores["threshold"].attrs["units"] == "mm h-1"
    assert scores.attrs["institution"] == "A weather service" and len(scores.attrs["archive_fingerprint"]) == 64
    assert scores["forecaster"].values.tolist() == ["extrapolation", "persistence"]
    assert float(scores["csi"].sel(forecaster="persistence").max()) >= 0
    assert np.allclose(cases["x"], world.archive.x) and cases["forecast"].attrs["grid_mapping"] == "crs"
