"""A checkpointed forward runs twice; nobody may notice but the memory."""

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from memel import MEmeL


class Cell(nn.Module):
    """A recurrent cell that owns one MEmeL, called at every time step."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(3, 8), nn.Linear(8, 8)
        self.memel = MEmeL(neurons=2, late_start=3, forget_step=4)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return 0.5 * h + 0.5 * self.memel(torch.tanh(self.input(x) + self.state(h)))


def several_steps(cell: Cell, xs: Tensor, h: Tensor) -> Tensor:
    for x in xs:
        h = cell(x, h)
    return h


def run(cell: Cell, xs: Tensor, region: int, reentrant: bool) -> Tensor:
    h = torch.zeros(xs.shape[1], 8, dtype=xs.dtype, requires_grad=True)
    for part in xs.split(region):
        h = checkpoint(several_steps, cell, part, h, use_reentrant=reentrant)
    return h


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("region", [1, 2, 5])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_checkpointed_training_equals_plain_training(reentrant, region, accumulate):
    plain = Cell().double()
    kept = copy.deepcopy(plain)
    optimizers = [torch.optim.SGD(cell.parameters(), 0.3) for cell in (plain, kept)]
    for _ in range(4):
        losses = [[], []]
        for _ in range(accumulate):
            xs = torch.randn(5, 6, 3, dtype=torch.float64)
            losses[0].append(several_steps(plain, xs, torch.zeros(6, 8, dtype=torch.float64)).square().mean())
            losses[1].append(run(kept, xs, region, reentrant).square().mean())
        for both, optimizer in zip(losses, optimizers, strict=True):
            optimizer.zero_grad()
            sum(both).backward()
        for a, b in zip(plain.parameters(), kept.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(plain.state_dict(), kept.state_dict(), rtol=1e-12, atol=1e-14)
        for optimizer in optimizers:
            optimizer.step()
    assert kept.memel.statistics.batches == 4 * 5 * accumulate


@pytest.mark.parametrize("outer", [False, True])
def test_nested_checkpoints(outer):
    plain = Cell().double()
    kept = copy.deepcopy(plain)
    xs = torch.randn(6, 4, 3, dtype=torch.float64)

    def halves(h: Tensor) -> Tensor:
        for part in xs.split(3):
            h = checkpoint(several_steps, kept, part, h, use_reentrant=False)
        return h

    start = torch.zeros(4, 8, dtype=torch.float64, requires_grad=True)
    several_steps(plain, xs, start).sum().backward()
    checkpoint(halves, start, use_reentrant=outer).sum().backward()
    for a, b in zip(plain.parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-14)
    assert kept.memel.statistics.batches == 6


def test_equal_inputs_meet_their_own_statistics():
    """The same batch in several calls: each checkpoint repeats its own selection, last one first."""
    memel = MEmeL(late_start=2)
    xs = [torch.randn(4, 5) for _ in range(2)] + [torch.ones(4, 5) * torch.arange(5.0)] * 3
    scales = [torch.ones(5, requires_grad=True) for _ in range(5)]
    twin, twin_scales = copy.deepcopy(memel), [scale.detach().clone().requires_grad_() for scale in scales]
    weights = torch.randn(5)
    sum((twin(x * s) * weights).square().sum() for x, s in zip(xs, twin_scales, strict=True)).backward()

    def region(x: Tensor, scale: Tensor) -> Tensor:
        return (memel(x * scale) * weights).square().sum()

    sum(checkpoint(region, x, s, use_reentrant=False) for x, s in zip(xs, scales, strict=True)).backward()
    for a, b in zip(scales, twin_scales, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_no_records_without_a_checkpoint():
    cell = Cell()
    for _ in range(3):
        several_steps(cell, torch.randn(5, 6, 3), torch.zeros(6, 8)).sum().backward()
    assert not cell.memel._replay.records


def test_records_are_bounded_and_forgotten():
    cell = Cell()
    for _ in range(3):
        run(cell, torch.randn(5, 6, 3), 1, False).sum().backward()
        assert len(cell.memel._replay.records) == 5
    with torch.no_grad():
        for _ in range(130):
            several_steps(cell, torch.randn(5, 2, 3), torch.zeros(2, 8))
    assert len(cell.memel._replay.records) == 512


def test_a_call_inside_a_backward_without_a_record_warns_and_absorbs_nothing():
    memel = MEmeL(late_start=1)
    memel(torch.randn(4, 5))
    x = torch.randn(4, 5, requires_grad=True)
    x.register_hook(lambda gradient: memel(gradient))
    with pytest.warns(UserWarning, match="no record"):
        x.square().sum().backward()
    assert memel.statistics.batches == 1


def test_eval_under_a_checkpoint_is_silent():
    cell = Cell()
    several_steps(cell, torch.randn(5, 6, 3), torch.zeros(6, 8))
    cell.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(cell, torch.randn(5, 6, 3), 2, False).sum().backward()
    assert cell.memel.statistics.batches == 5
