"""Networks and baselines; all of them are Forecasters or become one."""

from nowcast.models.baselines import BASELINES, RadarFacts, baseline
from nowcast.models.checkpoint import LoadedModel, load_checkpoint, load_model, open_model, save_checkpoint, start_from
from nowcast.models.encoder_forecaster import count_parameters
from nowcast.models.model_forecaster import ModelForecaster
from nowcast.models.named import Named, baseline_named, named
from nowcast.models.networks import NETWORKS, build_model
from nowcast.models.trained_for import TrainedFor, reach_of

__all__ = [
    "BASELINES",
    "NETWORKS",
    "LoadedModel",
    "ModelForecaster",
    "Named",
    "RadarFacts",
    "TrainedFor",
    "baseline",
    "baseline_named",
    "build_model",
    "count_parameters",
    "load_checkpoint",
    "load_model",
    "named",
    "open_model",
    "reach_of",
    "save_checkpoint",
    "start_from",
]
