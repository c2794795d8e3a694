"""The verdict in words, on scores whose truth is known by hand."""

import numpy as np
import pytest
import xarray as xr

from nowcast.evaluation.verdict import verdict
from nowcast.verification import compare

MINUTES = np.array([6, 12, 18], "timedelta64[m]").astype("timedelta64[ns]")


def scores_of(days: int, gains: tuple[float, float, float]) -> xr.Dataset:
    """Extrapolation errs by about 100 per lead time, the network by that less `gains`, with a little noise."""
    noise = np.random.default_rng(0)
    windows = days * 4
    reference = 100 + noise.normal(0, 5, (windows, 3))
    network = reference - np.array(gains) + noise.normal(0, 2, (windows, 3))
    by_window = np.stack([network, reference])
    times = np.datetime64("2018-07-01T00:00", "ns") + np.arange(windows) * np.timedelta64(6, "h")
    both = {name: (("forecaster", "issue_time", "lead_time"), by_window) for name in
            ("window_balanced_mse", "window_balanced_mae")}  # fmt: skip
    means = {name: (("forecaster", "lead_time"), by_window.mean(1)) for name in ("balanced_mse", "balanced_mae")}
    return xr.Dataset({**both, **means}, {"forecaster": ["net", "extrapolation"], "issue_time": times,
                                          "lead_time": MINUTES, "threshold": np.zeros(0)})  # fmt: skip


def test_from_which_lead_time_on_and_by_how_much():
    scores = scores_of(20, (-10.0, 10.0, 20.0))
    said = verdict(scores)
    assert "B-MSE better from +12 min on, by -1" in said and "B-MAE better from +12 min on" in said
    found = compare(scores.isel(lead_time=[1, 2]), "net", "extrapolation")
    mean = float(scores.balanced_mse.sel(forecaster="extrapolation").isel(lead_time=[1, 2]).mean())
    assert f"by {100 * found.difference / mean:+.0f} % ({100 * found.low / mean:+.0f} … " in said
    rows = [line for line in said.splitlines() if line.startswith("| +")]
    assert [("**" in row) for row in rows] == [False, True, True]


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ((10.0, 10.0, 10.0), "B-MSE better at every lead time"),
        ((-10.0, -10.0, -10.0), "B-MSE not shown to be better at the last lead time, worse at 3 of 3 lead times"),
        ((10.0, 10.0, 0.0), "B-MSE not shown to be better at the last lead time"),
    ],
)
def test_words(gains, words):
    assert words in verdict(scores_of(20, gains))


def test_too_few_days_give_no_verdict_and_references_are_not_judged():
    one = scores_of(1, (10.0, 10.0, 10.0)).isel(issue_time=[0, 1])
    assert "No verdict on net against extrapolation" in verdict(one) and "better" not in verdict(one)
    assert verdict(scores_of(20, (1.0, 1.0, 1.0)).sel(forecaster=["extrapolation"])) == ""
