"""A ConvGRU: a gated recurrent unit whose products are convolutions (Shi et al. 2017, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.models.gates import Gates


class ConvGRU(nn.Module):
    """A ConvGRU cell that runs over a whole sequence.

    Args:
        features: channels of the input.
        hidden: channels of the hidden state.
        input_kernel, state_kernel: odd kernel sizes in pixels; the grid keeps its size.
        gates: the pointwise equations, with MEmeL inside where wanted.
    """

    def __init__(self, features: int, hidden: int, input_kernel: int, state_kernel: int, gates: Gates) -> None:
        super().__init__()
        self.hidden = hidden
        self.input_to_hidden = nn.Conv2d(features, 3 * hidden, input_kernel, padding=input_kernel // 2)
        self.hidden_to_hidden = nn.Conv2d(hidden, 3 * hidden, state_kernel, padding=state_kernel // 2)
        self.gates = gates

    def forward(self, inputs: Tensor | int, state: Tensor | None) -> Tensor:
        """Hidden states of all time steps, (B, T, hidden, H, W).

        Args:
            inputs: (B, T, features, H, W), or the number of time steps T to run without input: then only the bias
                of the input convolution acts, and `state` gives the shape.
            state: hidden state (B, hidden, H, W) before the first time step; None is zeros.
        """
        if isinstance(inputs, int):
            if state is None:
                raise ValueError("a ConvGRU without input needs a hidden state to start from, found None")
            bias = _bias_as_map(self.input_to_hidden)
            from_input = [bias] * inputs
        else:
            # One convolution for the whole sequence: the input's share does not wait for the state.
            merged = self.input_to_hidden(inputs.flatten(0, 1))  # (B·T, 3·hidden, H, W)
            from_input = list(merged.unflatten(0, inputs.shape[:2]).unbind(1))

        states = []
        for share in from_input:
            # A state of zeros needs no convolution: only its bias is left.
            past = _bias_as_map(self.hidden_to_hidden) if state is None else self.hidden_to_hidden(state)
            state = self.gates(share, past, state)
            states.append(state)
        return torch.stack(states, dim=1)  # (B, T, hidden, H, W)


def _bias_as_map(convolution: nn.Conv2d) -> Tensor:
    """What a convolution makes of zeros: its bias as (1, channels, 1, 1)."""
    assert convolution.bias is not None
    return convolution.bias.view(1, -1, 1, 1)
