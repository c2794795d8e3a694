"""The exponential mean of a network's weights: smoother than the last step's, and what is validated and issued."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MeanWeights:
    """Exponential moving average of the parameters of a network; its buffers (MEmeL's statistics) stay the latest.

    The mean of step n is decayed by min(decay, (1 + n) / (10 + n)), so that it does not remember the first weights.

    Args:
        network: the bare network.
        decay: share of the old mean that a step keeps.
        saved: a state dict to go on from.
    """

    def __init__(self, network: nn.Module, decay: float, saved: Mapping[str, Tensor] | None = None) -> None:
        self.network, self.decay = network, decay
        source = dict(network.named_parameters()) if saved is None else saved
        self.means = {
            name: source[name].detach().to(parameter.device, copy=True)
            for name, parameter in network.named_parameters()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step` (the first is 1)."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.network.named_parameters():
            self.means[name].lerp_(parameter, 1 - keep)

    def state_dict(self) -> dict[str, Tensor]:
        """The network's state dict with the means in place of its parameters."""
        return {**self.network.state_dict(), **self.means}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While inside, the network holds the means."""
        latest = {name: parameter.detach().clone() for name, parameter in self.network.named_parameters()}
        self._hold(self.means)
        try:
            yield
        finally:
            self._hold(latest)

    @torch.no_grad()
    def _hold(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])
