import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.archive.compression import check_compression, compression_options
from nowcast.archive.day_file import DayContent, open_day, write_day
from nowcast.errors import NowcastError
from nowcast.radar.grid import centered_grid


def rain(frames: int, share: float, seed: int = 0) -> np.ndarray:
    """Noise in `share` of a frame, no echo elsewhere."""
    codes = np.random.default_rng(seed).integers(1, 256, (frames, 64, 96), np.uint8)
    codes[:, int(64 * share) :] = 0
    return codes


def filters_of(path) -> dict:
    with netCDF4.Dataset(path) as file:
        return file["reflectivity"].filters()


@pytest.mark.parametrize("share, blosc", [(0.5, True), (1.0, False)])
def test_what_lz4_cannot_shrink_goes_to_zstd(tmp_path, share: float, blosc: bool):
    """The netCDF filter of Blosc would fail, and the file with it."""
    codes = rain(23, share)
    times = np.datetime64("2018-07-21T00:00", "s") + np.arange(23) * np.timedelta64(360, "s")
    path = tmp_path / "day.nc"
    write_day(path, DayContent(times, codes, np.ones_like(codes)), centered_grid((64, 96), 1000.0), {})
    assert bool(filters_of(path)["blosc"]) == blosc and bool(filters_of(path)["zstd"]) == (not blosc)
    with open_day(path) as file:
        assert (file["reflectivity"][:] == codes).all() and (file["valid"][:] == 1).all()


@settings(max_examples=15, deadline=None)
@given(st.floats(0.9, 1.0), st.integers(1, 12), st.integers(0, 5))
def test_near_the_limit_every_file_is_written(tmp_path_factory, share: float, frames: int, seed: int):
    codes = rain(frames, share, seed)
    times = np.datetime64("2018-07-21T00:00", "s") + np.arange(frames) * np.timedelta64(360, "s")
    path = tmp_path_factory.mktemp("limit") / "day.nc"
    write_day(path, DayContent(times, codes, codes % 3), centered_grid((64, 96), 1000.0), {})
    with open_day(path) as file:
        assert (file["reflectivity"][:] == codes).all() and (file["valid"][:] == codes % 3).all()


def test_a_compression_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NowcastError, match="compression is 'gzip', expected one of blosc_lz4, zstd, zlib"):
        check_compression("gzip")
    monkeypatch.setattr(netCDF4, "__has_blosc_support__", 0, raising=False)
    with pytest.raises(NowcastError, match="built without blosc_lz4 or zstd; choose compression zlib"):
        check_compression("blosc_lz4")
    check_compression("zlib")
    assert compression_options("zlib", rain(1, 0.5))["compression"] == "zlib"
