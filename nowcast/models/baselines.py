"""Baselines by name."""

from __future__ import annotations

from collections.abc import Callable

from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.persistence import Persistence
from nowcast.models.steps import SProg, Steps

BASELINES: dict[str, Callable[[], Forecaster]] = {
    "persistence": Persistence,
    "extrapolation": Extrapolation,
    "sprog": SProg,
    "steps": Steps,
}


def baseline(name: str) -> Forecaster:
    """The baseline of that name, with its default settings; NowcastError lists the names.

    >>> type(baseline("persistence")).__name__
    'Persistence'
    """
    if name not in BASELINES:
        raise NowcastError(f"{name!r} is no baseline; expected one of {', '.join(BASELINES)}")
    return BASELINES[name]()
