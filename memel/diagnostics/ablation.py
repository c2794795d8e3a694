"""How much worse a network gets without one neuron, with and without a feature in its input (Figure 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from memel.attach import change_first_tensor


def loss_increase(
    model: nn.Module,
    layer: str,
    neuron: tuple[Any, ...],
    batch_loss: Callable[[Any], Tensor],
    batches: Mapping[str, Iterable[Any]],
    value: float | None = None,
) -> dict[str, float]:
    """Increase of the mean loss, in percent, on each kind of input when one neuron is deactivated.

    Args:
        model: any network.
        layer: a name of `model.named_modules()`; its output, or the first tensor of it, is (B, …).
        neuron: an index after the batch axis: (3,), (channel, y, x), or (..., 7) for unit 7 at every token.
        batch_loss: takes one batch, returns the mean loss on it (a scalar tensor).
        batches: name → batches of that kind, for example {"with": …, "without": …} the feature. Each is gone through
            up to three times, so generators will not do.
        value: what the neuron is set to; by default its mean over all batches, the paper's z̄.

    Raises:
        ValueError: a kind has no batches, or batch_loss never calls the layer.

    A monosemantic neuron raises the loss on the inputs that hold its feature and leaves the others as they were. Runs
    in evaluation mode, without gradients; the modes of all modules are restored.
    """
    modes = [(module, module.training) for module in model.modules()]
    target = model.get_submodule(layer)
    index = (slice(None), *neuron)
    model.eval()
    try:
        with torch.no_grad():
            plain = {kind: _mean_loss(kind, batch_loss, group) for kind, group in batches.items()}
            if value is None:
                value = _mean_value(target, index, batch_loss, batches)

            def deactivated(z: Tensor) -> Tensor:
                z = z.clone()
                z[index] = value
                return z

            handle = target.register_forward_hook(lambda _, __, output: change_first_tensor(output, deactivated))
            try:
                without = {kind: _mean_loss(kind, batch_loss, group) for kind, group in batches.items()}
            finally:
                handle.remove()
    finally:
        for module, training in modes:
            module.training = training
    return {kind: (without[kind] / plain[kind] - 1) * 100 if plain[kind] else math.nan for kind in plain}


def _mean_loss(kind: str, batch_loss: Callable[[Any], Tensor], batches: Iterable[Any]) -> float:
    losses = [batch_loss(batch).double() for batch in batches]
    if not losses:
        raise ValueError(f"found no batches of kind {kind!r}, expected at least one (a list, not a generator)")
    return torch.stack(losses).mean().item()


def _mean_value(target: nn.Module, index: Any, batch_loss: Callable[[Any], Tensor], batches: Any) -> float:
    sums: list[tuple[Tensor, int]] = []

    def look(z: Tensor) -> Tensor:
        chosen = z[index].double()
        sums.append((chosen.sum(), chosen.numel()))
        return z

    handle = target.register_forward_hook(lambda _, __, output: change_first_tensor(output, look))
    try:
        for group in batches.values():
            for batch in group:
                batch_loss(batch)
    finally:
        handle.remove()
    if not sums:
        raise ValueError(f"the layer ({type(target).__name__}) was never called by batch_loss")
    return (sum(total for total, _ in sums) / sum(count for _, count in sums)).item()  # type: ignore[union-attr]
