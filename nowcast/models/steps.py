"""S-PROG and STEPS by pysteps: extrapolation whose small scales fade (S-PROG) or become random (STEPS)."""

from __future__ import annotations

import contextlib
import io
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.errors import NowcastError
from nowcast.models.extrapolation import Extrapolation, as_frames
from nowcast.motion.advection import advect
from nowcast.motion.optical_flow import motion_field
from nowcast.units import rain_rate_from_scaled, scaled_from_rain_rate

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
    hardly any rain) give its forecast. Needs pysteps: `pip install "nowcast[pysteps]"`.

    Args:
        cascade_levels: number of scales.
    """

    def __init__(self, cascade_levels: int = 6) -> None:
        self.cascade_levels = cascade_levels
        self._method = _pysteps("sprog")

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        forecast = Extrapolation()(observed, observed_valid, lead_steps)
        for i, (frames, seen) in enumerate(zip(*as_frames(observed, observed_valid), strict=True)):
            if _suffices(frames, seen):
                made = _issue(self._method, frames, seen, lead_steps, n_cascade_levels=self.cascade_levels)
                forecast[i, :, 0] = torch.from_numpy(made).to(forecast)
        return forecast


class Steps:
    """STEPS (Bowler et al. 2006): the S-PROG cascade plus noise with the rain's own spectrum, as an ensemble.

    Called as a forecaster it gives the ensemble mean (of scaled reflectivity); `ensemble` gives the members. The noise
    depends on `seed` and on the observed frames, so a forecast can be repeated whatever was forecast before.
    Needs pysteps: `pip install "nowcast[pysteps]"`.

    Args:
        members: ensemble members.
        cascade_levels: number of scales.
        pixel_km, frame_minutes: sizes of a pixel and of a frame interval, which scale the perturbation of the motion;
            the defaults are those of HKO-7.
        seed: of the noise.
    """

    def __init__(
        self,
        members: int = 12,
        cascade_levels: int = 6,
        pixel_km: float = 512 / 480,
        frame_minutes: float = 6.0,
        seed: int = 0,
    ) -> None:
        if members < 2:
            raise NowcastError(f"STEPS got members {members}, expected at least 2; for one forecast use sprog")
        self.members, self.cascade_levels, self.seed = members, cascade_levels, seed
        self.pixel_km, self.frame_minutes = pixel_km, frame_minutes
        self._method = _pysteps("steps")

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """The ensemble mean (B, lead_steps, 1, H, W), as `nowcast.forecaster.Forecaster` says."""
        return self.ensemble(observed, observed_valid, lead_steps).mean(dim=0)

    def ensemble(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """The members (M, B, lead_steps, 1, H, W), scaled reflectivity; NaN at the same pixels in all of them."""
        plain = Extrapolation()(observed, observed_valid, lead_steps)
        forecast = plain.unsqueeze(0).repeat(self.members, 1, 1, 1, 1, 1)
        for i, (frames, seen) in enumerate(zip(*as_frames(observed, observed_valid), strict=True)):
            if _suffices(frames, seen):
                made = _issue(
                    self._method, frames, seen, lead_steps,
                    n_cascade_levels=self.cascade_levels, n_ens_members=self.members, kmperpixel=self.pixel_km,
                    timestep=self.frame_minutes, seed=zlib.crc32(frames.tobytes(), self.seed),
                )  # fmt: skip
                forecast[:, i, :, 0] = torch.from_numpy(made).to(forecast)
        return forecast


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


def _suffices(frames: NDArray[np.float32], seen: NDArray[np.bool_]) -> bool:
    """Whether the last frames follow each other without a gap and hold enough rain, each of them, for a cascade."""
    last, visible = frames[-ORDER - 1 :], seen[-ORDER - 1 :]
    if len(last) <= ORDER or not visible.any(axis=(1, 2)).all() or min(frames.shape[1:]) < 32:
        return False
    wet = (rain_rate_from_scaled(last) >= DRY_RATE) & visible
    return bool((wet.mean(axis=(1, 2)) >= WET_SHARE).all())


def _issue(
    method: Any, frames: NDArray[np.float32], seen: NDArray[np.bool_], lead_steps: int, **options: Any
) -> NDArray[np.float32]:
    """Scaled reflectivity ([M,] lead_steps, H, W): into decibels of rain rate, through pysteps, and back."""
    rate = np.where(seen, rain_rate_from_scaled(frames), 0.0)
    decibels = np.full(rate.shape, DRY_DECIBELS)
    np.log10(rate, out=decibels, where=rate >= DRY_RATE)
    decibels[rate >= DRY_RATE] *= 10
    motion = motion_field(frames, seen, np.arange(len(frames)))
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        made = method(
            decibels[-ORDER - 1 :], motion.transpose(2, 0, 1).astype(np.float64), lead_steps,
            precip_thr=float(10 * np.log10(DRY_RATE)), ar_order=ORDER, **options,
        )  # fmt: skip
        rates = np.where(made < 10 * np.log10(DRY_RATE), 0.0, 10 ** (made / 10))
    known = np.stack([np.isfinite(f) for f in advect(rate[-1].astype(np.float32), seen[-1], motion, lead_steps)])
    rates = np.where(known, np.nan_to_num(rates), np.nan)  # pysteps knows the frame's border, not the radar's
    return scaled_from_rain_rate(rates).astype(np.float32)
