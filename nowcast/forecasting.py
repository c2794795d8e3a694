"""From a run and the latest frames to a nowcast."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.archive import Archive
from nowcast.clips.latest_frames import interval_of, latest_frames, pixel_of, shortest_step
from nowcast.clips.model_input import check_masks, in_domain, model_input, scaled_frames
from nowcast.errors import NowcastError
from nowcast.forecast_file import FRAME_MADE, RAIN_RATE, write_forecast
from nowcast.forecaster import Forecaster, HistoryForecaster
from nowcast.models import Named, RadarFacts, TrainedFor, baseline_named, named
from nowcast.models.blend import RecentBlend
from nowcast.motion.bridging import answerable, bridge_gaps, missing_frames
from nowcast.radar.times import Times
from nowcast.run import Run
from nowcast.units import HKO7_ZR, rain_rate_from_scaled

OBSERVED, MADE, MISSING = range(3)
"""What an observed frame of a nowcast is: `observed_frame_made(observed_time)`."""


class Nowcaster:
    """Issues nowcasts from observed frames.

    Args:
        forecaster: any forecaster; `Nowcaster.from_run` loads a trained one. A `HistoryForecaster` is given as many
            frames as it wants.
        observed_frames: how many frames it looks at.
        lead_steps: number of frames that a call without `lead_steps` forecasts.
        frame_interval: the archive's, in the data it was trained on; None accepts any.
        attributes: what to write into every nowcast about its origin.
        masks: which pixels the forecaster may use, "static" or "frame" (`nowcast.clips.model_input`).
        trained_for: its limits; None knows `frame_interval` alone.
        fallback: forecaster that answers where a network does not, because too many observed frames are missing; None
            refuses. A network is a forecaster with an attribute `bridge` (`nowcast.models.ModelForecaster`); others are
            expected to cope with missing frames by themselves.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        observed_frames: int,
        lead_steps: int,
        frame_interval: np.timedelta64 | None = None,
        attributes: Mapping[str, Any] | None = None,
        masks: str = "static",
        trained_for: TrainedFor | None = None,
        fallback: Named | None = None,
    ) -> None:
        check_masks(masks)
        self.forecaster = forecaster
        self.observed_frames = observed_frames
        self.lead_steps = lead_steps
        self.attributes = dict(attributes or {})
        self.masks = masks
        self.trained_for = trained_for or TrainedFor(interval=frame_interval)
        self.fallback = fallback

    def __repr__(self) -> str:
        what = self.attributes.get("model_run", type(self.forecaster).__name__)
        return f"Nowcaster({what}: {self.observed_frames} observed → {self.lead_steps} forecast frames)"

    @property
    def frame_interval(self) -> np.timedelta64 | None:
        """Frame interval that it was trained on; None accepts any."""
        return self.trained_for.interval

    @property
    def frames_needed(self) -> int:
        """Frames up to the issue time that a call can make use of."""
        history = self.forecaster.history_steps if isinstance(self.forecaster, HistoryForecaster) else 0
        return max(self.observed_frames, history)

    @classmethod
    def of(cls, made: Named, masks: str | None = None, fallback: Named | None = None) -> Nowcaster:
        """The nowcaster of what `nowcast.models.named` found; `masks` overrides its own."""
        return cls(
            made.forecaster,
            made.observed_frames,
            made.lead_steps,
            attributes=made.attributes,
            masks=masks or made.masks or "static",
            trained_for=made.trained_for,
            fallback=fallback,
        )

    @classmethod
    def from_run(
        cls, path: str | Path | Run, checkpoint: str = "best", device: str = "auto", masks: str | None = None
    ) -> Nowcaster:
        """The nowcaster of a run directory; nothing but the folder is needed.

        Raises:
            NowcastError: no run, no checkpoint, or a damaged one.
        """
        run = path if isinstance(path, Run) else Run.open(path)
        return cls.of(named(run, checkpoint=checkpoint, device=device), masks)

    @classmethod
    def from_baseline(
        cls,
        name: str,
        observed_frames: int = 5,
        lead_steps: int = 20,
        masks: str = "static",
        facts: RadarFacts | Archive | None = None,
    ) -> Nowcaster:
        """The nowcaster of a baseline, such as "extrapolation"; NowcastError lists the names.

        `facts` are the archive that it will forecast for, or its pixel size and interval; steps needs them.
        """
        made = baseline_named(name, facts)
        return cls(made.forecaster, observed_frames, lead_steps, attributes=made.attributes, masks=masks)

    def __call__(
        self, observed: xr.Dataset, lead_steps: int | None = None, *, beyond_training: bool = False
    ) -> xr.Dataset:
        """Issue a nowcast at the time of the last observed frame.

        Args:
            observed: `reflectivity(time, y, x)` in dBZ (-10 = no echo, NaN = unseen) and, where known,
                `valid(time, y, x)` flags (0 unseen, 1 usable, 2 doubtful) and `static_mask(y, x)` (True = use this
                pixel), as `Archive.dataset` gives them. The last frames count; slots that are not there are taken as
                unseen. As in an archive, reflectivity is rounded to the 8-bit scale (0.27 dB).
            lead_steps: number of frames to forecast, ≥ 1; by default as many as the model was trained for.
            beyond_training: forecast more frames, or smaller ones, than the model was trained for.

        Returns:
            `rain_rate(issue_time, lead_time, y, x)` in mm/h, float32, NaN where the forecaster cannot know and wherever
            `static_mask` does not hold; `observed_rain_rate(observed_time, y, x)` in mm/h, as the forecaster was given
            it, NaN where unseen; `observed_frame_made(observed_time)`: 0 observed, 1 made from its neighbors, 2
            missing; `static_mask(y, x)`, True = seen in at least one observed frame; coordinates x, y and the grid
            mapping of `observed`. The attribute `caution` says what the model was not trained for.

        Raises:
            NowcastError: the frames are another interval apart than in training, more is asked than was trained, or too
                many observed frames are missing for a network and there is no fallback.
        """
        steps = self.lead_steps if lead_steps is None else lead_steps
        if steps < 1:
            raise NowcastError(f"{steps} lead steps asked for, expected at least 1")
        interval = interval_of(observed) or self.frame_interval or shortest_step(observed)
        self.trained_for.refuse_interval(interval)
        shape = observed.sizes["y"], observed.sizes["x"]
        cautions = self.trained_for.cautions(steps, shape, pixel_of(observed), beyond_training, interval)
        latest = latest_frames(observed, self.frames_needed, interval)
        frames = model_input(latest.codes, latest.flags, latest.present, latest.static_mask, self.masks)
        fields = scaled_frames(frames.codes)[None, :, None]  # (1, T, 1, H, W)
        valid = torch.from_numpy(frames.valid)[None, :, None]
        window = slice(-self.observed_frames, None)
        reason = self._refusal(valid[:, window], latest.times[window]) if frames.seen[window].any() else None
        forecaster, attributes = self._chosen(reason)

        domain = in_domain(frames.seen[window])
        wanted = slice(-forecaster.history_steps, None) if isinstance(forecaster, HistoryForecaster) else window
        forecast = forecaster(fields[:, wanted], valid[:, wanted], steps)[0, :, 0].detach().cpu().numpy()
        if isinstance(forecaster, RecentBlend):
            attributes |= {f"blend_weight_{name}": values for name, values in forecaster.weights_by_member().items()}
        shown, status = _shown(forecaster, fields[:, window], valid[:, window], frames.seen[window])
        if cautions:
            attributes["caution"] = "; ".join(cautions)
        nowcast = _dataset(np.where(domain, forecast, np.nan), shown, status, domain, latest.times[window], interval)
        nowcast = nowcast.assign_coords(y=observed["y"], x=observed["x"])
        nowcast.attrs = {**attributes, **nowcast.attrs, "masks": self.masks}
        mapping = observed["reflectivity"].attrs.get("grid_mapping")
        if mapping in observed.variables:
            nowcast[mapping] = observed[mapping]
            for name in ("rain_rate", "observed_rain_rate", "static_mask"):
                nowcast[name].attrs["grid_mapping"] = mapping
        return nowcast

    def _refusal(self, valid: Tensor, times: Times) -> str | None:
        """Why the forecaster has no answer to these frames, None where it has one."""
        if not hasattr(self.forecaster, "bridge"):
            return None
        longest = self.forecaster.bridge or 0
        if answerable(valid, longest)[0]:
            return None
        missing = times[missing_frames(valid)[0]].astype("datetime64[m]")
        gone = ", ".join(str(time)[11:] for time in missing)
        can = f"bridges gaps of up to {longest}" if longest else "was trained without missing frames (data.bridge)"
        found = f"of the {len(times)} observed frames {len(missing)} are missing ({gone} UTC)"
        return f"{found}; {self.trained_for.name} {can}"

    def _chosen(self, reason: str | None) -> tuple[Forecaster, dict[str, Any]]:
        """The forecaster that answers, and what the file says of it; NowcastError where none does."""
        if reason is None:
            return self.forecaster, dict(self.attributes)
        if self.fallback is None:
            raise NowcastError(f"{reason}; issue at another time, or let a baseline answer: --fallback extrapolation")
        made = self.fallback
        told = f"{made.name} instead of {self.trained_for.name}: {reason}"
        return made.forecaster, {**made.attributes, "fallback": told}


