"""Verification: streaming scores on valid pixels, per lead time and threshold."""

from nowcast.verification.scorecard import Scorecard

__all__ = ["Scorecard"]
