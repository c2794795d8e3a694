"""Online mean and variance of every neuron of a layer (paper, Lemma 3.2, Eq. 8-9, and Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from torch import Tensor, nn

from memel.deviations import Deviations, Neuron, by_neuron, deviations, readable

Order = Literal["paper", "reference"]


class RunningMoments(nn.Module):
    """Running mean and unbiased variance of each neuron over the batches absorbed, with forgetting.

    The first `forget_step` batches are absorbed exactly (Lemma 3.2), whatever their sizes: the buffers equal the mean
    and the unbiased variance of all values so far up to rounding. Sums are taken around the running mean, so an offset
    of the data costs no more than the rounding of the mean itself, at most an ulp a batch, and its effect on the
    variance, at most that times a few standard deviations. From then on the past weighs as `forget_step` batches of
    the present size (Algorithm 1).

    `order="reference"` weighs batches as the authors' code does instead: batch t > 1 is added to a past that weighs
    min(t, forget_step) batches of the present size, so that the first batch counts twice for a while.

    Buffers: `mean` and `variance`, shape z.shape[1:] or (C,) for `neuron="channel"`, empty until the first batch;
    `values` and `batches`, int64 scalars, what has been absorbed. `variance` is 0 until two values have been seen.
    Mean and variance are float32 (float64 if the module or its first batch is float64), whatever the activations are
    and whatever `.half()` or `.bfloat16()` is applied to the model. All four are saved and restored, also into a fresh
    module; a state dict without any of them (plain inference weights) loads and leaves them as they are.

    A sample with a value that is not finite, or so large that its square is not, is not absorbed at all; a batch of
    such samples changes nothing. With torch.distributed initialized, the sums are those of all processes of the
    default group, which must therefore call together; set `synchronized = False` where processes train apart.
    """

    mean: Tensor
    variance: Tensor
    values: Tensor
    batches: Tensor

    def __init__(self, forget_step: int = 10, order: Order = "paper", neuron: Neuron = "position") -> None:
        super().__init__()
        if forget_step < 1:
            raise ValueError(f"forget_step is {forget_step!r}, expected a whole number, at least 1")
        for name, found, known in (("order", order, get_args(Order)), ("neuron", neuron, get_args(Neuron))):
            if found not in known:
                raise ValueError(f"{name} is {found!r}, expected one of {', '.join(map(repr, known))}")
        self.forget_step = forget_step
        self.order: Order = order
        self.neuron: Neuron = neuron
        self.synchronized = True
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("variance", torch.empty(0))
        self.register_buffer("values", torch.zeros((), dtype=torch.int64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @property
    def begun(self) -> bool:
        """Whether the shape of the layer is known, that is, whether any batch has arrived."""
        return not (self.mean.dim() == 1 and self.mean.shape[0] == 0)

    def reset(self) -> None:
        """Forget everything, the layer's shape included."""
        self.mean = self.mean.new_empty(0)
        self.variance = self.variance.new_empty(0)
        self.values = torch.zeros_like(self.values)
        self.batches = torch.zeros_like(self.batches)

    def absorb(self, z: Tensor) -> None:
        """Take the batch z, (B, …), into the statistics. ValueError if z does not fit earlier batches."""
        with torch.no_grad():
            self.begin(z)
            self.absorb_deviations(self.deviations(z))

    def begin(self, z: Tensor) -> None:
        """Shape the statistics after the batch z, (B, …), or check that it fits them."""
        if not z.is_floating_point():
            raise ValueError(f"the layer's output is {z.dtype}, expected a floating point tensor")
        channels = self.neuron == "channel"
        if z.dim() < (2 if channels else 1) or math.prod(z.shape[1:]) == 0:
            expected = "(B, C, …)" if channels else "(B, …)"
            raise ValueError(f"found an output of shape {tuple(z.shape)}, expected {expected}")
        shape = z.shape[1:2] if channels else z.shape[1:]
        if not self.begun:
            self._origin(z, shape)
        elif self.mean.shape != shape:
            known = ", ".join(map(str, (*self.mean.shape, *"…" * channels)))
            advice = "" if channels else ', or neuron="channel", which pools over space'
            raise ValueError(
                f"the statistics belong to outputs of shape (B, {known}), found {tuple(z.shape)}: "
                f"use one module for each layer and inputs of one size{advice}"
            )

    def _origin(self, z: Tensor, shape: torch.Size) -> None:
        # While nothing is absorbed `mean` carries no weight and is only the point that sums are taken around.
        # Zero would lose the digits of data with a large offset, any datum keeps them; the clamp keeps a wild one
        # harmless.
        dtype = torch.float64 if torch.float64 in (z.dtype, self.mean.dtype) else torch.float32
        with torch.inference_mode(False):
            if z.shape[0] == 0:
                origin = torch.zeros(shape, dtype=dtype, device=z.device)
            else:
                first = by_neuron(z[:1].detach(), self.neuron).to(dtype)
                first = first.nan_to_num(0.0, 0.0, 0.0).clamp(-1e6, 1e6)
                origin = (first.mean(2) if self.neuron == "channel" else first).reshape(shape).clone()
            if self._shared():
                dist.broadcast(origin, src=0)
            self.mean, self.variance = origin, torch.zeros_like(origin)
            self.values, self.batches = self.values.to(z.device), self.batches.to(z.device)

    def deviations(self, z: Tensor) -> Deviations:
        """The batch z, (B, …), around the running mean; the statistics stay as they are."""
        return deviations(z, self.mean, self.neuron)

    def absorb_deviations(self, batch: Deviations) -> None:
        """Take in a batch already seen from the present mean, in one step of the recursion of Lemma 3.2.

        With Σd and Σd² around the old mean, w values of past and b new ones:

            mean     += Σd / (w + b)
            variance  = ((w - 1) variance + Σd² - (Σd)² / (w + b)) / (w + b - 1)

        which is Eq. 8-9 with both squares collected: one difference, and that of numbers of the same size.
        """
        total, total_squares, arrived = batch.total, batch.total_squares, batch.arrived
        if self._shared():
            pooled = math.prod(batch.squares.shape[2:])
            total, total_squares, arrived = _over_processes(total, total_squares, arrived, pooled)
        count, freedom, kept = self._weights(arrived, total.dtype)
        shift = total / count
        spread = torch.addcmul(total_squares, total, shift, value=-1).clamp_(min=0) / freedom
        # In place: DistributedDataParallel and functional_call hold these very tensors.
        self.mean.add_(shift.reshape(self.mean.shape))
        self.variance.mul_(kept).add_(spread.reshape(self.mean.shape))
        self.values.add_(arrived)
        self.batches.add_(arrived > 0)

    def _weights(self, arrived: Any, dtype: torch.dtype) -> tuple[Any, Any, Any]:
        """w + b, w + b - 1 and (w - 1) / (w + b - 1), all numbers or all scalar tensors, never 0 / 0."""
        values: Any = self.values
        batches: Any = self.batches
        either: Any = torch.where
        at_least: Any = torch.clamp
        if readable(self.values):
            values, batches, arrived, either, at_least = int(values), int(batches), int(arrived), _either, max
        if self.order == "paper":
            past = either(batches < self.forget_step, values, arrived * self.forget_step)
        else:
            weight = either(batches < self.forget_step, batches + 1, self.forget_step)
            past = arrived * weight * (batches > 0)
        past = either(arrived > 0, past, values)
        count, freedom = at_least(past + arrived, 1), at_least(past + arrived - 1, 1)
        kept = at_least(past - 1, 0)
        return count, freedom, (kept if isinstance(kept, int) else kept.to(dtype)) / freedom

    def _shared(self) -> bool:
        together = self.synchronized and dist.is_available() and dist.is_initialized()
        return together and dist.get_world_size() > 1

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RunningMoments:
        before = {"mean": self.mean, "variance": self.variance}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            moved = getattr(self, name)
            if moved.dtype not in (torch.float32, torch.float64):
                setattr(self, name, buffer.to(moved.device))
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if not any(prefix + name in state_dict for name in self._buffers):
            return
        for name in ("mean", "variance"):
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            # A shape is learned from the first batch or from a checkpoint; two different ones are an error.
            if saved is not None and saved.shape != own.shape and 0 in (saved.numel(), own.numel()):
                dtype = torch.float64 if torch.float64 in (saved.dtype, own.dtype) else torch.float32
                setattr(self, name, torch.empty(saved.shape, dtype=dtype, device=own.device))
        super()._load_from_state_dict(state_dict, prefix, *args)  # type: ignore[no-untyped-call]


def _either(condition: bool, yes: int, no: int) -> int:
    return yes if condition else no


def _over_processes(
    total: Tensor, total_squares: Tensor, arrived: int | Tensor, pooled: int
) -> tuple[Tensor, Tensor, Tensor]:
    # One message. The count travels as samples, each of `pooled` values: small enough to be exact as a float32.
    samples = torch.as_tensor(arrived // pooled, dtype=total.dtype, device=total.device)
    message = torch.cat([total, total_squares, samples[None]])
    dist.all_reduce(message)
    sums, sums_of_squares, samples = message.split([total.shape[0], total.shape[0], 1])
    return sums, sums_of_squares, samples[0].to(torch.int64) * pooled
