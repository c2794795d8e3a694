"""A recurrent cell whose products are convolutions, run over a whole sequence (Shi et al. 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a cell carries from one time step to the next, each (B, hidden, H, W); the hidden state comes first."""


class ConvRecurrence(nn.Module):
    """The convolutions of a cell and its walk through time; a subclass adds the pointwise equations as `advance`.

    Args:
        features: channels of the input.
        hidden: channels of the hidden state.
        input_kernel, state_kernel: odd kernel sizes in pixels; the grid keeps its size.
        shares: gates and candidates, each of which gets `hidden` channels of both convolutions.
    """

    def __init__(self, features: int, hidden: int, input_kernel: int, state_kernel: int, shares: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input_to_hidden = nn.Conv2d(features, shares * hidden, input_kernel, padding=input_kernel // 2)
        self.hidden_to_hidden = nn.Conv2d(hidden, shares * hidden, state_kernel, padding=state_kernel // 2)

    def advance(self, from_input: Tensor, from_state: Tensor, state: State | None) -> State:
        """The next state from two convolution results (B, shares · hidden, H, W); `state` None is zeros."""
        raise NotImplementedError

    def forward(self, inputs: Tensor | int, state: State | None) -> tuple[Tensor, State]:
        """Hidden states of all time steps, (B, T, hidden, H, W), and the state after the last one.

        Args:
            inputs: (B, T, features, H, W) with T ≥ 1, or the number of time steps T to run without input: then only
                the bias of the input convolution acts, and `state` gives the shape.
            state: before the first time step; None is zeros.
        """
        if isinstance(inputs, int):
            if state is None:
                raise ValueError("a cell without input needs a hidden state to start from, found None")
            from_input = [_bias_as_map(self.input_to_hidden)] * inputs
        else:
            # One convolution for the whole sequence: the input's share does not wait for the state.
            merged = self.input_to_hidden(inputs.flatten(0, 1))  # (B·T, shares·hidden, H, W)
            from_input = list(merged.unflatten(0, inputs.shape[:2]).unbind(1))

        hidden_states = []
        for share in from_input:
            # A state of zeros needs no convolution: only its bias is left.
            past = _bias_as_map(self.hidden_to_hidden) if state is None else self.hidden_to_hidden(state[0])
            state = self.advance(at_least_float32(share), at_least_float32(past), state)
            hidden_states.append(state[0])
        assert state is not None
        return torch.stack(hidden_states, dim=1), state  # (B, T, hidden, H, W)


def at_least_float32(values: Tensor) -> Tensor:
    """Gates are computed in float32 whatever the precision of the convolutions."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _bias_as_map(convolution: nn.Conv2d) -> Tensor:
    """What a convolution makes of zeros: its bias as (1, channels, 1, 1)."""
    assert convolution.bias is not None
    return convolution.bias.view(1, -1, 1, 1)
