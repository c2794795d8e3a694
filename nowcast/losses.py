"""The balanced loss of the HKO-7 benchmark (Shi et al. 2017, section 4)."""

from __future__ import annotations

from torch import Tensor, nn

from nowcast.balance import balanced_weights


def balanced_errors(forecast: Tensor, observation: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Balanced squared and absolute error of every frame: Σ w (p − p̂)² and Σ w |p − p̂| over its valid pixels.

    Args:
        forecast, observation: scaled reflectivity (B, T, 1, H, W).
        valid: bool, same shape; True = use this pixel. Values elsewhere, even NaN, play no part.

    Returns:
        two float tensors (B, T), in units of scaled reflectivity (squared and plain), summed over a frame.
    """
    observation = observation.float()
    weights = balanced_weights(observation, valid)
    difference = (forecast.float() - observation).masked_fill(~valid, 0.0)
    weighted = weights * difference
    return (weighted * difference).sum((2, 3, 4)), weighted.abs().sum((2, 3, 4))


class BalancedLoss(nn.Module):
    """weight · (B-MSE + B-MAE), averaged over the frames of the batch; the paper's weight is 5e-5.

    Computed in float32 whatever the precision of the forecast.
    """

    def __init__(self, weight: float = 5e-5) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> Tensor:
        """Scalar loss of a forecast (B, T, 1, H, W); see `balanced_errors` for the arguments."""
        squared, absolute = balanced_errors(forecast, observation, valid)
        return self.weight * (squared.mean() + absolute.mean())
