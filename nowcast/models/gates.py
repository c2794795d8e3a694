"""The equations of a gated recurrent unit, and where MEmeL sits in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nowcast.config import MemelConfig
from nowcast.models.placement import PlacedMEmeL


class Gates(nn.Module):
    """The pointwise half of a ConvGRU cell.

    With x the input's and h the state's share of update, reset and candidate (KDD 2024, technical report E;
    `update` is the share of the old state that is kept):

        u = σ(x_u + h_u),  r = σ(x_r + h_r),  c = φ(x_c + r ∘ h_c),  h = (1 − u) ∘ c + u ∘ h_prev,

    φ the leaky ReLU. MEmeL inhibits the value named by its placement right after it is computed.
    """

    def __init__(self, negative_slope: float, activation_before_gates: bool, memel: MemelConfig | None) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.activation_before_gates = activation_before_gates
        self.memel = PlacedMEmeL(memel)

    def forward(self, from_input: Tensor, from_state: Tensor, previous: Tensor | None) -> Tensor:
        """The new hidden state (B, C, H, W) from two convolution results (B, 3C, H, W) and the previous state.

        `previous` None is a state of zeros.
        """
        if self.activation_before_gates:
            from_input, from_state = self.activation(from_input), self.activation(from_state)
        x_u, x_r, x_c = from_input.chunk(3, dim=1)
        h_u, h_r, h_c = from_state.chunk(3, dim=1)

        update = self.memel("update_gate", torch.sigmoid(x_u + h_u))
        reset = self.memel("reset_gate", torch.sigmoid(x_r + h_r))
        candidate = self.memel("candidate_state", self.activation(x_c + reset * h_c))

        fresh = (1 - update) * candidate
        return self.memel("hidden_state", fresh if previous is None else fresh + update * previous)

    def activation(self, values: Tensor) -> Tensor:
        """Leaky ReLU."""
        return nn.functional.leaky_relu(values, self.negative_slope)
