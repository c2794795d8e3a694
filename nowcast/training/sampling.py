"""What an optimizer step learns from: clips drawn by their rain, crops, turns. A pure function of (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from nowcast.clips.model_input import ModelInput
from nowcast.clips.split_windows import Windows
from nowcast.clips.store import ClipStore, as_sequence
from nowcast.clips.stored_motion import StoredMotion
from nowcast.clips.windows import generator, sample_starts
from nowcast.config import TrainingConfig
from nowcast.motion.nodes import crop_motion
from nowcast.sequence import RadarSequence
from nowcast.units import HKO7_SCALE, scaled_threshold

Pixel = TypeVar("Pixel", bound=np.generic)

WET_RATE = 0.5
"""Rain rate in mm/h from which a pixel counts as wet when clips and places are chosen."""

WET_CODE = int(np.argmax(HKO7_SCALE.decode(np.arange(256)) >= scaled_threshold(WET_RATE)))

DRY_SHARE = 0.003
"""Added to the wet share of every clip, so that dry ones are drawn too: a network must learn not to make rain."""


@dataclass(frozen=True)
class Sampler:
    """Random training batches.

    Attributes:
        clips: every clip that may be drawn, from a `ClipStore`.
        training: crop, sampling, augmentation and batch size.
        seed: of the experiment.
        motion: of the frames; None leaves batches without motion.
        chances: chance of every clip, float (N,); None draws all alike.
    """

    clips: Windows
    training: TrainingConfig
    seed: int
    motion: StoredMotion | None = None
    chances: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, clips: Windows, training: TrainingConfig, seed: int, motion: StoredMotion | None = None) -> Sampler:
        """The sampler of an experiment; looks at every frame once where clips are drawn by their rain."""
        chances = wet_chances(clips) if training.sampling == "wet" else None
        return cls(clips, training, seed, motion, chances)

    def batch(self, step: int, share: slice = slice(None)) -> RadarSequence:
        """The batch of optimizer step `step`, or a part of it (one process of several)."""
        training = self.training
        random = generator(self.seed, step)
        if self.chances is None:
            starts = sample_starts(self.clips.starts, training.batch_size, self.seed, step)
            random.integers(0, len(self.clips.starts), size=training.batch_size)  # what sample_starts has drawn
        else:
            starts = self.clips.starts[random.choice(len(self.clips.starts), training.batch_size, p=self.chances)]
        seeds = random.integers(0, 2**63, size=training.batch_size)
        if training.crop is None and not training.turns and not training.intensity_jitter:
            sequence = self.clips.sequence(starts[share])
            return sequence if self.motion is None else self._with_whole_motion(sequence, starts[share])
        clips = [
            self._clip(start, np.random.Generator(np.random.Philox(int(own))))
            for start, own in zip(starts[share], seeds[share], strict=True)
        ]
        return joined(clips)

    def _with_whole_motion(self, sequence: RadarSequence, starts: NDArray[np.datetime64]) -> RadarSequence:
        assert self.motion is not None
        return replace(sequence, motion=self._motion(starts, (0, 0), self._shape, 0, False))

    @property
    def _shape(self) -> tuple[int, int]:
        return _store(self.clips).shape

    def _motion(
        self, starts: NDArray[np.datetime64], corner: tuple[int, int], shape: tuple[int, int], turns: int, flipped: bool
    ) -> torch.Tensor:
        assert self.motion is not None
        whole = self.motion.read(self.clips.issue_times(starts))
        top, left = (first + offset for first, offset in zip(corner, _store(self.clips).corner, strict=True))
        return torch.stack([crop_motion(nodes, top, left, shape, turns, flipped) for nodes in whole])

    def _clip(self, start: np.datetime64, random: np.random.Generator) -> RadarSequence:
        """One clip, cut, turned and made stronger or weaker as its own random numbers say."""
        training, windows = self.training, self.clips
        starts = np.atleast_1d(start)
        frames = _store(windows).frames(starts, windows.observed + windows.forecast)
        height, width = (min(side, training.crop or side) for side in self._shape)
        shape = (height, width)
        top, left = self._place(frames.codes, shape, random)
        turns, flipped = (int(random.integers(4)), bool(random.integers(2))) if training.turns else (0, False)
        if height != width:
            turns -= turns % 2  # all clips of a batch have one shape
        decibels = random.uniform(-1, 1) * training.intensity_jitter
        part = np.s_[..., top : top + shape[0], left : left + shape[1]]
        codes = _turned(frames.codes[part], turns, flipped)
        valid, seen = (_turned(field[part], turns, flipped) for field in (frames.valid, frames.seen))
        if decibels:
            codes = _shifted(codes, round(decibels * 255 / (HKO7_SCALE.maximum - HKO7_SCALE.minimum)))
        sequence = as_sequence(ModelInput(codes, valid, seen), windows.observed)
        if self.motion is None:
            return sequence
        return replace(sequence, motion=self._motion(starts, (top, left), shape, turns, flipped))

    def _place(self, codes: NDArray[np.uint8], shape: tuple[int, int], random: np.random.Generator) -> tuple[int, int]:
        """Top left corner of a crop: the wettest of `wettest_of` random places."""
        height, width = codes.shape[-2:]
        places = [
            (int(random.integers(height - shape[0] + 1)), int(random.integers(width - shape[1] + 1)))
            for _ in range(self.training.wettest_of)
        ]
        if len(places) == 1:
            return places[0]
        wet = [
            np.count_nonzero(codes[..., top : top + shape[0], left : left + shape[1]] >= WET_CODE)
            for top, left in places
        ]
        return places[int(np.argmax(wet))]


def wet_chances(clips: Windows) -> NDArray[np.float64]:
    """Chance of every clip to be drawn, (N,), sum 1: proportional to its frames' mean wet share + `DRY_SHARE`."""
    store, length = _store(clips), clips.observed + clips.forecast
    shares = np.zeros(len(store.times) + 1)  # after the last frame an empty one, for those that are missing
    for k, time in enumerate(store.times):
        shares[k] = np.count_nonzero(store.frames(np.atleast_1d(time), 1).codes >= WET_CODE) / np.prod(store.shape)
    slots = clips.starts[:, None] + clips.interval * np.arange(length)
    at = np.minimum(np.searchsorted(store.times, slots), len(store.times) - 1)
    wet = shares[np.where(store.times[at] == slots, at, len(store.times))].mean(axis=1) + DRY_SHARE
    return np.asarray(wet / wet.sum())


def joined(clips: list[RadarSequence]) -> RadarSequence:
    """Sequences of one shape as one batch."""

    def cat(name: str) -> torch.Tensor | None:
        parts = [getattr(clip, name) for clip in clips]
        return None if parts[0] is None else torch.cat(parts)

    names = ("observed", "observed_valid", "observation", "valid", "in_domain", "motion")
    return RadarSequence(*(cat(name) for name in names))  # type: ignore[arg-type]


def _turned(field: NDArray[Pixel], quarter_turns: int, flipped: bool) -> NDArray[Pixel]:
    turned = np.rot90(field, quarter_turns, (-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if flipped else turned)


def _shifted(codes: NDArray[np.uint8], steps: int) -> NDArray[np.uint8]:
    """Echoes stronger or weaker by some steps of the 8-bit scale; no echo stays no echo, an echo stays one."""
    return np.where(codes > 0, np.clip(codes.astype(np.int16) + steps, 1, 255), 0).astype(np.uint8)


def _store(clips: Windows) -> ClipStore:
    assert isinstance(clips.clips, ClipStore), "training clips come from a ClipStore"
    return clips.clips
