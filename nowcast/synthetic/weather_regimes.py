"""The kinds of weather that synthetic days show, and the pixel they are seen with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PIXEL_KM = 512.0 / 480.0
"""Width of a pixel in km: HKO-7 shows about 512 km with 480 pixels. Smaller windows see less, not coarser."""

NO_ECHO = -10.0
"""Reflectivity in dBZ that stands for no echo, the bottom of the HKO-7 scale."""


@dataclass(frozen=True)
class Regime:
    """The weather of a day. Rates are per hour and per 100 000 km², speeds in m/s.

    wet: share of the box where stratiform rain falls without help from cells; spread: reflectivity in dB that one
    standard deviation above the threshold brings; cells: births of lone cells; lines: squall lines per day.
    """

    name: str
    wind: float
    wet: float
    spread: float
    cells: float
    lines: float = 0.0
    vortex: bool = False


REGIMES = (
    Regime("scattered", wind=6.0, wet=0.012, spread=32.0, cells=7.0),
    Regime("stratiform", wind=10.0, wet=0.10, spread=32.0, cells=2.0),
    Regime("line", wind=12.0, wet=0.02, spread=32.0, cells=2.0, lines=6.0),
    Regime("typhoon", wind=5.5, wet=0.025, spread=33.0, cells=3.0, vortex=True),
)


def regime_of_day(seed: int, day: int) -> Regime:
    """The seed shuffles the regimes; every block of four days shows each once, shifted by one every twelve days.

    Two days of a split that are six days apart, as in SPLIT_CYCLE, therefore differ: no split is all scattered cells.
    """
    order = np.random.default_rng([seed, 0]).permutation(len(REGIMES))
    return REGIMES[order[(day + day // 12) % len(REGIMES)]]
