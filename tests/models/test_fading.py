import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nowcast.forecaster import Forecaster
from nowcast.losses import balanced_errors
from nowcast.models.baselines import baseline
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.fading import GAP_PULL, Fading, _out_of_the_gap
from nowcast.models.hindcast import Fade, changed, fitted, trend, weights
from nowcast.models.local_mean import LocalMean


def everywhere(field):
    return torch.ones_like(field, dtype=torch.bool)


def rain(steps: int, noise: float, seed: int = 0, size: int = 96, south: int = 2) -> torch.Tensor:
    """Rain that moves south, a part `noise` of which is new in every frame: scaled, (1, steps, 1, size, size)."""
    drawn = np.random.default_rng(seed)
    steady = gaussian_filter(drawn.standard_normal((size, size)), 5, mode="wrap")
    fleeting = drawn.standard_normal((steps, size, size))
    frames = []
    for step in range(steps):
        whim = gaussian_filter(fleeting[step], 2, mode="wrap")
        field = np.roll(steady / steady.std(), south * step, axis=0) + noise * whim / whim.std()
        frames.append(np.clip(0.25 + 0.2 * field, 0, 1))
    return torch.from_numpy(np.stack(frames)).float()[None, :, None]


def test_is_a_baseline():
    assert isinstance(baseline("fading"), Fading) and isinstance(Fading(), Forecaster)


@pytest.mark.parametrize("seed", range(3))
def test_beats_extrapolation_where_rain_is_fleeting(seed):
    frames = rain(11, 0.7, seed)
    errors = {}
    for name, forecaster in (("plain", Extrapolation()), ("fading", Fading())):
        forecast = forecaster(frames[:, :5], everywhere(frames[:, :5]), 6)
        errors[name] = torch.stack(balanced_errors(forecast, frames[:, 5:], forecast.isfinite())).sum(2)
    assert (errors["fading"] < 0.95 * errors["plain"]).all()


def test_what_only_moves_hardly_fades():
    frames = rain(11, 0.0)
    forecast = Fading()(frames[:, :5], everywhere(frames[:, :5]), 3)
    plain = Extrapolation()(frames[:, :5], everywhere(frames[:, :5]), 3)
    known = plain.isfinite()
    assert (forecast - plain)[known].abs().mean() < 0.02


def test_knows_what_extrapolation_knows_gaps_and_blind_spots_too():
    frames = rain(6, 0.4)
    seen = everywhere(frames)
    seen[..., 30:45, 50:60] = False
    for missing in ([], [5], [2, 3], [3, 4, 5], [0, 1, 2, 3, 4], list(range(6))):
        valid = seen.clone()
        valid[:, missing] = False
        forecast, plain = (f(frames * valid, valid, 3) for f in (Fading(), Extrapolation()))
        assert torch.equal(forecast.isnan(), plain.isnan())
        assert ((forecast >= 0) & (forecast <= 1) | forecast.isnan()).all()


def test_a_missing_last_frame_is_bridged():
    frames = rain(9, 0.0)
    observed, seen = frames[:, :6].clone(), everywhere(frames[:, :6])
    observed[:, 5], seen[:, 5] = 0, False
    forecast = Fading()(observed, seen, 3)
    known = forecast.isfinite()
    assert (forecast - frames[:, 6:])[known].abs().mean() < 0.25 * (frames[:, 4:5] - frames[:, 6:])[known].abs().mean()


@pytest.mark.parametrize("shape", [(1, 5, 1, 7, 5), (1, 1, 1, 64, 64), (1, 3, 1, 31, 80)])
def test_little_to_go_by_is_extrapolated(shape):
    frames = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    forecast, plain = (f(frames, everywhere(frames), 3) for f in (Fading(), Extrapolation()))
    torch.testing.assert_close(forecast, plain, equal_nan=True, rtol=0, atol=0)


def test_dry_stays_dry_and_sequences_of_a_batch_do_not_influence_each_other():
    both = torch.cat([rain(5, 0.5), torch.zeros(1, 5, 1, 96, 96)])
    together = Fading()(both, everywhere(both), 2)
    assert not together[1].any()
    assert torch.equal(together[:1].nan_to_num(-1), Fading()(both[:1], everywhere(both[:1]), 2).nan_to_num(-1))


@given(st.integers(0, 100), st.floats(1, 6), st.integers(5, 40), st.integers(5, 40))
@settings(max_examples=20, deadline=None)
def test_local_means_are_weighted_gaussian_means(seed, width, height, columns):
    drawn = np.random.default_rng(seed)
    field = drawn.random((height, columns), np.float32)
    weight = (drawn.random((height, columns)) < 0.7) * drawn.choice([1, 2, 30], (height, columns)).astype(np.float32)
    mean = LocalMean(field.shape, 6.0)
    made = mean.of(mean.transform(field * weight), mean.transform(weight), width)
    blurred = [gaussian_filter(np.float64(f), width, mode="constant", truncate=12) for f in (field * weight, weight)]
    near = blurred[1] > 1e-2
    np.testing.assert_allclose(made[near], (blurred[0] / np.where(near, blurred[1], 1))[near], atol=5e-3)
    assert made.min() >= -1e-3 and made.max() <= field.max() + 1e-3


def test_hindcasts_find_how_much_is_fleeting():
    def fade(noise: float) -> Fade:
        frames = rain(5, noise, size=128, south=0)[0, :, 0].numpy()
        return fitted({age: (frames[-1 - age], np.ones(frames.shape[1:], bool)) for age in range(5)})

    assert fade(1.0).spread > fade(0.3).spread > fade(0.0).spread
    assert fitted({0: (np.ones((40, 40), np.float32), np.ones((40, 40), bool))}) == Fade()


def test_hindcasts_find_steady_growth():
    shape = gaussian_filter(np.random.default_rng(3).standard_normal((128, 128)), 6)
    shape = np.clip(shape / shape.max(), 0, 1)
    everywhere_seen = np.ones(shape.shape, bool)
    growing = {age: (np.float32(shape * (0.7 - 0.1 * age)), everywhere_seen) for age in range(5)}
    found = fitted(growing)
    assert found.tendency >= 0.75
    later = changed(*growing[0], trend(growing, 0), found, 1)
    assert np.abs(later - shape * 0.8).mean() < np.abs(growing[0][0] - shape * 0.8).mean()


def test_a_trend_is_shared_over_the_intervals_of_a_gap():
    ones = np.ones((50, 50), np.float32)
    seen = ones > 0
    aligned = {0: (0.6 * ones, seen), 3: (0.3 * ones, seen)}
    np.testing.assert_allclose(trend(aligned, 0), 0.1, atol=1e-5)
    assert not trend(aligned, 3).any()
    assert not trend({0: (ones, seen), 1: (ones, ~seen)}, 0).any()


def test_values_leave_the_gap_below_the_weakest_echo():
    field = np.float32([0.0, 0.05, 0.15, 0.2, 0.5])
    moved = _out_of_the_gap(field, 0.2)
    np.testing.assert_allclose(moved, [0, 0.05 * (1 - GAP_PULL), 0.15 + GAP_PULL * 0.05, 0.2, 0.5], atol=1e-6)
    assert weights(field[None], np.array([[True, True, True, True, False]])).tolist() == [[1, 1, 1, 1, 0]]
