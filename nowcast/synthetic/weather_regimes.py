"""The kinds of weather that synthetic days show, by climate, and the pixel they are seen with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import lcm

import numpy as np

from nowcast.errors import NowcastError

PIXEL_KM = 512.0 / 480.0
"""Width of a pixel in km unless asked otherwise: HKO-7 shows about 512 km with 480 pixels."""

NO_ECHO = -10.0
"""Reflectivity in dBZ that stands for no echo, the bottom of the HKO-7 scale."""


@dataclass(frozen=True)
class Regime:
    """The weather of a day. Rates are per hour and per 100 000 km², speeds in m/s, lengths in km, times in minutes.

    wet: share of the box where stratiform rain falls without help from cells; spread, curve, saturation: reflectivity
    in dB that an excess of e standard deviations over the threshold brings, spread · e^curve, bent to stay below
    saturation; slope, outer_km, lifetime: of the random field that rains (see `EvolvingField`); swing: how strongly
    the threshold swings over hours. cells: births of lone cells; lines: squall lines per day; peak: mean of the cells'
    strongest reflectivity, dBZ; cell_life: factor of their 20-60 minutes; endurance: by what share a cell lives longer
    per dB of its peak above 38 dBZ; drift: speed of a cell's own, beside the flow's; surge: births
    swing between exp(±surge) times the mean within some hours, so that whole systems grow and die. lift: how far a
    standing pattern, as of mountains, lowers the threshold; band: the same of a front that travels slower than the
    wind. noise: of the measurement, dB, new in every frame. variety: wind, wet share, lifetime, and births of a day are
    those given times exp(±variety).
    """

    name: str
    wind: float
    wet: float
    spread: float
    cells: float
    lines: float = 0.0
    vortex: bool = False
    curve: float = 0.6
    saturation: float = 34.0
    slope: float = 3.5
    outer_km: float = 240.0
    lifetime: float = 110.0
    swing: float = 1.0
    peak: float = 37.5
    cell_life: float = 1.0
    endurance: float = 0.0
    drift: float = 0.0
    surge: float = 0.0
    lift: float = 0.0
    band: float = 0.0
    noise: float = 0.0
    variety: float = 0.0

    def of_day(self, rng: np.random.Generator) -> Regime:
        """This weather as one day has it: windier or calmer, wetter or drier, steadier or less so."""
        if self.variety == 0:
            return self
        wind, wet, lifetime, cells = np.exp(rng.uniform(-self.variety, self.variety, 4)).tolist()
        return replace(
            self,
            wind=self.wind * wind,
            wet=min(self.wet * wet, 0.8),
            lifetime=self.lifetime * lifetime,
            cells=self.cells * cells,
        )


REGIMES = (
    Regime("scattered", wind=6.0, wet=0.012, spread=32.0, cells=7.0),
    Regime("stratiform", wind=10.0, wet=0.10, spread=32.0, cells=2.0),
    Regime("line", wind=12.0, wet=0.02, spread=32.0, cells=2.0, lines=6.0),
    Regime("typhoon", wind=5.5, wet=0.025, spread=33.0, cells=3.0, vortex=True),
)
"""A subtropical summer, the weather of an archive whose climate was not named."""

_STORM = Regime(
    "storm",
    wind=8.0,
    wet=0.02,
    spread=30.0,
    cells=5.0,
    slope=3.0,
    peak=38.5,
    cell_life=1.2,
    endurance=0.12,
    drift=1.5,
    noise=0.8,
    swing=1.5,
    variety=0.5,
)
"""What strong cells need to be as in the Shanghai and Brisbane samples: the heavier, the longer they live."""

_RAIN = Regime(
    "rain",
    wind=10.0,
    wet=0.2,
    spread=16.0,
    cells=1.5,
    curve=0.8,
    saturation=60.0,
    slope=3.1,
    noise=0.8,
    variety=0.4,
)
"""Wide-spread rain whose reflectivity grows almost in proportion to the excess, as in the Dutch and Finnish samples."""

CLIMATES: dict[str, tuple[Regime, ...]] = {
    "summer": REGIMES,
    "convective": (
        replace(_STORM, name="airmass", wind=4.0, wet=0.006, cells=8.0, peak=39.0),
        replace(_STORM, name="clusters"),
        replace(_STORM, name="squalls", wind=12.0, cells=2.0, lines=4.0, peak=37.5),
        replace(_STORM, name="cyclone", wind=6.0, wet=0.03, cells=3.0, vortex=True, peak=37.5),
    ),
    "unsteady": (
        replace(_STORM, name="popcorn", wind=3.5, wet=0.004, cells=14.0, cell_life=0.9, endurance=0.04, surge=1.3),
        replace(_STORM, name="surges", wind=7.0, cells=6.0, cell_life=1.0, endurance=0.08, surge=1.6),
        replace(_STORM, name="fading", wind=9.0, wet=0.05, spread=26.0, cells=2.0, peak=37.5, surge=1.6, swing=4.0),
    ),
    "stratiform": (
        replace(_RAIN, name="front", wind=14.0, wet=0.08, spread=17.0, cells=1.0, band=1.2, lifetime=90.0),
        replace(_RAIN, name="rain"),
        replace(_STORM, name="embedded", wind=12.0, wet=0.12, spread=26.0, cells=3.0, peak=37.5),
        replace(_RAIN, name="slopes", wind=9.0, wet=0.08, spread=17.0, lift=1.0, lifetime=90.0),
    ),
    "weak": (
        replace(
            _RAIN, name="drizzle", wind=18.0, wet=0.45, spread=11.0, cells=0.0, slope=2.8, lifetime=70.0, noise=1.2
        ),
        replace(_RAIN, name="light", wind=12.0, wet=0.25, spread=13.0, cells=0.3, slope=2.8, noise=1.2),
        replace(_RAIN, name="showers", wind=10.0, wet=0.05, spread=14.0, cells=3.0, peak=32.0, lifetime=60.0),
    ),
}
CLIMATES["mixed"] = tuple(
    regime
    for row in range(4)
    for name in ("convective", "stratiform", "weak")
    for regime in CLIMATES[name][row : row + 1]
)
"""Weather by name: each climate's kinds take turns; `mixed` has the convective, stratiform and weak ones."""


def regime_of_day(seed: int, day: int, climate: str = "summer") -> Regime:
    """The seed shuffles the climate's regimes; every block of so many days shows each once, in a turn that shifts.

    Two days of a split that are six days apart, as in SPLIT_CYCLE, therefore differ: no split is all scattered cells.
    """
    regimes = climate_named(climate)
    order = np.random.default_rng([seed, 0]).permutation(len(regimes))
    turn = day + day // lcm(6, len(regimes))
    return regimes[order[turn % len(regimes)]].of_day(np.random.default_rng([seed, 4, day]))


def climate_named(climate: str) -> tuple[Regime, ...]:
    """The regimes of a climate; NowcastError where the name is unknown."""
    if climate not in CLIMATES:
        raise NowcastError(f"unknown climate {climate!r}, expected one of {', '.join(CLIMATES)}")
    return CLIMATES[climate]
