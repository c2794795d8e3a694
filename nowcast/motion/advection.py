"""Carrying a field along a motion field: semi-Lagrangian, backward, without forgetting what was never seen."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray


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
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    east, south = (np.ascontiguousarray(motion[..., axis], np.float32) for axis in (0, 1))
    known = np.where(seen, field, 0).astype(np.float32)
    weight = seen.astype(np.float32)
    for _ in range(steps):
        half_x = columns - _at(east, columns, rows) / 2
        half_y = rows - _at(south, columns, rows) / 2
        columns = columns - _at(east, half_x, half_y)
        rows = rows - _at(south, half_x, half_y)
        arrived = cv2.remap(known, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        share = cv2.remap(weight, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        inside = (columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)
        yield np.where(inside & (share >= 0.5), arrived / np.maximum(share, 0.5), np.nan).astype(np.float32)


def _at(field: NDArray[np.float32], columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear interpolation; beyond the border the border's value."""
    return np.asarray(cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
