"""Where the rain moves: a dense motion field from the last radar frames, by optical flow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

ECHO = 60 / 255
"""Scaled reflectivity (6.5 dBZ) below which an echo is not tracked: clutter stands still, drizzle has no edges."""

PAIRS = 2
"""Pairs of frames the motion is averaged over: one pair is noisy, many are old."""

SMOOTHING = 1 / 24
"""Width (standard deviation) of the smoothing of the motion field, as a share of the longer side of the frame."""

SMALLEST = 16
"""Shortest side in pixels that optical flow is tried on; on smaller frames nothing moves."""

FEWEST_ROWS = 32
"""OpenCV chooses the coarsest scale by the width alone and reads outside lower frames; empty rows are put below."""


def motion_field(
    frames: NDArray[np.float32], seen: NDArray[np.bool_], present: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Motion in pixels per frame interval, (H, W, 2): to the east (columns), then to the south (rows).

    Dense inverse search optical flow (Kroeger et al. 2016) between consecutive frames, then variational refinement
    (brightness and gradient constancy with a smoothness term, Brox et al. 2004), as ROVER combines them for radar
    (Woo and Wong 2017); averaged over the last `PAIRS` pairs and spread from where echoes were tracked to where there
    are none by normalized Gaussian smoothing. Without echoes the motion is zero.

    Args:
        frames: scaled reflectivity (T, H, W).
        seen: bool, same shape; True = use this pixel.
        present: positions of the frames that exist, ascending; two of them can be several intervals apart.
    """
    height, width = frames.shape[1:]
    total = np.zeros((height, width, 2), np.float32)
    weight = np.zeros((height, width), np.float32)
    if min(height, width) >= SMALLEST:
        for earlier, later in list(zip(present, present[1:], strict=False))[-PAIRS:]:
            flow, tracked = _flow(frames[[earlier, later]], seen[[earlier, later]])
            total += flow * tracked[..., None] / np.float32(later - earlier)
            weight += tracked
    if not weight.any():
        return total
    width_of_smoothing = SMOOTHING * max(height, width)
    mean = total.sum((0, 1)) / weight.sum()
    little = np.float32(1e-3 * weight.mean())  # far from any echo the motion is the mean one
    smooth = cv2.GaussianBlur(total, (0, 0), width_of_smoothing) + little * mean
    return np.asarray(smooth / (cv2.GaussianBlur(weight, (0, 0), width_of_smoothing) + little)[..., None], np.float32)


def _flow(pair: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Displacement (H, W, 2) from the first frame to the second, and 1 where an echo was tracked, else 0."""
    both = seen.all(axis=0)
    echo = both & (pair >= ECHO)
    rows = pair.shape[1]
    more = [(0, 0), (0, max(0, FEWEST_ROWS - rows)), (0, 0)]
    earlier, later = np.pad(np.where(echo, np.rint(np.clip(pair, 0, 1) * 255), 0).astype(np.uint8), more)
    still = np.zeros((*earlier.shape, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(earlier, later, still)
    flow = cv2.VariationalRefinement.create().calc(earlier, later, flow)[:rows]
    margin = max(3, min(pair.shape[1:]) // 32)  # an echo cut by the edge of what is seen seems to stand
    inner = cv2.erode(np.asarray(both, np.uint8), np.ones((margin, margin), np.uint8))
    return np.nan_to_num(flow), (echo.any(axis=0) & (inner > 0)).astype(np.float32)
