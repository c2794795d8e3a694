"""What an animation shows, frame by frame: the observed past, then the lead times. No pixels are drawn here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.units import HKO7_SCALE, HKO7_ZR, ZRRelation, rain_rate_from_scaled

NOT_YET = "not yet observed"
MISSING = "missing frame"

MINUTE = np.timedelta64(60, "s")
TOLERANCE = MINUTE
"""An observed frame counts as the frame of a time when it lies within this of it (radar clocks drift)."""


@dataclass(frozen=True)
class Picture:
    """One panel of one scene: a field, or a message where there is none.

    Attributes:
        status: what the field is, in two or three words and a time.
        rain_rate: mm/h float32 (H, W), NaN = unknown; None = no field, see `message`.
        seen: bool (H, W), True = the radar sees this pixel.
        message: why there is no field.

    Without `seen` every pixel counts as seen.
    """

    status: str
    rain_rate: NDArray[np.float32] | None = None
    seen: NDArray[np.bool_] | None = None
    message: str = ""


@dataclass(frozen=True)
class Scene:
    """One frame of the animation: a time (UTC), its lead (≤ 0 = observed past) and a picture per panel."""

    time: np.datetime64
    lead: np.timedelta64
    pictures: dict[str, Picture]

    @property
    def past(self) -> bool:
        return bool(self.lead <= np.timedelta64(0, "s"))


@dataclass(frozen=True)
class Observations:
    """Observed frames in time order: rain rates in mm/h (T, H, W) and where they were seen (bool, True = seen).

    A frame that is nowhere seen is a missing frame and is not kept.
    """

    times: NDArray[np.datetime64]
    rain_rate: NDArray[np.float32]
    seen: NDArray[np.bool_]

    def coverage(self) -> NDArray[np.bool_] | None:
        """Where any frame was seen (H, W); None without frames."""
        return np.asarray(self.seen.any(axis=0)) if len(self.times) else None

    def index(self, time: np.datetime64) -> int | None:
        """The frame of a time, or None."""
        if not len(self.times):
            return None
        nearest = int(np.argmin(np.abs(self.times - time)))
        return nearest if abs(self.times[nearest] - time) <= TOLERANCE else None

    def picture(self, time: np.datetime64, issue_time: np.datetime64, status: str) -> Picture:
        """The frame of a time, or the reason why there is none."""
        index = self.index(time)
        if index is None:
            to_come = time > issue_time and not (self.times > time).any()
            return Picture("", None, self.coverage(), NOT_YET if to_come else MISSING)
        return Picture(status, self.rain_rate[index], self.seen[index])


def seconds(times: object) -> NDArray[np.datetime64]:
    """Times as a datetime64[s] array."""
    return np.atleast_1d(np.asarray(times)).astype("datetime64[s]")


def clock(time: np.datetime64) -> str:
    """03:30 UTC"""
    return f"{str(time.astype('datetime64[m]'))[11:]} UTC"


def minutes(lead: np.timedelta64) -> int:
    """A lead time in whole minutes."""
    return int(round(lead / MINUTE))


def observations(
    nowcast: xr.Dataset,
    observed: xr.Dataset | None,
    issue_time: np.datetime64,
    past: np.timedelta64,
    zr: ZRRelation = HKO7_ZR,
) -> Observations | None:
    """The observed frames of a story: from an archive's dataset, else those the forecast file carries, else None.

    `observed` holds reflectivity(time, y, x) in dBZ and the flags valid(time, y, x), 0 = unseen; it may cover more
    than the nowcast's domain. The file's own are observed_rain_rate(observed_time, y, x) in mm/h.
    """
    if observed is not None:
        if "reflectivity" not in observed:
            raise NowcastError(
                f"The observed dataset has no reflectivity(time, y, x), only {', '.join(map(str, observed))}; "
                "give what Archive.dataset returns"
            )
        fields = _on_grid_of(nowcast, observed)
        everything = seconds(fields["time"].values)
        until = issue_time + nowcast["lead_time"].values.max().astype("timedelta64[s]") + TOLERANCE
        fields = fields.isel(time=(everything >= issue_time - past - TOLERANCE) & (everything <= until))
        dbz = fields["reflectivity"].transpose("time", "y", "x").values
        seen = ~np.isnan(dbz)
        if "valid" in fields:
            seen &= fields["valid"].transpose("time", "y", "x").values != 0
        rate = rain_rate_from_scaled(HKO7_SCALE.scale(dbz), zr).astype(np.float32)
        times = seconds(fields["time"].values)
    elif "observed_rain_rate" in nowcast:
        rate = nowcast["observed_rain_rate"].transpose("observed_time", "y", "x").values.astype(np.float32)
        times, seen = seconds(nowcast["observed_time"].values), ~np.isnan(rate)
        seen &= ~np.isin(times, list(bridged_frames(nowcast)))[:, None, None]  # made, not observed
    else:
        return None
    if "static_mask" in nowcast:
        seen &= nowcast["static_mask"].transpose("y", "x").values.astype(bool)
    kept = np.flatnonzero(seen.any(axis=(1, 2)))
    kept = kept[np.argsort(times[kept], kind="stable")]
    return Observations(times[kept], rate[kept], seen[kept])


def _on_grid_of(nowcast: xr.Dataset, observed: xr.Dataset) -> xr.Dataset:
    """The part of `observed` that lies on the nowcast's grid."""
    ours, theirs = (f"{d.sizes['y']}×{d.sizes['x']}" for d in (nowcast, observed))
    if "x" in nowcast.coords and "x" in observed.coords and nowcast.sizes["x"] > 1:
        spacing = float(abs(nowcast["x"][1] - nowcast["x"][0]))
        try:
            return observed.sel(x=nowcast["x"], y=nowcast["y"], method="nearest", tolerance=spacing / 20)
        except KeyError:
            raise NowcastError(
                f"The observed frames ({theirs}) are not on the grid of the nowcast ({ours}): "
                "their x and y differ; give the archive the nowcast was made from"
            ) from None
    if ours != theirs:
        raise NowcastError(f"The observed frames are {theirs}, the nowcast is {ours}")
    return observed


