"""The diagnostics on networks small enough to know the answer."""

import copy

import pytest
import torch
from torch import Tensor, nn

from memel import MEmeL, attach, inhibition_effect, loss_increase, monosemantic_scale, pooled, watch


class Cell(nn.Module):
    """A recurrent cell that owns one MEmeL, called at every time step."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.state, self.head = nn.Linear(3, 12), nn.Linear(12, 12), nn.Linear(12, 3)
        self.memel = MEmeL(neurons=2, late_start=3, forget_step=10)
        self.dropout = nn.Dropout(0.2)

    def forward(self, xs: Tensor) -> Tensor:
        h = xs.new_zeros(xs.shape[1], 12)
        for x in xs:
            h = 0.5 * h + 0.5 * self.memel(torch.tanh(self.input(x) + self.dropout(self.state(h))))
        return self.head(h)


def trained_cell() -> tuple[Cell, Tensor]:
    cell, xs = Cell(), torch.randn(5, 16, 3)
    optimizer = torch.optim.Adam(cell.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        (cell(xs) - xs.mean(0)).square().mean().backward()
        optimizer.step()
    return cell, xs


@pytest.mark.parametrize("strength", [None, 0.0, -1.0, 1.0])
def test_a_recurrent_model_and_its_optimizer_are_left_as_they_were(strength):
    cell, xs = trained_cell()
    optimizer = torch.optim.Adam(cell.parameters(), 1e-3)
    (cell(xs) - xs.mean(0)).square().mean().backward()
    optimizer.step()
    before = copy.deepcopy((cell.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    gradients = [p.grad.clone() for p in cell.parameters()]
    effect = inhibition_effect(cell, lambda: (cell(xs) - xs.mean(0)).square().mean(), optimizer, strength)
    assert list(effect) == ["memel"] and len(effect["memel"]) == 5 * 16 * 2
    after = (cell.state_dict(), optimizer.state_dict(), torch.get_rng_state())
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    for p, gradient in zip(cell.parameters(), gradients, strict=True):
        assert torch.equal(p.grad, gradient)
    assert cell.memel.strength == 1 and cell.memel.selector is None and not cell.memel._replay.records


def test_without_a_step_nothing_differs():
    """Dropout, selection and means are repeated: a step of length zero has no effect at all."""
    cell, xs = trained_cell()
    optimizer = torch.optim.SGD(cell.parameters(), 0.0)
    for strength in (None, -1.0, 0.0, 1.0):
        found = inhibition_effect(cell, lambda: (cell(xs) - 1).square().mean(), optimizer, strength)["memel"]
        assert torch.equal(found.value, found.value_after) and torch.equal(found.scale, found.scale_after)
        assert found.decrease_ratio == found.total_update_ratio == 0


@pytest.mark.parametrize("order", ["paper", "reference"])
def test_the_four_columns_by_hand(order):
    model = nn.Sequential(nn.Linear(2, 3), MEmeL(late_start=1, forget_step=1, epsilon=0.1, order=order))
    x = torch.randn(5, 2)
    model(x)
    kept = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    found = inhibition_effect(model, lambda: model(x).square().mean(), optimizer, restore=False)["1"]

    z, after = kept[0](x), model[0](x)
    if order == "reference":
        kept(x)  # the batch sees itself
    mean, variance = kept[1].statistics.mean, kept[1].statistics.variance
    scale = monosemantic_scale(z, mean, variance, 0.1)
    at = (torch.arange(5), scale.argmax(1))
    torch.testing.assert_close(found.value, z[at].detach())
    torch.testing.assert_close(found.value_after, after[at].detach())
    torch.testing.assert_close(found.scale, scale[at])
    torch.testing.assert_close(found.scale_after, monosemantic_scale(after, mean, variance, 0.1)[at])
    torch.testing.assert_close(found.decrease_ratios, (1 - found.scale_after / found.scale) * 100)
    ratios = (100 * (found.value_after / found.value - 1).abs()).double()
    assert found.total_update_ratio == pytest.approx(ratios.mean().item())
    twin = pooled([found, found])
    assert len(twin) == 10 and twin.decrease_ratio == pytest.approx(found.decrease_ratio)
    expected_batches = 2
    assert model[1].statistics.batches == expected_batches  # the second pass has left no trace


def monosemantic_regression() -> tuple[nn.Sequential, Tensor, Tensor]:
    """Trained to minimal loss, with a hidden unit that fires for a rare input: the setting of Lemma 3.3."""
    torch.manual_seed(1)
    x = torch.randn(64, 6, dtype=torch.float64)
    x[:, 0] = 0
    x[:4, 0] = 4
    target = torch.stack([3 * x[:, 0], x[:, 1] - x[:, 2]], 1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(x) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return model, x, target


def test_lemma_3_3_rd_inhibits_and_naive_b_excites():
    """After one small gradient step on a trained model RD lowers φ of the neurons it modified, and naive (b)
    raises it. Naive (a) sends no gradient to them: they move only as the shared weights move for others."""
    model, x, target = monosemantic_regression()
    attach(model, "0", late_start=1, forget_step=100)
    with torch.no_grad():
        model(x)
    optimizer = torch.optim.SGD(model.parameters(), 1e-5)
    ratio = {
        strength: inhibition_effect(model, lambda: (model(x) - target).square().mean(), optimizer, strength)[
            "0.memel"
        ].decrease_ratio
        for strength in (None, -1.0, 0.0, 1.0)
    }
    assert ratio[1.0] > 0 > ratio[-1.0]
    assert ratio[-1.0] < ratio[0.0] < ratio[1.0]
    assert abs(ratio[None]) < ratio[1.0]  # the model is trained: without modification next to nothing moves
    # to first order the effect is linear in Δ: naive (a) lies half-way between the two
    assert ratio[0.0] == pytest.approx((ratio[1.0] + ratio[-1.0]) / 2, abs=0.02 * ratio[1.0])


def test_naive_a_leaves_the_neuron_to_others():
    """No weights are shared between hidden units: with Δ = 0 the selected one does not move at all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), MEmeL(late_start=1), nn.Linear(5, 1)).double()
    model(torch.randn(32, 3, dtype=torch.float64))
    x = torch.randn(1, 3, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    moved = {
        strength: inhibition_effect(model, lambda: (model(x) - 1).square().mean(), optimizer, strength)["1"]
        for strength in (0.0, 1.0)
    }
    assert moved[0.0].total_update_ratio == 0 < moved[1.0].total_update_ratio


def test_effects_refuse_what_they_cannot_measure():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(ValueError, match="found no MEmeL"):
        inhibition_effect(model, lambda: model(torch.randn(3, 2)).sum(), optimizer)
    attach(model, "", late_start=1)
    with pytest.raises(ValueError, match="evaluation mode"):
        inhibition_effect(model.eval(), lambda: model(torch.randn(3, 2)).sum(), optimizer)
    model.train()
    sizes = iter([3, 4])
    with pytest.raises(RuntimeError, match="is it the same batch"):
        inhibition_effect(model, lambda: model(torch.randn(next(sizes), 2)).sum(), optimizer)
    assert model.memel.selector is None
    empty = inhibition_effect(nn.Sequential(model), lambda: model(torch.randn(3, 2)).sum(), optimizer)
    assert set(map(len, empty.values())) == {0} and torch.tensor(empty["0.memel"].decrease_ratio).isnan()


@pytest.mark.parametrize("training", [True, False])
def test_watch_counts_who_is_selected(training):
    memel = MEmeL(late_start=1)
    model = nn.Sequential(nn.Identity(), memel)
    model(torch.randn(50, 4))
    state = copy.deepcopy(memel.state_dict())
    model.train(training)
    z = torch.zeros(6, 4)
    z[:5, 2], z[5, 0] = 50.0, -50.0
    with watch(model) as locations:
        result = model(z)
        model(z[:, torch.tensor([0, 1, 2, 3])])
    location = locations["1"]
    assert memel.selector is None
    assert location.samples == 12 and location.times_selected.tolist() == [2, 0, 10, 0]
    assert location.share_ever_selected == 0.5
    assert location.frequency.tolist() == pytest.approx([2 / 12, 0, 10 / 12, 0])
    assert location.histogram.sum() == 48 and location.quantile(0.99) > 100 > location.quantile(0.5)
    assert (result is z) == (not training)
    if not training:
        torch.testing.assert_close(memel.state_dict(), state, rtol=0, atol=0)


def test_watch_before_the_late_start_sees_nothing():
    model = nn.Sequential(MEmeL(late_start=5))
    with watch(model) as locations:
        model(torch.randn(3, 4))
    assert locations["0"].samples == 0
    with pytest.raises(ValueError, match="no MEmeL"), watch(nn.Linear(1, 1)):
        pass


def test_a_neuron_of_one_feature_hurts_only_inputs_with_it():
    """Unit 0 is the feature, unit 1 everything else: the loss without unit 0 is known."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0]]))
    french = torch.tensor([[2.0, 1.0]] * 4)
    dutch = torch.tensor([[0.0, 1.0]] * 12)

    def loss(x: Tensor) -> Tensor:
        return (model(x)[:, 0] - x.sum(1) - 1).square().mean()  # 1 as it stands

    batches = {"French": [french], "Dutch": [dutch]}
    found = loss_increase(model, "1", (0,), loss, batches, value=0.0)
    assert found == {"French": pytest.approx(800), "Dutch": pytest.approx(0)}  # (-2 - 1)² against 1
    found = loss_increase(model, "1", (0,), loss, batches)  # the mean is 0.5
    assert found == {"French": pytest.approx(525), "Dutch": pytest.approx(-75)}
    assert model.training and not model[1]._forward_hooks
    with pytest.raises(ValueError, match="no batches of kind 'French'"):
        loss_increase(model, "1", (0,), loss, {"French": []})
