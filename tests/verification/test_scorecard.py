import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_scores import random_case, slow_scores

from nowcast.units import THRESHOLDS
from nowcast.verification import Scorecard


def assert_equals_slow(forecast, observation, valid, thresholds=THRESHOLDS):
    card = Scorecard(forecast.shape[1], thresholds)
    card.update(forecast, observation, valid)
    scores = card.dataset()
    for step, expected in enumerate(slow_scores(forecast, observation, valid, thresholds)):
        for name, value in expected.items():
            name, *threshold = name.split()
            found = scores[name].isel(lead_time=step)
            if threshold:
                found = found.sel(threshold=float(threshold[0]))
            np.testing.assert_allclose(float(found), value, rtol=1e-6, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_float64_loop(seed):
    assert_equals_slow(*random_case(seed))


@pytest.mark.parametrize("thresholds", [(), (1.0,), (30.0, 0.1, 2.0), tuple(np.linspace(0.2, 60, 17))])
def test_any_thresholds(thresholds):
    assert_equals_slow(*random_case(7), thresholds)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 31), (40, 40)])
def test_any_frame_size_including_whole_and_partial_blocks(size):
    assert_equals_slow(*random_case(3, 2, 1, *size))


def test_all_dry_is_perfect_and_its_categorical_scores_are_undefined():
    dry = torch.zeros(2, 3, 1, 8, 8)
    card = Scorecard(3)
    card.update(dry, dry, torch.ones_like(dry, dtype=torch.bool))
    scores = card.dataset()
    for name in ("balanced_mse", "balanced_mae", "mse", "mae"):
        assert (scores[name] == 0).all()
    for name in ("csi", "hss", "pod", "far", "gss", "frequency_bias"):
        assert scores[name].isnull().all()
    assert (scores.correct_negatives == 2 * 64).all()


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("level", [0.0, 0.39, 0.7, 1.0])
def test_constant_and_all_missing(level, valid):
    observation = torch.full((2, 1, 1, 6, 7), level)
    mask = torch.full_like(observation, valid, dtype=torch.bool)
    assert_equals_slow(observation * 0 + 0.5, observation, mask)
    if not valid:
        card = Scorecard(1)
        card.update(observation, observation, mask)
        scores = card.dataset()
        assert all(scores[name].isnull().all() for name in scores if scores[name].dtype == float)


def test_events_are_those_of_the_float64_definition_for_every_code():
    codes = torch.arange(256).float().reshape(1, 1, 1, 16, 16) / 255
    for field in (codes, torch.nextafter(codes, torch.tensor(0.0)), torch.nextafter(codes, torch.tensor(2.0))):
        assert_equals_slow(field, codes, torch.ones_like(codes, dtype=torch.bool), np.linspace(0.1, 90, 40))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 5), back=st.booleans())
def test_merging_parts_equals_one_pass(seed, cut, back):
    fields = random_case(seed, sequences=5)
    whole, first, second = (Scorecard(2) for _ in range(3))
    whole.update(*fields)
    first.update(*(f[:cut] for f in fields))
    second.update(*(f[cut:] for f in fields))
    merged = (second.merge(first) if back else first.merge(second)).dataset()
    expected = whole.dataset()
    for name in expected:
        np.testing.assert_allclose(merged[name], expected[name], rtol=1e-12, err_msg=name)


def test_masked_pixels_do_not_matter_even_when_not_finite():
    forecast, observation, valid = random_case(1)
    card, other = Scorecard(2), Scorecard(2)
    card.update(forecast, observation, valid)
    other.update(forecast.where(valid, torch.nan), observation.where(valid, torch.inf), valid)
    assert card.dataset().identical(other.dataset())


