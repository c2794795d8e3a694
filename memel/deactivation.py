"""The paper's equations: how monosemantic a value is (Eq. 7), and Reversed Deactivation (Eq. 10-12)."""

from __future__ import annotations

import inspect
import math

import torch
from torch import Tensor

CHUNK = 64


def monosemantic_scale(z: Tensor, mean: Tensor, variance: Tensor, epsilon: float = 0.0) -> Tensor:
    """How monosemantic each value is: φ(z) = (z - mean)² / (variance + ε · mean of variance over the neurons).

    Eq. 7 with the compensation of App. A.2. z (B, …); mean and variance broadcast to it. Returns φ ≥ 0 of z's shape,
    in float32 for half inputs, without gradient. A neuron whose denominator is zero (or too small to invert) has never
    been seen to vary and has no scale yet: its φ is 0, so it is not selected before a neuron that has one. Where z is
    not finite φ is inf or NaN.
    """
    with torch.no_grad():
        dtype = torch.promote_types(torch.promote_types(z.dtype, variance.dtype), torch.float32)
        weight = inverse_variance(variance.to(dtype), epsilon)
        squares = (z.detach().to(dtype) - mean.to(dtype)).square()
        # Infinity times a weight of zero would be NaN, which is not less "not finite": nothing to repair.
        return squares * weight


def inverse_variance(variance: Tensor, epsilon: float) -> Tensor:
    """1 / (variance + ε · mean of variance), and 0 where that has no meaning. Same shape as variance."""
    denominator = torch.add(variance, variance.mean(), alpha=epsilon) if epsilon else variance
    return denominator.reciprocal().nan_to_num(nan=0.0, posinf=0.0)


def most_monosemantic(scale: Tensor, neurons: int = 1) -> Tensor:
    """Which values of each sample have the largest scale: bool, of the shape of scale, (B, …).

    Exactly `neurons` values of each sample, ties going to the lowest position in logical (row-major) order whatever
    the strides. A scale that is not finite is never selected, so a sample with too few finite ones has fewer.
    ValueError if a sample has fewer than `neurons` values.
    """
    flat = scale.detach().reshape(scale.shape[0], math.prod(scale.shape[1:]))
    finite = flat.isfinite()
    positions = largest(torch.where(finite, flat, -1), neurons)
    selected = torch.zeros_like(flat, dtype=torch.bool).scatter(1, positions, True)
    return (selected & finite).view(scale.shape)


def deactivate(z: Tensor, mean: Tensor, selected: Tensor, strength: float = 1.0) -> Tensor:
    """Give selected values their mean, and pass on -Δ times the gradient that arrives there.

    Eq. 10-12, z' = -Δ z + (mean + Δ z)_ng where selected and z elsewhere ("ng": no gradient), with Δ = `strength`: 1 is
    Reversed Deactivation, 0 the paper's naive method (a), -1 naive (b). z (B, …); mean and `selected` (bool) broadcast
    to it. Returns a new tensor of z's shape and dtype. The value is the mean exactly: it is not computed as the
    difference of two numbers that hold Δ z.
    """
    if selected.dtype != torch.bool:
        raise ValueError(f"selected is {selected.dtype}, expected bool (True = deactivate this value)")
    inhibited = mean.detach().to(z.dtype) - strength * (z - z.detach())
    return torch.where(selected, inhibited, z)


def largest(scale: Tensor, neurons: int) -> Tensor:
    """Positions, (B, neurons) int64, of the largest entries of scale (B, N); ties go to the lowest position.

    Only chunks whose maximum is among the largest can hold one, so the search is one pass for the maxima and a search
    in a few chunks. Entries must not be NaN, and not be negative but for -1.
    """
    count = scale.shape[1]
    if not 1 <= neurons <= count:
        raise ValueError(f"neurons is {neurons}, expected 1 to {count}, the number of neurons of this layer")
    chunk = CHUNK
    while count % chunk:
        chunk //= 2
    if chunk < 8 or neurons * chunk >= count:
        return _largest(scale, neurons)
    chunks = scale.reshape(scale.shape[0], -1, chunk)
    # In ascending order, so that the lowest position among equals stays the lowest among the candidates.
    best = _largest(chunks.amax(2), neurons)
    if neurons == 1:
        inside = chunks.gather(1, best[:, :, None].expand(-1, -1, chunk)).argmax(2)
        return torch.add(inside, best, alpha=chunk)
    best = best.sort(1).values
    candidates = chunks.gather(1, best[:, :, None].expand(-1, -1, chunk)).flatten(1)
    inside = _largest(candidates, neurons)
    return best.gather(1, inside // chunk) * chunk + inside % chunk


def _largest(scale: Tensor, neurons: int) -> Tensor:
    if neurons == 1:
        return scale.argmax(1, keepdim=True)  # the first of equals
    if scale.dtype != torch.float32:
        return scale.sort(dim=1, descending=True, stable=True).indices[:, :neurons]
    # The bits of non-negative floats are ordered like the floats (and those of -1 are a negative integer).
    # With the position below them no two keys are equal, and top-k is exact where a stable sort would take fifty times
    # longer.
    last = scale.shape[1] - 1
    bits = scale.contiguous().view(torch.int32).to(torch.int64)
    keys = (bits << 32) + (last - torch.arange(last + 1, device=scale.device))
    return last - (keys.topk(neurons, dim=1).values & 0xFFFFFFFF)


class DeactivateAt(torch.autograd.Function):
    """`deactivate` at a few positions: one copy in forward and one in backward, whatever the layer's size.

    z (B, …), positions (B, n) of neurons, values (B, n), active (B, n) bool, the strength Δ, and whether neurons are
    channels, in which case `values` fill them. The layout (strides) of z is kept; that of the gradient need not match.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, positions: Tensor, values: Tensor, active: Tensor, strength: float, channel: bool) -> Tensor:
        def replace(old: Tensor) -> Tensor:
            return torch.where(_fit(active, old), _fit(values, old).to(old.dtype), old)

        return _change(z, positions, replace, channel)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        _, positions, _, active, ctx.strength, ctx.channel = inputs
        ctx.save_for_backward(positions, active)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        positions, active = ctx.saved_tensors

        def scale(old: Tensor) -> Tensor:
            return torch.where(_fit(active, old), -ctx.strength * old, old)

        return _change(gradient, positions, scale, ctx.channel), None, None, None, None, None


# apply() asks for the signature at every call, and working it out takes longer than the deactivation itself.
DeactivateAt.forward.__signature__ = inspect.signature(DeactivateAt.forward)  # type: ignore[attr-defined]


def _fit(small: Tensor, old: Tensor) -> Tensor:
    return small if old.dim() == 2 else small.reshape(small.shape + (1,) * (old.dim() - 2))


def _change(z: Tensor, positions: Tensor, change, channel: bool) -> Tensor:  # type: ignore[no-untyped-def]
    """A copy of z with `change` applied at the positions (B, n), in logical order whatever the strides."""
    batch = z.shape[0]
    if channel or not z.is_contiguous():
        # A flat position is not an offset in memory here: a channels_last state, or a gradient laid out differently.
        rows = torch.arange(batch, device=z.device)[:, None]
        index = (rows, positions) if channel else (rows, *torch.unravel_index(positions, z.shape[1:]))
        return z.index_put(index, change(z[index]))
    width = math.prod(z.shape[1:])
    changed = z.clone()  # and not a view of one: an in-place operation may follow
    changed.view(batch, width).scatter_(1, positions, change(z.view(batch, width).gather(1, positions)))
    return changed
