"""Precipitation nowcasting from weather radar: ConvGRU encoder-forecasters, MEmeL, honest scores.

The commands of `nowcast --help` are these functions; importing the package loads none of them.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast.archive import Archive
    from nowcast.config import Experiment
    from nowcast.demonstration import demo
    from nowcast.description import describe as info
    from nowcast.errors import NowcastError
    from nowcast.evaluation import evaluate
    from nowcast.experiment_file import read_experiment
    from nowcast.forecast_file import read_forecast, write_forecast
    from nowcast.forecasting import Nowcaster, forecast
    from nowcast.ingestion.ingest import ingest
    from nowcast.ingestion.report import IngestReport
    from nowcast.run import Run
    from nowcast.synthetic.synthesize import synthesize
    from nowcast.training import train
    from nowcast.visualization import animate

__version__ = "0.1.0"
"""The one place that says it; pyproject.toml reads it here."""

_ROOMS = {
    "Archive": "nowcast.archive.archive",
    "Experiment": "nowcast.config",
    "NowcastError": "nowcast.errors",
    "Nowcaster": "nowcast.forecasting",
    "Run": "nowcast.run",
    "animate": "nowcast.visualization",
    "demo": "nowcast.demonstration",
    "evaluate": "nowcast.evaluation",
    "forecast": "nowcast.forecasting",
    "info": "nowcast.description:describe",
    "ingest": "nowcast.ingestion.ingest",
    "read_experiment": "nowcast.experiment_file",
    "read_forecast": "nowcast.forecast_file",
    "synthesize": "nowcast.synthetic.synthesize",
    "train": "nowcast.training",
    "write_forecast": "nowcast.forecast_file",
}
"""Public name → module, or module:name where the function is called otherwise at home."""

__all__ = [
    "Archive",
    "Experiment",
    "NowcastError",
    "Nowcaster",
    "Run",
    "animate",
    "demo",
    "evaluate",
    "forecast",
    "info",
    "ingest",
    "ingest_hko7",
    "read_experiment",
    "read_forecast",
    "synthesize",
    "train",
    "write_forecast",
]


def ingest_hko7(
    source: str | os.PathLike[str],
    archive: str | os.PathLike[str],
    *,
    pixel_metres: float | None = None,
    **options: Any,
) -> IngestReport:
    """`ingest("hko7", source, archive, …)`; `pixel_metres` is an older name of `pixel`."""
    from nowcast.ingestion.ingest import ingest

    pixel = {} if pixel_metres is None else {"pixel": pixel_metres}
    return ingest("hko7", source, archive, **{**pixel, **options})


def __getattr__(name: str) -> Any:
    # torch alone takes seconds to import; reading a config or --help must not wait for it.
    if name in _ROOMS:
        module, _, other = _ROOMS[name].partition(":")
        return getattr(importlib.import_module(module), other or name)
    raise AttributeError(f"module 'nowcast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
