"""Networks and baselines; all of them are Forecasters or become one."""

from nowcast.models.baselines import BASELINES, baseline
from nowcast.models.checkpoint import load_checkpoint, load_model, save_checkpoint, start_from
from nowcast.models.encoder_forecaster import EncoderForecaster, count_parameters
from nowcast.models.model_forecaster import ModelForecaster

__all__ = [
    "BASELINES",
    "EncoderForecaster",
    "ModelForecaster",
    "baseline",
    "count_parameters",
    "load_checkpoint",
    "load_model",
    "save_checkpoint",
    "start_from",
]
