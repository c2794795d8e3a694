"""The door: rain rates are right whatever relation the source has, to half a step of the 8-bit scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.readers.canonical import canonical_frame
from nowcast.readers.source import RadarFrame
from nowcast.units import ZRRelation, rain_rate_from_scaled

HALF_STEP = 10 ** (70 / 255 / 2 / 15.6)
"""Ratio of rain rates that are half a code apart, by Z = 58.53 R^1.56."""
USABLE = np.ones((1, 1), np.uint8)

relations = st.builds(ZRRelation, st.floats(20, 500), st.floats(1.1, 2.2))
rates = st.floats(0.02, 500)


def stored_rate(field: object, unit: str, zr: ZRRelation | None) -> float:
    codes, _ = canonical_frame(RadarFrame(np.array([[field]]), unit, USABLE), zr)  # type: ignore[arg-type]
    return float(rain_rate_from_scaled(codes[0, 0] / 255))


@given(rates, relations)
def test_reflectivity_keeps_the_rain_rate_of_its_own_relation(rate: float, zr: ZRRelation):
    decibels = 10 * np.log10(zr.a * rate**zr.b)
    assert 1 / HALF_STEP - 1e-6 <= stored_rate(decibels, "dBZ", zr) / rate <= HALF_STEP + 1e-6


@given(rates)
def test_rain_rates_are_kept(rate: float):
    assert 1 / HALF_STEP - 1e-6 <= stored_rate(rate, "mm/h", None) / rate <= HALF_STEP + 1e-6


@given(st.integers(1, 255), relations)
def test_codes_keep_the_rain_rate_of_their_own_relation(code: int, zr: ZRRelation):
    rate = (10 ** ((code * 70 / 255 - 10) / 10) / zr.a) ** (1 / zr.b)
    stored = stored_rate(np.uint8(code), "code", zr)
    if rate > 517:
        assert stored == pytest.approx(517.4, abs=1)
    elif rate > 0.0175:
        assert 1 / HALF_STEP - 1e-6 <= stored / rate <= HALF_STEP + 1e-6
    else:
        assert stored <= 0.0176  # the rate of code 1 is 0.01753


def test_canonical_codes_are_not_touched():
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for zr in (None, ZRRelation()):
        assert (canonical_frame(RadarFrame(codes, "code", USABLE), zr)[0] == codes).all()
    other = canonical_frame(RadarFrame(codes, "code", USABLE), ZRRelation(200, 1.6))[0]
    assert other[0, 0] == 0 and (np.diff(other.reshape(-1).astype(int)) >= 0).all() and (other != codes).any()


@pytest.mark.parametrize(("unit", "zr"), [("dBZ", ZRRelation(200, 1.6)), ("mm/h", None)])
def test_no_echo_is_code_0_and_nan_is_unseen(unit: str, zr: ZRRelation | None):
    nothing = -np.inf if unit == "dBZ" else 0.0
    field = np.array([[nothing, np.nan, 30.0]])
    codes, flags = canonical_frame(RadarFrame(field, unit, np.array([[1, 1, 2]], np.uint8)), zr)  # type: ignore[arg-type]
    assert codes[0, :2].tolist() == [0, 0] and codes[0, 2] > 0
    assert flags.tolist() == [[1, 0, 2]]
