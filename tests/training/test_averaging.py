"""The exponential mean of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nowcast.training.averaging import MeanWeights


def test_the_mean_follows_the_weights_by_its_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    mean, expected = MeanWeights(network, 0.5), 0.0
    for step in range(1, 12):
        nn.init.constant_(network.weight, float(step))
        mean.update(step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
        assert float(mean.state_dict()["weight"]) == pytest.approx(expected)
    assert float(network.weight.detach()) == 11.0
    with mean.in_use():
        assert float(network.weight.detach()) == pytest.approx(expected)
    assert float(network.weight.detach()) == 11.0


def test_buffers_stay_the_latest() -> None:
    network = nn.BatchNorm1d(2)
    mean = MeanWeights(network, 0.9)
    network.running_mean += 3.0
    with torch.no_grad():
        network.weight += 1
    mean.update(1)
    saved = mean.state_dict()
    assert saved.keys() == network.state_dict().keys()
    assert saved["running_mean"].tolist() == [3.0, 3.0] and 1 < float(saved["weight"][0]) < 2
    again = MeanWeights(network, 0.9, saved)
    assert torch.equal(again.means["weight"], saved["weight"])
