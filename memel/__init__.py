"""MEmeL: inhibit the most monosemantic neurons of any layer of any PyTorch network while it trains.

Wang, Di, Chen, Ng, "Learning from Emergence: A Study on Proactively Inhibiting the Monosemantic Neurons of
Artificial Neural Networks", KDD 2024. Needs torch and nothing else.
"""

from memel.deactivation import deactivate, monosemantic_scale, most_monosemantic
from memel.module import MEmeL
from memel.statistics import RunningMoments

__all__ = [
    "MEmeL",
    "RunningMoments",
    "deactivate",
    "monosemantic_scale",
    "most_monosemantic",
]
