"""RunningMoments against numpy on all the data at once, and against the recursion written out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memel import RunningMoments

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=8)
shapes = st.sampled_from([(), (3,), (2, 5), (3, 2, 4)])


def batches_of(seed: int, sizes: list[int], shape: tuple[int, ...], offset: float, spread: float) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [offset + spread * random.standard_normal((size, *shape)) for size in sizes]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    sizes,
    shapes,
    st.sampled_from([0.0, 1.0, -100.0, 1e4]),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_lemma_3_2_is_exact_for_any_batch_sizes(seed, sizes, shape, offset, spread):
    batches = batches_of(seed, sizes, shape, offset, spread)
    moments = RunningMoments(forget_step=100)
    for batch in batches:
        moments.absorb(torch.from_numpy(batch))
    everything = np.concatenate(batches)
    np.testing.assert_allclose(moments.mean.numpy(), everything.mean(0), rtol=1e-12, atol=1e-12 * spread)
    expected = everything.var(0, ddof=1) if len(everything) > 1 else np.zeros(shape)
    # float64: an ulp of the offset is 2e-12, against a spread of 1e-3
    np.testing.assert_allclose(moments.variance.numpy(), expected, rtol=1e-8, atol=1e-13 * spread**2)
    assert moments.values == len(everything) and moments.batches == len(batches)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), sizes, shapes, st.sampled_from([0.0, 1.0, -100.0, 1e4]))
def test_float32_error_is_bounded(seed, sizes, shape, offset):
    """The stated bound, with 2e-6 for the float32 sums of values around 1."""
    batches = [batch.astype(np.float32) for batch in batches_of(seed, sizes, shape, offset, 1.0)]
    moments = RunningMoments(forget_step=100)
    for batch in batches:
        moments.absorb(torch.from_numpy(batch))
    assert moments.mean.dtype == moments.variance.dtype == torch.float32
    everything = np.concatenate(batches).astype(np.float64)
    ulp = np.spacing(np.float32(abs(offset)))
    np.testing.assert_allclose(moments.mean.numpy(), everything.mean(0), rtol=0, atol=len(batches) * ulp + 2e-6)
    if len(everything) > 1:
        variance = everything.var(0, ddof=1)
        # An error e of the mean enters the variance as at most 2 σ e + e² for each batch.
        error = 2e-6 * (1 + variance) + len(batches) * ulp * (2 * np.sqrt(variance) + 3 * ulp + 3)
        assert (np.abs(moments.variance.numpy() - variance) <= error).all()


def past_weights(order: str, forget_step: int, sizes: list[int]) -> list[int]:
    """How many values the past counts for when each batch arrives."""
    if order == "paper":
        return [sum(sizes[:t]) if t < forget_step else sizes[t] * forget_step for t in range(len(sizes))]
    return [0 if t == 0 else sizes[t] * min(t + 1, forget_step) for t in range(len(sizes))]


@pytest.mark.parametrize("order", ["paper", "reference"])
@pytest.mark.parametrize("forget_step", [1, 2, 3, 10])
def test_forgetting_equals_the_printed_recursion(order, forget_step):
    sizes = [4, 2, 5, 3, 3, 1, 4]
    batches = batches_of(1, sizes, (3,), 2.0, 1.5)
    moments = RunningMoments(forget_step, order)
    for batch, m in zip(batches, past_weights(order, forget_step, sizes), strict=True):
        moments.absorb(torch.from_numpy(batch))
        b, new_mean, biased = len(batch), batch.mean(0), batch.var(0)
        if m == 0:
            mean, variance = new_mean, batch.var(0, ddof=1)
        else:  # Eq. 8-9 as printed
            variance = m * b * (mean - new_mean) ** 2 / ((m + b - 1) * (m + b)) + (b * biased + (m - 1) * variance) / (
                m + b - 1
            )
            mean = (m * mean + b * new_mean) / (m + b)
        np.testing.assert_allclose(moments.mean.numpy(), mean, rtol=1e-12)
        np.testing.assert_allclose(moments.variance.numpy(), variance, rtol=1e-12)


def test_batches_of_one_have_a_variance_from_the_second_on():
    moments = RunningMoments()
    moments.absorb(torch.tensor([[3.0, 1.0]]))
    assert moments.variance.tolist() == [0, 0]
    moments.absorb(torch.tensor([[5.0, 1.0]]))
    assert moments.mean.tolist() == [4, 1] and moments.variance.tolist() == [2, 0]


def test_channels_pool_batch_and_space():
    z = torch.randn(4, 3, 2, 5, dtype=torch.float64) + 7
    moments = RunningMoments(neuron="channel")
    moments.absorb(z[:3])
    moments.absorb(z[3:, :, :1])  # another size of image is the same channel
    pooled = torch.cat([z[:3].movedim(1, 0).flatten(1), z[3:, :, :1].movedim(1, 0).flatten(1)], 1)
    torch.testing.assert_close(moments.mean, pooled.mean(1))
    torch.testing.assert_close(moments.variance, pooled.var(1))
    assert moments.values == 3 * 10 + 5


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("first", [True, False])
def test_a_sample_that_is_not_finite_is_left_out(bad, first):
    good = torch.randn(3, 5, 4)
    spoiled = good[1].clone()
    spoiled[0 if first else 2, 3] = bad
    moments, expected = RunningMoments(), RunningMoments()
    for index in range(3):
        moments.absorb(spoiled if index == 1 else good[index])
    expected.absorb(good[0])
    expected.absorb(torch.cat([good[1, 1:]] if first else [good[1, :2], good[1, 3:]]))
    expected.absorb(good[2])
    torch.testing.assert_close(moments.mean, expected.mean)
    torch.testing.assert_close(moments.variance, expected.variance)
    assert moments.values == 14


def test_a_spoiled_batch_changes_nothing_and_a_spoiled_start_is_survived():
    moments = RunningMoments(forget_step=2)
    moments.absorb(torch.full((2, 3), float("nan")))
    moments.absorb(torch.full((2, 3), 1e30))
    assert moments.values == moments.batches == 0
    data = torch.randn(4, 6, 3)
    for batch in data:
        moments.absorb(batch)
        before = {name: buffer.clone() for name, buffer in moments.state_dict().items()}
        moments.absorb(torch.full((2, 3), float("inf")))
        for name, buffer in moments.state_dict().items():
            assert torch.equal(buffer, before[name])
    clean = RunningMoments(forget_step=2)
    for batch in data:
        clean.absorb(batch)
    torch.testing.assert_close(moments.state_dict(), clean.state_dict())


@pytest.mark.parametrize("order", ["paper", "reference"])
@pytest.mark.parametrize("neuron", ["position", "channel"])
def test_a_device_whose_numbers_cannot_be_read_gives_the_same(order, neuron, monkeypatch):
    """On CPU weights are Python numbers, elsewhere and in compiled graphs they stay tensors."""
    read, unread = (RunningMoments(3, order, neuron) for _ in range(2))
    for size in (2, 1, 4, 3, 3, 1, 2):
        z = torch.randn(size, 3, 4)
        if size == 4:
            z[1, 0, 0] = float("nan")
        if size == 3:
            z[:] = float("inf")
        read.absorb(z)
        with monkeypatch.context() as patch:
            patch.setattr("memel.deviations.readable", lambda tensor: False)
            patch.setattr("memel.statistics.readable", lambda tensor: False)
            unread.absorb(z)
        torch.testing.assert_close(unread.state_dict(), read.state_dict())
    assert read.values == (2 + 1 + 3 + 1 + 2) * (4 if neuron == "channel" else 1) and read.batches == 5


def test_shapes_and_types_are_checked():
    moments = RunningMoments()
    moments.absorb(torch.randn(2, 3, 4))
    with pytest.raises(ValueError, match=r"\(B, 3, 4\), found \(2, 3, 5\)"):
        moments.absorb(torch.randn(2, 3, 5))
    with pytest.raises(ValueError, match="torch.int64"):
        RunningMoments().absorb(torch.arange(4))
    with pytest.raises(ValueError, match="expected \\(B, C"):
        RunningMoments(neuron="channel").absorb(torch.randn(4))
    with pytest.raises(ValueError, match="'papers', expected one of 'paper', 'reference'"):
        RunningMoments(order="papers")
    with pytest.raises(ValueError, match="forget_step is 0"):
        RunningMoments(forget_step=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_are_absorbed_in_float32(dtype):
    z = (torch.randn(64, 5) + 3).to(dtype)
    moments = RunningMoments().to(dtype)
    for batch in z.split(16):
        moments.absorb(batch)
    moments.to(dtype)
    assert moments.mean.dtype == moments.variance.dtype == torch.float32
    torch.testing.assert_close(moments.mean, z.float().mean(0))
    torch.testing.assert_close(moments.variance, z.float().var(0), rtol=1e-5, atol=1e-6)


def test_double_follows_the_module():
    moments = RunningMoments()
    moments.absorb(torch.randn(4, 3))
    assert moments.double().mean.dtype == torch.float64
    moments.absorb(torch.randn(4, 3))
    assert moments.variance.dtype == torch.float64


def test_reset():
    moments = RunningMoments()
    moments.absorb(torch.randn(4, 3))
    moments.reset()
    assert not moments.begun and moments.values == 0
    moments.absorb(torch.ones(2, 7))
    assert moments.mean.tolist() == [1] * 7
