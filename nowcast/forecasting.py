"""From a run and the latest frames to a nowcast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from nowcast.archive import Archive
from nowcast.clips.model_input import check_masks, in_domain, model_input, scaled_frames
from nowcast.errors import NowcastError
from nowcast.forecast_file import RAIN_RATE, write_forecast
from nowcast.forecaster import Forecaster
from nowcast.models import BASELINES, ModelForecaster, RadarFacts, baseline, load_checkpoint, load_model
from nowcast.radar.flags import UNSEEN, USABLE
from nowcast.run import Run
from nowcast.units import HKO7_SCALE, HKO7_ZR, rain_rate_from_scaled


class Nowcaster:
    """Issues nowcasts from observed frames.

    Args:
        forecaster: any forecaster; `Nowcaster.from_run` loads a trained one.
        observed_frames: how many frames it looks at.
        frame_interval: the archive's, in the data it was trained on; None accepts any.
        lead_steps: number of frames that a call without `lead_steps` forecasts.
        attributes: what to write into every nowcast about its origin.
        masks: which pixels the forecaster may use, "static" or "frame" (`nowcast.clips.model_input`).
    """

    def __init__(
        self,
        forecaster: Forecaster,
        observed_frames: int,
        lead_steps: int,
        frame_interval: np.timedelta64 | None = None,
        attributes: Mapping[str, Any] | None = None,
        masks: str = "static",
    ) -> None:
        check_masks(masks)
        self.forecaster = forecaster
        self.observed_frames = observed_frames
        self.lead_steps = lead_steps
        self.frame_interval = frame_interval
        self.attributes = dict(attributes or {})
        self.masks = masks

    @classmethod
    def from_run(cls, path: str | Path | Run, checkpoint: str = "best", device: str = "auto") -> Nowcaster:
        """The nowcaster of a run directory; nothing but the folder is needed.

        Raises:
            NowcastError: no run, no checkpoint, or a damaged one.
        """
        run = path if isinstance(path, Run) else Run.open(path)
        experiment = run.experiment
        model = load_model(run, checkpoint)
        interval = load_checkpoint(run.checkpoint(checkpoint)).get("frame_interval_seconds")
        resolved = json.dumps(experiment.plain(), sort_keys=True).encode()
        return cls(
            ModelForecaster(model, device, experiment.training.precision),
            experiment.data.observed,
            experiment.data.forecast,
            None if interval is None else np.timedelta64(interval, "s"),
            attributes={
                "model_run": experiment.name,
                "model_checkpoint": run.checkpoint(checkpoint).stem,
                "config_sha256": hashlib.sha256(resolved).hexdigest(),
            },
            masks=experiment.data.masks,
        )

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
        made = baseline(name, facts)
        field = {"forecast_field": made.describes} if hasattr(made, "describes") else {}
        return cls(made, observed_frames, lead_steps, attributes={"model_run": name, **field}, masks=masks)

    def __call__(self, observed: xr.Dataset, lead_steps: int | None = None) -> xr.Dataset:
        """Issue a nowcast at the time of the last observed frame.

        Args:
            observed: `reflectivity(time, y, x)` in dBZ (-10 = no echo, NaN = unseen) and, where known,
                `valid(time, y, x)` flags (0 unseen, 1 usable, 2 doubtful) and `static_mask(y, x)` (True = use this
                pixel), as `Archive.dataset` gives them. The last frames count; slots that are not there are taken as
                unseen. As in an archive, reflectivity is rounded to the 8-bit scale (0.27 dB).
            lead_steps: number of frames to forecast, ≥ 1; by default as many as the model was trained for.

        Returns:
            `rain_rate(issue_time, lead_time, y, x)` in mm/h, float32, NaN where the forecaster cannot know and wherever
            `static_mask` does not hold; `observed_rain_rate(observed_time, y, x)` in mm/h, as the forecaster was given
            it, NaN where unseen; `static_mask(y, x)`, True = seen in at least one observed frame; coordinates x, y and
            the grid mapping of `observed`.
        """
        steps = self.lead_steps if lead_steps is None else lead_steps
        if steps < 1:
            raise NowcastError(f"{steps} lead steps asked for, expected at least 1")
        interval = self._interval(observed)
        codes, flags, times, present = self._latest(observed, interval)
        static_mask = np.ones(codes.shape[1:], bool)
        if "static_mask" in observed:
            static_mask = observed["static_mask"].transpose("y", "x").values.astype(bool)
        frames = model_input(codes, flags, present, static_mask, self.masks)
        domain = in_domain(frames.seen)

        fields, valid = scaled_frames(frames.codes)[None, :, None], torch.from_numpy(frames.valid)[None, :, None]
        forecast = self.forecaster(fields, valid, steps)[0, :, 0].numpy()  # (lead_steps, H, W)
        forecast = np.where(domain, forecast, np.nan)

        issue_time = times[-1]
        lead_time = (np.arange(1, steps + 1) * interval).astype("timedelta64[s]")
        nowcast = xr.Dataset(
            {
                "rain_rate": (("issue_time", "lead_time", "y", "x"), _rain_rate(forecast)[None], dict(RAIN_RATE)),
                "observed_rain_rate": (
                    ("observed_time", "y", "x"),
                    _rain_rate(np.where(frames.seen, fields[0, :, 0].numpy(), np.nan)),
                    dict(RAIN_RATE),
                ),
                "static_mask": (("y", "x"), domain, {"long_name": "seen by the radar"}),
            },
            coords={
                "issue_time": [issue_time.astype("datetime64[ns]")],
                "lead_time": lead_time.astype("timedelta64[ns]"),
                "valid_time": (
                    ("issue_time", "lead_time"),
                    (issue_time + lead_time).astype("datetime64[ns]")[None],
                ),
                "observed_time": times.astype("datetime64[ns]"),
                "y": observed["y"],
                "x": observed["x"],
            },
            attrs={
                **self.attributes,
                "observed_frames_used": int(present.sum()),
                "observed_frames_missing": int((~present).sum()),
                "masks": self.masks,
                "zr_relation": f"Z = {HKO7_ZR.a} R^{HKO7_ZR.b}",
            },
        )
        mapping = observed["reflectivity"].attrs.get("grid_mapping")
        if mapping in observed.variables:
            nowcast[mapping] = observed[mapping]
            for name in ("rain_rate", "observed_rain_rate", "static_mask"):
                nowcast[name].attrs["grid_mapping"] = mapping
        return nowcast

    def _interval(self, observed: xr.Dataset) -> np.timedelta64:
        if "reflectivity" not in observed or observed["reflectivity"].dims != ("time", "y", "x"):
            raise NowcastError(
                "the observed dataset has no reflectivity(time, y, x) in dBZ; give Archive.dataset(times)"
            )
        if observed.sizes["time"] == 0:
            raise NowcastError("the observed dataset holds no frame; a nowcast needs at least one")
        given = observed.attrs.get("frame_interval_seconds")
        if self.frame_interval is not None:
            if given is not None and np.timedelta64(int(given), "s") != self.frame_interval:
                raise NowcastError(
                    f"the observed frames are {int(given) / 60:g} min apart, the model was trained on frames "
                    f"{self.frame_interval.astype('timedelta64[s]').astype(int) / 60:g} min apart; use such an archive"
                )
            return self.frame_interval
        if given is not None:
            return np.timedelta64(int(given), "s")
        times = observed["time"].values.astype("datetime64[s]")
        if len(times) < 2:
            raise NowcastError("the observed dataset holds one frame and no frame_interval_seconds attribute")
        return np.timedelta64(np.diff(times).min(), "s")

    def _latest(
        self, observed: xr.Dataset, interval: np.timedelta64
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and flags of the last slots, (T, H, W), their times, and which of them exist; the others are unseen."""
        have = observed["time"].values.astype("datetime64[s]")
        times = have.max() - interval * np.arange(self.observed_frames - 1, -1, -1)
        shape = (self.observed_frames, observed.sizes["y"], observed.sizes["x"])
        codes, flags = np.zeros(shape, np.uint8), np.full(shape, UNSEEN, np.uint8)
        present = np.isin(times, have)
        for slot in np.flatnonzero(present):
            frame = observed.isel(time=int(np.flatnonzero(have == times[slot])[0]))
            reflectivity = frame["reflectivity"].values
            given = frame["valid"].values if "valid" in observed else USABLE
            codes[slot] = HKO7_SCALE.encode(HKO7_SCALE.scale(reflectivity))
            flags[slot] = np.where(np.isfinite(reflectivity), given, UNSEEN)
        return codes, flags, times, present


