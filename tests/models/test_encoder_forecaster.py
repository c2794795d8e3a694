"""The ConvGRU encoder-forecaster against the equations written out step by step, and at the paper's size."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from nowcast.config import ConvGRUConfig, LevelConfig, MemelConfig
from nowcast.models import build_model, count_parameters
from nowcast.models.convgru import ConvGRU
from nowcast.models.encoder_forecaster import EncoderForecaster
from nowcast.models.gates import Gates
from nowcast.models.placement import VALUE_AT

LEVELS = (
    LevelConfig(features=2, kernel=5, stride=3, hidden=4, upsample_features=2, upsample_kernel=5, state_kernel=5),
    LevelConfig(features=3, kernel=4, stride=2, hidden=5, upsample_features=6, upsample_kernel=4),
)


def small_model(**options: object) -> EncoderForecaster:
    torch.manual_seed(0)
    model = build_model(ConvGRUConfig(levels=LEVELS, **options))
    assert isinstance(model, EncoderForecaster)
    return model


def forecast(model: torch.nn.Module, frames: torch.Tensor, lead_steps: int) -> torch.Tensor:
    """Of frames in which every pixel is seen."""
    return model(frames, torch.ones_like(frames, dtype=torch.bool), lead_steps)


def cell_by_hand(cell: ConvGRU, frame: torch.Tensor, state: torch.Tensor, odd: bool) -> torch.Tensor:
    """One time step, one gate at a time, every gate with its own third of the kernels."""

    def share(convolution: torch.nn.Conv2d, values: torch.Tensor, gate: int) -> torch.Tensor:
        part = slice(gate * cell.hidden, (gate + 1) * cell.hidden)
        result = functional.conv2d(
            values, convolution.weight[part], convolution.bias[part], padding=convolution.padding
        )
        return functional.leaky_relu(result, 0.2) if odd else result

    x = [share(cell.input_to_hidden, frame, gate) for gate in range(3)]
    h = [share(cell.hidden_to_hidden, state, gate) for gate in range(3)]
    update = 1 / (1 + torch.exp(-(x[0] + h[0])))
    reset = 1 / (1 + torch.exp(-(x[1] + h[1])))
    candidate = x[2] + reset * h[2]
    candidate = torch.where(candidate > 0, candidate, 0.2 * candidate)
    return (1 - update) * candidate + update * state


@pytest.mark.parametrize("odd", [False, True], ids=["paper equations", "activation before gates"])
def test_forecast_equals_the_equations_written_out(odd: bool) -> None:
    model = small_model(activation_before_gates=odd).double()
    observed = torch.rand(2, 3, 1, 12, 18, dtype=torch.float64)

    states = []
    sequence = list(observed.unbind(1))
    for downsample, cell in zip(model.downsample, model.encoder, strict=True):
        sequence = [functional.leaky_relu(downsample(frame), 0.2) for frame in sequence]
        state = torch.zeros(2, cell.hidden, *sequence[0].shape[2:], dtype=torch.float64)
        outputs = []
        for frame in sequence:
            state = cell_by_hand(cell, frame, state, odd)
            outputs.append(state)
        states.append(state)
        sequence = outputs
    inputs = None
    for cell, upsample, state in zip(model.forecaster, model.upsample, reversed(states), strict=True):
        outputs = []
        for lead in range(4):
            features = cell.input_to_hidden.in_channels
            frame = inputs[lead] if inputs else torch.zeros(2, features, *state.shape[2:], dtype=torch.float64)
            state = cell_by_hand(cell, frame, state, odd)
            outputs.append(state)
        inputs = [functional.leaky_relu(upsample(output), 0.2) for output in outputs]
    assert inputs is not None
    expected = torch.stack([model.to_frame(frame) for frame in inputs], 1)

    torch.testing.assert_close(forecast(model, observed, 4), expected, rtol=1e-12, atol=1e-12)


def test_the_paper_network() -> None:
    model = build_model(ConvGRUConfig())
    assert isinstance(model, EncoderForecaster)
    assert count_parameters(model) == 13_775_137
    shapes = []
    for cell in (*model.encoder, *model.forecaster):
        cell.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output[0].shape[1:])))
    with torch.no_grad():
        assert forecast(model, torch.rand(1, 2, 1, 120, 120), 3).shape == (1, 3, 1, 120, 120)
    assert shapes == [(2, 64, 24, 24), (2, 192, 8, 8), (2, 192, 4, 4), (3, 192, 4, 4), (3, 192, 8, 8), (3, 64, 24, 24)]


@pytest.mark.parametrize("size", [(12, 18), (13, 17), (1, 6), (31, 47)])
@pytest.mark.parametrize(("observed", "lead_steps"), [(1, 1), (4, 2)])
def test_any_size_and_length(size: tuple[int, int], observed: int, lead_steps: int) -> None:
    frames = torch.rand(2, observed, 1, *size)
    assert forecast(small_model(), frames, lead_steps).shape == (2, lead_steps, 1, *size)


def test_padding_is_cropped_from_where_it_was_added() -> None:
    # A frame that is not a multiple of the stride is the same as that frame inside a wider dry one.
    model = small_model()
    frames = torch.rand(1, 2, 1, 11, 16)
    wider = functional.pad(frames, (1, 1, 0, 1))  # 12×18, the next multiple of 6
    torch.testing.assert_close(forecast(model, frames, 2), forecast(model, wider, 2)[..., :11, 1:17])


def test_samples_of_a_batch_do_not_mix() -> None:
    model = small_model()
    frames = torch.rand(3, 2, 1, 12, 12)
    together = forecast(model, frames, 2)
    torch.testing.assert_close(together[1:2], forecast(model, frames[1:2], 2), rtol=1e-4, atol=1e-6)


def test_a_cell_without_input_needs_a_state() -> None:
    with pytest.raises(ValueError, match="needs a hidden state"):
        small_model().forecaster[0](3, None)


@pytest.mark.parametrize("place", ["candidate", "hidden", "update", "reset"])
def test_memel_acts_where_it_is_placed(place: str) -> None:
    torch.manual_seed(1)
    gates = Gates(0.2, False, MemelConfig(placement=(place,), late_start=1, forget_step=5))
    plain = Gates(0.2, False, None)
    inputs = [(torch.randn(3, 12, 4, 4), torch.randn(3, 12, 4, 4), torch.randn(3, 4, 4, 4)) for _ in range(4)]
    seen: list[torch.Tensor] = []
    gates.memel[VALUE_AT[place]].register_forward_hook(lambda module, arguments, output: seen.append(arguments[0]))
    changed = [not torch.equal(gates(*each), plain(*each)) for each in inputs]
    assert changed[0] is False and all(changed[1:]), "the first call only absorbs, the later ones inhibit"

    x, h, previous = inputs[-1]
    update = torch.sigmoid(x[:, :4] + h[:, :4])
    reset = torch.sigmoid(x[:, 4:8] + h[:, 4:8])
    candidate = functional.leaky_relu(x[:, 8:] + reset * h[:, 8:], 0.2)
    hidden = (1 - update) * candidate + update * previous
    expected = {"update": update, "reset": reset, "candidate": candidate, "hidden": hidden}[place]
    torch.testing.assert_close(seen[-1], expected)


def test_six_memel_modules_no_parameters_and_no_trace_in_eval() -> None:
    from memel import MEmeL

    plain, inhibited = small_model(), small_model(memel=MemelConfig(late_start=0))
    assert sum(isinstance(module, MEmeL) for module in build_model(ConvGRUConfig(memel=MemelConfig())).modules()) == 6
    assert count_parameters(plain) == count_parameters(inhibited)
    frames = torch.rand(2, 3, 1, 12, 12)
    torch.testing.assert_close(forecast(inhibited.eval(), frames, 2), forecast(plain.eval(), frames, 2), rtol=0, atol=0)
    forecast(inhibited.train(), frames, 2)
    assert not torch.equal(forecast(inhibited, frames, 2), forecast(plain, frames, 2))


def test_bf16_convolutions_keep_the_state_in_fp32() -> None:
    model = small_model()
    frames = torch.rand(2, 3, 1, 12, 12)
    states: list[torch.Tensor] = []
    model.encoder[0].register_forward_hook(lambda module, inputs, output: states.append(output[0]))
    with torch.autocast("cpu", torch.bfloat16):
        half = forecast(model, frames, 2)
    assert states[0].dtype == torch.float32
    torch.testing.assert_close(half.float(), forecast(model, frames, 2), rtol=0.1, atol=0.02)
