"""Where what arrives now was before: departure points along a steady motion field, in numpy and in torch."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.motion.nodes import SPACING
from nowcast.motion.warp import positions, sample


def departure_points(
    motion: NDArray[np.float32], steps: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Columns and rows, (H, W) each, where what is at every pixel now was 1, 2, … `steps` frame intervals ago.

    Every pixel is followed back along the steady motion, one frame interval at a time by the midpoint rule (Germann
    and Zawadzki 2002); beyond the border the motion is the border's. This is the reference, in numpy at every pixel.

    Args:
        motion: pixels per frame interval, (H, W, 2): columns, rows.
        steps: number of frame intervals.
    """
    rows, columns = np.mgrid[: motion.shape[0], : motion.shape[1]].astype(np.float32)
    east, south = (np.ascontiguousarray(motion[..., axis], np.float32) for axis in (0, 1))
    for _ in range(steps):
        half_x = columns - _at(east, columns, rows) / 2
        half_y = rows - _at(south, columns, rows) / 2
        columns = columns - _at(east, half_x, half_y)
        rows = rows - _at(south, half_x, half_y)
        yield columns, rows


def _at(field: NDArray[np.float32], columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear interpolation; beyond the border the border's value."""
    return np.asarray(cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def displacements(motion: Tensor, steps: int) -> Tensor:
    """Departure point minus arrival point at the nodes after 1, 2, … `steps` intervals, pixels, (B, steps, 2, h, w).

    The midpoint rule of `departure_points`, batched. It is followed from the nodes only, since a displacement is as
    smooth as the motion. The same displacement carries the frame of -k intervals to the issue time, and what is known
    at the issue time to +k.

    Args:
        motion: pixels per frame interval at the nodes, (B, 2, h, w): columns, rows (`nowcast.motion.nodes`).
        steps: number of frame intervals, ≥ 0.
    """
    moved = torch.zeros_like(motion)
    path = [moved]
    for _ in range(steps):
        half = moved - _at_nodes(motion, moved) / 2
        moved = moved - _at_nodes(motion, half)
        path.append(moved)
    return torch.stack(path[1:], dim=1) if steps else moved.unsqueeze(1)[:, :0]


def _at_nodes(motion: Tensor, moved: Tensor) -> Tensor:
    """The motion where the nodes have moved to (pixels); beyond the border the border's value."""
    return sample(motion, *positions(moved / SPACING))