def _rain_rate(scaled: np.ndarray) -> np.ndarray:
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
) -> xr.Dataset:
    """Issue one nowcast from an archive and, with `output`, write it as a CF netCDF file.

    Args:
        run: run directory, name of a baseline (persistence, extrapolation, sprog, steps), or a ready Nowcaster.
        archive: archive directory.
        output: file to write; None writes none.
        at: issue time, UTC; the nowcast sees frames up to it. None takes the latest frame.
        lead_steps: frames to forecast; None takes the model's.
        checkpoint: "best" or "last", of a run.
        masks: "static", or "frame" for every frame's own mask; None takes the run's, "static" for a baseline.

    Returns:
        the dataset described at `Nowcaster.__call__`.
    """
    archive = archive if isinstance(archive, Archive) else Archive.open(archive)
    if isinstance(run, Nowcaster):
        nowcaster = run
    elif isinstance(run, str) and run in BASELINES and not Path(run).exists():
        nowcaster = Nowcaster.from_baseline(run, facts=archive)
    else:
        nowcaster = Nowcaster.from_run(run, checkpoint)
    if masks is not None:
        check_masks(masks)
        nowcaster = copy(nowcaster)
        nowcaster.masks = masks
    issue_time = archive.times[-1] if at is None else _time(at)
    if issue_time not in archive.times:
        before = archive.times[archive.times <= issue_time]
        hint = f"the last frame before it is {before[-1]}" if len(before) else f"the first is {archive.times[0]}"
        raise NowcastError(f"{archive.path} holds no frame at {issue_time} UTC; {hint}")
    wanted = issue_time - archive.interval * np.arange(nowcaster.observed_frames - 1, -1, -1)
    nowcast = nowcaster(archive.dataset(wanted[np.isin(wanted, archive.times)]), lead_steps)
    nowcast.attrs["archive"] = archive.path.name
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
        raise NowcastError(f"{at!r} is no time; expected UTC such as 2018-07-24T03:30") from None
