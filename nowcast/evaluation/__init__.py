"""Forecasters × windows → scores: `evaluate` for runs and baselines by name, `score_forecasters` for your own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast.clips.split_windows import Windows
    from nowcast.evaluation.cases import case_fields, choose_cases
    from nowcast.evaluation.files import evaluations_of, read_cases, read_scores
    from nowcast.evaluation.online import OnlineModel
    from nowcast.evaluation.options import Adaptation, EvaluationOptions
    from nowcast.evaluation.plan import evaluation_folder, evaluation_name, plan_evaluation
    from nowcast.evaluation.runs import carry_out, evaluate
    from nowcast.evaluation.score import compare_forecasters, score_forecasters
    from nowcast.evaluation.table import score_table

_HOMES = {
    "nowcast.clips.split_windows": ("Windows",),
    "nowcast.evaluation.cases": ("case_fields", "choose_cases"),
    "nowcast.evaluation.files": ("evaluations_of", "read_cases", "read_scores"),
    "nowcast.evaluation.online": ("OnlineModel",),
    "nowcast.evaluation.options": ("Adaptation", "EvaluationOptions"),
    "nowcast.evaluation.plan": ("evaluation_folder", "evaluation_name", "plan_evaluation"),
    "nowcast.evaluation.runs": ("carry_out", "evaluate"),
    "nowcast.evaluation.score": ("compare_forecasters", "score_forecasters"),
    "nowcast.evaluation.table": ("score_table",),
}
_LAZY = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Adaptation",
    "EvaluationOptions",
    "OnlineModel",
    "Windows",
    "carry_out",
    "case_fields",
    "choose_cases",
    "compare_forecasters",
    "evaluate",
    "evaluation_folder",
    "evaluation_name",
    "evaluations_of",
    "plan_evaluation",
    "read_cases",
    "read_scores",
    "score_forecasters",
    "score_table",
]


def __getattr__(name: str) -> Any:
    # Options and plan need no torch: what is wrong with them is told before it is imported.
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'nowcast.evaluation' has no attribute {name!r}")
