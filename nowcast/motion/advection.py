"""Carrying a field along a motion field: semi-Lagrangian, backward, without forgetting what was never seen."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from nowcast.motion.departure import departure_points


def advect(
    field: NDArray[np.float32], seen: NDArray[np.bool_], motion: NDArray[np.float32], steps: int
) -> Iterator[NDArray[np.float32]]:
    """The field after 1, 2, … `steps` frame intervals; NaN where what arrives was not seen (or lay outside).

    Every pixel is followed back along the steady motion, one frame interval at a time by the midpoint rule, and takes
    the value found at the departure point (Germann and Zawadzki 2002). The field is interpolated once, whatever the
    lead time, so it does not blur; the interpolation is linear, so a uniform motion keeps the sum of the field as
    long as it stays inside. Next to unseen pixels the seen neighbors decide, where they hold half of the weight.

    Args:
        field: (H, W), an amount that may be added, such as a rain rate.
        seen: bool, same shape; True = use this pixel.
        motion: pixels per frame interval, (H, W, 2): columns, rows.
        steps: number of frame intervals.
    """
    height, width = field.shape
    known = np.where(seen, field, 0).astype(np.float32)
    weight = seen.astype(np.float32)
    for columns, rows in departure_points(motion, steps):
        arrived = cv2.remap(known, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        share = cv2.remap(weight, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
        yield np.where(inside & (share >= 0.5), arrived / np.maximum(share, 0.5), np.nan).astype(np.float32)
