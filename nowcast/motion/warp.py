"""Carrying fields along their departure points: batched torch, differentiable, on any device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def warp(fields: Tensor, displacement: Tensor) -> Tensor:
    """Every field of a sequence at its departure points: linear in between, beyond the border the border's value.

    In float32 whatever autocast says, since a position in a large frame does not fit bfloat16. Differentiable in the
    fields.

    Args:
        fields: (B, T, C, H, W).
        displacement: departure point minus arrival point in pixels, (B, T, 2, H, W): columns, rows.
    """
    with torch.autocast(fields.device.type, enabled=False):
        carried = sample(fields.flatten(0, 1).float(), *positions(displacement.flatten(0, 1).float()))
    return carried.unflatten(0, fields.shape[:2])  # (B, T, C, H, W)


def inside(displacement: Tensor) -> Tensor:
    """Where the departure point lies inside the frame: bool (..., 1, H, W) of a displacement (..., 2, H, W)."""
    height, width = displacement.shape[-2:]
    columns, rows = positions(displacement)
    return ((columns >= 0) & (columns <= width - 1) & (rows >= 0) & (rows <= height - 1)).unsqueeze(-3)


def positions(displacement: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows, (..., H, W) each, of every pixel plus its displacement (..., 2, H, W)."""
    height, width = displacement.shape[-2:]
    columns = torch.arange(width, dtype=displacement.dtype, device=displacement.device)
    rows = torch.arange(height, dtype=displacement.dtype, device=displacement.device)
    return columns + displacement[..., 0, :, :], rows[:, None] + displacement[..., 1, :, :]


def sample(fields: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Fields (N, C, H, W) at positions in pixels, (N, h, w) each: linear in between, border values beyond."""
    height, width = fields.shape[-2:]
    # grid_sample counts from -1 in the middle of the first pixel to 1 in the middle of the last one.
    grid = torch.stack([columns * (2 / max(width - 1, 1)) - 1, rows * (2 / max(height - 1, 1)) - 1], dim=-1)
    return functional.grid_sample(fields, grid, mode="bilinear", padding_mode="border", align_corners=True)
