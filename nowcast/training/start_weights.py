"""The weights that a blend begins with, fitted to the validation split when training has ended."""

from __future__ import annotations

import numpy as np

from nowcast.clips.split_windows import Windows
from nowcast.config import Experiment
from nowcast.models import ModelForecaster, load_model
from nowcast.models.blend import NETWORK, START_WEIGHTS, fit_start_weights, write_start_weights
from nowcast.models.fading import Fading
from nowcast.run import Run

WINDOWS = 24
"""Windows of the validation split that are forecast, evenly spread over it."""


def store_start_weights(run: Run, experiment: Experiment, validation: Windows) -> None:
    """Fit the start weights of `blend: recent` with the best checkpoint and write them into the run directory."""
    training, data = experiment.training, experiment.data
    network = ModelForecaster(load_model(run, "best"), training.device, training.precision, data.bridge)
    chosen = np.linspace(0, len(validation.starts) - 1, min(WINDOWS, len(validation.starts))).round().astype(int)
    sequences = (
        validation.clips.sequence(validation.starts[place : place + 1], data.observed, data.forecast)
        for place in np.unique(chosen)
    )
    weights = fit_start_weights({"fading": Fading(), NETWORK: network}, sequences)
    write_start_weights(run.path / START_WEIGHTS, weights)
