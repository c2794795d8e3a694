import sys

import numpy as np
import pytest
import torch

from nowcast.archive import Archive
from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster
from nowcast.models import RadarFacts, baseline
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.steps import SProg, Steps
from nowcast.units import rain_rate_from_scaled, scaled_from_rain_rate


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


def steps(members=3):
    return Steps(pixel_km=1.0, frame_minutes=6.0, members=members, cascade_levels=4)


def test_steps_members_differ_and_repeat(rain):
    pytest.importorskip("pysteps")
    observed = rain[:, :4]
    members = steps().ensemble(observed, seen(observed), 2)
    assert members.shape == (3, 1, 2, 1, 64, 64) and members.dtype == torch.float32
    assert not torch.equal(members[0].nan_to_num(), members[1].nan_to_num())
    assert torch.equal(members.nan_to_num(), steps().ensemble(observed, seen(observed), 2).nan_to_num())
    assert torch.equal(members.isnan().all(0), Extrapolation()(observed, seen(observed), 2).isnan())


def test_the_members_are_those_that_pysteps_gives_at_once(rain):
    """Kept lead time by lead time, in float32, the members are what the whole float64 array of pysteps holds."""
    method = pytest.importorskip("pysteps.nowcasts").get_method("steps")
    observed = rain[:, :4]
    kept = {}

    def whole(precip, velocity, timesteps, callback, return_output, **options):
        kept["made"] = method(precip, velocity, timesteps, **options)
        for step in range(timesteps):
            callback(kept["made"][:, step])

    forecaster = steps()
    streamed = forecaster.ensemble(observed, seen(observed), 3)
    forecaster._method = whole
    torch.testing.assert_close(forecaster.ensemble(observed, seen(observed), 3), streamed, equal_nan=True)
    rates = 10 ** (kept["made"] / 10)
    expected = scaled_from_rain_rate(np.where(kept["made"] < -10, 0, rates))
    plain = Extrapolation()(observed, seen(observed), 3)[0, :, 0].numpy()
    expected = np.where(np.isfinite(expected) & np.isfinite(plain), expected, plain)  # unknown, or another motion's
    np.testing.assert_allclose(streamed[:, 0, :, 0].numpy(), expected, atol=1e-6)


def test_the_field_of_steps_rains_what_its_members_rain(rain):
    pytest.importorskip("pysteps")
    observed = rain[:, :4]
    members = rain_rate_from_scaled(steps().ensemble(observed, seen(observed), 4))
    mean = rain_rate_from_scaled(steps()(observed, seen(observed), 4))
    known = np.isfinite(mean)
    assert mean[known].mean() == pytest.approx(members.mean(0)[known].mean(), rel=1e-3)
    in_decibels = rain_rate_from_scaled(steps().ensemble(observed, seen(observed), 4).mean(0))
    assert in_decibels[known].mean() < 0.95 * mean[known].mean()  # what the mean of decibels would lose
    assert steps().describes == "ensemble mean of 3 members (mean of rain rates)"


def test_pixel_size_and_interval_are_those_of_the_archive(small_archive):
    pytest.importorskip("pysteps")
    archive = Archive.open(small_archive)
    made = baseline("steps", archive)
    assert (made.pixel_km, made.frame_minutes) == (pytest.approx((archive.x[1] - archive.x[0]) / 1000), 6.0)
    other = RadarFacts(pixel_km=0.5, frame_minutes=10.0)
    assert (baseline("steps", other).pixel_km, baseline("steps", other).frame_minutes) == (0.5, 10.0)
    with pytest.raises(NowcastError, match="needs the radar.s pixel size in metres and its frame interval"):
        baseline("steps")
    with pytest.raises(NowcastError, match="unknown baseline 'stepz'; expected one of persistence, extrapolation"):
        baseline("stepz", archive)


def test_without_rain_or_without_enough_frames_it_is_extrapolation(rain):
    pytest.importorskip("pysteps")
    dry = torch.zeros(1, 3, 1, 64, 64)
    assert (SProg(4)(dry, seen(dry), 2) == 0).all()
    short = rain[:, :2]
    expected = Extrapolation()(short, seen(short), 2)
    both = torch.cat([rain[:, :4], torch.zeros(1, 4, 1, 64, 64)])
    assert SProg(4).fallback(both, seen(both)).tolist() == steps().fallback(both, seen(both)).tolist() == [False, True]
    assert SProg(4).fallback(short, seen(short)).tolist() == [True]
    assert torch.equal(SProg(4)(short, seen(short), 2).nan_to_num(-1), expected.nan_to_num(-1))


def test_without_pysteps_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pysteps"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pysteps", None)
    with pytest.raises(NowcastError, match=r'pip install "nowcast\[pysteps\]"'):
        SProg()
    with pytest.raises(NowcastError, match=r"nowcast\[pysteps\]"):
        steps()
