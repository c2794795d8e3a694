"""Verification: streaming scores on valid pixels, per lead time and threshold, and what their differences mean."""

from nowcast.verification.ensemble import EnsembleScores
from nowcast.verification.fss import FractionsSkill
from nowcast.verification.gradient import GradientDifference
from nowcast.verification.scorecard import Scorecard
from nowcast.verification.significance import compare, paired_t, paired_t_over_runs_and_scores
from nowcast.verification.spectrum import SpectralAgreement
from nowcast.verification.ssim import StructuralSimilarity

__all__ = [
    "EnsembleScores",
    "FractionsSkill",
    "GradientDifference",
    "Scorecard",
    "SpectralAgreement",
    "StructuralSimilarity",
    "compare",
    "paired_t",
    "paired_t_over_runs_and_scores",
]
