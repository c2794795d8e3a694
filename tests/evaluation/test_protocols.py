import numpy as np
import pytest
import torch
from worlds import moving_world, windows_of

from nowcast.errors import NowcastError
from nowcast.evaluation import OnlineModel
from nowcast.evaluation.protocols import issue
from nowcast.forecaster import OnlineForecaster
from nowcast.losses import BalancedLoss
from nowcast.models.persistence import Persistence


class Spy(Persistence):
    """Persistence that writes down what happens to it."""

    def __init__(self):
        self.events = []

    def __call__(self, observed, observed_valid, lead_steps):
        self.events.append(("forecast", observed.clone()))
        return super().__call__(observed, observed_valid, lead_steps)

    def begin_episode(self):
        self.events.append(("begin", None))

    def adapt(self, seen):
        self.events.append(("adapt", torch.cat([seen.observed, seen.observation], dim=1)))


def test_fixed_covers_every_window_once_and_the_last_batch_may_be_smaller():
    windows = windows_of(moving_world(), range(0, 35, 5))
    batches = list(issue({"a": Persistence()}, windows, "fixed", batch_size=3))
    assert [len(batch.starts) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch.starts for batch in batches]), windows.starts)
    assert batches[-1].forecasts["a"].shape == (1, 4, 1, 40, 40)


def test_fixed_never_adapts():
    spy = Spy()
    list(issue({"spy": spy}, windows_of(moving_world(), (0, 3, 6)), "fixed"))
    assert [kind for kind, _ in spy.events] == ["forecast"]


def test_online_adapts_to_the_past_only_and_forgets_at_a_new_episode():
    clips = moving_world()
    windows = windows_of(clips, (0, 3, 6, 9, 20, 23))  # two episodes of stride 3
    spy = Spy()
    issued = list(issue({"spy": spy}, windows, "online"))
    assert [len(batch.starts) for batch in issued] == [1] * 6
    kinds = [kind for kind, _ in spy.events]
    assert kinds == ["begin", "forecast", *["adapt", "forecast"] * 3, "begin", "forecast", "adapt", "forecast"]
    starts = iter((0, 3, 6, 9, 20, 23))
    episode, seen = 0, None
    for kind, frames in spy.events:
        if kind == "adapt":
            seen = frames
        elif kind == "forecast":
            start = next(starts)
            episode = start if start in (0, 20) else episode
            assert torch.equal(frames[0, :, 0], clips.frames[start : start + 3])
            if seen is not None:
                last = start + 2  # the newest frame of this window
                length = seen.shape[1]
                assert length == 3 + min(4, start - episode)
                assert torch.equal(seen[0, :, 0], clips.frames[last - length + 1 : last + 1])
                assert last - length + 1 >= episode
            seen = None


def test_wrong_shapes_and_protocols_are_refused():
    windows = windows_of(moving_world(), (0,))
    with pytest.raises(NowcastError, match=r"lazy forecast the shape \(1, 3, 1"):
        list(issue({"lazy": lambda observed, valid, steps: observed}, windows))
    with pytest.raises(NowcastError, match="fixed, online"):
        list(issue({"a": Persistence()}, windows, "offline"))


def test_what_is_not_a_tensor_is_told():
    with pytest.raises(NowcastError, match="numpy returned ndarray, expected a torch.Tensor"):
        list(issue({"numpy": lambda observed, valid, steps: observed.numpy()}, windows_of(moving_world(), (0,))))


class LooksBack(Persistence):
    """Persistence that writes down how much of the past it is given."""

    history_steps = 6

    def __init__(self):
        self.given = []

    def __call__(self, observed, observed_valid, lead_steps):
        self.given.append((observed.clone(), observed_valid.clone()))
        return super().__call__(observed[:, -1:], observed_valid[:, -1:], lead_steps)


@pytest.mark.parametrize("protocol", ["fixed", "online"])
def test_a_forecaster_may_look_further_back_than_the_window_and_never_beyond_its_issue(protocol):
    clips = moving_world()
    looks_back, plain = LooksBack(), Spy()
    list(issue({"back": looks_back, "plain": plain}, windows_of(clips, (1, 20)), protocol, batch_size=1))
    (early, early_valid), (late, late_valid) = looks_back.given
    assert not early_valid[0, :2].any() and not early[0, :2].any()  # before the data begin there is nothing
    assert torch.equal(early[0, 2:, 0], clips.frames[0:4]) and torch.equal(early_valid[0, 2:, 0], clips.seen[0:4])
    assert torch.equal(late[0, :, 0], clips.frames[17:23]) and torch.equal(late_valid[0, :, 0], clips.seen[17:23])
    assert [frames.shape[1] for kind, frames in plain.events if kind == "forecast"] == [3, 3]


class Scale(torch.nn.Module):
    """A network with one weight: the last frame times that weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, observed, observed_valid, lead_steps):
        return (self.weight * observed[:, -1:]).repeat(1, lead_steps, 1, 1, 1)


def test_a_network_adapts_and_starts_anew():
    windows = windows_of(moving_world(), (0, 3, 6, 20))
    original = Scale()
    model = OnlineModel(original, BalancedLoss(), learning_rate=0.1, steps=2, device="cpu")
    assert isinstance(model, OnlineForecaster)
    means = []
    for batch in issue({"m": model}, windows, "online"):
        last = batch.sequence.observed[:, -1]
        means.append(float(batch.forecasts["m"][:, 0].sum() / last.sum()))
    assert means[0] == pytest.approx(0.5, abs=1e-6) and means[3] == pytest.approx(0.5, abs=1e-6)
    assert means[0] < means[1] < means[2]  # the frames keep their brightness, so the weight grows towards 1
    assert original.weight.item() == 0.5
    still = OnlineModel(original, BalancedLoss(), steps=0, device="cpu")
    for batch in issue({"m": still}, windows, "online"):
        torch.testing.assert_close(batch.forecasts["m"][:, 0], 0.5 * batch.sequence.observed[:, -1])
