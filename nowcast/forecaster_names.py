"""The names that forecasters go by; no torch here, so that a typo is told at once."""

from __future__ import annotations

import difflib
from pathlib import Path

from nowcast.errors import NowcastError
from nowcast.run import Run

BASELINE_NAMES = ("persistence", "extrapolation", "fading", "sprog", "steps")
"""Forecasters that need no training; `nowcast.models.BASELINES` builds them."""

DEFAULT = "default"
"""The network that comes with the package and needs no training either; docs/default-model.md says what it is."""

DEFAULT_RUN = Path(__file__).resolve().parent / "default_model"
"""Its run directory."""

NAMES = (DEFAULT, *BASELINE_NAMES)
"""Everything that a forecaster can be called beside the folder of a run."""


def run_or_name(item: str | Path | Run) -> Run | str:
    """The run in a folder, or the name of a forecaster; NowcastError lists the names where it is neither.

    A name means the forecaster of that name, unless a run lies in a folder of that name here.
    """
    if isinstance(item, Run):
        return item
    if str(item) in NAMES and not (Path(item) / "config.yaml").is_file():
        return Run.open(DEFAULT_RUN) if str(item) == DEFAULT else str(item)
    if not Path(item).exists():
        close = difflib.get_close_matches(str(item), NAMES, n=1)
        advice = f"; did you mean {close[0]}?" if close else ""
        raise NowcastError(f"{item} is neither a run directory nor one of {', '.join(NAMES)}{advice}")
    return Run.open(item)
