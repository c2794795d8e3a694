"""Windows and clips against a slow oracle that knows only the rule, and against the benchmark's own count."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.clips.windows import clip_starts, fixed_windows, sample_starts, window_report

STEP = 360
START = np.datetime64("2018-07-21T23:00", "s")

patterns = st.lists(st.booleans(), min_size=1, max_size=60).filter(any)
lengths = st.integers(1, 6)


def times_of(pattern: list[bool]) -> np.ndarray:
    return START + np.flatnonzero(pattern) * np.timedelta64(STEP, "s")


def longest_gap(pattern: list[bool], start: int, length: int) -> int:
    longest = run = 0
    for slot in range(start, start + length):
        run = 0 if slot < len(pattern) and pattern[slot] else run + 1
        longest = max(longest, run)
    return longest


def is_valid(pattern: list[bool], start: int, observed: int, forecast: int, max_missing: int) -> bool:
    first, second = pattern[start : start + observed], pattern[start + observed : start + observed + forecast]
    return longest_gap(pattern, start, observed + forecast) <= max_missing and any(first) and any(second)


def slow_walk(pattern: list[bool], observed: int, forecast: int, stride: int, max_missing: int) -> list[int]:
    pattern = pattern[: np.flatnonzero(pattern)[-1] + 1]
    position, starts = pattern.index(True), []
    while position < len(pattern):
        if is_valid(pattern, position, observed, forecast, max_missing):
            starts.append(position)
            position += stride
        else:
            position = next((k for k in range(position + 1, len(pattern)) if pattern[k]), len(pattern))
    return starts


@given(patterns, lengths, lengths, st.integers(1, 7), st.integers(0, 3))
def test_windows_are_those_of_the_rule(pattern, observed, forecast, stride, max_missing):
    starts = fixed_windows(times_of(pattern), observed, forecast, stride, max_missing, np.timedelta64(6, "m"))
    origin = times_of(pattern)[0]
    assert starts.dtype == np.dtype("datetime64[s]")
    first = pattern.index(True)
    slots = ((starts - origin) // np.timedelta64(STEP, "s") + first).tolist()
    assert slots == slow_walk(pattern, observed, forecast, stride, max_missing)


@given(patterns, lengths, lengths, st.integers(1, 7), st.integers(0, 3))
def test_the_report_accounts_for_every_start(pattern, observed, forecast, stride, max_missing):
    times = times_of(pattern)
    report = window_report(times, observed, forecast, stride, max_missing, STEP)
    assert report.windows == len(fixed_windows(times, observed, forecast, stride, max_missing, STEP))
    assert report.tried == report.windows + report.missing_observed + report.missing_forecast + report.too_short
    assert report.episodes <= report.windows and (report.episodes > 0) == (report.windows > 0)


@given(patterns, st.integers(1, 9), st.integers(0, 3))
def test_clips_start_at_every_frame_that_has_room(pattern, length, max_missing):
    starts = clip_starts(times_of(pattern), length, max_missing, STEP)
    expected = [k for k in range(len(pattern)) if pattern[k] and longest_gap(pattern, k, length) <= max_missing]
    assert (starts == START + np.array(expected, int) * np.timedelta64(STEP, "s")).all()
    assert len(starts) == len(expected)


def test_the_report_tells_the_rules_apart():
    full = np.ones(40, bool)
    full[[10, 11, 12]] = False  # one outage longer than two frames
    report = window_report(times_of(full.tolist()), observed=2, forecast=3, stride=5, max_missing=2, interval=STEP)
    # Starts 0, 5; 10 is rejected; 13, 18, 23, 28, 33; at 38 and 39 the data end.
    assert report.as_dict() == {
        "frames": 37,
        "off_grid": 0,
        "tried": 10,
        "windows": 7,
        "missing_observed": 1,
        "missing_forecast": 0,
        "too_short": 2,
        "episodes": 2,
    }
    assert "windows in" in str(report)


def test_frames_off_the_grid_are_left_out_and_counted():
    times = times_of([True] * 10)
    with_off = np.append(times, times[4] + np.timedelta64(60, "s"))
    assert (fixed_windows(with_off, 2, 3, 1, 0, STEP) == fixed_windows(times, 2, 3, 1, 0, STEP)).all()
    assert window_report(with_off, 2, 3, 1, 0, STEP).off_grid == 1


def test_a_grid_need_not_begin_at_the_full_hour():
    times = times_of([True] * 10) + np.timedelta64(120, "s")
    assert fixed_windows(times, 2, 3, 5, 0, STEP).tolist() == times[[0, 5]].tolist()


def test_order_and_repeats_of_the_frames_do_not_matter():
    times = times_of([True] * 10)
    assert (clip_starts(np.tile(times[::-1], 2), 4, 0, STEP) == times[:7]).all()


def test_no_frames_give_no_windows():
    nothing = np.empty(0, "datetime64[s]")
    assert len(fixed_windows(nothing, 5, 20, 5, 2, STEP)) == len(clip_starts(nothing, 5, 0, STEP)) == 0
    assert window_report(nothing, 5, 20, 5, 2, STEP).tried == 0


@pytest.mark.parametrize("name, numbers", [("stride", (5, 20, 0, 2)), ("observed", (0, 20, 5, 2))])
def test_numbers_without_sense_are_named(name, numbers):
    with pytest.raises(ValueError, match=f"{name} is 0, expected a whole number of at least 1"):
        fixed_windows(times_of([True]), *numbers, STEP)


def test_sampling_is_a_function_of_seed_and_step():
    candidates = times_of([True] * 50)
    drawn = sample_starts(candidates, 8, seed=3, step=17)
    assert (drawn == sample_starts(candidates, 8, seed=3, step=17)).all() and np.isin(drawn, candidates).all()
    assert (drawn != sample_starts(candidates, 8, seed=3, step=18)).any()
    assert (drawn != sample_starts(candidates, 8, seed=4, step=17)).any()
    # Fixed numbers: a run resumed after an upgrade must see the same clips.
    assert ((sample_starts(candidates, 4, 0, 0) - START) // np.timedelta64(STEP, "s")).tolist() == [6, 0, 46, 12]


def test_every_candidate_is_drawn_about_as_often():
    candidates = times_of([True] * 5)
    drawn = np.concatenate([sample_starts(candidates, 100, 0, step) for step in range(100)])
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == 5 and (abs(counts - 2000) < 200).all()


def test_there_must_be_something_to_sample():
    with pytest.raises(ValueError, match="no clip to sample from"):
        sample_starts(np.empty(0, "datetime64[s]"), 4, 0, 0)


def test_the_official_validation_split_has_2166_windows(shared_data: Path):
    with np.load(shared_data / "hko7-official" / "hko7_rainy_valid_times.npz") as content:
        times = content["times"]
    starts = fixed_windows(times, observed=5, forecast=20, stride=5, max_missing=2, interval=np.timedelta64(6, "m"))
    report = window_report(times, 5, 20, 5, 2, np.timedelta64(6, "m"))
    assert len(times) == 11736 and len(starts) == 2166
    assert report.windows == 2166 and report.episodes == 45
