import numpy as np
import pytest
import torch

from nowcast.archive import Archive
from nowcast.clips.split_windows import window_starts, windows_of
from nowcast.clips.windows import clip_starts, fixed_windows
from nowcast.config import DataConfig, EvaluationConfig
from nowcast.errors import NowcastError


@pytest.fixture(scope="module")
def small(small_archive) -> Archive:
    return Archive.open(small_archive)


def test_windows_to_score_and_clips_to_learn_from(small: Archive) -> None:
    data, rules = DataConfig(observed=3, forecast=4), EvaluationConfig(stride=6, batch_size=3)
    windows = windows_of(small, "test", data, rules)
    expected = fixed_windows(small.split_times("test"), 3, 4, 6, 2, small.interval)
    np.testing.assert_array_equal(windows.starts, expected)
    np.testing.assert_array_equal(window_starts(small, "test", data, rules), expected)
    learned = windows_of(small, "train", data, None)
    np.testing.assert_array_equal(learned.starts, clip_starts(small.split_times("train"), 7, 0, small.interval))
    full, rest = divmod(len(expected), 3)
    assert [len(batch) for batch in windows] == [3] * full + [rest] * (rest > 0)
    assert sum(len(batch) for batch in windows.batches(2)) == len(expected)
    assert torch.equal(next(iter(windows)).observation, windows.sequence(expected[:3]).observation)


def test_history_reaches_back_into_the_days_before_the_split(small: Archive) -> None:
    data = DataConfig(observed=3, forecast=4, rows=(8, 40), columns=(0, 24))
    windows = windows_of(small, "test", data, EvaluationConfig())
    first = windows.starts[:1]
    gap = int((first[0] - small.split_times("valid")[-1]) / small.interval)
    observed, valid = windows.history(first, gap + 4)
    assert observed.shape == valid.shape == (1, gap + 4, 1, 32, 24)
    issued = windows.issue_times(first)[0]
    wanted = issued - small.interval * np.arange(gap + 3, -1, -1)
    codes, present = small.read_codes(wanted, (8, 40), (0, 24))
    assert present[:2].all() and not present[3:-3].any() and present[-3:].all()  # valid, the night, test
    np.testing.assert_array_equal(valid[0, :, 0].any(dim=(1, 2)).numpy(), present)
    shown = np.where(valid[0, :, 0], codes / np.float32(255), 0)
    np.testing.assert_allclose(np.where(valid[0, :, 0], observed[0, :, 0], 0), shown, rtol=1e-6)
    torch.testing.assert_close(observed[:, -3:], windows.sequence(first).observed)


def test_no_windows_is_a_sentence(small: Archive) -> None:
    with pytest.raises(NowcastError, match="no window of 30 \\+ 30 frames in its test split of 38 frames"):
        windows_of(small, "test", DataConfig(observed=30, forecast=30), EvaluationConfig())
    with pytest.raises(NowcastError, match="no split 'exam'"):
        window_starts(small, "exam", DataConfig(), EvaluationConfig())