def bridged_frames(nowcast: xr.Dataset) -> dict[np.datetime64, NDArray[np.float32]]:
    """The frames that were made to bridge a gap before the issue time: time → rain rate in mm/h (H, W)."""
    if "observed_frame_made" not in nowcast or "observed_rain_rate" not in nowcast:
        return {}
    fields = nowcast["observed_rain_rate"].transpose("observed_time", "y", "x").values.astype(np.float32)
    frames = zip(seconds(nowcast["observed_time"].values), nowcast["observed_frame_made"].values, fields, strict=True)
    return {time: field for time, made, field in frames if made == 1}


def gaps_in_words(nowcast: xr.Dataset) -> str:
    """What was missing before the issue time, in words for a title; empty where nothing was."""
    missing, bridged = (int(nowcast.attrs.get(f"observed_frames_{what}", 0)) for what in ("missing", "bridged"))
    if not missing:
        return ""
    frames = "1 input frame" if missing == 1 else f"{missing} input frames"
    if "fallback" in nowcast.attrs:
        return f"{frames} missing, so by {nowcast.attrs.get('model_run', 'the fallback')}"
    return f"{frames} missing, {bridged} bridged" if bridged else f"{frames} missing"


def past_times(
    times: NDArray[np.datetime64], issue_time: np.datetime64, past: np.timedelta64
) -> NDArray[np.datetime64]:
    """The times of the observed past: those there are, and those missing between them and the issue time."""
    inside = times[(times <= issue_time) & (times >= issue_time - past)]
    if len(inside) < 2:
        return inside
    interval = np.median(np.diff(inside).astype(np.int64)).astype("timedelta64[s]")
    filled = []
    for start, stop in zip(inside, [*inside[1:], issue_time + interval], strict=True):
        absent = max(0, round((stop - start) / interval) - 1)
        filled += [start + k * interval for k in range(absent + 1)]
    return np.array(filled)


def scenes(
    nowcast: xr.Dataset,
    issue_time: np.datetime64,
    seen_by: Observations | None,
    past: np.timedelta64,
    beside: xr.Dataset | None = None,
) -> list[Scene]:
    """Every frame of the animation of one issue time; `nowcast` holds rain_rate(lead_time, y, x).

    The third panel shows `beside`, another nowcast of the same issue time and grid, or the persistence of the last
    observed frame. A past frame is called "input" only where `nowcast` names it among its `observed_time`.
    """
    rate = nowcast["rain_rate"].transpose("lead_time", "y", "x").values.astype(np.float32)
    leads = nowcast["lead_time"].values.astype("timedelta64[s]")
    seen = np.ones(rate.shape[1:], bool)
    if "static_mask" in nowcast:
        seen = nowcast["static_mask"].transpose("y", "x").values.astype(bool)
    elif seen_by is not None and (coverage := seen_by.coverage()) is not None:
        seen = coverage
    if seen_by is None:
        return [
            Scene(issue_time + lead, lead, {"nowcast": Picture(f"+{minutes(lead)} min", field, seen)})
            for lead, field in zip(leads, rate, strict=True)
        ]
    known = seen_by.times[seen_by.times <= issue_time]
    third = "persistence" if beside is None else "beside"
    inputs = seconds(nowcast["observed_time"].values) if "observed_time" in nowcast.coords else np.array([issue_time])
    bridged = bridged_frames(nowcast)
    story = []
    for time in past_times(known, issue_time, past):
        frame = seen_by.picture(time, issue_time, f"observed {clock(time)}")
        word = "input" if time in inputs else "observed"
        given = Picture(f"{word} {clock(time)}" * bool(frame.status), frame.rain_rate, frame.seen, frame.message)
        if time in bridged:
            given = Picture(f"bridged {clock(time)}", bridged[time], seen & ~np.isnan(bridged[time]))
        story.append(Scene(time, time - issue_time, {"observed": frame, "nowcast": given, third: given}))
    persistence = Picture("", None, seen, "no observed frame")
    if len(known):
        persistence = seen_by.picture(known[-1], issue_time, f"stays at {clock(known[-1])}")
    rivals = [persistence] * len(leads)
    if beside is not None:
        fields = zip(leads, _rival(beside, nowcast), strict=True)
        rivals = [Picture(f"+{minutes(lead)} min", field, seen) for lead, field in fields]
    for lead, field, rival in zip(leads, rate, rivals, strict=True):
        time = issue_time + lead
        pictures = {
            "observed": seen_by.picture(time, issue_time, f"observed {clock(time)}"),
            "nowcast": Picture(f"+{minutes(lead)} min", field, seen),
            third: rival,
        }
        story.append(Scene(time, lead, pictures))
    return story


def _rival(beside: xr.Dataset, nowcast: xr.Dataset) -> NDArray[np.float32]:
    """Rain rates (lead_time, y, x) of another nowcast; NowcastError unless it has the leads and grid of the first."""
    field = beside["rain_rate"].transpose("lead_time", "y", "x")
    for name in ("lead_time", "y", "x"):
        if field.sizes[name] != nowcast.sizes[name] or (beside[name].values != nowcast[name].values).any():
            raise NowcastError(f"The nowcasts to show side by side differ in their {name}; make both from one archive")
    return np.asarray(field.values, np.float32)
