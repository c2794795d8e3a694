"""Frames dropped in training: never the last, never too many in a row, the same whenever and wherever it is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast import NowcastError, read_experiment, train
from nowcast.models import load_checkpoint
from nowcast.sequence import RadarSequence
from nowcast.training.missing_frames import dropped_frames, with_gaps

TOY = Path(__file__).parents[1] / "toy.yaml"


@given(st.integers(1, 6), st.integers(1, 9), st.floats(0, 0.99), st.integers(1, 4), st.integers(0, 9))
def test_what_is_dropped(samples: int, frames: int, probability: float, longest: int, step: int) -> None:
    dropped = dropped_frames((samples, frames), probability, longest, 3, step)
    assert not dropped[:, -1].any()
    for sample in dropped:
        assert max((len(run) for run in "".join("x" if one else " " for one in sample).split()), default=0) <= longest
    np.testing.assert_array_equal(dropped, dropped_frames((samples, frames), probability, longest, 3, step))
    part = dropped_frames((samples - 1, frames), probability, longest, 3, step)
    np.testing.assert_array_equal(dropped[:-1], part)


def test_as_often_as_asked() -> None:
    dropped = np.stack([dropped_frames((16, 10), 0.1, 3, 0, step) for step in range(200)])
    assert dropped[..., :-1].mean() == pytest.approx(0.1, abs=0.005)


def test_a_share_is_a_part_of_the_whole() -> None:
    random = torch.rand(4, 5, 1, 24, 24)
    true = torch.ones_like(random, dtype=torch.bool)
    batch = RadarSequence(random, true, random, true)
    whole = with_gaps(batch, 0.5, 2, 1, 7)
    assert not torch.equal(whole.observed, batch.observed) and torch.equal(whole.observed[:, -1], random[:, -1])
    assert torch.equal(whole.observation, random) and whole.valid.all()
    for share in (slice(0, 2), slice(2, 4)):
        part = RadarSequence(random[share], true[share], random[share], true[share])
        assert torch.equal(with_gaps(part, 0.5, 2, 1, 7, share).observed, whole.observed[share])
    assert with_gaps(batch, 0.0, None, 1, 7) is batch and with_gaps(batch, 0.0, 2, 1, 7) is batch


def test_a_run_that_drops_frames_resumes_exactly(small_archive: Path, tmp_path: Path) -> None:
    changes = {"data.archive": str(small_archive), "data.bridge": 1, "training.drop_frames": 0.4}
    whole = train(read_experiment(TOY, changes), tmp_path / "whole", progress=False)
    train(read_experiment(TOY, {**changes, "training.steps": 3}), tmp_path / "parts", progress=False)
    parts = train(read_experiment(TOY, changes), tmp_path / "parts", resume=True, progress=False)
    plain = train(read_experiment(TOY, {"data.archive": str(small_archive)}), tmp_path / "plain", progress=False)
    one, other, third = (load_checkpoint(run.checkpoint("last"))["model"] for run in (whole, parts, plain))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert any(not torch.equal(one[key], third[key]) for key in one), "dropping changes what is learned"


def test_dropping_needs_bridging() -> None:
    with pytest.raises(NowcastError, match="training.drop_frames 0.1 takes frames away but data.bridge is null"):
        read_experiment(TOY, {"training.drop_frames": 0.1})
