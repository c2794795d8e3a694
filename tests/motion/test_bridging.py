"""Gaps in the observed frames: what is made of them, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nowcast.motion.bridging import answerable, bridge_gaps, in_long_gap
from nowcast.units import rain_rate_from_scaled

SIZE, STEP = 96, 4.0
BLIND = np.s_[:, :6]


def moving_rain(times: int = 5) -> np.ndarray:
    """Smooth rain that moves `STEP` pixels east a frame: (T, H, W), scaled reflectivity."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    frames = np.zeros((times, SIZE, SIZE), np.float32)
    for t in range(times):
        for y, x, width, peak in ((30, 25, 9, 0.7), (62, 40, 7, 0.55), (45, 12, 6, 0.6)):
            distance = (rows - y) ** 2 + (columns - x - STEP * t) ** 2
            frames[t] = np.maximum(frames[t], peak * np.exp(-distance / (2 * width**2)))
    return frames


def world(missing: tuple[int, ...], frames: np.ndarray | None = None) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    frames = moving_rain() if frames is None else frames
    seen = np.ones(frames.shape, bool)
    seen[:, *BLIND] = False
    for slot in missing:
        seen[slot] = False
    observed = torch.from_numpy(frames * seen)[None, :, None]
    return observed, torch.from_numpy(seen)[None, :, None], frames


def error(made: torch.Tensor, truth: np.ndarray, slot: int) -> float:
    difference = rain_rate_from_scaled(made[0, slot, 0].numpy()) - rain_rate_from_scaled(truth[slot])
    return float(np.abs(difference)[:, 12:].mean())


@pytest.mark.parametrize("missing", [(2,), (1, 2), (0,), (4,), (0, 1), (3, 4)])
def test_a_gap_is_filled_along_the_motion(missing: tuple[int, ...]) -> None:
    observed, valid, frames = world(missing)
    given = observed.clone(), valid.clone()
    made, known = bridge_gaps(observed, valid, longest=2)
    assert torch.equal(observed, given[0]) and torch.equal(valid, given[1]), "what was given is left alone"
    there = [slot for slot in range(5) if slot not in missing]
    assert torch.equal(made[:, there], observed[:, there]) and torch.equal(known[:, there], valid[:, there])
    for slot in missing:
        nearest = min(there, key=lambda other: abs(other - slot))
        stale = torch.from_numpy(frames[nearest])[None, None, None].expand_as(made)
        assert error(made, frames, slot) < 0.5 * error(stale, frames, slot), "better than the nearest frame as it is"
        assert known[0, slot, 0, :, 12:].all() and not known[0, slot, 0][BLIND].any()
        assert not made[0, slot, 0][BLIND].any() and (made >= 0).all() and (made <= 1).all()


def test_a_longer_gap_is_left_alone() -> None:
    observed, valid, _ = world((1, 2, 3))
    made, known = bridge_gaps(observed, valid, longest=2)
    assert made is observed and known is valid and not answerable(valid, 2).any() and answerable(valid, 3).all()


def test_each_sample_for_itself() -> None:
    gaps = [(), (2,), (1, 2, 3), (0, 1, 2, 3, 4), (0, 4)]
    observed, valid = (torch.cat(parts) for parts in zip(*(world(gap)[:2] for gap in gaps), strict=True))
    assert answerable(valid, 1).tolist() == [True, True, False, False, True]
    assert answerable(valid, 9).tolist() == [True, True, True, False, True], "of nothing nothing is made"
    together = bridge_gaps(observed, valid, 1)
    for number, gap in enumerate(gaps):
        alone = bridge_gaps(*world(gap)[:2], 1)
        for one, other in zip(together, alone, strict=True):
            assert torch.equal(one[number], other[0])


def test_one_frame_stays_where_it_is() -> None:
    observed, valid, frames = world((0, 1, 3, 4))
    made, known = bridge_gaps(observed, valid, longest=2)
    for slot in (0, 1, 3, 4):
        torch.testing.assert_close(made[0, slot], observed[0, 2], rtol=0, atol=2e-6)
        assert torch.equal(known[0, slot], valid[0, 2])


def test_dry_and_tiny_frames_work() -> None:
    observed, valid, _ = world((1,), np.zeros((3, 8, 8), np.float32))
    made, known = bridge_gaps(observed, valid, 1)
    assert not made.any() and torch.equal(known[0, 1], valid[0, 0])


def test_gaps_are_counted_in_a_row() -> None:
    missing = np.array([[1, 0, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
    assert in_long_gap(missing, 1).astype(int).tolist() == [[0, 0, 1, 1, 0, 0], [1] * 6, [0] * 6]
    assert not in_long_gap(missing, 6).any() and (in_long_gap(missing, 0) == missing).all()
