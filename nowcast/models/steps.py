"""S-PROG and STEPS by pysteps: extrapolation whose small scales fade (S-PROG) or become random (STEPS)."""

from __future__ import annotations

import contextlib
import io
import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.errors import NowcastError
from nowcast.models.ensemble_mean import mean_of_rates
from nowcast.models.extrapolation import Extrapolation, as_frames
from nowcast.motion.optical_flow import motion_field
from nowcast.units import HKO7_SCALE, HKO7_ZR, scaled_threshold

DRY_RATE = 0.1
"""Rain rate in mm/h below which pysteps takes a pixel as dry (the pysteps convention for radar)."""

DRY_DECIBELS = -15.0
"""What dry is in decibels of rain rate, 5 dB under the threshold (the pysteps convention)."""

WET_SHARE = 0.005
"""Share of wet pixels that a cascade needs; with less rain both methods are plain extrapolation."""

ORDER = 2
"""Order of the autoregressive model: it wants `ORDER + 1` frames, one interval apart."""


class SProg:
    """S-PROG (Seed 2003): a cascade of scales is extrapolated, each scale fades as fast as it changes by itself.

    Motion, and what is unknown, are those of `Extrapolation`; frames that do not suffice (a gap in the last three,
    hardly any rain, a frame under 32 pixels) give its forecast, and `fallback` tells which.
    Needs pysteps: `pip install "nowcast[pysteps]"`.

    Args:
        cascade_levels: number of scales.
    """

    def __init__(self, cascade_levels: int = 6) -> None:
        self.cascade_levels = cascade_levels
        self._method = _pysteps("sprog")

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        forecast = Extrapolation()(observed, observed_valid, lead_steps).cpu()
        for i, frames, seen in _enough(observed, observed_valid):
            with _undisturbed():
                made = self._method(*_given(frames, seen), lead_steps, **_COMMON, n_cascade_levels=self.cascade_levels)
            for step in range(lead_steps):
                _replace(forecast[i, step, 0], made[step])
        return forecast.to(observed.device)

    def fallback(self, observed: Tensor, observed_valid: Tensor) -> Tensor:
        """Which sequences, bool (B,), are answered by plain extrapolation."""
        return _fallback(observed, observed_valid)


