"""Kinds of weather that a window shows, by what the radar saw before the issue: the "features" of Figures 1 and 2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nowcast.archive import Archive
from nowcast.clips.split_windows import Windows
from nowcast.motion.optical_flow import motion_field
from nowcast.radar.times import Times
from nowcast.units import HKO7_SCALE, scaled_threshold

WET_RATE = 0.5
"""Rain rate in mm/h from which a pixel is wet: the lowest threshold of the benchmark."""

CONVECTIVE_DBZ = 40.0
"""Reflectivity from which rain is convective whatever is around it (Steiner, Houze and Yuter 1995, section 3)."""

KINDS = ("heavy convective", "stratiform", "dry", "fast-moving")

HEAVY_SHARE = 0.005
"""Heavy convective: at least this share of the pixels is convective."""

WIDE_SHARE, WEAK_SHARE = 0.10, 0.01
"""Stratiform: at least WIDE_SHARE of the pixels is wet, and less than WEAK_SHARE of the wet ones convective."""

DRY_SHARE = 0.01
"""Dry: less than this share of the pixels is wet."""

FAST = 12.0
"""Fast-moving: not dry, and wet pixels move at this speed or more on average, m/s."""


@dataclass(frozen=True)
class Weather:
    """Quantities of windows, each (N,): shares of the valid pixels of the observed frames, in [0, 1], and m/s.

    Attributes:
        wet: share of pixels with at least `WET_RATE`.
        convective: share of pixels with at least `CONVECTIVE_DBZ`.
        speed: mean speed of wet pixels over the last frames, by optical flow; 0 without any.
    """

    wet: NDArray[np.float64]
    convective: NDArray[np.float64]
    speed: NDArray[np.float64]

    def kinds(self) -> dict[str, NDArray[np.bool_]]:
        """Kind → which windows show it. A window can be of two kinds, or of none.

        >>> weather = Weather(np.array([0.2, 0.2, 0.0]), np.array([0.05, 0.0, 0.0]), np.array([3.0, 15.0, 0.0]))
        >>> {kind: shown.tolist() for kind, shown in weather.kinds().items()}  # doctest: +NORMALIZE_WHITESPACE
        {'heavy convective': [True, False, False], 'stratiform': [False, True, False], 'dry': [False, False, True],
         'fast-moving': [False, True, False]}
        """
        dry = self.wet < DRY_SHARE
        return {
            "heavy convective": self.convective >= HEAVY_SHARE,
            "stratiform": (self.wet >= WIDE_SHARE) & (self.convective < WEAK_SHARE * self.wet),
            "dry": dry,
            "fast-moving": ~dry & (self.speed >= FAST),
        }


def thinned(starts: Times, most: int) -> Times:
    """At most so many windows, evenly spread over all of them."""
    if len(starts) <= most:
        return starts
    return starts[np.linspace(0, len(starts) - 1, most).round().astype(int)]


def weather_of(windows: Windows, archive: Archive) -> Weather:
    """What the windows show; pixel size and frame interval come from the archive."""
    speed_unit = float(np.abs(np.diff(archive.x)).mean()) / (archive.interval / np.timedelta64(1, "s"))  # m/s per pixel
    wet_edge = float(scaled_threshold(WET_RATE))
    convective_edge = float(HKO7_SCALE.scale(CONVECTIVE_DBZ))
    found: list[tuple[float, float, float]] = []
    for batch in windows:
        for frames, seen in zip(batch.observed[:, :, 0].numpy(), batch.observed_valid[:, :, 0].numpy(), strict=True):
            pixels = max(int(seen.sum()), 1)
            wet, convective = seen & (frames >= wet_edge), seen & (frames >= convective_edge)
            found.append((wet.sum() / pixels, convective.sum() / pixels, _speed(frames, seen, wet) * speed_unit))
    return Weather(*np.array(found, np.float64).reshape(-1, 3).T)


def _speed(frames: NDArray[np.float32], seen: NDArray[np.bool_], wet: NDArray[np.bool_]) -> float:
    """Mean speed of wet pixels in pixels per frame interval."""
    present = np.flatnonzero(seen.any(axis=(1, 2)))
    if len(present) < 2 or not wet[present[-1]].any():
        return 0.0
    motion = motion_field(frames, seen, present)
    return float(np.hypot(motion[..., 0], motion[..., 1])[wet[present[-1]]].mean())
