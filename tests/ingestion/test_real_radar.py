"""The whole of a real radar data set, value by value, where it is at hand."""

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import xarray as xr
from pyproj import CRS, Transformer

from nowcast import forecast, ingest, ingest_hko7
from nowcast.archive import Archive
from nowcast.ingestion.report import IngestReport


@pytest.fixture(scope="module")
def ingested(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[IngestReport, Archive]:
    folder = tmp_path_factory.mktemp("real") / "archive"
    report = ingest_hko7(shared_data / "hko7-layout", folder, workers=1, progress=False)
    return report, Archive.open(folder)


def test_one_slot_is_missing_and_nothing_else(ingested: tuple[IngestReport, Archive]):
    report, archive = ingested
    assert (report.found, report.written, len(archive.times)) == (723, 723, 723)
    assert report.missing == ["2018-07-22T06:00:00"]
    assert not (report.unreadable or report.broken_masks or report.off_grid or report.duplicated or report.stray)
    frames = {name: split["frames"] for name, split in report.splits.items()}
    assert frames == {"train": 477, "valid": 139, "test": 107}
    assert report.masks_computed == 0


def test_codes_and_masks_are_the_files(ingested: tuple[IngestReport, Archive], shared_data: Path):
    archive = ingested[1]
    root, count = shared_data / "hko7-layout", 0
    for day in archive.days:
        times = archive.times[archive.times.astype("datetime64[D]") == day]
        frames = archive.read(times)
        for time, codes, flags in zip(times, frames.codes, frames.flags, strict=True):
            name = time.item().strftime("%Y/%m/%d/RAD%y%m%d%H%M%S")
            assert (codes == cv2.imread(str(root / f"radarPNG/{name}.png"), cv2.IMREAD_UNCHANGED)).all()
            usable = np.frombuffer(zlib.decompress((root / f"radarPNG_mask/{name}.mask").read_bytes()), bool)
            assert ((flags == 1) == usable.reshape(480, 480)).all()
            count += 1
    assert count == 723
    with np.load(root / "hko_data" / "mask_dat.npz") as content:
        assert (archive.static_mask == (content["exclude_mask"] == 0)).all()


def test_a_nowcast_of_shanghai_lies_at_31_north_in_xarray_and_gdal(shared_data: Path, tmp_path: Path):
    """The source has the layout and the size of HKO-7, and its place (about 31.0° N 121.9° E) from the user."""
    rasterio = pytest.importorskip("rasterio")
    warp = pytest.importorskip("rasterio.warp")
    where = {"center": (31.0, 121.9), "pixel": 1000.0, "compression": "zlib"}
    source = shared_data / "hko7-layout"
    report = ingest("hko7", source, tmp_path / "a", days=["2018-07-24"], workers=1, progress=False, **where)
    assert "about 31.000° N 121.900° E" in str(report)
    forecast("extrapolation", tmp_path / "a", tmp_path / "f.nc", at="2018-07-24T08:00", lead_steps=2)
    nowcast = xr.open_dataset(tmp_path / "f.nc", decode_timedelta=True)
    crs = CRS.from_cf(nowcast["crs"].attrs)
    middle = (float(nowcast["x"].mean()), float(nowcast["y"].mean()))
    assert Transformer.from_crs(crs, 4326, always_xy=True).transform(*middle) == pytest.approx((121.9, 31.0), abs=1e-6)
    with rasterio.open(f"netcdf:{tmp_path / 'f.nc'}:rainfall_rate") as raster:
        west, south, east, north = warp.transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
        values = raster.read(1)
    assert (north + south) / 2 == pytest.approx(31.0, abs=0.1) and (west + east) / 2 == pytest.approx(121.9, abs=0.01)
    assert north - south == pytest.approx(480 / 111.2, abs=0.1)
    assert np.array_equal(values, nowcast["rainfall_rate"].values[0], equal_nan=True) and np.nanmax(values) > 1
