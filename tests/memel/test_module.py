"""MEmeL against the paper's algorithm and the authors' bookkeeping, both as loops over numbers."""

import copy

import numpy as np
import pytest
import torch

from memel import MEmeL, deactivate, monosemantic_scale, most_monosemantic


def loop(batches, *, neurons=1, forget_step=10, late_start=10, epsilon=0.01, order="paper"):
    """Values after deactivation, batch by batch, and which were selected: one number at a time, float64."""
    mean = variance = None
    absorbed = 0
    for t, batch in enumerate(batches, start=1):
        b, n = len(batch), batch[0].size
        rows = batch.reshape(b, n)
        new_mean, biased = rows.mean(0), rows.var(0)

        def absorb(m, b=b, new_mean=new_mean, biased=biased, rows=rows, mean=mean, variance=variance):
            if m == 0:
                return new_mean, (rows.var(0, ddof=1) if b > 1 else np.zeros_like(new_mean))
            moved = (m * mean + b * new_mean) / (m + b)
            spread = m * b * (mean - new_mean) ** 2 / ((m + b - 1) * (m + b))
            return moved, spread + (b * biased + (m - 1) * variance) / (m + b - 1)

        if order == "reference":
            mean, variance = absorb(0 if t == 1 else b * min(t, forget_step))
            modifies = t > forget_step
        else:
            modifies = t > late_start and absorbed >= 2
        result, selected = rows.copy(), np.zeros_like(rows, dtype=bool)
        if modifies:
            for row in range(b):
                scale = (rows[row] - mean) ** 2 / (variance + epsilon * variance.mean())
                chosen = sorted(range(n), key=lambda i: (-scale[i], i))[:neurons]
                result[row, chosen] = mean[chosen]
                selected[row, chosen] = True
        if order == "paper":
            mean, variance = absorb(absorbed if t <= forget_step else b * forget_step)
        absorbed += b
        yield result.reshape(batch.shape), selected.reshape(batch.shape), mean, variance


