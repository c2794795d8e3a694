"""Kinds of weather on fields made by hand; detectors against counted pairs; what is left out of a network, counted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from memel.diagnostics import Location
from nowcast.clips.split_windows import Windows
from nowcast.sequence import RadarSequence
from nowcast.units import HKO7_SCALE, scaled_from_rain_rate
from pipelines.neurons.findings import share_above
from pipelines.neurons.probing import responding, separation, stand_out
from pipelines.neurons.weather_kinds import CONVECTIVE_DBZ, thinned, weather_of

SIZE, FRAMES = 64, 5


class Clips:
    """Windows numbered by their start, each one field or a moving one."""

    def __init__(self, fields: list[np.ndarray]) -> None:
        self.fields = fields

    def sequence(self, starts: np.ndarray, observed: int, forecast: int) -> RadarSequence:
        frames = torch.from_numpy(np.stack([self.fields[int(k.astype(int))] for k in starts])).float()[:, :, None]
        valid = torch.ones_like(frames, dtype=torch.bool)
        return RadarSequence(frames, valid, frames[:, :1], valid[:, :1])


def blob(east: float, rate: float, radius: float) -> np.ndarray:
    """A round rain area that moves `east` pixels a frame, (T, H, W) of scaled reflectivity."""
    y, x = np.mgrid[:SIZE, :SIZE]
    frames = []
    for k in range(FRAMES):
        distance = np.hypot(y - SIZE / 2, x - 20 - east * k)
        frames.append(
            np.where(distance < radius, scaled_from_rain_rate(rate * np.maximum(1.4 - distance / radius, 0.1)), 0)
        )
    return np.stack(frames)


def kinds_of(*fields: np.ndarray) -> tuple[dict[str, list[bool]], np.ndarray]:
    starts = np.arange(len(fields)).astype("datetime64[s]")
    windows = Windows(Clips(list(fields)), starts, FRAMES, 1, np.timedelta64(360, "s"), batch_size=2)
    archive = SimpleNamespace(x=np.arange(SIZE) * 1000.0, interval=np.timedelta64(360, "s"))
    weather = weather_of(windows, archive)  # type: ignore[arg-type]
    return {kind: shown.tolist() for kind, shown in weather.kinds().items()}, weather.speed


def test_kinds_of_weather() -> None:
    dry, wide, heavy = np.zeros((FRAMES, SIZE, SIZE)), blob(0, 3, 20), blob(0, 60, 12)
    kinds, _ = kinds_of(dry, wide, heavy)
    assert kinds["dry"] == [True, False, False]
    assert kinds["stratiform"] == [False, True, False]
    assert kinds["heavy convective"] == [False, False, True]
    assert kinds["fast-moving"] == [False, False, False]


def test_speed_is_in_meters_per_second() -> None:
    kinds, speed = kinds_of(blob(0, 20, 12), blob(3, 20, 12), blob(6, 20, 12))
    assert speed == pytest.approx([0, 3000 / 360, 6000 / 360], abs=2.5)  # pixels of 1 km, frames of 6 min
    assert kinds["fast-moving"] == [False, False, True]


def test_convective_edge() -> None:
    assert HKO7_SCALE.scale(CONVECTIVE_DBZ) == pytest.approx(50 / 70)


def test_thinned_windows_are_spread() -> None:
    starts = np.arange(100).astype("datetime64[s]")
    assert len(thinned(starts, 200)) == 100
    some = thinned(starts, 5).astype(int)
    assert some.tolist() == [0, 25, 50, 74, 99]


def test_separation_is_the_share_of_pairs_in_order() -> None:
    generator = np.random.default_rng(1)
    activity, shown = generator.normal(size=(40, 6)).round(1), generator.random(40) < 0.3
    larger = [[(a > b) + (a == b) / 2 for a in unit[shown] for b in unit[~shown]] for unit in activity.T]
    assert separation(activity, shown) == pytest.approx(np.mean(larger, axis=1))
    assert np.isnan(separation(activity, np.zeros(40, bool))).all()


def test_responding_channels() -> None:
    auc = np.array([[0.95, 0.95, 0.5, 0.95], [0.5, 0.05, 0.6, 0.8]])  # one kind, both, none, one but not only
    assert responding(auc) == {"one": 0.25, "several": 0.25, "none": 0.25}


def test_stand_out() -> None:
    activity = np.array([0.0, 2.0, 0.0, 2.0, 11.0])
    shown = np.array([False] * 4 + [True])
    assert stand_out(activity, shown) == pytest.approx(10 / np.std([0, 2, 0, 2], ddof=1))
    assert np.isnan(stand_out(np.ones(5), shown))


def test_share_above() -> None:
    location = Location()
    values = torch.tensor([0.5, 9.0, 11.0, 99.0, 101.0])
    edges = torch.log10(location.edges)
    location.histogram += torch.bincount(torch.bucketize(values.log10(), edges), minlength=len(location.histogram))
    assert share_above(location, 10) == pytest.approx(3 / 5) and share_above(location, 100) == pytest.approx(1 / 5)
