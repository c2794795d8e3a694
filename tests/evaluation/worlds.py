"""Windows made of tensors: moving rain without an archive, and a reader that tells what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from nowcast.evaluation import Windows
from nowcast.sequence import RadarSequence

ORIGIN = np.datetime64("2018-07-24T00:00:00")
INTERVAL = np.timedelta64(360, "s")


@dataclass
class TensorClips:
    """Frames (N, H, W) from `ORIGIN` on, one an interval, as a clip store; remembers the latest slot it read."""

    frames: torch.Tensor
    seen: torch.Tensor
    latest: list[int] = field(default_factory=list)

    def sequence(self, starts, observed, forecast):
        slots = ((np.asarray(starts, "datetime64[s]") - ORIGIN) // INTERVAL).astype(int)
        self.latest.append(int(slots.max()) + observed + forecast - 1)
        wanted = torch.from_numpy(slots[:, None] + np.arange(observed + forecast))
        there = (wanted >= 0)[:, :, None, None]
        frames = (self.frames[wanted.clamp(min=0)] * there).unsqueeze(2)
        seen = (self.seen[wanted.clamp(min=0)] & there).unsqueeze(2)
        return RadarSequence(frames[:, :observed], seen[:, :observed], frames[:, observed:], seen[:, observed:])


def moving_world(count: int = 60, size: int = 40, seed: int = 0) -> TensorClips:
    """Rain that moves two pixels east a frame through a round radar image, brighter from frame to frame."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.randn(1, 1, size, size + 2 * count, generator=generator)
    wide = 0.25 + torch.nn.functional.avg_pool2d(wide, 7, 1, 3)[0, 0] * 2
    frames = torch.stack([wide[:, 2 * (count - k) : 2 * (count - k) + size] for k in range(count)]).clamp(0, 1)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    seen = torch.from_numpy(np.hypot(rows, columns) < size / 2).expand(frames.shape).clone()
    return TensorClips(frames, seen)


def windows_of(clips: TensorClips, slots, observed: int = 3, forecast: int = 4, stride: int = 3) -> Windows:
    starts = np.array([ORIGIN + slot * INTERVAL for slot in slots], "datetime64[s]")
    return Windows(clips, starts, observed, forecast, INTERVAL, stride)
