"""A ConvLSTM: a long short-term memory whose products are convolutions (Shi et al. 2015, equation 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.config import ConvLSTMConfig, LevelConfig, MemelConfig
from nowcast.models.placement import PlacedMEmeL
from nowcast.models.recurrence import ConvRecurrence, State


class ConvLSTM(ConvRecurrence):
    """A ConvLSTM cell; its state is the hidden state and the cell state.

    Args:
        features: channels of the input.
        level: channels and kernels.
        config: peepholes and MEmeL options.
    """

    def __init__(self, features: int, level: LevelConfig, config: ConvLSTMConfig) -> None:
        super().__init__(features, level.hidden, level.input_kernel, level.state_kernel, shares=4)
        self.gates = MemoryGates(level.hidden, config.peephole, config.memel)

    def advance(self, from_input: Tensor, from_state: Tensor, state: State | None) -> State:
        """One time step; the equations are those of `MemoryGates`."""
        return self.gates(from_input, from_state, None if state is None else state[1])  # type: ignore[no-any-return]


class MemoryGates(nn.Module):
    """The pointwise half of a ConvLSTM cell.

    With x the input's and h the hidden state's share of input gate, forget gate, candidate and output gate, c_prev the
    cell state before, and w the peepholes, one weight a channel (zero at first, absent without peepholes):

        i = σ(x_i + h_i + w_i ∘ c_prev),  f = σ(x_f + h_f + w_f ∘ c_prev),  g = tanh(x_g + h_g),
        c = f ∘ c_prev + i ∘ g,  o = σ(x_o + h_o + w_o ∘ c),  h = o ∘ tanh(c).

    MEmeL inhibits the value named by its placement (g is the candidate) right after it is computed.
    """

    def __init__(self, hidden: int, peephole: bool, memel: MemelConfig | None) -> None:
        super().__init__()
        self.peephole = nn.Parameter(torch.zeros(3, hidden, 1, 1)) if peephole else None
        self.memel = PlacedMEmeL(memel)

    def forward(self, from_input: Tensor, from_state: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden and cell state, both (B, C, H, W), from two convolution results (B, 4C, H, W) and the cell state.

        `previous` None is a cell state of zeros.
        """
        i, f, g, o = (from_input + from_state).chunk(4, dim=1)
        if self.peephole is not None and previous is not None:
            i, f = i + self.peephole[0] * previous, f + self.peephole[1] * previous
        i = self.memel("input_gate", torch.sigmoid(i))
        f = self.memel("forget_gate", torch.sigmoid(f))
        g = self.memel("candidate_state", torch.tanh(g))
        cell = self.memel("cell_state", i * g if previous is None else f * previous + i * g)

        o = o if self.peephole is None else o + self.peephole[2] * cell
        o = self.memel("output_gate", torch.sigmoid(o))
        return self.memel("hidden_state", o * torch.tanh(cell)), cell
