"""MEmeL at named places of a cell."""

from __future__ import annotations

from torch import Tensor, nn

from memel import MEmeL
from nowcast.config import MemelConfig

VALUE_AT = {
    "candidate": "candidate_state",
    "hidden": "hidden_state",
    "cell": "cell_state",
    "update": "update_gate",
    "reset": "reset_gate",
    "input": "input_gate",
    "forget": "forget_gate",
    "output": "output_gate",
}
"""The value that each placement of MEmeL inhibits."""


class PlacedMEmeL(nn.ModuleDict):
    """One MEmeL for each place that the options name, by the value it inhibits; none without options."""

    def __init__(self, options: MemelConfig | None) -> None:
        super().__init__()
        if options is not None:
            settings = options.model_dump(exclude={"placement"})
            self.update({VALUE_AT[place]: MEmeL(**settings) for place in options.placement})

    def forward(self, name: str, values: Tensor) -> Tensor:
        """`values` after the MEmeL of that name, or untouched where none sits."""
        return self[name](values) if name in self else values
