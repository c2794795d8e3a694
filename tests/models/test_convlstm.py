"""The ConvLSTM encoder-forecaster against its equations in numpy loops, and MEmeL at its places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nowcast.config import ConvLSTMConfig, LevelConfig, MemelConfig
from nowcast.models import build_model
from nowcast.models.convlstm import ConvLSTM, MemoryGates
from nowcast.models.encoder_forecaster import EncoderForecaster
from nowcast.models.placement import VALUE_AT

LEVELS = (
    LevelConfig(features=2, kernel=4, stride=2, hidden=3, upsample_features=2, upsample_kernel=4, state_kernel=5),
    LevelConfig(features=2, kernel=3, stride=1, hidden=2, upsample_features=3, upsample_kernel=3, input_kernel=1),
)
Array = NDArray[np.float64]


def small_model(**options: object) -> EncoderForecaster:
    torch.manual_seed(0)
    model = build_model(ConvLSTMConfig(network="convlstm", levels=LEVELS, **options))
    assert isinstance(model, EncoderForecaster)
    for name, weight in model.named_parameters():
        if name.endswith("peephole"):
            torch.nn.init.normal_(weight)
    return model


def convolved(frame: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """(C, H, W) → (D, H', W'), one output pixel at a time."""
    side = weight.shape[-1]
    wide = np.pad(frame, ((0, 0), (padding, padding), (padding, padding)))
    height, width = ((size - side) // stride + 1 for size in wide.shape[1:])
    made = np.empty((len(weight), height, width))
    for y in range(height):
        for x in range(width):
            patch = wide[:, y * stride : y * stride + side, x * stride : x * stride + side]
            made[:, y, x] = (weight * patch).sum(axis=(1, 2, 3)) + bias
    return made


def transposed(frame: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    """(C, H, W) → (D, H', W'): every input pixel stamps the kernel onto the output."""
    side = weight.shape[-1]
    height, width = ((size - 1) * stride + side for size in frame.shape[1:])
    made = np.zeros((weight.shape[1], height, width))
    for y in range(frame.shape[1]):
        for x in range(frame.shape[2]):
            stamp = np.einsum("c,cdij->dij", frame[:, y, x], weight)
            made[:, y * stride : y * stride + side, x * stride : x * stride + side] += stamp
    return made[:, padding : height - padding, padding : width - padding] + bias[:, None, None]


def weights(layer: torch.nn.Module) -> tuple[Array, Array]:
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def leaky(values: Array) -> Array:
    return np.where(values > 0, values, 0.2 * values)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def one_step(cell: ConvLSTM, frame: Array, hidden: Array, memory: Array) -> tuple[Array, Array]:
    """Equation 3 of Shi et al. 2015, a gate at a time."""
    (w_x, b_x), (w_h, b_h) = weights(cell.input_to_hidden), weights(cell.hidden_to_hidden)
    share = {}
    for number, gate in enumerate("ifgo"):
        part = slice(number * cell.hidden, (number + 1) * cell.hidden)
        share[gate] = convolved(frame, w_x[part], b_x[part], 1, w_x.shape[-1] // 2)
        share[gate] += convolved(hidden, w_h[part], b_h[part], 1, w_h.shape[-1] // 2)
    peephole = cell.gates.peephole
    see = np.zeros((3, cell.hidden, 1, 1)) if peephole is None else peephole.detach().numpy()
    i = sigmoid(share["i"] + see[0] * memory)
    f = sigmoid(share["f"] + see[1] * memory)
    memory = f * memory + i * np.tanh(share["g"])
    o = sigmoid(share["o"] + see[2] * memory)
    return o * np.tanh(memory), memory


@pytest.mark.parametrize("mask_channel", [False, True], ids=["frames", "frames and mask"])
@pytest.mark.parametrize("peephole", [True, False], ids=["peepholes", "none"])
def test_forecast_equals_the_equations_in_loops(peephole: bool, mask_channel: bool) -> None:
    model = small_model(peephole=peephole, mask_channel=mask_channel).double()
    observed = torch.rand(1, 3, 1, 6, 8, dtype=torch.float64)
    seen = torch.rand(observed.shape) < 0.7

    sequence = [frame.numpy() for frame in observed[0]]
    if mask_channel:
        sequence = [np.concatenate(pair) for pair in zip(sequence, seen[0].double().numpy(), strict=True)]
    states = []
    for level, downsample, cell in zip(LEVELS, model.downsample, model.encoder, strict=True):
        sequence = [leaky(convolved(f, *weights(downsample), level.stride, 1)) for f in sequence]
        hidden = memory = np.zeros((level.hidden, *sequence[0].shape[1:]))
        outputs = []
        for frame in sequence:
            hidden, memory = one_step(cell, frame, hidden, memory)
            outputs.append(hidden)
        states.append((hidden, memory))
        sequence = outputs
    frames: list[Array] = []
    for level, cell, upsample, (hidden, memory) in zip(
        reversed(LEVELS), model.forecaster, model.upsample, reversed(states), strict=True
    ):
        outputs = []
        for lead in range(4):
            nothing = np.zeros((cell.input_to_hidden.in_channels, *hidden.shape[1:]))
            hidden, memory = one_step(cell, frames[lead] if frames else nothing, hidden, memory)
            outputs.append(hidden)
        frames = [leaky(transposed(output, *weights(upsample), level.stride, 1)) for output in outputs]
    expected = np.stack([convolved(frame, *weights(model.to_frame), 1, 0) for frame in frames])[None]

    forecast = model(observed, seen, 4).detach().numpy()
    np.testing.assert_allclose(forecast, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("place", ConvLSTMConfig.places)
def test_memel_acts_where_it_is_placed(place: str) -> None:
    torch.manual_seed(1)
    gates = MemoryGates(4, True, MemelConfig(placement=(place,), late_start=1, forget_step=5))
    plain = MemoryGates(4, True, None)
    torch.nn.init.normal_(gates.peephole)
    plain.peephole = gates.peephole
    inputs = [(torch.randn(3, 16, 4, 4), torch.randn(3, 16, 4, 4), torch.randn(3, 4, 4, 4)) for _ in range(4)]
    arrived: list[torch.Tensor] = []
    gates.memel[VALUE_AT[place]].register_forward_hook(lambda module, arguments, output: arrived.append(arguments[0]))
    changed = [not torch.equal(gates(*each)[0], plain(*each)[0]) for each in inputs]
    assert changed[0] is False and all(changed[1:]), "the first call only absorbs, the later ones inhibit"

    x, h, memory = inputs[-1]
    w_i, w_f, w_o = gates.peephole
    i, f, g, o = (x[:, 4 * k : 4 * k + 4] + h[:, 4 * k : 4 * k + 4] for k in range(4))
    values = {"input": torch.sigmoid(i + w_i * memory), "forget": torch.sigmoid(f + w_f * memory)}
    values["candidate"] = torch.tanh(g)
    values["cell"] = values["forget"] * memory + values["input"] * values["candidate"]
    values["output"] = torch.sigmoid(o + w_o * values["cell"])
    values["hidden"] = values["output"] * torch.tanh(values["cell"])
    torch.testing.assert_close(arrived[-1], values[place])


def test_convolutions_run_over_the_sequence_and_not_over_zeros() -> None:
    model = small_model()
    calls: list[tuple[str, int]] = []
    for name, cell in (("encoder", model.encoder[0]), ("forecaster", model.forecaster[0])):
        for part in ("input_to_hidden", "hidden_to_hidden"):
            getattr(cell, part).register_forward_hook(
                lambda module, arguments, output, label=f"{name} {part}": calls.append((label, len(arguments[0])))
            )
    frames = torch.rand(2, 3, 1, 6, 8)
    model(frames, torch.ones_like(frames, dtype=torch.bool), 4)
    assert (
        calls
        == [("encoder input_to_hidden", 6)]
        + [("encoder hidden_to_hidden", 2)] * 2
        + [("forecaster hidden_to_hidden", 2)] * 4
    )


def test_bf16_convolutions_keep_the_states_in_fp32() -> None:
    model = small_model()
    frames, states = torch.rand(2, 3, 1, 6, 8), []
    model.encoder[0].register_forward_hook(lambda module, inputs, output: states.extend(output[1]))
    seen = torch.ones_like(frames, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(frames, seen, 2)
    assert [state.dtype for state in states] == [torch.float32, torch.float32]
    torch.testing.assert_close(half.float(), model(frames, seen, 2), rtol=0.1, atol=0.02)


def test_it_learns_to_move_a_front() -> None:
    torch.manual_seed(0)
    level = LevelConfig(features=4, kernel=3, stride=1, hidden=12, upsample_features=8, upsample_kernel=3)
    model = build_model(ConvLSTMConfig(network="convlstm", levels=(level,)))
    x = torch.arange(16.0)
    frames = torch.stack([((x > k) & (x <= k + 5)).float().expand(8, 16) for k in range(7)])[None, :, None]
    observed, later = frames[:, :4], frames[:, 4:]
    seen = torch.ones_like(observed, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(80):
        loss = (model(observed, seen, 3) - later).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    persistence = (observed[:, -1:] - later).square().mean().item()
    assert losses[-1] < 0.5 * min(losses[0], persistence), losses[-1]
