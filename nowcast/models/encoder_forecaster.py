"""The ConvGRU encoder-forecaster of Shi et al. 2017 (section 3), three levels at 13 775 137 parameters by default."""

from __future__ import annotations

from math import ceil, prod

from torch import Tensor, nn

from nowcast.config import LevelConfig, ModelConfig
from nowcast.models.convgru import ConvGRU
from nowcast.models.gates import Gates


class EncoderForecaster(nn.Module):
    """Reads observed frames level by level downwards, then writes the frames to come from the deepest level upwards.

    Every (transposed) convolution between levels is followed by a leaky ReLU; a 1×1 convolution makes the frame.
    Works for any frame size (padded with zeros to a multiple of the total stride, cropped again), any number of
    observed frames and any number of lead steps.

    Args:
        model: levels, activation and MEmeL options.
    """

    def __init__(self, model: ModelConfig | None = None) -> None:
        super().__init__()
        model = model or ModelConfig()
        self.negative_slope = model.negative_slope
        self.stride = prod(level.stride for level in model.levels)

        def gates() -> Gates:
            return Gates(model.negative_slope, model.activation_before_gates, model.memel)

        self.downsample = nn.ModuleList()
        self.encoder = nn.ModuleList()
        channels = 1
        for level in model.levels:
            self.downsample.append(_downsampling(channels, level))
            self.encoder.append(ConvGRU(level.features, level.hidden, level.input_kernel, level.state_kernel, gates()))
            channels = level.hidden

        # The deepest forecaster cell has no input, but keeps its input convolution: its bias acts.
        self.forecaster = nn.ModuleList()
        self.upsample = nn.ModuleList()
        for level in reversed(model.levels):
            self.forecaster.append(ConvGRU(channels, level.hidden, level.input_kernel, level.state_kernel, gates()))
            self.upsample.append(_upsampling(level))
            channels = level.upsample_features
        self.to_frame = nn.Conv2d(channels, 1, 1)

    def forward(self, observed: Tensor, lead_steps: int) -> Tensor:
        """Forecast the next frames.

        Args:
            observed: scaled reflectivity (B, T, 1, H, W), 0 where unseen.
            lead_steps: number of frames to forecast, ≥ 1.

        Returns:
            scaled reflectivity (B, lead_steps, 1, H, W), not yet clipped to [0, 1].
        """
        height, width = observed.shape[-2:]
        top, bottom = _padding(height, self.stride)
        left, right = _padding(width, self.stride)
        sequence = nn.functional.pad(observed, (left, right, top, bottom))

        states = []
        for downsample, cell in zip(self.downsample, self.encoder, strict=True):
            sequence = cell(self._per_frame(downsample, sequence), None)  # (B, T, hidden, h, w)
            states.append(sequence[:, -1])

        inputs: Tensor | int = lead_steps
        for cell, upsample, state in zip(self.forecaster, self.upsample, reversed(states), strict=True):
            inputs = self._per_frame(upsample, cell(inputs, state))  # (B, lead_steps, features, h, w)
        assert isinstance(inputs, Tensor)
        frames = self.to_frame(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])  # (B, lead_steps, 1, H, W)
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
