"""MEmeL: inhibit the most monosemantic neurons of any layer of any PyTorch network while it trains.

Wang, Di, Chen, Ng, "Learning from Emergence: A Study on Proactively Inhibiting the Monosemantic Neurons of
Artificial Neural Networks", KDD 2024. Needs torch and nothing else.
"""

from memel.attach import attach, detach, plain_state_dict
from memel.deactivation import deactivate, monosemantic_scale, most_monosemantic
from memel.diagnostics import InhibitionEffect, Location, inhibition_effect, loss_increase, pooled, watch
from memel.module import MEmeL
from memel.statistics import RunningMoments

__all__ = [
    "InhibitionEffect",
    "Location",
    "MEmeL",
    "RunningMoments",
    "attach",
    "deactivate",
    "detach",
    "inhibition_effect",
    "loss_increase",
    "monosemantic_scale",
    "most_monosemantic",
    "plain_state_dict",
    "pooled",
    "watch",
]
