"""What a network was trained for, and what to say where it is asked for something else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Self

import numpy as np

from nowcast.config import NetworkConfig
from nowcast.errors import NowcastError
from nowcast.run import Run

RANGES_FILE = "trained_for.json"
"""In the run directory of a network that was trained on radar of many pixels and intervals."""

PIXEL_TOLERANCE = 0.02
"""Pixel sizes closer than this share count as the same."""


@dataclass(frozen=True)
class Ranges:
    """Frame intervals (s) and pixel edges (m) that a network was trained on, least and largest.

    It may be asked for others: what it has learned are changes along the motion, in pixels per frame.
    """

    interval_seconds: tuple[float, float]
    pixel_meters: tuple[float, float]

    @classmethod
    def of(cls, run: Run) -> Self | None:
        """The ranges that a run directory states; None where it states none, as after `nowcast train`."""
        path = run.path / RANGES_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            (short, long), (fine, coarse) = content["interval_seconds"], content["pixel_meters"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NowcastError(f"{path} cannot be read ({error}); restore it, or reinstall nowcast") from None
        return cls((float(short), float(long)), (float(fine), float(coarse)))

    def cautions(self, name: str, interval: np.timedelta64 | None, pixel: float | None) -> list[str]:
        """What lies outside, in words; `interval` or `pixel` (m) None is not looked at."""
        found = []
        seconds = None if interval is None else float(interval / np.timedelta64(1, "s"))
        for what, unit, value, (least, largest) in (
            ("frames {} min apart", 60, seconds, self.interval_seconds),
            ("pixels of {} m", 1, pixel, self.pixel_meters),
        ):
            if value is not None and not (1 - PIXEL_TOLERANCE) * least <= value <= (1 + PIXEL_TOLERANCE) * largest:
                trained = f"{least / unit:g} to {largest / unit:g}"
                found.append(f"{what.format(f'{value / unit:g}')}, {name} was trained on {what.format(trained)}")
        return found


@dataclass(frozen=True)
class TrainedFor:
    """The limits of a forecaster; None = it has none.

    Attributes:
        name: what to call it in a sentence.
        interval: frame interval, timedelta64: motion is learned in pixels per frame.
        lead_steps: frames it was trained to forecast.
        reach: shortest side in pixels of a frame that it can forecast, see `reach_of`.
        pixel: edge of a pixel in meters.
        ranges: of intervals and pixels, instead of one of each.
    """

    name: str = "the model"
    interval: np.timedelta64 | None = None
    lead_steps: int | None = None
    reach: int | None = None
    pixel: float | None = None
    ranges: Ranges | None = None

    def refuse_interval(self, interval: np.timedelta64) -> None:
        """NowcastError where frames are another interval apart."""
        if self.interval is not None and interval != self.interval:
            given, trained = (np.timedelta64(i, "s").astype(int) / 60 for i in (interval, self.interval))
            raise NowcastError(
                f"the observed frames are {given:g} min apart, {self.name} was trained on frames {trained:g} min "
                "apart; use such an archive"
            )

    def cautions(
        self,
        lead_steps: int,
        shape: tuple[int, int],
        pixel: float | None,
        beyond_training: bool = False,
        interval: np.timedelta64 | None = None,
    ) -> list[str]:
        """What whoever reads the forecast must know; empty where the forecaster does what it was trained for.

        Args:
            lead_steps: frames to forecast.
            shape: (H, W) of the frames.
            pixel: edge of a pixel in meters; None where it is not known.
            beyond_training: forecast more frames, or smaller ones, than trained; NowcastError without.
            interval: frame interval; None where it is not known.
        """
        found = []
        if self.lead_steps is not None and lead_steps > self.lead_steps:
            found.append(f"{lead_steps} lead steps, {self.name} was trained for {self.lead_steps}")
        if self.reach is not None and min(shape) < self.reach:
            found.append(f"frames of {shape[0]}×{shape[1]}, smaller than the reach of {self.name}, {self.reach} pixels")
        if found and not beyond_training:
            raise NowcastError(f"{found[0]}; ask for what it was trained for, or give --beyond-training")
        found = [f"beyond training: {words}" for words in found]
        if self.ranges is not None:
            found += self.ranges.cautions(self.name, interval, pixel)
        elif self.pixel and pixel and abs(pixel - self.pixel) > PIXEL_TOLERANCE * self.pixel:
            found.append(f"pixels of {pixel:g} m, {self.name} was trained on pixels of {self.pixel:g} m")
        return found


def reach_of(network: NetworkConfig) -> int:
    """Pixels that one step of the deepest cell looks over: total stride × its state kernel.

    On frames with a shorter side it sees mostly what was padded around them, which it never met in training.
    """
    return prod(level.stride for level in network.levels) * network.levels[-1].state_kernel
