"""How fast a forecast along the motion fades: from forecasts of the latest frame that the frames before it give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from nowcast.balance import balanced_weights
from nowcast.models.local_mean import LocalMean

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
Aligned = Mapping[int, tuple[Field, Mask]]
"""Age in frame intervals → scaled reflectivity (H, W), 0 where unseen, and where it is known; all of them carried
along the motion to where they lie at the time of the latest frame, which is age 0."""

SPREADS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
TENDENCIES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
LAGS = (1, 2, 3)
"""Lead times of the hindcasts, in frame intervals."""

PERSISTENCE = 0.7
"""Share of a tendency that is left an interval later (φ)."""

TREND_WIDTH = 3.0
"""Standard deviation in pixels of the Gaussian that a tendency is smoothed with: smaller changes are noise."""

SAMPLE = 256
"""Side in pixels of the part of the frame that is hindcast: the one with the heaviest rain."""


@dataclass(frozen=True)
class Fade:
    """How a forecast fades.

    Attributes:
        spread: standard deviation, in pixels per interval of lead time, of where the rain may be instead.
        tendency: share of the last change along the motion that happens again in the next interval.
    """

    spread: float = 1.0
    tendency: float = 0.25

    def total_tendency(self, steps: int) -> float:
        """How often the last change has happened after `steps` intervals: g (1 + φ + … + φ^(steps − 1)).

        >>> round(Fade(tendency=0.5).total_tendency(2), 9)
        0.85
        """
        return self.tendency * (1 - PERSISTENCE**steps) / (1 - PERSISTENCE)


START = SPREADS.index(Fade().spread), TENDENCIES.index(Fade().tendency)


def weights(field: Field, seen: Mask) -> Field:
    """Balanced weights of the benchmark where a field (H, W) was seen, 0 elsewhere."""
    return balanced_weights(torch.from_numpy(np.ascontiguousarray(field)), torch.from_numpy(seen)).numpy()


def trend(aligned: Aligned, age: int) -> Field:
    """Smoothed change along the motion in the interval that ends `age` intervals ago; 0 where it is not known.

    Where the frame before is missing the change since the one before that is shared out; without any it is 0.
    """
    field, seen = aligned[age]
    earlier = min((other for other in aligned if other > age), default=None)
    if earlier is None:
        return np.zeros_like(field)
    before, seen_before = aligned[earlier]
    both = (seen & seen_before).astype(np.float32)
    change = cv2.GaussianBlur((field - before) * both, (0, 0), TREND_WIDTH)
    share = cv2.GaussianBlur(both, (0, 0), TREND_WIDTH)
    return np.where(seen, change / np.maximum(share, 0.05) / (earlier - age), 0).astype(np.float32)


def changed(field: Field, seen: Mask, trend: Field, fade: Fade, steps: int) -> Field:
    """The field as it would be `steps` intervals later if its change went on and nothing moved."""
    return np.clip(field + np.float32(fade.total_tendency(steps)) * trend, 0, 1) * seen


def fitted(aligned: Aligned) -> Fade:
    """The fade with the least balanced errors of hindcasts of the latest frame, among `SPREADS` and `TENDENCIES`.

    The frames 1, 2 and 3 intervals old forecast the latest one along the motion; B-MSE and B-MAE, each relative to
    that of a hindcast which does not fade, are added up. The search goes downhill from the default `Fade`, which
    is what a frame without any before it gets.
    """
    lags = [lag for lag in LAGS if lag in aligned]
    if not lags:
        return Fade()
    aligned = _heaviest_part(aligned)
    return _Hindcasts(aligned, lags).best()


def _heaviest_part(aligned: Aligned) -> Aligned:
    latest, seen = aligned[0]
    size = min(latest.shape[0], SAMPLE), min(latest.shape[1], SAMPLE)
    heavy = weights(latest, seen) - seen
    near = cv2.boxFilter(heavy, -1, size[::-1], normalize=False, borderType=cv2.BORDER_CONSTANT)
    center = np.unravel_index(int(near.argmax()), near.shape)
    first = [int(np.clip(c - s // 2, 0, whole - s)) for c, s, whole in zip(center, size, latest.shape, strict=True)]
    part = slice(first[0], first[0] + size[0]), slice(first[1], first[1] + size[1])
    return {age: (field[part], seen[part]) for age, (field, seen) in aligned.items()}


class _Hindcasts:
    """Hindcasts of the latest frame, made when they are asked for, each once."""

    def __init__(self, aligned: Aligned, lags: list[int]) -> None:
        self.aligned, self.lags = aligned, lags
        self.latest, seen = aligned[0]
        self.mean = LocalMean(self.latest.shape, widest=SPREADS[-1] * max(lags) / 2)
        self.trends = {lag: trend(aligned, lag) for lag in lags}
        self.weights = {lag: weights(self.latest, seen & aligned[lag][1]) for lag in lags}
        self.plain = {lag: self._errors(aligned[lag][0], lag) + 1e-9 for lag in lags}
        self._transforms: dict[tuple[int, int], tuple[NDArray[np.complex64], NDArray[np.complex64]]] = {}
        self._costs: dict[tuple[int, int], float] = {}

    def best(self) -> Fade:
        """Downhill over the table of spreads and tendencies, one step at a time."""
        at = START
        while True:
            i, j = at
            steps = [(i, j), (i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            near = min((s for s in steps if 0 <= s[0] < len(SPREADS) and 0 <= s[1] < len(TENDENCIES)), key=self._cost)
            if near == at:
                return Fade(SPREADS[i], TENDENCIES[j])
            at = near

    def _cost(self, at: tuple[int, int]) -> float:
        if at not in self._costs:
            fade = Fade(SPREADS[at[0]], TENDENCIES[at[1]])
            self._costs[at] = sum(self._relative(fade, at[1], lag) for lag in self.lags)
        return self._costs[at]

    def _relative(self, fade: Fade, tendency: int, lag: int) -> float:
        if (lag, tendency) not in self._transforms:
            field, seen = self.aligned[lag]
            later = changed(field, seen, self.trends[lag], fade, lag)
            heavy = weights(later, seen)
            self._transforms[lag, tendency] = self.mean.transform(heavy * later), self.mean.transform(heavy)
        made = self.mean.of(*self._transforms[lag, tendency], fade.spread * lag)
        return float((self._errors(made, lag) / self.plain[lag]).sum())

    def _errors(self, made: Field, lag: int) -> NDArray[np.float64]:
        difference = made - self.latest
        weighted = self.weights[lag] * difference
        return np.array([(weighted * difference).sum(dtype=np.float64), np.abs(weighted).sum(dtype=np.float64)])
