from math import gamma

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from nowcast.errors import NowcastError
from nowcast.verification.jackknife import block_hours, block_jackknife, block_sums, decorrelation_hours
from nowcast.verification.significance import (
    compare,
    paired_t,
    paired_t_over_runs_and_scores,
)


def test_the_papers_table_9():
    """t = −2.38 with 3 runs × {B-MAE, B-MSE}: 5 degrees of freedom give the printed 0.06."""
    differences = np.array([-3.0, -12.0, -1.0, -14.0, -6.0, -9.0])
    differences = (differences - differences.mean()) / differences.std(ddof=1) * np.sqrt(6) / 2.38 - 1  # t = −2.38
    original = np.array([[1003.4, 309.9], [1003.5, 310.0], [1003.2, 309.8]])
    test = paired_t_over_runs_and_scores(original + differences.reshape(3, 2) * 8.2, original)
    assert test.degrees_of_freedom == 5
    assert test.t == pytest.approx(-2.38) and test.p_value == pytest.approx(0.063, abs=5e-4)
    assert test.difference == pytest.approx(-8.2)
    with pytest.raises(ValueError, match=r"\(runs, scores\)"):
        paired_t_over_runs_and_scores([1, 2], [3, 4])


def test_paired_t_is_the_formula():
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    test, d = paired_t(a, b), a - b
    t = d.mean() / np.sqrt(((d - d.mean()) ** 2).sum() / 8 / 9)
    assert (test.difference, test.t, test.degrees_of_freedom) == (pytest.approx(d.mean()), pytest.approx(t), 8)
    assert test.p_value == pytest.approx(2 * integrate.quad(lambda x: student(x, 8), abs(t), np.inf)[0])
    assert np.isnan(paired_t([1.0], [2.0]).p_value) and np.isnan(paired_t([1.0, 2.0], [2.0, 3.0]).t)


def student(x: float, freedom: int) -> float:
    """Density of Student's t."""
    scale = gamma((freedom + 1) / 2) / gamma(freedom / 2) / np.sqrt(freedom * np.pi)
    return scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)


def test_block_sums():
    assert block_sums([[1, 10], [2, 20], [4, 40]], ["b", "a", "b"]).tolist() == [[2, 20], [5, 50]]


def ratio(total: np.ndarray) -> np.ndarray:
    return total[..., 0] / total[..., 1]


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(1).normal(3, 2, size=12)
    found = block_jackknife(ratio, np.stack([values, np.ones_like(values)], axis=1))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found == (pytest.approx(values.mean()), pytest.approx(expected.low), pytest.approx(expected.high))
    assert np.isnan(block_jackknife(ratio, np.ones((2, 2)))[1:]).all()  # two blocks tell nothing of their spread
    undefined = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]])  # without the last block there is no ratio
    with np.errstate(divide="ignore"):
        assert np.isnan(block_jackknife(ratio, undefined)[1:]).all()


@pytest.mark.parametrize("memory", [1.0, 3.0, 6.0])
def test_how_long_errors_remember(memory):
    generator, step, count = np.random.default_rng(3), 0.5, 20000
    decay = np.exp(-step / memory)
    series = np.zeros(count)
    for k in range(1, count):
        series[k] = decay * series[k - 1] + generator.normal()
    times = np.datetime64("2018-07-01") + (np.arange(count) * round(step * 3600)).astype("timedelta64[s]")
    assert decorrelation_hours(series, times) == pytest.approx(memory, rel=0.15)
    shuffled = generator.permutation(count)
    assert decorrelation_hours(series[shuffled], times[shuffled]) == decorrelation_hours(series, times)
    assert decorrelation_hours(np.ones(5), times[:5]) == decorrelation_hours([], []) == 24


def test_blocks_are_no_shorter_than_memory():
    generator = np.random.default_rng(5)
    week = np.datetime64("2018-07-01T00") + np.arange(24 * 14).astype("timedelta64[h]")
    assert block_hours(generator.normal(size=len(week)), week) == 24  # 14 days
    assert block_hours(generator.normal(size=60), week[:60]) == 6  # ten blocks of six hours
    slow = np.repeat(generator.normal(size=6), 10)  # the same for ten hours each
    assert block_hours(slow, week[:60]) >= 6


def window_scores(days: int, windows: int = 24, better: float = 0.0, noise: float = 1.0) -> xr.Dataset:
    """Two forecasters whose difference has a random part common to all windows of a day."""
    generator = np.random.default_rng(0)
    hours = np.arange(days * windows) * np.timedelta64(24 // windows, "h") + np.datetime64("2018-07-01T00")
    by_day = np.repeat(generator.normal(0, noise, days), windows)
    base = generator.gamma(2, 100, (days * windows, 3))
    mse = np.stack([base - better + by_day[:, None], base])
    counts = generator.integers(5, 50, (4, 2, days * windows, 3, 1))
    names = ("hits", "misses", "false_alarms", "correct_negatives")
    dims = ("forecaster", "issue_time", "lead_time", "threshold")
    return xr.Dataset(
        {
            "window_balanced_mse": (dims[:3], mse),
            **{f"window_{name}": (dims, count) for name, count in zip(names, counts, strict=True)},
        },
        {"forecaster": ["new", "old"], "issue_time": hours, "lead_time": [1, 2, 3], "threshold": [2.0]},
    )


def test_windows_of_one_day_are_one_case():
    scores = window_scores(days=12)
    by_day = compare(scores, "new", "old")  # errors remember all of a day, and are found to
    by_window = compare(scores, "new", "old", block=np.timedelta64(1, "h"))
    assert (by_day.blocks, by_day.windows, by_window.blocks, by_day.block_hours) == (12, 288, 288, 24)
    assert by_day.difference == pytest.approx(by_window.difference)
    assert by_day.high - by_day.low > 3 * (by_window.high - by_window.low)  # √24 ≈ 4.9 too sure otherwise
    assert compare(window_scores(12, better=5.0), "new", "old").significant is True
    assert by_day.low < 0 < by_day.high and by_day.significant is False


def test_one_day_cannot_tell():
    one = compare(window_scores(days=1), "new", "old")
    assert one.blocks == 1 and np.isnan(one.low) and one.significant is None


def test_categorical_scores_are_compared_by_their_counts():
    scores = window_scores(days=6)
    found = compare(scores, "new", "old", "csi", threshold=2.0)
    counts = {n: scores[f"window_{n}"].sum("issue_time") for n in ("hits", "misses", "false_alarms")}
    csi = (counts["hits"] / sum(counts.values())).mean("lead_time").squeeze()
    assert found.difference == pytest.approx(float(csi.sel(forecaster="new") - csi.sel(forecaster="old")))
    assert found.low < found.difference < found.high
    swapped = compare(scores, "old", "new", "csi", threshold=2.0)
    assert swapped.difference == pytest.approx(-found.difference)


def test_errors_name_what_there_is():
    scores = window_scores(days=2)
    with pytest.raises(NowcastError, match="only new, old"):
        compare(scores, "best", "old")
    with pytest.raises(NowcastError, match="no threshold 3 mm/h, only 2"):
        compare(scores, "new", "old", "csi", threshold=3.0)
    with pytest.raises(NowcastError, match="choose of balanced_mse"):
        compare(scores, "new", "old", "csi")
