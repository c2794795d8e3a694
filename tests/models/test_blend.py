import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.errors import NowcastError
from nowcast.forecaster import HistoryForecaster, OnlineForecaster
from nowcast.models.blend import (
    RecentBlend,
    blended,
    fit_start_weights,
    read_start_weights,
    write_start_weights,
)
from nowcast.models.blend_weights import LOYALTY, candidates, choose, together, verify
from nowcast.models.extrapolation import Extrapolation
from nowcast.sequence import RadarSequence

SIZE = 24


class Constant:
    """Forecasts the same value everywhere; counts its calls."""

    def __init__(self, value: float) -> None:
        self.value, self.calls = value, 0

    def __call__(self, observed, observed_valid, lead_steps):
        self.calls += 1
        return torch.full((observed.shape[0], lead_steps, *observed.shape[2:]), self.value)


class Doubling(Constant):
    """Twice the rain of the last frame: right where the rain doubles, one frame ahead."""

    def __call__(self, observed, observed_valid, lead_steps):
        self.calls += 1
        return (2 * observed[:, -1:]).expand(-1, lead_steps, -1, -1, -1)


def history(steps: int = 25, seed: int = 0, growth: float = 0.0) -> torch.Tensor:
    """A still field that grows by `growth` a frame: (1, steps, 1, SIZE, SIZE)."""
    field = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.05
    return torch.stack([field + growth * step for step in range(steps)])[None, :, None].clamp(0, 1)


def everywhere(field):
    return torch.ones_like(field, dtype=torch.bool)


def tables(draws: np.random.Generator, members: int, leads: int):
    return [
        verify(
            draws.random((6, 7), np.float32),
            [draws.random((6, 7), np.float32) for _ in range(members)],
            draws.random((6, 7), np.float32),
            draws.random((6, 7)) < 0.8,
        )
        for _ in range(leads)
    ]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_errors_of_candidates_are_those_of_a_loop(seed):
    draws = np.random.default_rng(seed)
    base, one, two, came = (draws.random((5, 6), np.float32) for _ in range(4))
    one[0, 0], valid = np.nan, draws.random((5, 6)) < 0.7
    made = verify(base, [one, two], came, valid)
    weights = [1, 2, 5, 10, 30]
    edges = [(10 * np.log10(58.53 * r**1.56) + 10) / 70 for r in (2, 5, 10, 30)]
    for place, (w1, w2) in enumerate(candidates(2)):
        squared = absolute = 0.0
        for i in range(5):
            for j in range(6):
                if valid[i, j] and np.isfinite(one[i, j]):
                    blend = base[i, j] + w1 * (one[i, j] - base[i, j]) + w2 * (two[i, j] - base[i, j])
                    weight = weights[sum(came[i, j] >= edge for edge in edges)]
                    squared += weight * (blend - came[i, j]) ** 2
                    absolute += weight * abs(blend - came[i, j])
        assert made.squared[place] == pytest.approx(squared, rel=1e-4, abs=1e-6)
        assert made.absolute[place] == pytest.approx(absolute, rel=1e-4, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_the_choice_is_the_least_of_a_loop_and_in_range(seed, members):
    draws = np.random.default_rng(seed)
    verified = [*tables(draws, members, 4), None]
    start = draws.dirichlet(np.ones(members + 1), 5)[:, :members]
    chosen = choose(verified, start)
    assert (chosen >= 0).all() and (chosen.sum(1) <= 1 + 1e-9).all()
    for lead in range(4):
        costs = []
        for place, weights in enumerate(candidates(members)):
            near = [verified[k] for k in (lead - 1, lead, lead + 1) if 0 <= k < 4]
            ratio = [e.squared[place] / e.squared[0] + e.absolute[place] / e.absolute[0] for e in near]
            costs.append(sum(ratio) / len(ratio) + LOYALTY * sum((weights - start[lead]) ** 2))
        np.testing.assert_array_equal(chosen[lead], candidates(members)[int(np.argmin(costs))])
    np.testing.assert_array_equal(chosen[4], chosen[3])  # not verified: as the longest lead time that was


def test_without_any_verified_the_start_weights_stand_and_errors_add_up():
    start = np.array([[0.3, 0.2], [0.1, 0.9]])
    np.testing.assert_array_equal(choose([None, None], start), start)
    one, two = tables(np.random.default_rng(0), 1, 2)
    both = together([(1.0, one), (0.7, two)])
    np.testing.assert_allclose(both.squared, one.squared + 0.7 * two.squared)
    assert together([]) is None


def test_a_member_that_is_right_gets_the_weight_and_one_that_is_wrong_none():
    frames = history().fill_(0.4)
    frames[..., 3:7, 3:7] = 0.41
    blend = RecentBlend({"right": Extrapolation(), "wrong": Constant(0.9)}, {"right": 0.0, "wrong": 1.0})
    made = blend(frames, everywhere(frames), 7)
    assert isinstance(blend, HistoryForecaster) and isinstance(blend, OnlineForecaster)
    assert (blend.weights[0, 1] == 0).all()
    torch.testing.assert_close(made, Extrapolation()(frames[:, -5:], everywhere(frames[:, -5:]), 7))
    growing = history(growth=0.02)
    truth = RecentBlend({"truth": _Knows(growing, 0.02)}, {"truth": 0.0})
    truth(growing, everywhere(growing), 5)
    assert (truth.weights == 1).all()


class _Knows:
    """Knows by how much the rain grows a frame."""

    def __init__(self, frames, growth):
        self.growth = growth

    def __call__(self, observed, observed_valid, lead_steps):
        steps = torch.arange(1, lead_steps + 1).view(1, -1, 1, 1, 1)
        return observed[:, -1:] + self.growth * steps


def test_identical_members_do_no_harm():
    frames = history(seed=3)
    blend = RecentBlend({"a": Extrapolation(), "b": Extrapolation()})
    made = blend(frames, everywhere(frames), 6)
    torch.testing.assert_close(made, Extrapolation()(frames[:, -5:], everywhere(frames[:, -5:]), 6), equal_nan=True)


@pytest.mark.parametrize("steps", [1, 3, 5, 25])
def test_no_history_means_start_weights(steps):
    frames = history(steps)
    valid = everywhere(frames)
    if steps == 25:
        valid[:, :-5] = False  # the archive has just begun
    frames = frames * valid
    blend = RecentBlend({"wrong": Constant(0.9)}, {"wrong": [0.5, 0.25]})
    blend(frames, valid, 3)
    assert blend.weights[0].tolist() == [[0.5, 0.25, 0.25]]
    assert blend.weights_by_member() == {"wrong": [0.5, 0.25, 0.25], "extrapolation": [0.5, 0.75, 0.75]}


@given(st.lists(st.integers(0, 24), max_size=12))
@settings(max_examples=15, deadline=None)
def test_gaps_in_the_history_are_survived(missing):
    frames = history(seed=1, growth=0.01)
    valid = everywhere(frames)
    valid[:, missing] = False
    blend = RecentBlend({"half": Constant(0.5), "twice": Doubling(0)})
    made = blend(frames * valid, valid, 4)
    assert made.shape == (1, 4, 1, SIZE, SIZE) and made.isfinite().all()
    assert (blend.weights >= 0).all() and (blend.weights.sum(1) <= 1 + 1e-9).all()


def test_only_what_lies_before_the_issue_time_counts_and_history_does():
    world = history(40, growth=0.01)
    other = world.clone()
    other[:, 30:] = torch.rand(10, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(9))

    def issue(frames):
        blend = RecentBlend({"half": Constant(0.5)})
        issued = blend(frames[:, 5:30], everywhere(frames[:, 5:30]), 6)
        return issued, blend.weights

    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(issue(world), issue(other), strict=True))
    past = world.clone()
    past[:, 5:25] = 0.5  # what `half` would have got right
    assert not np.array_equal(issue(past)[1], issue(world)[1])


