"""Place, pixel size and projection come from the user or the source, never from the size of the frame."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from nowcast.errors import NowcastError
from nowcast.radar.grid import Grid
from nowcast.readers.hko7 import Hko7Source
from nowcast.readers.place import bounded_grid, placed_grid
from nowcast.readers.source import SourceOptions
from nowcast.units import ZRRelation


def hko7_grid(tree_root: Path, shape: tuple[int, int], **options: object) -> Grid:
    return Hko7Source(tree_root, options=SourceOptions(**options))._grid(shape)[0]  # type: ignore[arg-type]


def test_no_place_is_a_plain_cartesian_grid(tmp_path: Path):
    for shape in ((480, 480), (120, 90)):
        grid = hko7_grid(tmp_path, shape)
        assert (
            grid.crs_attributes == {} and grid.center is None and "no place (plain Cartesian grid)" in grid.describe()
        )
        assert grid.axis_attributes("y") == {"units": "m", "long_name": "meters north of the middle"}
    assert round(grid.x[1] - grid.x[0], 2) == 1066.67 and (np.diff(grid.y) < 0).all()
    assert hko7_grid(tmp_path, (8, 8), pixel=500.0).pixel_meters == 500.0


def test_only_who_names_the_site_gets_hong_kong(tmp_path: Path):
    grid = hko7_grid(tmp_path, (480, 480), site="hong-kong")
    assert grid.center == pytest.approx((22.302, 114.174), abs=1e-6)
    assert "approximate" in grid.crs_attributes["comment"]
    assert grid.x[-1] - grid.x[0] + 512_000 / 480 == pytest.approx(512_000) and grid.y[0] == grid.x[-1]
    with pytest.raises(
        NowcastError, match="are 120×120, expected 480×480 of HKO-7 at the site hong-kong; give the cent"
    ):
        hko7_grid(tmp_path, (120, 120), site="hong-kong")
    with pytest.raises(NowcastError, match="unknown site 'kowloon'; the hko7 layout knows hong-kong"):
        Hko7Source.open(tmp_path, SourceOptions(site="kowloon"))


@settings(max_examples=20, deadline=None)
@given(st.floats(-70, 70), st.floats(-179, 179), st.integers(1, 7), st.integers(1, 7), st.floats(100, 5000))
def test_the_middle_of_the_frame_is_where_the_user_says(latitude, longitude, rows, columns, pixel):
    grid = placed_grid((rows, columns), pixel, (latitude, longitude))
    assert grid.center == pytest.approx((latitude, longitude), abs=1e-6)
    assert grid.axis_attributes("x")["standard_name"] == "projection_x_coordinate"
    assert (np.diff(grid.y) < 0).all() and (np.diff(grid.x) > 0).all()


def test_a_projection_of_the_users_own():
    grid = placed_grid((4, 6), 1000.0, (31.0, 121.9), "EPSG:32651")
    easting, northing = Transformer.from_crs(4326, 32651, always_xy=True).transform(121.9, 31.0)
    assert grid.x.mean() == pytest.approx(easting) and grid.y.mean() == pytest.approx(northing)
    assert grid.crs_attributes["grid_mapping_name"] == "transverse_mercator" and grid.pixel_meters == pytest.approx(
        1000
    )


def test_bounds_in_degrees_are_a_latitude_longitude_grid():
    grid = bounded_grid((4, 8), (120.0, 30.0, 124.0, 32.0), "EPSG:4326")
    assert grid.y.tolist() == [31.75, 31.25, 30.75, 30.25] and grid.x[0] == 120.25 and grid.x[-1] == 123.75
    assert grid.geographic and grid.center == (31.0, 122.0)
    assert grid.axis_attributes("y") == {
        "units": "degrees_north",
        "standard_name": "latitude",
        "long_name": "latitude",
        "axis": "Y",
    }
    east_west = 0.5 * 111_195 * np.cos(np.radians(31))
    assert grid.pixel_meters == pytest.approx((0.5 * 111_195 + east_west) / 2)


def test_grids_are_compared_by_what_they_mean():
    one = placed_grid((4, 6), 1000.0, (31.0, 121.9))
    renamed = Grid(one.y, one.x, {**one.crs_attributes, "comment": "the same"})
    assert one.same_as(renamed)
    for other in (
        placed_grid((4, 6), 1000.0, (31.0, 122.9)),
        placed_grid((4, 6), 1000.0),
        placed_grid((4, 6), 1001.0, (31.0, 121.9)),
        placed_grid((6, 4), 1000.0, (31.0, 121.9)),
        placed_grid((4, 6), 1000.0, (31.0, 121.9), "EPSG:32651"),
    ):
        assert not one.same_as(other) and not other.same_as(one)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"center": (131.0, 21.0)}, "the center 131 21 is not a latitude .* give --center LAT LON"),
        ({"pixel": -3.0}, "the pixel size is -3 m, expected meters"),
        ({"pixel": float("nan")}, "the pixel size is nan m"),
        ({"zr": ZRRelation(0, 1.6)}, "a = 0 and b = 1.6, expected"),
        ({"site": "hong-kong", "pixel": 3.0}, "the site hong-kong states center, pixel size and projection itself"),
        ({"crs": "EPSG:32651"}, "the projection EPSG:32651 needs a place: give the center too"),
        ({"crs": "EPSG:4326", "center": (1.0, 2.0)}, "EPSG:4326 has axes in degrees, expected a map projection in met"),
        ({"crs": "EPSG:2263", "center": (40.0, -74.0)}, "EPSG:2263 has axes in US survey foots?, expected a map proj"),
        ({"crs": "Mars", "center": (1.0, 2.0)}, "'Mars' is not a coordinate reference system that pyproj knows"),
        ({"crs": "+proj=ortho +lat_0=80", "center": (-80.0, 2.0)}, "the center -80 2 lies outside the projection"),
    ],
)
def test_one_sentence_for_every_wrong_place(tmp_path: Path, options: dict[str, object], sentence: str):
    with pytest.raises(NowcastError, match=sentence):
        hko7_grid(tmp_path, (4, 6), **options)
