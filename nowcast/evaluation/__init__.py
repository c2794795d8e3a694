"""Forecasters × windows → scores: `evaluate` for runs and baselines by name, `score_forecasters` for your own."""

from nowcast.clips.split_windows import Windows
from nowcast.evaluation.cases import case_fields, choose_cases
from nowcast.evaluation.files import read_cases, read_scores
from nowcast.evaluation.online import OnlineModel
from nowcast.evaluation.runs import Adaptation, evaluate
from nowcast.evaluation.score import compare_forecasters, score_forecasters
from nowcast.evaluation.table import score_table

__all__ = [
    "Adaptation",
    "OnlineModel",
    "Windows",
    "case_fields",
    "choose_cases",
    "compare_forecasters",
    "evaluate",
    "read_cases",
    "read_scores",
    "score_forecasters",
    "score_table",
]