def test_past_nowcasts_are_made_once_and_memory_is_bounded(monkeypatch):
    world, member = history(40, growth=0.01), Constant(0.5)
    blend = RecentBlend({"half": member})
    for end in (25, 30, 35):
        blend(world[:, end - 25 : end], everywhere(world[:, end - 25 : end]), 6)
    assert member.calls == 5 + 1 + 1
    copied = pickle.loads(pickle.dumps(blend))
    assert copied.history_steps == 25 and not copied._kept
    monkeypatch.setattr("nowcast.models.blend.KEPT_BYTES", 1)
    again = copied(world[:, 10:35], everywhere(world[:, 10:35]), 6)
    kept = blend(world[:, 10:35], everywhere(world[:, 10:35]), 6)
    assert len(copied._kept) == 1 and torch.equal(again, kept)


def test_unknown_pixels_are_left_to_those_who_know():
    nan = float("nan")
    base = torch.tensor([[[0.2, 0.2, nan, nan, nan]]])
    one = torch.tensor([[[0.6, nan, 0.6, nan, 0.6]]])
    two = torch.tensor([[[0.4, 0.4, nan, nan, 0.2]]])
    made = blended(base, [one, two], torch.tensor([[0.5], [0.25]]))
    torch.testing.assert_close(
        made, torch.tensor([[[0.45, 0.25, 0.6, nan, 0.6 * 2 / 3 + 0.2 / 3]]]), equal_nan=True, atol=1e-5, rtol=0
    )
    evenly = blended(base, [one, two], torch.zeros(2, 1))
    torch.testing.assert_close(evenly, torch.tensor([[[0.2, 0.2, 0.6, nan, 0.4]]]), equal_nan=True, atol=1e-5, rtol=0)


def test_start_weights_are_fitted_written_and_read(tmp_path):
    world = history(12, growth=0.02)
    batch = RadarSequence(world[:, :5], everywhere(world[:, :5]), world[:, 5:9], everywhere(world[:, 5:9]))
    weights = fit_start_weights({"wrong": Constant(0.9), "right": _Knows(world, 0.02)}, [batch, batch])
    assert weights == {"wrong": [0.0] * 4, "right": [1.0] * 4}
    file = tmp_path / "blend.json"
    assert read_start_weights(file) is None
    write_start_weights(file, weights)
    assert read_start_weights(file) == weights and list(json.loads(file.read_text())) == ["start_weights"]
    file.write_text("{}")
    with pytest.raises(NowcastError, match=r"blend.json holds no start weights"):
        read_start_weights(file)
    with pytest.raises(NowcastError, match="no valid window"):
        fit_start_weights({"wrong": Constant(0.9)}, [])


@pytest.mark.parametrize(
    ("members", "weights", "sentence"),
    [
        ({}, None, "needs members"),
        ({"extrapolation": Constant(0)}, None, "beside extrapolation"),
        ({"a": Constant(0)}, {"b": 0.5}, "expected the members a"),
        ({"a": Constant(0)}, {"a": 1.5}, "together at most 1"),
        ({"a": Constant(0), "b": Constant(0)}, {"a": [0.5, 0.6], "b": 0.5}, "together at most 1"),
        ({"a": Constant(0)}, {"a": []}, "are empty"),
    ],
)
def test_impossible_blends_are_refused(members, weights, sentence):
    with pytest.raises(NowcastError, match=sentence):
        RecentBlend(members, weights)
