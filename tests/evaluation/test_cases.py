import numpy as np
import pytest
from worlds import moving_world, windows_of

from nowcast.evaluation import case_fields, choose_cases, score_forecasters
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.persistence import Persistence
from nowcast.units import rain_rate_from_scaled
from nowcast.verification.categorical import csi


@pytest.fixture(scope="module")
def world():
    windows = windows_of(moving_world(count=90), range(0, 80, 4), stride=4)
    forecasters = {"extrapolation": Extrapolation(), "persistence": Persistence()}
    return windows, forecasters, score_forecasters(forecasters, windows, families=("basic",))


def test_cases_are_the_heaviest_and_the_best_median_and_worst_of_the_rainy_half(world):
    _, _, scores = world
    chosen = choose_cases(scores)
    assert list(chosen) == ["heaviest", "best", "worst", "median"] and len(set(chosen.values())) == 4
    rain = scores.window_rain_rate.mean("lead_time")
    assert chosen["heaviest"] == scores.issue_time.values[int(rain.values.argmax())]
    first = scores.isel(forecaster=0).sel(threshold=2.0)
    quality = csi(*(first[f"window_{n}"].sum("lead_time") for n in ("hits", "misses", "false_alarms")))
    at = {time: value for time, value in zip(scores.issue_time.values, quality, strict=True)}
    rainy = [
        at[t]
        for t, r in zip(scores.issue_time.values, rain.values, strict=True)
        if r >= np.quantile(rain, 0.5) and t != chosen["heaviest"]
    ]
    assert at[chosen["best"]] == max(rainy) and at[chosen["worst"]] == min(rainy)
    assert min(rainy) < at[chosen["median"]] < max(rainy)


def test_no_cases_without_rain_to_look_at(world):
    windows, forecasters, _ = world
    clips = moving_world()
    clips.seen[:] = False
    dark = score_forecasters({"persistence": Persistence()}, windows_of(clips, (0, 5)), families=("basic",))
    assert choose_cases(dark) == {}
    single = score_forecasters(forecasters, windows_of(windows.clips, (0,)), families=("basic",))
    assert list(choose_cases(single)) == ["heaviest"]


@pytest.mark.parametrize("protocol", ["fixed", "online"])
def test_case_fields_are_what_was_forecast_in_mm_per_hour(world, protocol):
    windows, forecasters, scores = world
    chosen = choose_cases(scores)
    fields = case_fields(forecasters, windows, chosen, protocol)
    assert fields.case.values.tolist() == list(chosen)
    assert fields.forecast.dims == ("forecaster", "case", "lead_time", "y", "x")
    sequence = windows.clips.sequence([chosen["best"].astype("datetime64[s]") - 2 * windows.interval], 3, 4)
    best = fields.sel(case="best")
    np.testing.assert_allclose(best.observation, rain_rate_from_scaled(sequence.observation[0, :, 0]), rtol=1e-5)
    expected = Extrapolation()(sequence.observed, sequence.observed_valid, 4)[0, :, 0]
    found = best.forecast.sel(forecaster="extrapolation")
    np.testing.assert_allclose(found, rain_rate_from_scaled(expected), rtol=1e-5)
    assert best.observed.isnull().sum() > 0 and float(best.observed_time[-1]) == 0
    np.testing.assert_array_equal(best.valid, sequence.valid[0, :, 0])
