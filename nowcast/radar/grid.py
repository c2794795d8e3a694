"""The grid of an archive: coordinates of pixel centers in metres, and the projection where it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

HKO7_SHAPE = (480, 480)
HKO7_PIXEL = 512_000.0 / 480
"""Metres: 480 pixels over 512 km (Shi et al. 2017, section 4)."""
HONG_KONG = (22.302, 114.174)
"""Latitude and longitude in degrees of the middle of HKO-7 frames: the paper says "centered in Hong Kong"."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixel centers of one radar product.

    Attributes:
        y: metres north of the middle, float64 (H,), descending: row 0 is north.
        x: metres east of the middle, float64 (W,), ascending.
        crs_attributes: CF grid mapping attributes; empty where the projection is not known.
    """

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    crs_attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.y), len(self.x)

    def same_as(self, other: Grid) -> bool:
        """Whether both describe the same pixels (to a millimetre) in the same projection."""
        return (
            self.shape == other.shape
            and np.allclose(self.y, other.y, rtol=0, atol=1e-3)
            and np.allclose(self.x, other.x, rtol=0, atol=1e-3)
            and self.crs_attributes == other.crs_attributes
        )


def radar_centered_grid(
    shape: tuple[int, int], pixel: float, center: tuple[float, float] | None, approximate: bool = False
) -> Grid:
    """A square-pixel grid about its middle, azimuthal equidistant where `center` is given.

    Arguments:
        shape: (H, W).
        pixel: edge of a pixel, metres.
        center: latitude, longitude of the middle in degrees; None writes coordinates without a projection.
        approximate: say in the attributes that the projection is not documented by the source.
    """
    rows, columns = shape
    y = ((rows - 1) / 2 - np.arange(rows, dtype=np.float64)) * np.float64(pixel)
    x = (np.arange(columns, dtype=np.float64) - (columns - 1) / 2) * np.float64(pixel)
    if center is None:
        return Grid(y, x)
    from pyproj import CRS  # 0.1 s, and only a new archive needs it

    latitude, longitude = center
    crs = CRS.from_proj4(f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84 +units=m")
    attributes = dict(crs.to_cf())
    if approximate:
        attributes["comment"] = (
            "approximate: the source states its extent and that it is centered in Hong Kong, not its projection"
        )
    return Grid(y, x, attributes)


def hko7_grid(shape: tuple[int, int], pixel: float | None = None, center: tuple[float, float] | None = None) -> Grid:
    """The grid of frames in the HKO-7 layout.

    480×480 frames are HKO-7's: 512 km about Hong Kong, unless `pixel` (metres) or `center` (latitude, longitude)
    says otherwise. A frame of another size is taken as a cut-out with HKO-7's pixels from an unknown place: metres
    about its middle without a projection, until `center` is given.
    """
    if center is None and pixel is None and shape == HKO7_SHAPE:
        return radar_centered_grid(shape, HKO7_PIXEL, HONG_KONG, approximate=True)
    return radar_centered_grid(shape, pixel if pixel is not None else HKO7_PIXEL, center)
