"""The balanced loss against a loop over pixels in float64."""

import math

import numpy as np
import pytest
import torch

from nowcast.balance import balanced_weights
from nowcast.losses import BalancedLoss, balanced_errors


def weight_by_definition(scaled: float) -> float:
    rate = 10 ** ((scaled * 70 - 10 - 10 * math.log10(58.53)) / 15.6)
    return 1 if rate < 2 else 2 if rate < 5 else 5 if rate < 10 else 10 if rate < 30 else 30


@pytest.fixture
def fields() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (2, 3, 1, 4, 5)
    forecast, observation = (torch.rand(shape, generator=generator) for _ in range(2))
    return forecast, observation, torch.rand(shape, generator=generator) > 0.3


def test_weights_of_every_code() -> None:
    codes = torch.arange(256) / 255
    expected = [weight_by_definition(float(np.float32(code) / np.float32(255))) for code in range(256)]
    assert balanced_weights(codes, torch.ones(256, dtype=torch.bool)).tolist() == expected


def test_loss_equals_a_loop(fields: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    forecast, observation, valid = fields
    squared = absolute = 0.0
    for p, q, use in zip(forecast.flatten(), observation.flatten(), valid.flatten(), strict=True):
        weight = weight_by_definition(float(q)) * bool(use)
        squared += weight * (float(p) - float(q)) ** 2
        absolute += weight * abs(float(p) - float(q))
    frames = 2 * 3
    loss = BalancedLoss(5e-5)(forecast, observation, valid)
    assert loss.item() == pytest.approx(5e-5 * (squared + absolute) / frames, rel=1e-6)


def test_masked_pixels_play_no_part(fields: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    forecast, observation, valid = fields
    spoiled = forecast.masked_fill(~valid, float("nan")).requires_grad_()
    loss = BalancedLoss()(spoiled, observation, valid)
    assert loss == BalancedLoss()(forecast, observation, valid)
    loss.backward()
    assert spoiled.grad is not None
    assert (spoiled.grad[~valid] == 0).all() and (spoiled.grad[valid] != 0).all()


def test_errors_are_sums_per_frame() -> None:
    observation = torch.zeros(1, 2, 1, 2, 2)
    forecast = observation + 0.5
    squared, absolute = balanced_errors(forecast, observation, torch.ones_like(forecast, dtype=torch.bool))
    assert squared.tolist() == [[1.0, 1.0]] and absolute.tolist() == [[2.0, 2.0]]