@pytest.mark.parametrize("order", ["paper", "reference"])
@pytest.mark.parametrize("options", [{}, {"neurons": 7, "epsilon": 0.0}, {"forget_step": 3, "late_start": 5}])
@pytest.mark.parametrize("shape", [(6,), (3, 4), (2, 8, 8)])
def test_both_orders_equal_a_loop(order, options, shape):
    random = np.random.default_rng(0)
    neurons = min(options.get("neurons", 1), int(np.prod(shape)))
    options = {**options, "neurons": neurons, "order": order}
    sizes = [5, 5, 2, 5, 1, 5, 5, 5, 4, 5, 5, 3, 5, 5]
    if order == "reference":
        sizes[0] = 5
    batches = [1 + 2 * random.standard_normal((size, *shape)) for size in sizes]
    memel = MEmeL(**options)
    changed = 0
    for batch, (expected, selected, mean, variance) in zip(batches, loop(batches, **options), strict=True):
        z = torch.from_numpy(batch).requires_grad_()
        result = memel(z)
        np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
        arriving = torch.randn_like(z)
        result.backward(arriving)
        assert torch.equal(z.grad, torch.where(torch.from_numpy(selected), -arriving, arriving))
        np.testing.assert_allclose(memel.statistics.mean.numpy().reshape(-1), mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(memel.statistics.variance.numpy().reshape(-1), variance, rtol=1e-12)
        changed += selected.sum()
    assert changed > 0


def test_module_is_its_pure_functions():
    memel = MEmeL(neurons=3, strength=2.0, late_start=2)
    for _ in range(2):
        memel(torch.randn(8, 5, 4))
    mean, variance = memel.statistics.mean.clone(), memel.statistics.variance.clone()
    z = torch.randn(8, 5, 4, requires_grad=True)
    kept = z.detach().clone()
    result = memel(z)
    selected = most_monosemantic(monosemantic_scale(z, mean, variance, 0.01), 3)
    assert (selected.flatten(1).sum(1) == 3).all()
    expected = deactivate(z, mean, selected, 2.0)
    assert torch.equal(result, expected)
    arriving = torch.randn_like(z)
    (gradient,) = torch.autograd.grad(result, z, arriving)
    assert torch.equal(gradient, torch.autograd.grad(expected, z, arriving)[0])
    assert torch.equal(z, kept)


@pytest.mark.parametrize("late_start", [0, 1, 3, 10])
def test_late_start_only_absorbs(late_start):
    memel = MEmeL(late_start=late_start)
    for call in range(1, 13):
        z = torch.randn(4, 6)
        changed = (memel(z) != z).sum(1).tolist()
        # with no statistics there is nothing to select from, so the first call never changes a value
        assert changed == ([1] * 4 if call > max(late_start, 1) else [0] * 4)


def test_batches_of_one():
    memel = MEmeL(late_start=0)
    changed = [(memel(z := torch.randn(1, 6)) != z).sum().item() for _ in range(5)]
    assert changed == [0, 0, 1, 1, 1]
    assert not any(buffer.isnan().any() for buffer in memel.buffers())


@pytest.mark.parametrize("order", ["paper", "reference"])
def test_eval_returns_the_very_same_tensor(order):
    memel = MEmeL(order=order, forget_step=2, late_start=2)
    for _ in range(4):
        memel(torch.randn(4, 6))
    before = copy.deepcopy(memel.state_dict())
    memel.eval()
    z = torch.randn(3, 7)  # not even looked at
    assert memel(z) is z and memel(memel(z)) is z
    torch.testing.assert_close(memel.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("order", ["paper", "reference"])
def test_inhibit_in_eval_uses_frozen_statistics(order):
    memel = MEmeL(order=order, forget_step=2, late_start=2, neurons=2, inhibit_in_eval=True)
    z = torch.randn(4, 6)
    assert memel.eval()(z) is z  # nothing known yet
    memel.train()
    for _ in range(4):
        memel(torch.randn(4, 6))
    before = copy.deepcopy(memel.state_dict())
    memel.eval()
    result = memel(z)
    scale = monosemantic_scale(z, memel.statistics.mean, memel.statistics.variance, 0.01)
    assert torch.equal(result, deactivate(z, memel.statistics.mean, most_monosemantic(scale, 2)))
    assert torch.equal(result, memel(z))
    torch.testing.assert_close(memel.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradcheck_in_any_layout(layout):
    """strength -1 passes gradients on unchanged, as if the value had been moved by a constant."""
    memel = MEmeL(neurons=3, strength=-1.0, late_start=1, inhibit_in_eval=True).double()
    memel(torch.randn(6, 3, 4, 2, dtype=torch.float64))
    memel.eval()
    z = torch.randn(2, 3, 4, 2, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weights = torch.randn(2, 3, 4, 2, dtype=torch.float64)
    selected = memel(z) != z
    assert selected.sum() == 6
    (gradient,) = torch.autograd.grad((memel(z).square() * weights).sum(), z)
    mean = memel.statistics.mean.expand_as(z)
    assert torch.allclose(gradient, 2 * weights * torch.where(selected, mean, z))
    assert torch.autograd.gradgradcheck(memel, z, atol=1e-6)


@pytest.mark.parametrize("gradient_layout", [torch.contiguous_format, torch.channels_last])
def test_channels_last_states_give_the_same_gradients(gradient_layout):
    plain, strided = MEmeL(neurons=100, late_start=2), MEmeL(neurons=100, late_start=2)
    for _ in range(4):
        z = torch.randn(4, 8, 6, 6, dtype=torch.float64)
        a = z.clone().requires_grad_()
        b = z.to(memory_format=torch.channels_last).requires_grad_()
        arriving = torch.randn_like(z).to(memory_format=gradient_layout)
        found = strided(b)
        assert found.is_contiguous(memory_format=torch.channels_last)
        expected = plain(a)
        expected.backward(arriving)
        found.backward(arriving)
        assert torch.equal(found, expected) and torch.equal(a.grad, b.grad)
    assert torch.equal(plain.statistics.variance, strided.statistics.variance)


def test_a_slice_of_a_larger_tensor():
    memel = MEmeL(late_start=1)
    memel(torch.randn(5, 4))
    z = torch.randn(5, 8)[:, ::2]
    kept = z.clone()
    assert ((memel(z) != kept).sum(1) == 1).all() and torch.equal(z, kept)


def test_channels_are_selected_whole():
    memel = MEmeL(neurons=2, late_start=1, neuron="channel")
    seen = torch.randn(6, 5, 4, 3)
    memel(seen)
    z = torch.randn(3, 5, 2, 7, requires_grad=True)  # statistics know no size
    mean, variance = seen.mean((0, 2, 3)), seen.movedim(1, 0).flatten(1).var(1)
    pooled = monosemantic_scale(z, mean[:, None, None], variance[:, None, None], 0.01).mean((2, 3))
    selected = most_monosemantic(pooled, 2)[:, :, None, None].expand_as(z)
    result = memel(z)
    torch.testing.assert_close(result, torch.where(selected, mean[:, None, None].expand_as(z), z))
    result.sum().backward()
    assert torch.equal(z.grad, torch.where(selected, -1.0, 1.0))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("order", ["paper", "reference"])
def test_a_spoiled_sample_passes_through_and_leaves_no_trace(bad, order):
    memel, clean = (MEmeL(order=order, forget_step=3, late_start=3) for _ in range(2))
    for call in range(6):
        z = torch.randn(4, 6)
        whole = clean(z)
        spoiled = torch.cat([z, torch.randn(1, 6)])
        spoiled[4, 0] = bad
        result = memel(spoiled)
        torch.testing.assert_close(result[:4], whole)
        assert torch.equal(result[4].nan_to_num(7), spoiled[4].nan_to_num(7)), call
    torch.testing.assert_close(memel.state_dict(), clean.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_keep_their_dtype_and_float32_statistics(dtype):
    memel = MEmeL(late_start=1, neurons=2).to(dtype)
    memel(torch.randn(4, 6, dtype=dtype))
    z = torch.randn(4, 6, dtype=dtype, requires_grad=True)
    mean, variance = memel.statistics.mean.clone(), memel.statistics.variance.clone()
    result = memel(z)
    assert result.dtype == dtype and memel.statistics.mean.dtype == torch.float32
    scale = monosemantic_scale(z, mean, variance, 0.01)
    assert torch.equal(result, deactivate(z, mean, most_monosemantic(scale, 2)))
    result.sum().backward()
    assert z.grad.dtype == dtype


def test_statistics_are_float32_under_autocast():
    layer, memel = torch.nn.Linear(3, 5), MEmeL(late_start=1)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            result = memel(layer(torch.randn(4, 3)))
        assert result.dtype == torch.bfloat16
        result.sum().backward()
    assert memel.statistics.variance.dtype == torch.float32


@pytest.mark.parametrize(
    "options, message",
    [
        ({"neurons": 0}, "neurons is 0, expected a whole number, at least 1"),
        ({"neurons": 1.5}, "neurons is 1.5"),
        ({"forget_step": 0}, "forget_step is 0"),
        ({"late_start": -1}, "late_start is -1, expected a whole number, at least 0"),
        ({"strength": float("nan")}, "strength is nan, expected a finite number"),
        ({"epsilon": -0.1}, "epsilon is -0.1, expected a finite number, at least 0"),
        ({"order": "ours"}, "order is 'ours', expected one of 'paper', 'reference'"),
        ({"neuron": "pixel"}, "neuron is 'pixel', expected one of 'position', 'channel'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        MEmeL(**options)


def test_more_neurons_than_the_layer_has():
    with pytest.raises(ValueError, match="neurons is 7, expected 1 to 6"):
        MEmeL(neurons=7)(torch.randn(2, 2, 3))


def test_it_has_no_parameters_and_says_what_it_is():
    memel = MEmeL(neurons=5, strength=10)
    assert not list(memel.parameters())
    assert "neurons=5, strength=10, forget_step=10" in repr(memel)


def test_an_empty_batch_is_nothing():
    memel = MEmeL(late_start=1)
    memel(torch.randn(3, 4))
    before = copy.deepcopy(memel.state_dict())
    assert memel(torch.randn(0, 4)).shape == (0, 4)
    torch.testing.assert_close(memel.state_dict(), before, rtol=0, atol=0)


def test_an_in_place_operation_may_follow() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), MEmeL(late_start=1), torch.nn.ReLU())
    in_place = copy.deepcopy(plain)
    in_place[2] = torch.nn.ReLU(inplace=True)
    for _ in range(4):
        x = torch.randn(2, 1, 8, 8)
        for model in (plain, in_place):
            model.zero_grad()
            model(x).square().sum().backward()
        assert torch.equal(plain[0].weight.grad, in_place[0].weight.grad)


def test_options_can_be_read_back() -> None:
    memel = MEmeL(
        neurons=3, strength=2.0, forget_step=4, late_start=5, epsilon=0.1, order="reference", neuron="channel"
    )
    found = (
        memel.neurons,
        memel.strength,
        memel.forget_step,
        memel.late_start,
        memel.epsilon,
        memel.order,
        memel.neuron,
    )
    assert found == (3, 2.0, 4, 5, 0.1, "reference", "channel")


def test_a_value_at_its_mean_is_left_alone():
    """A layer that never varies has φ = 0 everywhere: nothing is monosemantic, gradients pass as they are."""
    module = MEmeL(late_start=2, order="paper")
    dead = torch.ones(3, 5, requires_grad=True)
    for _ in range(4):
        out = module(dead)
    out.sum().backward()
    assert torch.equal(dead.grad, torch.ones(3, 5)) and torch.equal(out, dead)
