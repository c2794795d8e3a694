"""Baselines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nowcast.archive import Archive
from nowcast.archive.fingerprint import pixel_metres
from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.fading import Fading
from nowcast.models.persistence import Persistence
from nowcast.models.steps import SProg, Steps


@dataclass(frozen=True)
class RadarFacts:
    """What a baseline may have to know of the radar that it forecasts for.

    Attributes:
        pixel_km: edge of a pixel in km, None where it is not known.
        frame_minutes: frame interval in minutes.
    """

    pixel_km: float | None = None
    frame_minutes: float | None = None

    @classmethod
    def of(cls, archive: Archive) -> RadarFacts:
        """The facts of an archive."""
        pixel = pixel_metres(archive)
        return cls(None if pixel is None else pixel / 1000, float(archive.interval / np.timedelta64(60, "s")))


def _steps(facts: RadarFacts) -> Forecaster:
    if facts.pixel_km is None or facts.frame_minutes is None:
        raise NowcastError(
            "steps needs the radar's pixel size in metres and its frame interval; give an archive that has them"
        )
    return Steps(facts.pixel_km, facts.frame_minutes)


BASELINES: dict[str, Callable[[RadarFacts], Forecaster]] = {
    "persistence": lambda facts: Persistence(),
    "extrapolation": lambda facts: Extrapolation(),
    "fading": lambda facts: Fading(),
    "sprog": lambda facts: SProg(),
    "steps": _steps,
}


def baseline(name: str, facts: RadarFacts | Archive | None = None) -> Forecaster:
    """The baseline of that name, with its default settings; NowcastError lists the names.

    Args:
        name: persistence, extrapolation, fading, sprog or steps.
        facts: the archive that it will forecast for, or its facts; steps cannot do without.

    >>> type(baseline("persistence")).__name__
    'Persistence'
    """
    if name not in BASELINES:
        raise NowcastError(f"unknown baseline {name!r}; expected one of {', '.join(BASELINES)}")
    if isinstance(facts, Archive):
        facts = RadarFacts.of(facts)
    return BASELINES[name](facts or RadarFacts())
