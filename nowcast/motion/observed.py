"""The motion of observed frames at their nodes: the one place where a network's motion comes from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.motion.nodes import at_nodes
from nowcast.motion.optical_flow import motion_field


def motion_at_nodes(frames: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Motion at the time of the last frame, from this frame and those before it; (2, h, w), pixels per interval.

    Args:
        frames: scaled reflectivity (T, H, W), 0 where not valid; a missing frame is nowhere valid.
        valid: bool, same shape; True = use this pixel.
    """
    return at_nodes(motion_field(frames, valid, np.flatnonzero(valid.any(axis=(1, 2)))))


def observed_motion(observed: Tensor, observed_valid: Tensor) -> Tensor:
    """`motion_at_nodes` of a batch, (B, 2, h, w) float32 on the device of `observed`.

    Args:
        observed: scaled reflectivity (B, T, 1, H, W), 0 where not valid.
        observed_valid: bool, same shape; True = use this pixel.
    """
    frames, valid = observed.detach().squeeze(2).float().cpu().numpy(), observed_valid.squeeze(2).cpu().numpy()
    found = [motion_at_nodes(*clip) for clip in zip(frames, valid, strict=True)]
    return torch.from_numpy(np.stack(found)).to(observed.device)
