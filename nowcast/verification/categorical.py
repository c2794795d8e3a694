"""Scores of a yes/no event from its contingency table.

The event is value ≥ threshold in forecast and observation, on valid pixels; counts are summed over all sequences and
the ratio is taken last. Masked pixels are in none of the four counts. A ratio 0/0 is NaN: nothing was to be judged.
Arguments are numbers or arrays of counts of one shape. References: Wilks, *Statistical Methods in the Atmospheric
Sciences*, chapter on forecast verification; Jolliffe and Stephenson, *Forecast Verification*.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nowcast.verification.streaming import ratio

Scores = NDArray[np.float64]


def _floats(*counts: ArrayLike) -> list[Scores]:
    return [np.asarray(count, np.float64) for count in counts]  # products of counts overflow int64


def csi(hits: ArrayLike, misses: ArrayLike, false_alarms: ArrayLike) -> Scores:
    """Critical success index: the share of forecast or observed events that were both.

    CSI = hits / (hits + misses + false alarms). Range 0 to 1, perfect 1; also called threat score.

    >>> float(csi(3, 1, 2))
    0.5
    """
    h, m, f = _floats(hits, misses, false_alarms)
    return ratio(h, h + m + f)


def pod(hits: ArrayLike, misses: ArrayLike) -> Scores:
    """Probability of detection: the share of observed events that were forecast.

    POD = hits / (hits + misses). Range 0 to 1, perfect 1.

    >>> float(pod(3, 1))
    0.75
    """
    h, m = _floats(hits, misses)
    return ratio(h, h + m)


def far(hits: ArrayLike, false_alarms: ArrayLike) -> Scores:
    """False alarm ratio: the share of forecast events that did not happen.

    FAR = false alarms / (hits + false alarms). Range 0 to 1, perfect 0. Not the false alarm *rate*, whose
    denominator is the non-events.

    >>> float(far(3, 1))
    0.25
    """
    h, f = _floats(hits, false_alarms)
    return ratio(f, h + f)


def frequency_bias(hits: ArrayLike, misses: ArrayLike, false_alarms: ArrayLike) -> Scores:
    """Frequency bias: how many events were forecast for each observed one.

    Bias = (hits + false alarms) / (hits + misses). Range 0 to ∞, unbiased 1, above 1 too much rain.

    >>> float(frequency_bias(3, 1, 3))
    1.5
    """
    h, m, f = _floats(hits, misses, false_alarms)
    return ratio(h + f, h + m)


def hss(hits: ArrayLike, misses: ArrayLike, false_alarms: ArrayLike, correct_negatives: ArrayLike) -> Scores:
    """Heidke skill score: the share of right answers, relative to chance.

    HSS = 2 (h c − m f) / ((h + m)(m + c) + (h + f)(f + c)) with hits h, misses m, false alarms f, correct
    negatives c. Range −1 to 1, perfect 1, chance 0.

    >>> float(hss(4, 0, 0, 6)), float(hss(1, 1, 1, 1))
    (1.0, 0.0)
    """
    h, m, f, c = _floats(hits, misses, false_alarms, correct_negatives)
    return ratio(2 * (h * c - m * f), (h + m) * (m + c) + (h + f) * (f + c))


def gss(hits: ArrayLike, misses: ArrayLike, false_alarms: ArrayLike, correct_negatives: ArrayLike) -> Scores:
    """Gilbert skill score, or equitable threat score (ETS): CSI after removing the hits that chance gives.

    GSS = (h − r) / (h + m + f − r), r = (h + m)(h + f) / (h + m + f + c). Range −1/3 to 1, perfect 1, chance 0.

    >>> float(gss(4, 0, 0, 6)), float(gss(1, 1, 1, 1))
    (1.0, 0.0)
    """
    h, m, f, c = _floats(hits, misses, false_alarms, correct_negatives)
    by_chance = ratio((h + m) * (h + f), h + m + f + c)
    return ratio(h - by_chance, h + m + f - by_chance)


ets = gss
"""The same score under its other name."""
