import numpy as np
import pytest
import torch
from slow_scores import random_case

from nowcast.units import rain_rate_from_scaled
from nowcast.verification.ensemble import EnsembleScores


def ensemble_case(seed=0, members=4):
    _, observation, valid = random_case(seed)
    generator = torch.Generator().manual_seed(seed + 100)
    forecast = (observation + 0.2 * torch.randn(members, *observation.shape, generator=generator)).clamp(0, 1)
    return (forecast * 255).round() / 255, observation, valid  # 8-bit, so that ties occur


def scored(members, observation, valid):
    score = EnsembleScores(observation.shape[1], len(members))
    score.update(members, observation, valid)
    return score.dataset()


def test_crps_equals_a_double_loop_and_scores():
    members, observation, valid = ensemble_case()
    x, y = rain_rate_from_scaled(members), rain_rate_from_scaled(observation)
    crps = np.mean([np.abs(m - y) for m in x], axis=0) - np.mean([np.abs(a - b) for a in x for b in x], axis=0) / 2
    found = scored(members, observation, valid).crps
    for step in range(2):
        assert float(found[step]) == pytest.approx(crps[:, step][valid[:, step].numpy()].mean(), rel=1e-9)
    crps_for_ensemble = pytest.importorskip("scores.probability").crps_for_ensemble
    import xarray as xr

    usable = valid[:, 0].numpy()
    arrays = xr.DataArray(x[:, :, 0][:, usable], dims=("member", "pixel")), xr.DataArray(y[:, 0][usable], dims="pixel")
    assert float(found[0]) == pytest.approx(float(crps_for_ensemble(*arrays, "member", method="ecdf")), rel=1e-9)


def test_one_member_gives_the_absolute_error():
    members, observation, valid = ensemble_case(members=1)
    error = np.abs(rain_rate_from_scaled(members[0]) - rain_rate_from_scaled(observation))
    found = scored(members, observation, valid).crps
    assert float(found[1]) == pytest.approx(error[:, 1][valid[:, 1].numpy()].mean(), rel=1e-9)


def test_ranks_and_reliability_equal_loops():
    members, observation, valid = ensemble_case(1)
    found = scored(members, observation, valid)
    ranks = np.zeros((2, 5))
    forecasts, events = np.zeros((2, 5)), np.zeros((2, 5))
    rates, rate = rain_rate_from_scaled(members), rain_rate_from_scaled(observation)
    for b, step, _, r, c in valid.nonzero().tolist():
        x, y = members[:, b, step, 0, r, c], observation[b, step, 0, r, c]
        below, equal = int((x < y).sum()), int((x == y).sum())
        ranks[step, below : below + equal + 1] += 1 / (equal + 1)
        reaching = int((rates[:, b, step, 0, r, c] >= 2.0).sum())
        forecasts[step, reaching] += 1
        events[step, reaching] += rate[b, step, 0, r, c] >= 2.0
    np.testing.assert_allclose(found.rank_histogram, ranks / ranks.sum(1, keepdims=True), rtol=1e-9)
    at = found.sel(threshold=2.0)
    np.testing.assert_array_equal(at.reliability_count, forecasts)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(at.reliability, events / forecasts)


def test_merge_mask_and_nan():
    members, observation, valid = ensemble_case(2)
    whole, parts = EnsembleScores(2, 4), [EnsembleScores(2, 4) for _ in range(2)]
    whole.update(members, observation, valid)
    parts[0].update(members[:, :1].where(valid[:1], torch.nan), observation[:1], valid[:1])
    parts[1].update(members[:, 1:], observation[1:], valid[1:])
    found, expected = parts[0].merge(parts[1]).dataset(), whole.dataset()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10)
    with pytest.raises(ValueError, match="NaN"):
        whole.update(members * torch.nan, observation, valid)
    with pytest.raises(ValueError, match="expected \\(4, B"):
        whole.update(members[:3], observation, valid)
    empty = scored(members, observation, torch.zeros_like(valid))
    assert empty.crps.isnull().all() and empty.reliability.isnull().all()
