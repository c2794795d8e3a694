"""The nowcasting experiments of the MEmeL paper (KDD 2024), each one command, each writing our numbers beside its own.

A pipeline is arms × seeds, an arm a sequence of phases, a phase an experiment. See docs/results.md.
"""

from pipelines.engine.arms import Arm, Plan, PlannedRun
from pipelines.engine.study import Study

__all__ = ["Arm", "Plan", "PlannedRun", "Study"]