def _shown(
    forecaster: Forecaster, fields: Tensor, valid: Tensor, seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """What the forecaster was given, scaled reflectivity (T, H, W), NaN where unseen, and what each frame is."""
    status = np.where(seen.any(axis=(1, 2)), OBSERVED, MISSING).astype(np.int8)
    bridge = getattr(forecaster, "bridge", None)
    if bridge is not None:
        fields, filled = bridge_gaps(fields, valid, bridge)
        made = missing_frames(valid)[0] & ~missing_frames(filled)[0]
        status[made] = MADE
        seen = np.where(made[:, None, None], filled[0, :, 0].numpy(), seen)
    return np.where(seen, fields[0, :, 0].numpy(), np.nan), status


def _dataset(
    forecast: NDArray[np.float32],
    shown: NDArray[np.float32],
    status: NDArray[np.int8],
    domain: NDArray[np.bool_],
    times: Times,
    interval: np.timedelta64,
) -> xr.Dataset:
    issue_time = times[-1]
    lead_time = (np.arange(1, len(forecast) + 1) * interval).astype("timedelta64[s]")
    return xr.Dataset(
        {
            "rain_rate": (("issue_time", "lead_time", "y", "x"), _rain_rate(forecast)[None], dict(RAIN_RATE)),
            "observed_rain_rate": (("observed_time", "y", "x"), _rain_rate(shown), dict(RAIN_RATE)),
            "observed_frame_made": ("observed_time", status, dict(FRAME_MADE)),
            "static_mask": (("y", "x"), domain, {"long_name": "seen by the radar"}),
        },
        coords={
            "issue_time": [issue_time.astype("datetime64[ns]")],
            "lead_time": lead_time.astype("timedelta64[ns]"),
            "valid_time": (("issue_time", "lead_time"), (issue_time + lead_time).astype("datetime64[ns]")[None]),
            "observed_time": times.astype("datetime64[ns]"),
        },
        attrs={
            "observed_frames_used": int((status == OBSERVED).sum()),
            "observed_frames_missing": int((status != OBSERVED).sum()),
            "observed_frames_bridged": int((status == MADE).sum()),
            "zr_relation": f"Z = {HKO7_ZR.a} R^{HKO7_ZR.b}",
        },
    )


def _rain_rate(scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    return rain_rate_from_scaled(scaled).astype(np.float32)


def forecast(
    run: str | Path | Run | Nowcaster,
    archive: str | Path | Archive,
    output: str | Path | None = None,
    *,
    at: str | datetime | np.datetime64 | None = None,
    lead_steps: int | None = None,
    checkpoint: str = "best",
    masks: str | None = None,
    fallback: str | None = None,
    beyond_training: bool = False,
    blend: str | None = None,
) -> xr.Dataset:
    """Issue one nowcast from an archive and, with `output`, write it as a CF netCDF file.

    Args:
        run: run directory, name of a baseline (persistence, extrapolation, fading, sprog, steps), or a ready Nowcaster.
        archive: archive directory.
        output: file to write; None writes none.
        at: issue time, UTC; the nowcast sees frames up to it. None takes the latest frame.
        lead_steps: frames to forecast; None takes the model's.
        checkpoint: "best" or "last", of a run.
        masks: "static", or "frame" for every frame's own mask; None takes the run's, "static" for a baseline.
        fallback: baseline that answers where too many observed frames are missing for a run; None refuses.
        beyond_training: forecast more frames, or smaller ones, than the run was trained for; the file says so.
        blend: "recent" or "none", of a run: what is issued, its network blended with extrapolation by recent errors or
            alone; None takes the run's. The file holds the weights as attributes `blend_weight_…`, one a lead time.

    Returns:
        the dataset described at `Nowcaster.__call__`.
    """
    archive = archive if isinstance(archive, Archive) else Archive.open(archive)
    instead = None if fallback is None else baseline_named(fallback, archive)
    if isinstance(run, Nowcaster):
        nowcaster = copy(run)
        nowcaster.masks, nowcaster.fallback = masks or run.masks, instead or run.fallback
        check_masks(nowcaster.masks)
    else:
        nowcaster = Nowcaster.of(named(run, archive, checkpoint=checkpoint, blend=blend), masks, instead)
    issue_time = archive.times[-1] if at is None else _time(at)
    if issue_time not in archive.times:
        before = archive.times[archive.times <= issue_time]
        hint = f"the last frame before it is {before[-1]}" if len(before) else f"the first is {archive.times[0]}"
        raise NowcastError(f"{archive.path} holds no frame at {issue_time} UTC; {hint}")
    wanted = issue_time - archive.interval * np.arange(nowcaster.frames_needed - 1, -1, -1)
    observed = archive.dataset(wanted[np.isin(wanted, archive.times)])
    nowcast = nowcaster(observed, lead_steps, beyond_training=beyond_training)
    nowcast.attrs["archive"] = archive.path.name
    nowcast.attrs |= {key: archive.attributes[key] for key in ("institution", "place") if key in archive.attributes}
    if output is not None:
        write_forecast(nowcast, output)
    return nowcast


def _time(at: str | datetime | np.datetime64) -> np.datetime64:
    if isinstance(at, datetime) and at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    if isinstance(at, str):
        at = at.strip().removesuffix("Z")
    try:
        if isinstance(at, str):
            return _time(datetime.fromisoformat(at))
        return np.datetime64(at, "s")  # type: ignore[call-overload, no-any-return]
    except ValueError:
        raise NowcastError(f"{at!r} is not a time; expected UTC such as 2018-07-24T03:30") from None
