"""Training batches: a pure function of (seed, step), whatever is cut, turned, chosen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from nowcast.clips.split_windows import windows_of
from nowcast.clips.stored_motion import StoredMotion
from nowcast.clips.windows import sample_starts
from nowcast.config import Experiment
from nowcast.motion.departure import displacements
from nowcast.motion.nodes import dense
from nowcast.motion.warp import inside, warp
from nowcast.training.clips import motion_of, open_archive, training_clips
from nowcast.training.sampling import WET_CODE, Sampler

MakeExperiment = Callable[..., Experiment]
ALL = {
    "training.crop": 24,
    "training.sampling": "wet",
    "training.wettest_of": 3,
    "training.turns": True,
    "training.intensity_jitter": 3.0,
    "training.batch_size": 4,
}


def sampler_of(experiment: Experiment, seed: int = 5) -> Sampler:
    archive = open_archive(experiment)
    motion = motion_of(archive, experiment)
    return Sampler.of(training_clips(archive, experiment), experiment.training, seed, motion)


def test_a_batch_depends_on_seed_and_step_alone(small_experiment: MakeExperiment) -> None:
    experiment = small_experiment(**ALL, **{"model.coordinates": "lagrangian"})
    sampler, again = sampler_of(experiment), sampler_of(experiment)
    for step in range(3):
        sampler.batch(step)
    one, other = sampler.batch(3), again.batch(3)
    for name in ("observed", "observed_valid", "observation", "valid", "in_domain", "motion"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.observed.shape[-2:] == (24, 24) and one.motion is not None and one.motion.shape == (4, 2, 4, 4)
    assert not torch.equal(one.observed, sampler.batch(4).observed)
    assert not torch.equal(one.observed, sampler_of(experiment, seed=6).batch(3).observed)
    part = again.batch(3, slice(1, 3))  # one process of several
    assert torch.equal(part.observed, one.observed[1:3]) and torch.equal(part.motion, one.motion[1:3])


def test_without_options_batches_are_what_they_always_were(small_experiment: MakeExperiment) -> None:
    sampler = sampler_of(small_experiment())
    starts = sample_starts(sampler.clips.starts, sampler.training.batch_size, 5, 7)
    batch = sampler.batch(7)
    assert torch.equal(batch.observed, sampler.clips.sequence(starts).observed) and batch.motion is None


def test_wet_clips_are_drawn_more_often(small_experiment: MakeExperiment) -> None:
    sampler = sampler_of(small_experiment(**{"training.sampling": "wet"}))
    assert sampler.chances is not None and sampler.chances.sum() == pytest.approx(1)
    wet = []
    for start in sampler.clips.starts:
        clip = sampler.clips.sequence(np.atleast_1d(start))
        wet.append(torch.cat([clip.observed, clip.observation], 1).mul(255).round().ge(WET_CODE).float().mean().item())
    assert np.allclose(sampler.chances, (np.array(wet) + 0.003) / (np.array(wet) + 0.003).sum(), rtol=1e-4)


def test_the_wettest_place_is_taken(small_experiment: MakeExperiment) -> None:
    def wetness(places: int) -> float:
        sampler = sampler_of(small_experiment(**{"training.crop": 16, "training.wettest_of": places}))
        return float(
            np.mean([sampler.batch(step).observation.mul(255).ge(WET_CODE).float().mean() for step in range(25)])
        )

    assert wetness(8) > 1.2 * wetness(1)


def test_turned_clips_still_move_along_their_motion(small_experiment: MakeExperiment) -> None:
    """Carried along the motion that comes with it, a crop's last frame is nearer to what follows."""
    experiment = small_experiment(
        **{
            "training.turns": True,
            "training.batch_size": 24,
            "training.sampling": "wet",
            "model.coordinates": "lagrangian",
        }
    )
    archive = open_archive(experiment)
    motion = StoredMotion.of(archive, archive.times, experiment.data.masks, experiment.data.observed)
    moving = windows_of(archive, "test", experiment.data, None)  # the day on which the rain moves fast
    sampler = Sampler.of(moving, experiment.training, 5, motion)
    carried = standing = 0.0
    for batch in (sampler.batch(step) for step in range(4)):
        assert batch.motion is not None
        path = dense(displacements(batch.motion, 2)[:, 1:], tuple(batch.observed.shape[-2:]))
        last, after = batch.observed[:, -1:], batch.observation[:, 1:2]
        there = inside(path)
        carried += float((warp(last, path) - after).abs()[there].sum())
        standing += float((last - after).abs()[there].sum())
    assert standing > 0
    assert carried < 0.9 * standing


def test_echoes_become_stronger_but_no_echo_stays_none(small_experiment: MakeExperiment) -> None:
    plain = sampler_of(small_experiment(**{"training.turns": True})).batch(2)
    strong = sampler_of(small_experiment(**{"training.turns": True, "training.intensity_jitter": 6.0})).batch(2)
    assert torch.equal(plain.valid, strong.valid)
    assert torch.equal(plain.observation == 0, strong.observation == 0)
    for before, after in zip(plain.observation, strong.observation, strict=True):
        inner = (before > 0.15) & (before < 0.85)
        if inner.any():
            shift = (after - before)[inner]
            assert shift.max() - shift.min() < 1e-6 and 0 < shift.abs().max() <= 6 / 70 + 0.003


def test_a_frame_with_a_shorter_side_is_taken_whole_along_it(small_experiment: MakeExperiment) -> None:
    options = {**ALL, "training.crop": 40, "data.rows": [8, 40], "model.coordinates": "lagrangian"}
    sampler = sampler_of(small_experiment(**options))
    for step in range(3):
        batch = sampler.batch(step)
        assert batch.observed.shape[-2:] == (32, 40) and batch.motion is not None and batch.motion.shape == (4, 2, 5, 6)
