"""attach and detach on networks whose code knows nothing of MEmeL."""

import copy
from collections import namedtuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from memel import MEmeL, attach, detach, plain_state_dict


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))


class SmallCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class ConvGRU(nn.Module):
    """A cell unrolled in time: its candidate convolution is called at every time step."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(1 + 4, 8, 3, padding=1)
        self.candidate = nn.Conv2d(1 + 4, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        h = frames.new_zeros(frames.shape[0], 4, *frames.shape[3:])
        for x in frames.unbind(1):
            reset, update = self.gates(torch.cat([x, h], 1)).sigmoid().chunk(2, 1)
            candidate = torch.tanh(self.candidate(torch.cat([x, reset * h], 1)))
            h = (1 - update) * candidate + update * h
        return self.head(h)


class RecurrentHead(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(3, 8, batch_first=batch_first), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(x)[0])


def train(model: nn.Module, x: Tensor, steps: int = 6) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - 0.5).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


CASES = [
    (mlp, (8, 4), ["0", "3"], {}, 6),
    (SmallCNN, (8, 1, 9, 9), "body.*", {}, 6),
    (SmallCNN, (8, 1, 9, 9), "body", {"neuron": "channel"}, 6),
    (ConvGRU, (4, 5, 1, 6, 6), "candidate", {"neurons": 5}, 30),
    (lambda: RecurrentHead(True), (8, 5, 3), "gru", {}, 6),
    (lambda: RecurrentHead(False), (5, 8, 3), "gru", {"batch_axis": 1}, 6),
]


@pytest.mark.parametrize("build, shape, layers, options, calls", CASES)
def test_a_few_steps_of_training_and_back(build, shape, layers, options, calls):
    model = build()
    keys, first = list(model.state_dict()), copy.deepcopy(model.state_dict())
    x = torch.randn(shape)
    expected = model(x)
    modules = attach(model, layers, late_start=2, **options)
    assert all(module in list(model.modules()) for module in modules.values())
    model.eval()
    assert torch.equal(model(x), expected)
    model.train()
    losses = train(model, x)
    assert all(torch.isfinite(torch.tensor(losses))) and losses[-1] != losses[0]
    for module in modules.values():
        assert module.statistics.batches == calls
        samples = shape[options.get("batch_axis", 0)]
        pooled = 1 if "neuron" not in options else module.statistics.values.item() // (calls * samples)
        assert module.statistics.values == calls * samples * pooled
    assert not torch.equal(model.train()(x), model.eval()(x))  # in training something is inhibited

    weights = plain_state_dict(model)
    assert list(weights) == keys
    plain = build()
    plain.load_state_dict(weights, strict=True)
    assert torch.equal(plain(x), model(x))
    model.load_state_dict(first, strict=True)  # plain weights into a model with modules

    assert list(detach(model).values()) == list(modules.values())
    assert list(model.state_dict()) == keys and detach(model) == {}
    assert torch.equal(model.train()(x), expected)


def test_what_is_attached_survives_copies_and_checkpoints():
    model = mlp()
    attach(model, "3", late_start=1, neurons=2)
    x = torch.randn(8, 4)
    train(model, x, 3)
    twin = copy.deepcopy(model)
    assert twin[3].memel is not model[3].memel
    fresh = mlp()
    attach(fresh, "3", late_start=1, neurons=2)
    fresh.load_state_dict(model.state_dict(), strict=True)
    expected = model(x)
    assert torch.equal(twin(x), expected) and torch.equal(fresh(x), expected)
    assert len(detach(twin)) == 1 and not twin[3]._forward_hooks
    assert model[3].memel.statistics.batches == 4
    assert model.double()[3].memel.statistics.mean.dtype == torch.float64


def test_names_patterns_lists_and_the_model_itself():
    assert list(attach(mlp(), "0")) == ["0"]
    assert list(attach(mlp(), ["[13]", "4"])) == ["1", "3", "4"]
    assert list(attach(SmallCNN(), "*.2")) == ["body.2"]
    model = nn.Linear(2, 3)
    assert isinstance(attach(model, "", late_start=0)[""], MEmeL)
    model(torch.randn(4, 2))
    assert model.memel.statistics.mean.shape == (3,)


def test_the_last_member_stands_for_a_sequential():
    model = SmallCNN()
    attach(model, "body")
    assert isinstance(model.body[2].memel, MEmeL) and len(model.body) == 3


def test_errors_say_what_to_do():
    model = SmallCNN()
    with pytest.raises(ValueError, match="no layer matches 'bodi.2'; the nearest names are .*'body.2'"):
        attach(model, "bodi.2")
    attach(model, "head")
    with pytest.raises(ValueError, match="'head' has a member 'memel' already"):
        attach(model, "head")
    with pytest.raises(ValueError, match="name each layer once"):
        attach(model, ["body", "body.2"])
    assert list(detach(model)) == ["head"]  # the failed calls left nothing behind
    with pytest.raises(ValueError, match="ModuleList, which is never called"):
        attach(nn.ModuleDict({"a": nn.ModuleList([nn.Linear(1, 1)])}), "a")
    with pytest.raises(ValueError, match="neurons is 0"):
        attach(model, "head", neurons=0)


Pair = namedtuple("Pair", "name value")


class Returns(nn.Module):
    def __init__(self, make) -> None:
        super().__init__()
        self.make = make

    def forward(self, z: Tensor):
        return self.make(z)


@pytest.mark.parametrize(
    "make, take",
    [
        (lambda z: (None, z, z), lambda out: out[1]),
        (lambda z: [z, 3], lambda out: out[0]),
        (lambda z: Pair("z", z), lambda out: out.value),
        (lambda z: {"mask": None, "hidden": z}, lambda out: out["hidden"]),
    ],
)
def test_the_first_tensor_of_an_output(make, take):
    layer = Returns(make)
    attach(layer, "", late_start=1)
    layer(torch.randn(4, 5))
    z = torch.randn(4, 5)
    output = layer(z)
    assert type(output) is type(make(z)) and (take(output) != z).sum() == 4
    if isinstance(output, tuple) and not hasattr(output, "_fields"):
        assert output[2] is z


def test_outputs_without_a_tensor():
    layer = Returns(lambda z: "words")
    attach(layer, "")
    with pytest.raises(TypeError, match="type str, expected a tensor"):
        layer(torch.randn(2))
    model = nn.GRU(3, 4)
    attach(model, "")
    with pytest.raises(TypeError, match="PackedSequence"):
        model(pack_padded_sequence(torch.randn(5, 2, 3), torch.tensor([5, 3])))


def test_hooks_compile():
    model = mlp()
    attach(model, ["0", "3"], late_start=1)
    twin = copy.deepcopy(model)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    for _ in range(4):
        x = torch.randn(8, 4)
        torch.testing.assert_close(compiled(x), twin(x))
    torch._dynamo.reset()
