"""Statistics are state: saved, restored, moved, copied, swapped."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from memel import MEmeL


def trained(calls: int = 4, **options) -> MEmeL:
    memel = MEmeL(late_start=1, forget_step=3, **options)
    for _ in range(calls):
        memel(torch.randn(4, 3, 5))
    return memel


@pytest.mark.parametrize("assign", [False, True])
def test_statistics_are_restored_into_a_fresh_module(assign):
    memel = trained()
    file = io.BytesIO()
    torch.save(memel.state_dict(), file)
    file.seek(0)
    fresh = MEmeL(late_start=1, forget_step=3)
    fresh.load_state_dict(torch.load(file, weights_only=True), strict=True, assign=assign)
    for _ in range(3):  # resumes: equal to the last bit from here on
        z = torch.randn(4, 3, 5)
        assert torch.equal(fresh(z), memel(z))
    torch.testing.assert_close(fresh.state_dict(), memel.state_dict(), rtol=0, atol=0)


def test_a_fresh_state_can_be_saved_and_restored_too():
    memel = trained()
    memel.load_state_dict(MEmeL().state_dict())
    assert not memel.statistics.begun and memel.statistics.values == 0
    memel(torch.randn(2, 7))


def test_another_shape_is_refused():
    other = MEmeL()
    other(torch.randn(2, 4))
    with pytest.raises(RuntimeError, match="size mismatch for statistics.mean"):
        trained().load_state_dict(other.state_dict())


def test_plain_weights_load_and_leave_statistics_as_they_are():
    model = nn.Sequential(nn.Linear(2, 3), MEmeL())
    model(torch.randn(4, 2))
    before = model[1].statistics.mean.clone()
    plain = nn.Sequential(nn.Linear(2, 3)).state_dict()
    model.load_state_dict(plain, strict=True)
    assert torch.equal(model[0].weight, plain["0.weight"]) and torch.equal(model[1].statistics.mean, before)
    incomplete = {k: v for k, v in model.state_dict().items() if not k.endswith("variance")}
    with pytest.raises(RuntimeError, match="1.statistics.variance"):
        model.load_state_dict(incomplete)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda memel: pickle.loads(pickle.dumps(memel))])
def test_copies_go_their_own_way(copied):
    memel = trained()
    twin = copied(memel)
    z = torch.randn(4, 3, 5)
    assert torch.equal(twin(z), memel(z))
    twin(torch.randn(4, 3, 5))
    assert twin.statistics.values == memel.statistics.values + 4
    assert not torch.equal(twin.statistics.mean, memel.statistics.mean)


def test_moving_moves_statistics():
    memel = trained().to("meta")
    assert all(buffer.is_meta for buffer in memel.buffers())


def test_functional_call_changes_the_buffers_it_is_given():
    memel = trained()
    before = copy.deepcopy(memel.state_dict())
    given = {name: buffer.clone() for name, buffer in memel.named_buffers()}
    z = torch.randn(4, 3, 5)
    twin = copy.deepcopy(memel)
    result = torch.func.functional_call(memel, given, (z,))
    assert torch.equal(result, twin(z))
    torch.testing.assert_close(memel.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(given, dict(twin.named_buffers()), rtol=0, atol=0)


def test_under_torch_func_grad_with_buffers_as_arguments():
    model = nn.Sequential(nn.Linear(3, 5), MEmeL(late_start=1, neurons=2), nn.Linear(5, 1))
    x = torch.randn(6, 3)
    model(x)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    twin = copy.deepcopy(model)

    def loss(parameters, buffers, x):
        return torch.func.functional_call(model, (parameters, buffers), (x,)).square().mean()

    found = torch.func.grad(loss)(parameters, {k: v.clone() for k, v in buffers.items()}, x)
    twin(x).square().mean().backward()
    for name, parameter in twin.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)
