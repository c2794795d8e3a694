"""One door from a name or a run to a forecaster and what it was made for: `forecast` and `evaluate` go through it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.archive import Archive
from nowcast.archive.of_run import facts_of
from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster
from nowcast.forecaster_names import run_or_name
from nowcast.models.baselines import RadarFacts, baseline
from nowcast.models.blend import NETWORK, START_WEIGHTS, RecentBlend, read_start_weights
from nowcast.models.checkpoint import open_model
from nowcast.models.fading import Fading
from nowcast.models.model_forecaster import ModelForecaster
from nowcast.models.trained_for import Ranges, TrainedFor, reach_of
from nowcast.run import Run

OBSERVED_FRAMES, LEAD_STEPS = 5, 20
"""Frames of the 2017 benchmark, for forecasters that work with any number."""

BLENDS = ("none", "recent")
"""What of a run may be issued: its network alone, or `nowcast.models.blend.RecentBlend`."""


@dataclass(frozen=True)
class Named:
    """A forecaster and what it was made for.

    Attributes:
        name: what it is called in files and tables.
        forecaster: ready to be called.
        observed_frames, lead_steps: frames it looks at, and forecasts where nobody asks for another number.
        masks: which pixels it may use, None where that is left to the caller.
        trained_for: its limits.
        attributes: what files say about its origin.
    """

    name: str
    forecaster: Forecaster
    observed_frames: int = OBSERVED_FRAMES
    lead_steps: int = LEAD_STEPS
    masks: str | None = None
    trained_for: TrainedFor = TrainedFor()
    attributes: dict[str, Any] = field(default_factory=dict)


def named(
    item: str | Path | Run,
    facts: RadarFacts | Archive | None = None,
    *,
    checkpoint: str = "best",
    device: str = "auto",
    blend: str | None = None,
) -> Named:
    """The forecaster of a run or of a name; NowcastError lists the names.

    Args:
        item: a run or its folder, or one of `nowcast.forecaster_names.NAMES`.
        facts: the archive to forecast for, or its pixel size and interval; some baselines cannot do without.
        checkpoint: "best" or "last", of a run.
        device: for networks, "auto" takes a GPU when there is one.
        blend: "recent" or "none", of a run; None takes the run's.
    """
    if blend not in (None, *BLENDS):
        raise NowcastError(f"blend is {blend!r}, expected one of {', '.join(BLENDS)}")
    found = run_or_name(item)
    if isinstance(found, Run):
        alone = _of_run(found, checkpoint, device)
        return _blended(alone, found) if (blend or found.experiment.blend) == "recent" else alone
    if blend == "recent":
        raise NowcastError(f"{found} is a baseline, and only a run can be blended; leave blend out")
    return baseline_named(found, facts)


def baseline_named(name: str, facts: RadarFacts | Archive | None = None) -> Named:
    """The baseline of a name; arguments as for `named`."""
    made = baseline(name, facts)
    described = {"forecast_field": made.describes} if hasattr(made, "describes") else {}
    return Named(name, made, attributes={"model_run": name, **described})


def _blended(alone: Named, run: Run) -> Named:
    """The blend that follows recent errors, with the start weights that the run holds, if any."""
    members = {"fading": Fading(), NETWORK: alone.forecaster}
    blend = RecentBlend(members, read_start_weights(run.path / START_WEIGHTS), alone.observed_frames)
    return replace(alone, forecaster=blend, attributes={**alone.attributes, "blend": "recent"})


def _of_run(run: Run, checkpoint: str, device: str) -> Named:
    experiment, loaded, remembered = run.experiment, open_model(run, checkpoint), facts_of(run)
    data, seconds, ranges = experiment.data, loaded.frame_interval_seconds, Ranges.of(run)
    limits = TrainedFor(
        f"the run {experiment.name}",
        None if seconds is None or ranges is not None else np.timedelta64(seconds, "s"),
        data.forecast,
        reach_of(experiment.model),
        None if remembered is None else remembered.pixel,
        ranges,
    )
    origin = {
        "model_run": experiment.name,
        "model_checkpoint": loaded.checkpoint,
        "config_sha256": experiment.sha256,
    }
    forecaster = ModelForecaster(loaded.network, device, experiment.training.precision, data.bridge)
    return Named(experiment.name, forecaster, data.observed, data.forecast, data.masks, limits, origin)
