"""A network in Lagrangian coordinates: persistence before training, NaN where inflow is unknown, any input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nowcast.config import ConvGRUConfig, ConvLSTMConfig, LevelConfig, MemelConfig, NetworkConfig
from nowcast.errors import NowcastError
from nowcast.models import ModelForecaster, baseline, build_model
from nowcast.models.lagrangian import Lagrangian, align
from nowcast.motion.departure import displacements
from nowcast.motion.nodes import dense
from nowcast.motion.observed import observed_motion
from nowcast.motion.warp import warp

LEVELS = (
    LevelConfig(features=4, kernel=4, stride=2, hidden=6, upsample_features=4, upsample_kernel=4),
    LevelConfig(features=6, kernel=4, stride=2, hidden=8, upsample_features=8, upsample_kernel=4),
)
VARIANTS = [
    ConvGRUConfig(levels=LEVELS, coordinates="lagrangian"),
    ConvLSTMConfig(network="convlstm", levels=LEVELS, coordinates="lagrangian"),
]
variants = pytest.mark.parametrize("config", VARIANTS, ids=["convgru", "convlstm"])


def build(config: NetworkConfig, seed: int = 0) -> Lagrangian:
    torch.manual_seed(seed)
    model = build_model(config)
    assert isinstance(model, Lagrangian)
    return model.eval()


def shaken(model: Lagrangian) -> Lagrangian:
    """As after some training: the last convolution is not zero."""
    torch.manual_seed(1)
    torch.nn.init.normal_(model.network.to_frame.weight, std=0.1)
    return model


def blobs(frames: int, height: int, width: int, motion: tuple[float, float], seed: int = 0) -> Tensor:
    """Rain (1, frames, 1, H, W) that moves by `motion` (columns, rows) pixels a frame."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    sequence = np.zeros((frames, height, width))
    for _ in range(12):
        y, x, size = random.uniform(0, height), random.uniform(0, width), random.uniform(3, 7)
        for t in range(frames):
            apart = (rows - y - t * motion[1]) ** 2 + (columns - x - t * motion[0]) ** 2
            sequence[t] = np.maximum(sequence[t], 0.75 * np.exp(-apart / (2 * size**2)))
    return torch.from_numpy(sequence).float()[None, :, None]


def everywhere(frames: Tensor) -> Tensor:
    return torch.ones_like(frames, dtype=torch.bool)


@variants
def test_an_untrained_network_is_lagrangian_persistence(config: NetworkConfig) -> None:
    observed = blobs(4, 72, 90, (2.0, -1.0))
    motion = observed_motion(observed, everywhere(observed))
    forecast = build(config)(observed, everywhere(observed), 6)
    paths = dense(displacements(motion, 6), (72, 90))
    assert torch.allclose(forecast, warp(observed[:, -1:].expand(-1, 6, -1, -1, -1), paths), atol=1e-5)


@variants
def test_untrained_it_forecasts_what_extrapolation_does(config: NetworkConfig) -> None:
    """Known at the same pixels but for those that an interpolation decides; as good where rain moves uniformly."""
    sequence = blobs(12, 96, 96, (2.0, 1.0))
    observed, coming = sequence[:, :4], sequence[:, 4:]
    valid = everywhere(observed)
    valid[:, :, :, 60:, 20:40] = False
    observed = observed * valid
    ours, theirs = (f(observed, valid, 8) for f in (ModelForecaster(build(config)), baseline("extrapolation")))
    assert (ours.isnan() == theirs.isnan()).float().mean() > 0.95
    both = ~(ours.isnan() | theirs.isnan())
    assert both.float().mean() > 0.5
    ours_error, their_error = ((f - coming)[both].abs().mean() for f in (ours, theirs))
    assert ours_error < 1.1 * their_error


@variants
def test_what_flows_in_is_unknown_not_dry(config: NetworkConfig) -> None:
    observed = blobs(4, 64, 64, (3.0, 0.0))
    forecast = ModelForecaster(shaken(build(config)))(observed, everywhere(observed), 5)
    unknown = forecast[0, :, 0, 8:56].isnan().float().mean(dim=1)  # of every column, away from the other borders
    assert (unknown[4, :10] > 0.9).all() and (unknown[:, 30:50] == 0).all()
    assert (unknown.sum(dim=1).diff() > 0).all()  # more flows in every minute


@variants
@pytest.mark.parametrize(("shape", "frames", "lead_steps"), [((41, 67), 3, 1), ((16, 16), 1, 7), ((9, 30), 5, 3)])
def test_any_size_and_any_number_of_frames(
    config: NetworkConfig, shape: tuple[int, int], frames: int, lead_steps: int
) -> None:
    observed = blobs(frames, *shape, (1.0, 0.0))
    forecast = ModelForecaster(shaken(build(config)))(observed, everywhere(observed), lead_steps)
    assert forecast.shape == (1, lead_steps, 1, *shape)
    known = forecast[~forecast.isnan()]
    assert len(known) and known.min() >= 0 and known.max() <= 1


