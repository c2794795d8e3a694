"""The colors of the project: one rain-rate scale for every map, one color for every forecaster.

The rain scale has fixed classes, so that a color means the same rate in every picture. On a near-white dry background
it darkens monotonically from pale aqua through blue and purple to near-black red: heavier is always darker, also for
viewers with protanopia, deuteranopia or tritanopia and on a gray printer (tests/visualization/test_colors.py measures
it). Purple starts at 20 mm/h and red at 30 mm/h, the highest threshold of the HKO-7 benchmark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

RAIN_LIMITS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)
"""Lower limits of the rain classes, mm/h; a rate equal to a limit belongs to the class that starts there."""

RAIN_COLORS = (
    "#b5ebf1",
    "#89dbe3",
    "#5dc7d7",
    "#2eb2d7",
    "#3498db",
    "#5379db",
    "#9a38b6",
    "#a5034b",
    "#7d0017",
    "#3d1013",
)
"""Color of each rain class, lightest rain first."""

PAPER = "#ffffff"
INK = "#1b2430"
MUTED = "#67717e"
ACCENT = "#c2410c"
DRY = "#fafaf8"
DRY_LINE = "#e6e8ea"
"""Distance lines on dry ground; rain covers them."""
UNSEEN = "#d5d8dc"
UNSEEN_LINE = "#bfc4ca"
"""Hatching of places the radar never sees."""
UNKNOWN = "#eae2d3"
"""Seen by the radar, but the forecaster cannot know (it moved in from outside the domain)."""

DRY_CLASS = 0
UNKNOWN_CLASS = len(RAIN_LIMITS) + 1
UNSEEN_CLASS = len(RAIN_LIMITS) + 2
CLASS_COLORS = (DRY, *RAIN_COLORS, UNKNOWN, UNSEEN)
"""Color of every class that `classify` gives, in order."""

FORECASTER_COLORS = ("#0b6fb8", "#c2410c", "#0a7d5f", "#8a2fa6", "#a8790b", "#b3125b", "#3f4aa8", "#5b7a12")
REFERENCE_COLOR = "#67717e"
"""Persistence, the forecast that costs nothing: gray, so that the others are read against it."""


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green, blue (0-255) of a "#rrggbb" color."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def classify(rain_rate: ArrayLike, seen: ArrayLike | None = None) -> NDArray[np.uint8]:
    """The class of every pixel of a rain rate in mm/h, as an index into `CLASS_COLORS`.

    0 is dry (below 0.1 mm/h), 1 to 10 the rain classes, then unknown (NaN where seen) and unseen.
    `seen` is bool (broadcast against the field), True = the radar sees this pixel; without it all pixels are seen.

    >>> classify([0.0, 0.1, 7.0, 500.0, float("nan")]).tolist()
    [0, 1, 5, 10, 11]
    >>> classify([7.0, 7.0], seen=[True, False]).tolist()
    [5, 12]
    """
    rate = np.asarray(rain_rate, dtype=np.float32)
    # Limits as float32, so that a float32 rate of exactly 0.1 mm/h reaches its class.
    classes = np.searchsorted(np.array(RAIN_LIMITS, np.float32), rate, side="right").astype(np.uint8)
    classes = np.where(np.isnan(rate), np.uint8(UNKNOWN_CLASS), classes)
    return classes if seen is None else np.where(seen, classes, np.uint8(UNSEEN_CLASS))


def forecaster_colors(names: Iterable[str]) -> dict[str, str]:
    """A color for every forecaster, by its place in `names`; any persistence is gray and takes no other's color.

    >>> forecaster_colors(["persistence", "convgru"])
    {'persistence': '#67717e', 'convgru': '#0b6fb8'}
    """
    ordered: Sequence[str] = list(names)
    others = [name for name in ordered if "persistence" not in name.lower()]
    palette = {name: FORECASTER_COLORS[i % len(FORECASTER_COLORS)] for i, name in enumerate(others)}
    return {name: palette.get(name, REFERENCE_COLOR) for name in ordered}
