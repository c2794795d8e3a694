"""What MEmeL does to a network: Table 4, where monosemantic neurons sit, and Figure 2."""

from memel.diagnostics.ablation import loss_increase
from memel.diagnostics.inhibition import InhibitionEffect, inhibition_effect, pooled
from memel.diagnostics.location import Location, watch

__all__ = ["InhibitionEffect", "Location", "inhibition_effect", "loss_increase", "pooled", "watch"]
