"""The grid of an archive: coordinates of pixel centers, and the projection where it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

METERS_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6371 km."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixel centers of one radar product.

    Attributes:
        y: float64 (H,), descending: row 0 is north. x: float64 (W,), ascending. Coordinates of the projection in
            meters; degrees of latitude and longitude where that is the coordinate system; meters north and east of
            the middle of the frame where no place is known.
        crs_attributes: CF grid mapping attributes; empty where no place is known.
    """

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    crs_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.y), len(self.x)

    @property
    def geographic(self) -> bool:
        """Whether the axes are latitude and longitude in degrees."""
        return self.crs_attributes.get("grid_mapping_name") == "latitude_longitude"

    @property
    def pixel_meters(self) -> float | None:
        """Mean edge of a pixel in meters; None for a frame of one pixel. Of degrees: at the middle of the frame."""
        steps = [
            float(abs(axis[-1] - axis[0])) / (len(axis) - 1) if len(axis) > 1 else None for axis in (self.y, self.x)
        ]
        if self.geographic:
            narrowing = float(np.cos(np.radians(self.y.mean())))
            factors = (METERS_PER_DEGREE, METERS_PER_DEGREE * narrowing)
            steps = [None if step is None else step * factor for step, factor in zip(steps, factors, strict=True)]
        known = [step for step in steps if step is not None]
        return sum(known) / len(known) if known else None

    @property
    def center(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees of the middle of the frame; None where no place is known."""
        if not self.crs_attributes:
            return None
        x, y = float(self.x[0] + self.x[-1]) / 2, float(self.y[0] + self.y[-1]) / 2
        if self.geographic:
            return y, x
        from pyproj import CRS, Transformer  # 0.1 s

        transformer = Transformer.from_crs(CRS.from_cf(self.crs_attributes), "EPSG:4326", always_xy=True)
        longitude, latitude = transformer.transform(x, y)
        return float(latitude), float(longitude)

    def axis_attributes(self, name: str) -> dict[str, str]:
        """CF attributes of the coordinate variable "y" or "x"; an axis of the earth only where a place is known."""
        north = name == "y"
        if not self.crs_attributes:
            return {"units": "m", "long_name": f"meters {'north' if north else 'east'} of the middle"}
        axis = name.upper()
        if self.geographic:
            word, units = ("latitude", "degrees_north") if north else ("longitude", "degrees_east")
            return {"units": units, "standard_name": word, "long_name": word, "axis": axis}
        return {
            "units": "m",
            "standard_name": f"projection_{name}_coordinate",
            "long_name": f"{name} coordinate of projection",
            "axis": axis,
        }

    def same_as(self, other: Grid) -> bool:
        """Whether both describe the same pixels (to a millimeter) in the same projection."""
        tolerance = 1e-8 if self.geographic else 1e-3
        return (
            self.shape == other.shape
            and np.allclose(self.y, other.y, rtol=0, atol=tolerance)
            and np.allclose(self.x, other.x, rtol=0, atol=tolerance)
            and _same_crs(self.crs_attributes, other.crs_attributes)
        )

    def describe(self) -> str:
        """Pixels and place in words.

        >>> centered_grid((480, 480), 1000.0).describe()
        '480×480 pixels of 1000 m, no place (plain Cartesian grid)'
        """
        pixel, center = self.pixel_meters, self.center
        edge = "" if pixel is None else f" of {pixel:.0f} m" if pixel >= 100 else f" of {pixel:.1f} m"
        if center is None:
            place = "no place (plain Cartesian grid)"
        else:
            (latitude, longitude), name = center, self.crs_attributes.get("grid_mapping_name", "unknown projection")
            place = (
                f"{str(name).replace('_', ' ')} about {abs(latitude):.3f}° {'N' if latitude >= 0 else 'S'} "
                f"{abs(longitude):.3f}° {'E' if longitude >= 0 else 'W'}"
            )
        return f"{self.shape[0]}×{self.shape[1]} pixels{edge}, {place}"


def centered_grid(shape: tuple[int, int], pixel: float) -> Grid:
    """Square pixels of `pixel` meters about the middle of a frame of `shape` (H, W), without a place."""
    rows, columns = shape
    y = ((rows - 1) / 2 - np.arange(rows, dtype=np.float64)) * np.float64(pixel)
    x = (np.arange(columns, dtype=np.float64) - (columns - 1) / 2) * np.float64(pixel)
    return Grid(y, x)


def _same_crs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one == other or not one or not other:
        return one == other
    from pyproj import CRS

    # The same projection reads differently from one version of pyproj to the next.
    return bool(CRS.from_cf(one).equals(CRS.from_cf(other)))
