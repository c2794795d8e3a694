"""torch.compile: one graph, compiled once, equal to eager; counters instead of a stopwatch."""

import copy

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint

from memel import MEmeL


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "aot_eager_decomp_partition"])
@pytest.mark.parametrize("options", [{}, {"order": "reference"}, {"neurons": 10}, {"neuron": "channel"}])
def test_one_graph_without_breaks_for_all_steps(backend, options):
    options = {"forget_step": 3, "late_start": 3, **options, "neurons": min(options.get("neurons", 1), 10)}
    model = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), MEmeL(**options), nn.Conv2d(8, 1, 3))
    twin = copy.deepcopy(model)
    model(torch.randn(4, 2, 8, 8).clone())  # the first call learns the layer's shape
    twin.load_state_dict(model.state_dict())
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    for _ in range(8):
        x = torch.randn(4, 2, 8, 8)
        found, expected = compiled(x), twin(x)
        torch.testing.assert_close(found, expected)
        found.square().mean().backward()
        expected.square().mean().backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    torch.testing.assert_close(model.state_dict(), twin.state_dict())
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]
    assert model[1].statistics.batches == 9


def test_compiled_from_the_first_call_on():
    model = nn.Sequential(nn.Linear(3, 5), MEmeL(late_start=2))
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="eager")
    for _ in range(5):
        x = torch.randn(4, 3)
        torch.testing.assert_close(compiled(x), twin(x))
    torch.testing.assert_close(model.state_dict(), twin.state_dict())
    assert counters["stats"]["unique_graphs"] <= 2


def test_eval_disappears():
    memel = MEmeL().eval()
    compiled = torch.compile(memel, backend="eager", fullgraph=True)
    z = torch.randn(3, 4)
    assert torch.equal(compiled(z), z)
    assert counters["stats"].get("unique_graphs", 0) <= 1


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "aot_eager_decomp_partition"])
def test_compiled_and_checkpointed_stops_rather_than_absorb_twice(inside, backend):
    model = nn.Sequential(nn.Linear(3, 5), MEmeL(late_start=1, neurons=2), nn.Tanh(), nn.Linear(5, 2))
    model(torch.randn(4, 3))

    def recomputed(x):
        return checkpoint(model, x, use_reentrant=False)

    if inside:
        step = torch.compile(recomputed, backend=backend)
    else:
        compiled = torch.compile(model, backend=backend)

        def step(x):
            return checkpoint(compiled, x, use_reentrant=False)

    loss = step(torch.randn(4, 3)).square().sum()
    with pytest.raises(RuntimeError, match="absorb the batch twice|modified by an inplace operation"):
        loss.backward()
    assert model[1].statistics.batches == 2
