import sys

import pytest
import torch

from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.steps import SProg, Steps


@pytest.fixture(scope="module")
def rain():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 80, 80, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 9, 1, 4) * 9
    field = (0.3 + 0.15 * smooth).clamp(0, 1)[0, 0]
    return torch.stack([torch.roll(field, 2 * step, dims=1)[:64, :64] for step in range(7)])[None, :, None]


def seen(field):
    return torch.ones_like(field, dtype=torch.bool)


def test_sprog_is_a_smoother_extrapolation(rain):
    pytest.importorskip("pysteps")
    observed = rain[:, :4]
    sprog, plain = (f(observed, seen(observed), 3) for f in (SProg(4), Extrapolation()))
    assert isinstance(SProg(), Forecaster)
    assert sprog.shape == (1, 3, 1, 64, 64) and torch.equal(sprog.isnan(), plain.isnan())
    known = plain.isfinite()
    wet = (plain > 0) & (sprog > 0)
    assert torch.corrcoef(torch.stack([sprog[wet], plain[wet]]))[0, 1] > 0.7
    assert sprog[known].min() >= 0 and sprog[known].max() <= 1


def test_steps_members_differ_and_repeat(rain):
    pytest.importorskip("pysteps")
    observed = rain[:, :4]
    members = Steps(3, 4).ensemble(observed, seen(observed), 2)
    assert members.shape == (3, 1, 2, 1, 64, 64)
    assert not torch.equal(members[0].nan_to_num(), members[1].nan_to_num())
    assert torch.equal(members.nan_to_num(), Steps(3, 4).ensemble(observed, seen(observed), 2).nan_to_num())
    mean = Steps(3, 4)(observed, seen(observed), 2)
    torch.testing.assert_close(mean, members.mean(0), equal_nan=True)


def test_without_rain_or_without_enough_frames_it_is_extrapolation(rain):
    pytest.importorskip("pysteps")
    dry = torch.zeros(1, 3, 1, 64, 64)
    assert (SProg(4)(dry, seen(dry), 2) == 0).all()
    short = rain[:, :2]
    expected = Extrapolation()(short, seen(short), 2)
    assert torch.equal(SProg(4)(short, seen(short), 2).nan_to_num(-1), expected.nan_to_num(-1))


def test_without_pysteps_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pysteps"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pysteps", None)
    with pytest.raises(NowcastError, match=r'pip install "nowcast\[pysteps\]"'):
        SProg()
    with pytest.raises(NowcastError, match=r"nowcast\[pysteps\]"):
        Steps()