def test_nan_at_a_valid_pixel_is_an_error_and_leaves_the_card_as_it_was():
    forecast, observation, _ = random_case(1)
    everywhere = torch.ones_like(forecast, dtype=torch.bool)
    card = Scorecard(2)
    broken = forecast.clone()
    broken[2, 1, 0, 4, 4] = torch.nan
    with pytest.raises(ValueError, match=r"forecast holds NaN .*sequence 2, lead step 2"):
        card.update(broken, observation, everywhere)
    with pytest.raises(ValueError, match="observation holds NaN"):
        card.update(forecast, broken, everywhere)
    assert int(card.dataset().sequences.sum()) == 0


def test_other_dtypes_and_layouts():
    forecast, observation, valid = random_case(5)
    expected, found = Scorecard(2), Scorecard(2)
    half = forecast.bfloat16()
    expected.update(half.float(), observation, valid)
    strided = observation.transpose(3, 4).contiguous().transpose(3, 4)
    found.update(half.requires_grad_(), strided.double(), valid)
    assert expected.dataset().identical(found.dataset())


def test_wrong_input_is_refused():
    forecast, observation, valid = random_case(0)
    card = Scorecard(2)
    with pytest.raises(ValueError, match="expected torch.bool"):
        card.update(forecast, observation, valid.float())
    with pytest.raises(ValueError, match="observation has shape"):
        card.update(forecast, observation[:1], valid)
    with pytest.raises(ValueError, match="expected 4"):
        Scorecard(4).update(forecast, observation, valid)
    with pytest.raises(ValueError, match="cannot merge"):
        card.merge(Scorecard(2, (1.0,)))
    with pytest.raises(ValueError, match="above 0"):
        Scorecard(2, (0.0,))


def test_lead_time_coordinate_and_reset():
    card = Scorecard(2, frame_interval=np.timedelta64(360, "s"))
    card.update(*random_case(0))
    assert card.dataset().lead_time.values.tolist() == [6 * 60 * 10**9, 12 * 60 * 10**9]
    card.reset()
    assert int(card.dataset().sequences.sum()) == 0
    assert Scorecard(2).dataset().lead_time.values.tolist() == [1, 2]


def test_where_nothing_can_be_cached_the_pass_is_compiled_all_the_same(monkeypatch):
    import numba

    from nowcast.verification import joint

    compile_with = numba.njit

    def nowhere_to_write(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_with(**options)

    monkeypatch.setattr(numba, "njit", nowhere_to_write)
    joint._kernel.cache_clear()
    try:
        assert_equals_slow(*random_case(8))
    finally:
        joint._kernel.cache_clear()


def test_float64_fields_are_scored_in_float64():
    from nowcast.units import exact_threshold

    generator = torch.Generator().manual_seed(1)
    observation = torch.rand(2, 1, 1, 9, 9, generator=generator, dtype=torch.float64)
    forecast = observation + 1e-5 * torch.randn(2, 1, 1, 9, 9, generator=generator, dtype=torch.float64)
    for place, rate in enumerate((0.5, 2, 5, 10, 30)):
        observation[0, 0, 0, 0, place] = forecast[0, 0, 0, 0, place] = exact_threshold(rate)
    card = Scorecard(1)
    card.update(forecast, observation, torch.ones_like(observation, dtype=torch.bool))
    scores = card.dataset().isel(lead_time=0)
    weights = np.ones(observation.shape)
    for rate, weight in zip((2, 5, 10, 30), (2, 5, 10, 30), strict=True):
        weights[observation.numpy() >= exact_threshold(rate)] = weight
    d = (forecast - observation).numpy()
    assert float(scores.balanced_mse) == pytest.approx((weights * d**2).sum() / 2, rel=1e-9)
    assert float(scores.balanced_mae) == pytest.approx((weights * abs(d)).sum() / 2, rel=1e-9)
    for rate in (0.5, 2, 5, 10, 30):
        reached = (forecast.numpy() >= exact_threshold(rate)) & (observation.numpy() >= exact_threshold(rate))
        assert int(scores.hits.sel(threshold=rate)) == reached.sum()
