import numpy as np
import pytest
import torch

from nowcast.forecaster import Forecaster
from nowcast.models.extrapolation import Extrapolation
from nowcast.motion.advection import advect
from nowcast.motion.optical_flow import motion_field
from nowcast.units import rain_rate_from_scaled


def moving_rain(steps: int, east: float, south: float, size: int = 96) -> torch.Tensor:
    """Rain cells that move by (east, south) pixels a frame and keep their shape, (1, steps, 1, size, size)."""
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    frames = []
    for step in range(steps):
        field = np.zeros((size, size))
        for row, column, width, peak in ((30, 25, 5, 0.8), (50, 35, 7, 0.7), (34, 50, 4, 0.75), (62, 22, 5, 0.65)):
            distance = np.hypot(rows - row - south * step, columns - column - east * step)
            field += peak * np.exp(-0.5 * (distance / width) ** 2)
        frames.append(np.clip(field, 0, 1))
    return torch.from_numpy(np.stack(frames)).float()[None, :, None]


def everywhere(field):
    return torch.ones_like(field, dtype=torch.bool)


def test_is_a_forecaster():
    assert isinstance(Extrapolation(), Forecaster)


@pytest.mark.parametrize(("east", "south"), [(2.0, 0.0), (0.0, -1.5), (1.5, 1.0)])
def test_follows_uniform_motion_and_keeps_the_amount(east, south):
    rain = moving_rain(9, east, south)
    forecast = Extrapolation()(rain[:, :4], everywhere(rain[:, :4]), 5)
    known = forecast.isfinite()
    persistence_error = (rain[:, 3:4] - rain[:, 4:])[known].abs().mean()
    assert (forecast - rain[:, 4:])[known].abs().mean() < 0.25 * persistence_error
    amounts = rain_rate_from_scaled(forecast.nan_to_num()).sum((2, 3, 4))[0]
    before = rain_rate_from_scaled(rain[:, 3]).sum()
    np.testing.assert_allclose(amounts, before, rtol=0.05)


def test_uniform_advection_keeps_the_sum_exactly():
    field = np.zeros((40, 40), np.float32)
    field[10:20, 12:18] = np.random.default_rng(0).random((10, 6), np.float32)
    motion = np.broadcast_to(np.float32([1.3, 0.7]), (40, 40, 2))
    for step, moved in enumerate(advect(field, np.ones((40, 40), bool), motion, 8), 1):
        assert np.nansum(moved) == pytest.approx(float(field.sum()), rel=1e-5)
        rows, columns = np.nonzero(np.nan_to_num(moved) > 1e-6)
        assert columns.min() == int(12 + 1.3 * step) and rows.min() == int(10 + 0.7 * step)


def test_a_rotating_field_comes_round():
    rows, columns = np.mgrid[:64, :64].astype(np.float32) - 31.5
    motion = np.stack([-rows, columns], axis=-1) * np.float32(2 * np.pi / 60)
    blob = np.exp(-0.5 * (np.hypot(rows - 12, columns) / 3) ** 2).astype(np.float32)
    *_, last = advect(blob, np.ones((64, 64), bool), motion, 60)
    assert np.nanmax(np.abs(last - blob)) < 0.1


def test_what_comes_from_outside_or_from_unseen_pixels_is_unknown_not_dry():
    rain = moving_rain(4, 2.0, 0.0)
    seen = everywhere(rain)
    seen[..., 70:80, 40:50] = False
    forecast = Extrapolation()(rain, seen, 5)
    unknown = forecast[0, :, 0].isnan()
    for step in range(5):
        edge = unknown[step, 40].nonzero().flatten()
        assert edge[0] == 0 and abs(float(edge[-1]) + 1 - 2 * (step + 1)) <= 1  # inflow from the west
        block = unknown[step, 75, 30:].nonzero().flatten() + 30
        assert abs(float(block[0]) - (40 + 2 * (step + 1))) <= 1  # the blind spot is carried, not filled with dry
    assert not unknown[:, 10:60, 60:].any()


def test_a_missing_last_frame_is_bridged():
    rain = moving_rain(8, 2.0, 0.0)
    observed, seen = rain[:, :5].clone(), everywhere(rain[:, :5])
    observed[:, 4], seen[:, 4] = 0, False
    forecast = Extrapolation()(observed, seen, 3)
    known = forecast.isfinite()
    assert (forecast - rain[:, 5:])[known].abs().max() < 0.08


def test_poor_input():
    nothing = torch.zeros(1, 3, 1, 48, 48)
    assert Extrapolation()(nothing, ~everywhere(nothing), 2).isnan().all()
    assert (Extrapolation()(nothing, everywhere(nothing), 2) == 0).all()
    one = moving_rain(1, 0, 0)
    torch.testing.assert_close(Extrapolation()(one, everywhere(one), 1)[:, 0], one[:, 0], atol=1e-5, rtol=0)
    tiny = torch.rand(2, 3, 1, 7, 5)
    assert Extrapolation()(tiny, everywhere(tiny), 2).shape == (2, 2, 1, 7, 5)
    assert not motion_field(np.zeros((3, 32, 32), np.float32), np.ones((3, 32, 32), bool), np.arange(3)).any()


def test_sequences_of_a_batch_do_not_influence_each_other():
    pair = torch.cat([moving_rain(3, 2.0, 0.0), moving_rain(3, 0.0, -1.0)])
    together = Extrapolation()(pair, everywhere(pair), 2)
    alone = torch.cat([Extrapolation()(one[None], everywhere(one[None]), 2) for one in pair])
    assert torch.equal(together.nan_to_num(-1), alone.nan_to_num(-1))


@pytest.mark.parametrize("shape", [(17, 80), (31, 480), (24, 200)])
def test_low_wide_frames_survive_optical_flow(shape):
    frames = torch.rand((1, 3, 1, *shape), generator=torch.Generator().manual_seed(0))
    assert Extrapolation()(frames, everywhere(frames), 2).shape == (1, 2, 1, *shape)
