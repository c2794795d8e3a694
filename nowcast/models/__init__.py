"""Networks and baselines; all of them are Forecasters or become one."""

from nowcast.models.baselines import BASELINES, RadarFacts, baseline
from nowcast.models.checkpoint import LoadedModel, load_checkpoint, load_model, open_model, save_checkpoint, start_from
from nowcast.models.encoder_forecaster import count_parameters
from nowcast.models.model_forecaster import ModelForecaster
from nowcast.models.networks import NETWORKS, build_model

__all__ = [
    "BASELINES",
    "NETWORKS",
    "LoadedModel",
    "ModelForecaster",
    "RadarFacts",
    "baseline",
    "build_model",
    "count_parameters",
    "load_checkpoint",
    "load_model",
    "open_model",
    "save_checkpoint",
    "start_from",
]
