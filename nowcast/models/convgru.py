"""A ConvGRU: a gated recurrent unit whose products are convolutions (Shi et al. 2017, section 3)."""

from __future__ import annotations

from torch import Tensor

from nowcast.config import ConvGRUConfig, LevelConfig
from nowcast.models.gates import Gates
from nowcast.models.recurrence import ConvRecurrence, State


class ConvGRU(ConvRecurrence):
    """A ConvGRU cell; its state is the hidden state alone.

    Args:
        features: channels of the input.
        level: channels and kernels.
        config: activation and MEmeL options.
    """

    def __init__(self, features: int, level: LevelConfig, config: ConvGRUConfig) -> None:
        super().__init__(features, level.hidden, level.input_kernel, level.state_kernel, shares=3)
        self.gates = Gates(config.negative_slope, config.activation_before_gates, config.memel)

    def advance(self, from_input: Tensor, from_state: Tensor, state: State | None) -> State:
        """One time step; the equations are those of `Gates`."""
        return (self.gates(from_input, from_state, None if state is None else state[0]),)
