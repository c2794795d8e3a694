"""FSS, SSIM and GDL against slow loops and, where there is one, a published library."""

import numpy as np
import pytest
import torch
from slow_scores import rain_rate as slow_rain_rate
from slow_scores import random_case

from nowcast.verification.fss import FractionsSkill
from nowcast.verification.gradient import GradientDifference
from nowcast.verification.ssim import StructuralSimilarity


def as_arrays(field):
    return field[:, :, 0].double().numpy()


def slow_fss(forecast, observation, valid, threshold, window, step):
    difference = reference = 0.0
    half = window // 2
    for b in range(len(forecast)):
        f, o, v = as_arrays(forecast)[b, step], as_arrays(observation)[b, step], valid[b, step, 0].numpy()
        events = [np.vectorize(slow_rain_rate)(field) >= threshold for field in (f, o)]
        for r, c in zip(*np.nonzero(v), strict=True):
            near = np.s_[max(r - half, 0) : r + half + 1, max(c - half, 0) : c + half + 1]
            a, b = (e[near][v[near]].mean() for e in events)
            difference += (a - b) ** 2
            reference += a**2 + b**2
    return 1 - difference / reference


@pytest.mark.parametrize("window", [1, 3, 7, 25])
def test_fss_equals_a_loop_over_valid_neighbors(window):
    fields = random_case(0)
    score = FractionsSkill(2, (2.0, 10.0), (window,))
    score.update(*fields)
    for step in range(2):
        for k, threshold in enumerate((2.0, 10.0)):
            expected = slow_fss(*fields, threshold, window, step)
            assert score.dataset().fss.values[step, k, 0] == pytest.approx(expected, rel=1e-6)


def test_fss_equals_scores_where_both_are_defined():
    fss_2d = pytest.importorskip("scores.spatial").fss_2d
    import xarray as xr

    forecast, observation, _ = random_case(1, 1, 1, 40, 40)
    border = torch.ones(40, 40, dtype=torch.bool)
    border[8:-8, 8:-8] = False
    forecast, observation = forecast.masked_fill(border, 0), observation.masked_fill(border, 0)
    edge = np.float64(0.39 + 0.0666)  # any threshold between two 8-bit codes will do for both
    score = FractionsSkill(1, (slow_rain_rate(edge),), (7,))
    score.update(forecast, observation, torch.ones_like(forecast, dtype=torch.bool))
    fields = (xr.DataArray(field[0, 0, 0].double().numpy(), dims=("y", "x")) for field in (forecast, observation))
    expected = fss_2d(*fields, event_threshold=edge, window_size=(7, 7), spatial_dims=("y", "x"), zero_padding=True)
    assert float(score.dataset().fss.squeeze()) == pytest.approx(float(expected), rel=1e-6)


def test_fss_of_nothing_is_undefined_and_of_a_perfect_forecast_one():
    _, observation, valid = random_case(2)
    score = FractionsSkill(2, (2.0, 1000.0))
    score.update(observation, observation, valid)
    np.testing.assert_allclose(score.dataset().fss.sel(threshold=2.0), 1)
    assert score.dataset().fss.sel(threshold=1000.0).isnull().all()
    with pytest.raises(ValueError, match="odd"):
        FractionsSkill(1, windows=(4,))


def slow_ssim(f, o, v):
    offsets = range(-5, 6)
    kernel = {(i, j): np.exp(-0.5 * (i**2 + j**2) / 1.5**2) for i in offsets for j in offsets}
    values = []
    for r, c in zip(*np.nonzero(v), strict=True):
        w, x, y = [], [], []
        for (i, j), weight in kernel.items():
            if 0 <= r + i < f.shape[0] and 0 <= c + j < f.shape[1] and v[r + i, c + j]:
                w.append(weight)
                x.append(f[r + i, c + j])
                y.append(o[r + i, c + j])
        w, x, y = np.array(w) / np.sum(w), np.array(x), np.array(y)
        mx, my = w @ x, w @ y
        sx, sy, sxy = w @ (x - mx) ** 2, w @ (y - my) ** 2, w @ ((x - mx) * (y - my))
        c1, c2 = 1e-4, 9e-4
        values.append((2 * mx * my + c1) * (2 * sxy + c2) / ((mx**2 + my**2 + c1) * (sx + sy + c2)))
    return np.mean(values)


def test_ssim_equals_a_loop_over_valid_pixels():
    forecast, observation, valid = random_case(3, 2, 1, 14, 17)
    score = StructuralSimilarity(1)
    score.update(forecast, observation, valid)
    expected = np.mean(
        [slow_ssim(as_arrays(forecast)[b, 0], as_arrays(observation)[b, 0], valid[b, 0, 0].numpy()) for b in range(2)]
    )
    assert score.dataset().ssim.item() == pytest.approx(expected, rel=1e-4)


def test_ssim_leaves_out_frames_that_were_never_seen():
    forecast, observation, valid = random_case(4)
    one, both = StructuralSimilarity(2), StructuralSimilarity(2)
    one.update(forecast[:1], observation[:1], valid[:1])
    valid[1] = False
    both.update(forecast[:2], observation[:2], valid[:2])
    np.testing.assert_array_equal(one.dataset().ssim, both.dataset().ssim)


def test_gdl_equals_a_loop():
    forecast, observation, valid = random_case(5)
    score = GradientDifference(2)
    score.update(forecast, observation, valid)
    for step in range(2):
        total = 0.0
        for b in range(len(forecast)):
            f, o, v = (as_arrays(field)[b, step] for field in (forecast, observation, valid))
            for r, c in np.ndindex(f.shape):
                for r2, c2 in ((r + 1, c), (r, c + 1)):
                    if r2 < f.shape[0] and c2 < f.shape[1] and v[r, c] and v[r2, c2]:
                        total += abs(abs(o[r2, c2] - o[r, c]) - abs(f[r2, c2] - f[r, c]))
        assert score.dataset().gdl.values[step] == pytest.approx(total / len(forecast), rel=1e-6)


@pytest.mark.parametrize("make", [FractionsSkill, StructuralSimilarity, GradientDifference])
def test_stream_merge_mask_and_nan(make):
    forecast, observation, valid = random_case(6, sequences=4)
    whole, parts = make(2), [make(2), make(2)]
    whole.update(forecast, observation, valid)
    parts[0].update(forecast[:3].where(valid[:3], torch.nan), observation[:3], valid[:3])
    parts[1].update(forecast[3:], observation[3:].where(valid[3:], torch.inf), valid[3:])
    for name, expected in whole.dataset().items():
        np.testing.assert_allclose(parts[1].merge(parts[0]).dataset()[name], expected, rtol=1e-10)
        parts[1].reset()
        assert parts[1].dataset()[name].isnull().all()
    empty = make(2)
    empty.update(forecast, observation, torch.zeros_like(valid))
    assert all(score.isnull().all() for score in empty.dataset().values())
    with pytest.raises(ValueError, match="NaN"):
        whole.update(forecast * torch.nan, observation, valid)
