"""Finding the maps in a picture by their colors, so that tests need not know the layout."""

from __future__ import annotations

import cv2
import numpy as np

from nowcast.visualization import colors

MAP_COLORS = np.array([colors.rgb(color) for color in (*colors.CLASS_COLORS, colors.DRY_LINE)], np.uint8)
"""What a map is painted with: its classes and distance lines. Paper, text and frames have other colors."""


def color_of(rate: float) -> np.ndarray:
    """Red, green, blue of a rain rate in mm/h."""
    return np.array(colors.rgb(colors.CLASS_COLORS[int(colors.classify(rate))]), np.uint8)


def maps(picture: np.ndarray, smallest: int = 100) -> list[tuple[slice, slice]]:
    """Rows and columns of every map in a picture, row by row from the left; smaller patches are legends."""
    painted = np.zeros(picture.shape[:2], np.uint8)
    for color in MAP_COLORS:
        painted |= (picture == color).all(axis=-1).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(painted, connectivity=4)
    large = [box for box in boxes[1:].tolist() if min(box[2:4]) >= smallest]
    places = sorted((top, left, width, height) for left, top, width, height, _ in large)
    return [(slice(top, top + height), slice(left, left + width)) for top, left, width, height in places]
