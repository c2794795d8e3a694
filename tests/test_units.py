"""Units: published numbers, round trips, and thresholds that count what float64 counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.units import (
    HKO7_SCALE,
    HKO7_ZR,
    THRESHOLDS,
    ZRRelation,
    rain_rate_from_scaled,
    scaled_from_rain_rate,
    scaled_threshold,
)


def test_zr_by_hand() -> None:
    # dBZ = 10 log10(58.53) + 15.6 log10(R): at R = 1 mm/h only the constant is left, at 10 it gains 15.6 dB.
    assert HKO7_ZR.reflectivity(1.0) == pytest.approx(17.6738, abs=1e-4)
    assert HKO7_ZR.reflectivity(10.0) == pytest.approx(33.2738, abs=1e-4)


@given(st.floats(1e-3, 300), st.floats(10, 400), st.floats(1.0, 2.5))
def test_zr_round_trip(rate: float, a: float, b: float) -> None:
    zr = ZRRelation(a, b)
    assert zr.rain_rate(zr.reflectivity(rate)) == pytest.approx(rate, rel=1e-12)


def test_codes_round_trip() -> None:
    codes = np.arange(256, dtype=np.uint8)
    scaled = HKO7_SCALE.decode(codes)
    assert np.array_equal(HKO7_SCALE.encode(scaled), codes)
    assert np.array_equal(HKO7_SCALE.encode(HKO7_SCALE.scale(HKO7_SCALE.reflectivity(scaled))), codes)


def test_no_echo_is_no_rain_and_nan_stays_nan() -> None:
    assert rain_rate_from_scaled([0.0, -0.1]).tolist() == [0.0, 0.0]
    assert np.isnan(rain_rate_from_scaled([np.nan])).all()
    assert scaled_from_rain_rate(0.0) == 0.0


@given(st.floats(0.05, 80))
def test_rain_rate_round_trip(rate: float) -> None:
    assert rain_rate_from_scaled(scaled_from_rain_rate(rate)) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_scaled_threshold_is_the_first_float32_that_reaches_it(threshold: float) -> None:
    first = scaled_threshold(threshold)
    before = np.nextafter(first, np.float32(0))
    exact = (HKO7_ZR.reflectivity(threshold) + 10) / 70
    assert float(first) >= exact > float(before)