@variants
def test_missing_and_dry_frames(config: NetworkConfig) -> None:
    model = ModelForecaster(shaken(build(config)))
    observed = blobs(5, 64, 64, (2.0, 0.0)).repeat(4, 1, 1, 1, 1)
    valid = everywhere(observed)
    valid[0, 1:3] = False  # a gap
    valid[1, 4] = False  # the last frame: the one before is carried on
    valid[2] = False  # nothing at all
    observed = observed * valid
    observed[3] = 0  # dry
    forecast = model(observed, valid, 4)
    assert not forecast[0, :, 0, 8:56, 24:56].isnan().any()
    assert not forecast[1, :, 0, 8:56, 30:56].isnan().any()
    assert forecast[2].isnan().all()
    assert not forecast[3].isnan().any()
    alone = model(observed[1:2], valid[1:2], 4)  # samples do not influence each other
    assert torch.allclose(alone, forecast[1:2], atol=1e-5, equal_nan=True)


def test_a_missing_last_frame_is_bridged() -> None:
    sequence = blobs(6, 80, 80, (3.0, 1.0))
    observed = sequence[:, :5].clone()
    valid = everywhere(observed)
    valid[:, 4], observed[:, 4] = False, 0
    forecast = ModelForecaster(build(VARIANTS[0]))(observed, valid, 1)[0, 0, 0]
    known = ~forecast.isnan()
    assert (forecast - sequence[0, 5, 0])[known].abs().max() < 0.1


def test_frames_are_aligned_at_the_issue_time() -> None:
    observed = blobs(4, 64, 64, (2.0, 1.0))
    motion = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 9, 9)
    aligned = align(observed, everywhere(observed), dense(displacements(motion, 3), (64, 64)))
    for frame, known in zip(aligned.frames[0, :, 0], aligned.known[0, :, 0], strict=True):
        assert torch.allclose(frame[known == 1], observed[0, -1, 0][known == 1], atol=1e-3)
    assert [float(k.mean()) for k in aligned.known[0]] == sorted(float(k.mean()) for k in aligned.known[0])


def test_the_latest_value_seen_counts() -> None:
    observed = torch.zeros(1, 3, 1, 4, 4)
    observed[0, :, 0] = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1)
    valid = everywhere(observed)
    valid[0, 2, 0, 0] = False
    valid[0, 1:, 0, 1] = False
    valid[0, :, 0, 2] = False
    aligned = align(observed * valid, valid, torch.zeros(1, 2, 2, 4, 4))
    assert np.allclose(aligned.latest[0, 0, :, 0], [0.4, 0.2, 0.0, 0.6])
    assert aligned.seen[0, 0, :, 0].tolist() == [True, True, False, True]


@variants
def test_every_weight_learns(config: NetworkConfig) -> None:
    model = shaken(build(config)).train()
    observed = blobs(3, 32, 32, (1.0, 0.0))
    forecast = model(observed, everywhere(observed), 2)
    (forecast - 0.5).square().mean().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert all("forecaster.0.input_to_hidden.weight" in name for name in still)  # this cell has no input


def test_memel_sits_in_the_gates() -> None:
    config = VARIANTS[0].model_copy(update={"memel": MemelConfig(late_start=0)})
    model = build(config).train()
    assert any(".memel." in name for name, _ in model.named_buffers())
    observed = blobs(3, 32, 32, (1.0, 0.0))
    for _ in range(3):
        model(observed, everywhere(observed), 2).sum().backward()
    counts = [value for name, value in model.named_buffers() if ".memel." in name]
    assert any(value.abs().sum() > 0 for value in counts)


def test_given_motion_is_the_found_one() -> None:
    model = shaken(build(VARIANTS[1]))
    observed = blobs(4, 64, 64, (2.0, 0.0))
    valid = everywhere(observed)
    found = model(observed, valid, 3)
    assert torch.equal(model(observed, valid, 3, observed_motion(observed, valid)), found)
    assert not torch.allclose(model(observed, valid, 3, torch.zeros(1, 2, 9, 9)), found)


def test_a_diverged_network_is_not_taken_for_unknown() -> None:
    model = build(VARIANTS[0])
    torch.nn.init.constant_(model.network.to_frame.bias, float("nan"))
    observed = blobs(3, 32, 32, (1.0, 0.0))
    with pytest.raises(NowcastError, match="diverged"):
        ModelForecaster(model)(observed, everywhere(observed), 2)
