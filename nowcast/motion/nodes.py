"""Motion on every eighth pixel: what is kept of a motion field, and what a crop or a turned crop sees of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nowcast.motion.warp import sample

SPACING = 8
"""Pixels between nodes: a motion field is smooth over a twenty-fourth of the frame, 20 pixels of 480."""


def node_count(size: int) -> int:
    """Nodes along a side of `size` pixels: the first on its first pixel, the last on its last pixel or beyond."""
    return -(-(size - 1) // SPACING) + 1


def at_nodes(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """A dense motion field (H, W, 2) at its nodes, (2, h, w).

    A node beyond the border goes on in a straight line, so that in between the border keeps its value.
    """
    nodes = motion.astype(np.float32)
    for axis, size in enumerate(motion.shape[:2]):
        at = SPACING * np.arange(node_count(size))
        kept = np.take(nodes, np.minimum(at, size - 1), axis)
        beyond = int(at[-1]) - (size - 1)
        if beyond:
            last, before = (np.take(kept, [k], axis) for k in (-1, -2))
            slope = (last - before) / (SPACING - beyond)
            kept = np.concatenate([np.take(kept, range(len(at) - 1), axis), last + beyond * slope], axis)
        nodes = kept
    return np.ascontiguousarray(nodes.transpose(2, 0, 1))


def dense(nodes: Tensor, shape: tuple[int, int]) -> Tensor:
    """A field at nodes, (B, T, C, h, w), at every pixel of a frame of that shape, (B, T, C, H, W); linear between."""
    full = [SPACING * (size - 1) + 1 for size in nodes.shape[-2:]]
    fields = functional.interpolate(nodes.flatten(0, 1), size=full, mode="bilinear", align_corners=True)
    return fields[..., : shape[0], : shape[1]].unflatten(0, nodes.shape[:2])


def crop_motion(
    nodes: Tensor, top: int, left: int, shape: tuple[int, int], quarter_turns: int = 0, flipped: bool = False
) -> Tensor:
    """What a crop of a frame sees of the frame's motion, at the crop's own nodes (2, h, w).

    Args:
        nodes: motion of the whole frame at its nodes, (2, h, w): columns, rows.
        top, left: first row and column of the crop.
        shape: of the crop before it is turned, (H, W).
        quarter_turns: how often the crop is turned after it was cut, as `torch.rot90(crop, quarter_turns, (-2, -1))`.
        flipped: whether it is then mirrored, left to right. The motion's vectors turn and flip with the crop.
    """
    height, width = shape if quarter_turns % 2 == 0 else shape[::-1]  # of the turned crop
    i, j = torch.meshgrid(
        SPACING * torch.arange(node_count(height)), SPACING * torch.arange(node_count(width)), indexing="ij"
    )
    if flipped:
        j = width - 1 - j
    for turn in range(quarter_turns % 4, 0, -1):  # back to the crop as it was cut
        across = shape[1] if turn % 2 else shape[0]  # columns before this turn
        i, j = j, across - 1 - i
    positions = ((left + j) / SPACING)[None], ((top + i) / SPACING)[None]
    east, south = sample(nodes[None], *positions)[0]
    for _ in range(quarter_turns % 4):
        east, south = south, -east
    return torch.stack([-east if flipped else east, south])
