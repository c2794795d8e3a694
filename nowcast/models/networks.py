"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from nowcast.config import NetworkConfig
from nowcast.models.convgru import ConvGRU
from nowcast.models.convlstm import ConvLSTM
from nowcast.models.encoder_forecaster import EncoderForecaster
from nowcast.models.lagrangian import Lagrangian

NETWORKS: dict[str, Callable[[Any], nn.Module]] = {
    "convgru": lambda config: EncoderForecaster(config, ConvGRU),
    "convlstm": lambda config: EncoderForecaster(config, ConvLSTM),
}
"""`model.network` in an experiment file → the network it describes, whose last convolution is called `to_frame`."""


def build_model(config: NetworkConfig) -> nn.Module:
    """The network that an experiment describes, with fresh weights.

    Returns:
        a module called as network(observed, observed_valid, lead_steps), which mean what they mean for a
        `nowcast.forecaster.Forecaster`; its frames are not yet clipped to [0, 1].
    """
    if config.coordinates == "lagrangian":
        reading = config.model_copy(update={"mask_channel": True})  # of moving frames the known part always differs
        return Lagrangian(NETWORKS[config.network](reading))
    return NETWORKS[config.network](config)
