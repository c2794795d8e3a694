"""The encoder-forecaster of Shi et al. 2017 (section 3) around any convolutional recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor, nn

from nowcast.config import LevelConfig, NetworkConfig
from nowcast.models.recurrence import ConvRecurrence


class EncoderForecaster(nn.Module):
    """Reads observed frames level by level downwards, then writes the frames to come from the deepest level upwards.

    Every (transposed) convolution between levels is followed by a leaky ReLU; a 1×1 convolution makes the frame.
    Works for any frame size (padded with zeros to a multiple of the total stride, cropped again), any number of
    observed frames and any number of lead steps.

    Args:
        config: levels and what else the cell reads from it.
        cell: makes a cell from the channels of its input, a level and `config`.
    """

    def __init__(self, config: NetworkConfig, cell: Callable[[int, LevelConfig, Any], ConvRecurrence]) -> None:
        super().__init__()
        self.negative_slope = config.negative_slope
        self.mask_channel = config.mask_channel
        self.stride = prod(level.stride for level in config.levels)

        self.downsample = nn.ModuleList()
        self.encoder = nn.ModuleList()
        channels = 2 if config.mask_channel else 1
        for level in config.levels:
            self.downsample.append(_downsampling(channels, level))
            self.encoder.append(cell(level.features, level, config))
            channels = level.hidden

        # The deepest forecaster cell has no input, but keeps its input convolution: its bias acts.
        self.forecaster = nn.ModuleList()
        self.upsample = nn.ModuleList()
        for level in reversed(config.levels):
            self.forecaster.append(cell(channels, level, config))
            self.upsample.append(_upsampling(level))
            channels = level.upsample_features
        self.to_frame = nn.Conv2d(channels, 1, 1)

    def forward(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast the next frames.

        Args:
            observed: scaled reflectivity (B, T, 1, H, W), 0 where unseen.
            observed_valid: bool, same shape; True = use this pixel. Only a network with `mask_channel` looks at it.
            lead_steps: number of frames to forecast, ≥ 1.

        Returns:
            scaled reflectivity (B, lead_steps, 1, H, W), not yet clipped to [0, 1].
        """
        height, width = observed.shape[-2:]
        top, bottom = _padding(height, self.stride)
        left, right = _padding(width, self.stride)
        inputs = torch.cat([observed, observed_valid.to(observed)], dim=2) if self.mask_channel else observed
        sequence = nn.functional.pad(inputs, (left, right, top, bottom))

        states = []
        for downsample, cell in zip(self.downsample, self.encoder, strict=True):
            sequence, state = cell(self._per_frame(downsample, sequence), None)  # (B, T, hidden, h, w)
            states.append(state)

        coming: Tensor | int = lead_steps
        for cell, upsample, state in zip(self.forecaster, self.upsample, reversed(states), strict=True):
            hidden_states, _ = cell(coming, state)
            coming = self._per_frame(upsample, hidden_states)  # (B, lead_steps, features, h, w)
        assert isinstance(coming, Tensor)
        frames = self.to_frame(coming.flatten(0, 1)).unflatten(0, coming.shape[:2])  # (B, lead_steps, 1, H, W)
        return frames[..., top : top + height, left : left + width]

    def _per_frame(self, convolution: nn.Module, sequence: Tensor) -> Tensor:
        """A convolution and its activation on every frame of (B, T, C, H, W) at once."""
        result = nn.functional.leaky_relu(convolution(sequence.flatten(0, 1)), self.negative_slope)
        return result.unflatten(0, sequence.shape[:2])


def _downsampling(channels: int, level: LevelConfig) -> nn.Conv2d:
    # The least padding for which n·stride pixels become n.
    padding = ceil((level.kernel - level.stride) / 2)
    return nn.Conv2d(channels, level.features, level.kernel, level.stride, padding)


def _upsampling(level: LevelConfig) -> nn.ConvTranspose2d:
    padding = (level.upsample_kernel - level.stride) // 2
    return nn.ConvTranspose2d(level.hidden, level.upsample_features, level.upsample_kernel, level.stride, padding)


def _padding(size: int, stride: int) -> tuple[int, int]:
    """Pixels to add before and after so that `size` becomes a multiple of `stride`."""
    missing = -size % stride
    return missing // 2, missing - missing // 2


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