class Steps:
    """STEPS (Bowler et al. 2006): the S-PROG cascade plus noise with the rain's own spectrum, as an ensemble.

    Called as a forecaster it gives the mean of its members' rain rates; `ensemble` gives the members. The noise
    depends on `seed` and on the observed frames, so a forecast can be repeated whatever was forecast before. Where
    S-PROG falls back to extrapolation, so does every member. Needs pysteps: `pip install "nowcast[pysteps]"`.

    Args:
        pixel_km, frame_minutes: sizes of a pixel and of a frame interval, which scale the perturbation of the motion
            and how fast rain may spread; the archive's (`nowcast.models.baseline("steps", archive)`).
        members: ensemble members.
        cascade_levels: number of scales.
        seed: of the noise.
    """

    def __init__(
        self, pixel_km: float, frame_minutes: float, members: int = 12, cascade_levels: int = 6, seed: int = 0
    ) -> None:
        if members < 2:
            raise NowcastError(f"STEPS got members {members}, expected at least 2; for one forecast use sprog")
        self.members, self.cascade_levels, self.seed = members, cascade_levels, seed
        self.pixel_km, self.frame_minutes = pixel_km, frame_minutes
        self._method = _pysteps("steps")

    @property
    def describes(self) -> str:
        """What the field of a call is, in words."""
        return f"ensemble mean of {self.members} members (mean of rain rates)"

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """The ensemble mean (B, lead_steps, 1, H, W) of rain rates, as `nowcast.forecaster.Forecaster` says."""
        windows = zip(observed.split(1), observed_valid.split(1), strict=True)  # one at a time: members are many
        return torch.cat([mean_of_rates(self.ensemble(frames, seen, lead_steps)) for frames, seen in windows])

    def ensemble(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """The members (M, B, lead_steps, 1, H, W), scaled reflectivity; NaN at the same pixels in all of them."""
        plain = Extrapolation()(observed, observed_valid, lead_steps).cpu()
        forecast = plain.unsqueeze(0).repeat(self.members, 1, 1, 1, 1, 1)
        for i, frames, seen in _enough(observed, observed_valid):
            lead = iter(range(lead_steps))

            def keep(made: NDArray[np.float64], i: int = i, lead: Iterator[int] = lead) -> None:
                step = next(lead)
                for member in range(self.members):
                    _replace(forecast[member, i, step, 0], made[member])

            with _undisturbed():
                self._method(
                    *_given(frames, seen),
                    lead_steps,
                    **_COMMON,
                    n_cascade_levels=self.cascade_levels,
                    n_ens_members=self.members,
                    kmperpixel=self.pixel_km,
                    timestep=self.frame_minutes,
                    seed=zlib.crc32(frames.tobytes(), self.seed),
                    callback=keep,  # lead time by lead time, so that the members exist once, and in float32
                    return_output=False,
                )
        return forecast.to(observed.device)

    def fallback(self, observed: Tensor, observed_valid: Tensor) -> Tensor:
        """Which sequences, bool (B,), are answered by plain extrapolation in every member."""
        return _fallback(observed, observed_valid)


_COMMON = {"precip_thr": float(10 * np.log10(DRY_RATE)), "ar_order": ORDER}


def _pysteps(name: str) -> Any:
    """The forecast function of a pysteps method; pysteps greets on import, which nobody asked for."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from pysteps.nowcasts import get_method
    except ImportError as error:
        if (error.name or "pysteps").split(".")[0] != "pysteps":
            raise
        raise NowcastError(f'{name} needs pysteps, which is not installed; pip install "nowcast[pysteps]"') from None
    return get_method(name)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let pysteps talk to nobody and, inside a task of a cluster, hand its members to no other worker."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(np.errstate(all="ignore"))
        if "dask" in sys.modules:
            stack.enter_context(sys.modules["dask"].config.set(scheduler="synchronous"))
        yield


def _enough(observed: Tensor, observed_valid: Tensor) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.bool_]]]:
    """Position, frames and where they were seen of every sequence that suffices for a cascade."""
    for i, (frames, seen) in enumerate(zip(*as_frames(observed, observed_valid), strict=True)):
        if _suffices(frames, seen):
            yield i, frames, seen


def _fallback(observed: Tensor, observed_valid: Tensor) -> Tensor:
    pairs = zip(*as_frames(observed, observed_valid), strict=True)
    return torch.tensor([not _suffices(frames, seen) for frames, seen in pairs], dtype=torch.bool)


def _suffices(frames: NDArray[np.float32], seen: NDArray[np.bool_]) -> bool:
    """Whether the last frames follow each other without a gap and hold enough rain, each of them, for a cascade."""
    last, visible = frames[-ORDER - 1 :], seen[-ORDER - 1 :]
    if len(last) <= ORDER or not visible.any(axis=(1, 2)).all() or min(frames.shape[1:]) < 32:
        return False
    wet = (last >= scaled_threshold(DRY_RATE)) & visible
    return bool((wet.mean(axis=(1, 2)) >= WET_SHARE).all())


def _given(frames: NDArray[np.float32], seen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What pysteps wants: the last frames in decibels of rain rate (ORDER + 1, H, W), and the motion (2, H, W)."""
    last, visible = frames[-ORDER - 1 :], seen[-ORDER - 1 :]
    # dBZ = 10 log10(a) + b · decibels of rain rate: the Z-R relation is a straight line between the two.
    decibels = (HKO7_SCALE.reflectivity(last) - 10 * np.log10(HKO7_ZR.a)) / HKO7_ZR.b
    wet = visible & (last >= scaled_threshold(DRY_RATE))
    motion = motion_field(frames, seen, np.arange(len(frames)))
    return np.where(wet, decibels, DRY_DECIBELS), motion.transpose(2, 0, 1).astype(np.float64)


def _replace(field: Tensor, decibels: NDArray[np.float64]) -> None:
    """Write a field (H, W) given in decibels of rain rate as scaled reflectivity over that of plain extrapolation.

    What either does not know keeps the extrapolation's value: pysteps knows the frame's border but not the radar's, and
    the perturbed motion of a member may bring in what the unperturbed one has inside.
    """
    scaled = HKO7_SCALE.scale(10 * np.log10(HKO7_ZR.a) + HKO7_ZR.b * decibels)
    made = np.where(decibels < _COMMON["precip_thr"], 0.0, scaled).astype(np.float32)
    made = np.where(np.isfinite(made) & np.isfinite(field.numpy()), made, field.numpy())
    field.copy_(torch.from_numpy(made))
