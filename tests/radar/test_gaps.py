import numpy as np

from nowcast.radar.times import missing_slots


def at(*names: str) -> np.ndarray:
    return np.array(names, "datetime64[s]")


def test_a_gap_inside_a_day_is_missing_however_long():
    missing = missing_slots(at("2018-07-21T00:12", "2018-07-21T12:12"), np.timedelta64(6, "m"))
    assert len(missing) == 119 and missing[0] == np.datetime64("2018-07-21T00:18")


def test_a_short_gap_across_midnight_is_missing_and_a_long_one_is_a_break():
    short = missing_slots(at("2018-07-21T23:54", "2018-07-22T00:06"), 360)
    assert short.astype(str).tolist() == ["2018-07-22T00:00:00"]
    assert len(missing_slots(at("2018-07-23T13:48", "2018-07-24T03:18"), 360)) == 0


def test_nothing_is_missing_where_there_is_nothing():
    assert len(missing_slots(at(), 360)) == 0 and len(missing_slots(at("2018-07-21T00:00"), 360)) == 0
