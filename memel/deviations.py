"""One batch seen from the running mean: what both the scale and the next statistics are made of."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Neuron = Literal["position", "channel"]


class Deviations(NamedTuple):
    """A batch around the mean of each neuron, with d = z - mean, in float32 or float64.

    Attributes:
        squares: d², (B, neurons), or (B, C, S) with the S positions of a channel.
        usable: bool (B,), False for a sample that holds a value which is not finite, or too large to square.
        total, total_squares: Σd and Σd² over the usable samples (and positions), (neurons,).
        arrived: how many values of each neuron these sums hold: a number, or an int64 scalar where reading it would
            stop a device or a compiler.
    """

    squares: Tensor
    usable: Tensor
    total: Tensor
    total_squares: Tensor
    arrived: int | Tensor


def by_neuron(z: Tensor, neuron: Neuron) -> Tensor:
    """z, (B, …), in logical order, whatever its strides: (B, neurons), or (B, C, S) for channels."""
    if neuron == "channel":
        return z.reshape(*z.shape[:2], math.prod(z.shape[2:]))
    return z.reshape(z.shape[0], math.prod(z.shape[1:]))


def deviations(z: Tensor, mean: Tensor, neuron: Neuron) -> Deviations:
    """The batch z, (B, …), around mean, (neurons,) in whatever shape. Call without gradients."""
    rows = by_neuron(z.detach(), neuron)
    center = mean.reshape(-1, 1) if neuron == "channel" else mean.reshape(-1)
    over = [0, *range(2, rows.dim())]
    values = _around(rows, center)
    total = values.sum(over)
    # Squared in place: a state's worth of fresh memory costs more than the arithmetic that fills it.
    squares = values.mul_(values)
    total_squares = squares.sum(over)
    # 2^-20 of the largest number: the sums over a batch and over processes must not overflow either.
    usable = squares.flatten(1).sum(1) <= torch.finfo(squares.dtype).max * 2.0**-20
    pooled = math.prod(rows.shape[2:])
    arrived: int | Tensor = rows.shape[0] * pooled
    if not (readable(usable) and bool(usable.all())):
        keep = usable.reshape(-1, *(1,) * (rows.dim() - 1))
        total = torch.where(keep, _around(rows, center), 0).sum(over)
        total_squares = torch.where(keep, squares, 0).sum(over)
        arrived = usable.sum() * pooled
    return Deviations(squares, usable, total, total_squares, arrived)


def _around(rows: Tensor, center: Tensor) -> Tensor:
    dtype = torch.promote_types(rows.dtype, center.dtype)
    # Converted before subtracting: the mixed subtraction of a half tensor is forty times slower on CPU.
    return rows - center if rows.dtype == dtype else rows.to(dtype).sub_(center)


def readable(tensor: Tensor) -> bool:
    """Whether Python may read a number of tensor: free on CPU, and it saves the slow general way.

    Elsewhere it would stop the device's queue, and in a compiled graph a number that changes means recompiling.
    """
    return not torch.compiler.is_compiling() and tensor.device.type == "cpu"
