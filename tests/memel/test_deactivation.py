"""The pure functions, each against its definition written another way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memel import deactivate, monosemantic_scale, most_monosemantic
from memel.deactivation import DeactivateAt, largest


def test_scale_by_hand():
    z = torch.tensor([[3.0, 0.0], [1.0, 10.0]])
    mean, variance = torch.tensor([1.0, 4.0]), torch.tensor([2.0, 8.0])
    assert monosemantic_scale(z, mean, variance).tolist() == [[2.0, 2.0], [0.0, 4.5]]
    compensated = monosemantic_scale(z, mean, variance, epsilon=0.4)  # + 0.4 · 5
    torch.testing.assert_close(compensated, torch.tensor([[1.0, 1.6], [0.0, 3.6]]))


def test_zero_variance_has_no_scale():
    z = torch.tensor([[1.0, 1.0, 2.0]])
    scale = monosemantic_scale(z, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    assert scale.tolist() == [[0.0, 0.0, 4.0]]
    assert monosemantic_scale(z, torch.zeros(3), torch.zeros(3), 0.01).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scale_of_halves_is_float32(dtype):
    z = torch.tensor([[300.0, -200.0]], dtype=dtype)  # the square of 300 is not a float16
    scale = monosemantic_scale(z, torch.zeros(2), torch.ones(2))
    assert scale.dtype == torch.float32 and scale.tolist() == [[90000.0, 40000.0]]


def first_of_the_largest(row: list[float], neurons: int) -> set[int]:
    return set(sorted(range(len(row)), key=lambda position: (-row[position], position))[:neurons])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 5, 64, 100, 256, 640]),
    st.integers(1, 12),
    st.sampled_from([2, 5, 1000]),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 2**31),
)
def test_exactly_n_are_selected_and_ties_go_to_the_lowest_position(count, neurons, levels, dtype, seed):
    neurons = min(neurons, count)
    generator = torch.Generator().manual_seed(seed)
    scale = torch.randint(0, levels, (3, count), generator=generator).to(dtype)
    selected = most_monosemantic(scale, neurons)
    for row, chosen, positions in zip(scale.tolist(), selected, largest(scale, neurons), strict=True):
        assert set(chosen.nonzero().flatten().tolist()) == first_of_the_largest(row, neurons)
        assert set(positions.tolist()) == first_of_the_largest(row, neurons)


def test_a_layer_as_large_as_the_paper_uses():
    scale = torch.rand(2, 64, 24, 24)
    for neurons in (1, 10, 100, 3000):
        expected = torch.zeros(2, 36864, dtype=torch.bool).scatter(1, scale.flatten(1).topk(neurons).indices, True)
        assert torch.equal(most_monosemantic(scale, neurons).flatten(1), expected)


def test_position_is_logical_whatever_the_strides():
    scale = torch.randint(0, 3, (2, 4, 3, 5)).float()
    strided = scale.to(memory_format=torch.channels_last)
    assert torch.equal(most_monosemantic(scale, 4), most_monosemantic(strided, 4))


def test_what_is_not_finite_is_never_selected():
    scale = torch.tensor([[1.0, float("nan"), float("inf"), 0.0], [float("nan")] * 3 + [2.0]])
    assert most_monosemantic(scale, 2).tolist() == [[True, False, False, True], [False, False, False, True]]


def test_too_many_neurons():
    with pytest.raises(ValueError, match="neurons is 4, expected 1 to 3"):
        most_monosemantic(torch.rand(2, 3), 4)


@pytest.mark.parametrize("strength", [-1.0, 0.0, 1.0, 5.0, 100.0])
def test_value_is_the_mean_and_gradient_is_minus_strength(strength):
    z = torch.randn(3, 4, requires_grad=True)
    mean = torch.randn(4, requires_grad=True)
    selected = torch.zeros(3, 4, dtype=torch.bool)
    selected[[0, 1, 2], [3, 0, 2]] = True
    kept = z.detach().clone()
    result = deactivate(z, mean, selected, strength)
    assert torch.equal(result, torch.where(selected, mean, z))  # to the last bit
    arriving = torch.randn(3, 4)
    result.backward(arriving)
    assert torch.equal(z.grad, torch.where(selected, -strength * arriving, arriving))
    assert mean.grad is None and torch.equal(z, kept)


@pytest.mark.parametrize("strength", [-1.0, 0.0, 1.0, 3.0])
def test_gradient_is_the_finite_difference_of_the_intended_function(strength):
    """z' = -Δ z + (z̄ + Δ z₀), with z₀ the number z had and the selection as it was."""
    z = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    mean = torch.randn(5, dtype=torch.float64)
    selected = most_monosemantic(monosemantic_scale(z, mean, torch.ones(5)), 2)
    start = z.detach().clone()

    def intended(z: torch.Tensor) -> torch.Tensor:
        return torch.where(selected, -strength * z + (mean + strength * start), z).sin().sum()

    deactivate(z, mean, selected, strength).sin().sum().backward()
    step = 1e-6
    for position in range(10):
        move = torch.zeros(10, dtype=torch.float64)
        move[position] = step
        move = move.view(2, 5)
        difference = (intended(start + move) - intended(start - move)) / (2 * step)
        assert abs(difference - z.grad.flatten()[position]) < 1e-8


def test_selected_must_be_bool():
    with pytest.raises(ValueError, match="torch.int64, expected bool"):
        deactivate(torch.rand(2, 3), torch.rand(3), torch.ones(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("gradient_layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channel", [False, True])
def test_fast_path_equals_the_definition_in_any_layout(layout, gradient_layout, channel):
    z = torch.randn(3, 4, 5, 2, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    if channel:
        positions = torch.tensor([[0, 3], [1, 2], [2, 0]])
        mean = torch.randn(4, dtype=torch.float64)
        selected = torch.zeros(3, 4, dtype=torch.bool).scatter(1, positions, True)[:, :, None, None].expand_as(z)
        everywhere = mean[:, None, None]
    else:
        positions = torch.tensor([[0, 39], [17, 2], [5, 6]])
        mean = torch.randn(40, dtype=torch.float64)
        selected = torch.zeros(3, 40, dtype=torch.bool).scatter(1, positions, True).view(z.shape)
        everywhere = mean.view(4, 5, 2)
    active = torch.tensor([[True, True], [False, False], [True, True]])
    selected = selected & active[:, :1, None, None]
    arriving = torch.randn(3, 4, 5, 2, dtype=torch.float64).to(memory_format=gradient_layout)
    expected = deactivate(z, everywhere, selected, 2.0)
    (expected_gradient,) = torch.autograd.grad(expected, z, arriving)
    found = DeactivateAt.apply(z, positions, mean[positions], active, 2.0, channel)
    (gradient,) = torch.autograd.grad(found, z, arriving)
    assert torch.equal(found, expected) and torch.equal(gradient, expected_gradient)
    assert found.stride() == z.stride()
