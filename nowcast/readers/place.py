"""The grid of frames whose place a user or a description states: a center, a pixel size, a projection, or bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from nowcast.errors import NowcastError
from nowcast.radar.grid import Grid, centered_grid


def placed_grid(
    shape: tuple[int, int],
    pixel: float,
    center: tuple[float, float] | None = None,
    crs: str | None = None,
    comment: str | None = None,
) -> Grid:
    """Square pixels about a center: a plain Cartesian grid where none is given.

    Arguments:
        shape: (H, W).
        pixel: edge of a pixel in meters.
        center: latitude and longitude in degrees of the middle of the frame.
        crs: projection with axes in meters, in any words that pyproj takes; None is azimuthal equidistant about the
            center. It needs a center.
        comment: what to write beside the projection.
    """
    if center is None:
        if crs is not None:
            raise NowcastError(f"the projection {crs} needs a place: give the center too (--center LAT LON)")
        return centered_grid(shape, pixel)
    latitude, longitude = center
    projection = parse_crs(crs or f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84 +units=m")
    if projection.is_geographic or not _in_meters(projection):
        raise NowcastError(
            f"the projection {crs} has axes in {projection.axis_info[0].unit_name}s, expected a map projection in "
            "meters, because the pixel size is in meters"
        )
    x, y = (0.0, 0.0) if crs is None else _project(projection, latitude, longitude)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise NowcastError(f"the center {latitude:g} {longitude:g} lies outside the projection {crs}")
    plain = centered_grid(shape, pixel)
    return Grid(plain.y + np.float64(y), plain.x + np.float64(x), _attributes(projection, comment))


def bounded_grid(shape: tuple[int, int], bounds: tuple[float, float, float, float], crs: str) -> Grid:
    """The grid of frames that fill `bounds` = (west, south, east, north), outer edges in units of `crs`.

    Units are degrees where `crs` is geographic ("EPSG:4326"), else meters.
    """
    west, south, east, north = map(np.float64, bounds)
    projection = parse_crs(crs)
    if not (west < east and south < north):
        raise NowcastError(f"the bounds {west:g} {south:g} {east:g} {north:g} are not west < east and south < north")
    if not projection.is_geographic and not _in_meters(projection):
        raise NowcastError(f"the projection {crs} has axes in {projection.axis_info[0].unit_name}s, expected meters")
    rows, columns = shape
    y = north - (np.arange(rows, dtype=np.float64) + 0.5) * ((north - south) / rows)
    x = west + (np.arange(columns, dtype=np.float64) + 0.5) * ((east - west) / columns)
    return Grid(y, x, _attributes(projection, None))


def parse_crs(words: str) -> Any:
    """The pyproj CRS of a projection in words; NowcastError where pyproj does not know it."""
    from pyproj import CRS  # 0.1 s, and only a source whose place is known needs it
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(words)
    except CRSError as error:
        raise NowcastError(
            f"{words!r} is not a coordinate reference system that pyproj knows ({str(error)[:100]}); give for example "
            "EPSG:32651 or a PROJ string"
        ) from None


def _project(projection: Any, latitude: float, longitude: float) -> tuple[float, float]:
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", projection, always_xy=True).transform(longitude, latitude)
    return float(x), float(y)


def _in_meters(projection: Any) -> bool:
    return all(axis.unit_name in ("metre", "meter") for axis in projection.axis_info[:2])


def _attributes(projection: Any, comment: str | None) -> dict[str, Any]:
    attributes = dict(projection.to_cf())
    return attributes if comment is None else {**attributes, "comment": comment}
