"""An animated nowcast: observed, nowcast and a rival side by side, from the observed past through every lead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nowcast.clips.surroundings import observed_around
from nowcast.errors import NowcastError
from nowcast.forecast_file import read_forecast
from nowcast.units import HKO7_ZR, ZRRelation
from nowcast.visualization import film
from nowcast.visualization.panel import Panel
from nowcast.visualization.scenes import Scene, gaps_in_words, observations, scenes, seconds
from nowcast.visualization.stage import Stage


def animate(
    nowcast: xr.Dataset | str | Path,
    path: str | Path,
    observed: xr.Dataset | str | Path | None = None,
    *,
    beside: xr.Dataset | str | Path | None = None,
    issue_time: np.datetime64 | str | None = None,
    past_minutes: int = 60,
    frames_per_second: float = 6.0,
    pause_seconds: float = 2.0,
    panel_size: int = 400,
    zr: ZRRelation = HKO7_ZR,
) -> Path:
    """Animate a nowcast; the suffix of `path` chooses .gif, .webp, .apng, .png (a series of frames) or .mp4.

    With observed frames three panels run in step: observed | nowcast | another nowcast, or persistence. The observed
    past plays in all three, with "input" over the frames that the nowcast was given; then the lead times run, and the
    last one stays a while. Persistence is the last observed frame. Where the future is not observed, the observed
    panel says so. Places the radar never sees are hatched gray, places the forecaster cannot know (NaN) are sand, dry
    ground is near-white.

    Args:
        nowcast: rain_rate(issue_time, lead_time, y, x) in mm/h as `Nowcaster` gives it; static_mask(y, x) bool, True =
            use this pixel; optionally observed_rain_rate(observed_time, y, x), the frames it was made from. Or a file
            that holds it.
        path: the file to write.
        observed: what `Archive.dataset(times)` gives, reflectivity(time, y, x) in dBZ with flags valid (0 = unseen);
            the past and, where there is one, the verifying future; or an archive folder to take that from. Without it
            the frames in `nowcast` are shown.
        beside: another nowcast of the same issue time, lead times and grid, or its file, for the third panel; None
            shows persistence there.
        issue_time: which nowcast to show, UTC; the latest by default.
        past_minutes: how much of the observed past to show, minutes.
        frames_per_second: speed.
        pause_seconds: how long the last frame stays; the frame of the issue time stays a third as long.
        panel_size: pixels of a panel's longer side; smaller fields are enlarged by a whole number.
        zr: relation that turns the observed dBZ into mm/h.

    Returns:
        The file written; for `.png`, the first of the series.
    """
    if isinstance(nowcast, (str, Path)):
        nowcast = read_forecast(nowcast)
    chosen, issued = _chosen(nowcast, issue_time)
    if isinstance(observed, (str, Path)):
        observed = observed_around(observed, chosen, past_minutes)
    if frames_per_second <= 0 or pause_seconds < 0:
        raise NowcastError(
            f"frames_per_second is {frames_per_second} and pause_seconds {pause_seconds}; expected > 0 and ≥ 0"
        )
    past = np.timedelta64(past_minutes * 60, "s")
    if isinstance(beside, (str, Path)):
        beside = read_forecast(beside)
    rival = None if beside is None else _chosen(beside, issued)[0]
    story = scenes(chosen, issued, observations(chosen, observed, issued, past, zr), past, rival)
    shape = (chosen.sizes["y"], chosen.sizes["x"])
    pictures = [picture for scene in story for picture in scene.pictures.values()]
    unknown = any(
        p.rain_rate is not None and bool((np.isnan(p.rain_rate) & (p.seen if p.seen is not None else True)).any())
        for p in pictures
    )
    unseen = any(p.seen is not None and not p.seen.all() for p in pictures)
    names = {"observed": "Observed", "nowcast": _model_name(chosen), "persistence": "Persistence"}
    if rival is not None:
        names["beside"] = _model_name(rival).removeprefix("Nowcast · ").capitalize()
    stage = Stage(
        story,
        Panel(shape, panel_size, _kilometers(chosen)),
        issued,
        {name: names[name] for name in story[-1].pictures},
        unknown=unknown,
        unseen=unseen,
        remark=gaps_in_words(chosen),
    )
    frames = [stage.draw(scene).pixels for scene in story]
    return film.write_film(frames, _durations(story, frames_per_second, pause_seconds), path)


def _chosen(nowcast: xr.Dataset, issue_time: np.datetime64 | str | None) -> tuple[xr.Dataset, np.datetime64]:
    """The nowcast of one issue time, north first, and that time."""
    missing = {"rain_rate", "lead_time", "issue_time"} - {str(name) for name in nowcast.variables}
    if missing:
        raise NowcastError(f"The nowcast dataset lacks {', '.join(sorted(missing))}; give what Nowcaster returns")
    if not all(nowcast["rain_rate"].sizes.values()):
        raise NowcastError(f"The nowcast dataset is empty: rain_rate has sizes {dict(nowcast['rain_rate'].sizes)}")
    times = seconds(nowcast["issue_time"].values)
    issued: np.datetime64 = times.max() if issue_time is None else seconds(np.datetime64(issue_time))[0]
    found = np.flatnonzero(times == issued)
    if not len(found):
        raise NowcastError(f"No nowcast was issued at {issued}; the dataset holds {times.min()} to {times.max()}")
    chosen = nowcast.isel(issue_time=found[0]) if "issue_time" in nowcast.dims else nowcast
    if "y" in chosen.coords and chosen.sizes["y"] > 1 and chosen["y"][0] < chosen["y"][-1]:
        chosen = chosen.isel(y=slice(None, None, -1))
    return chosen, issued


def _model_name(nowcast: xr.Dataset) -> str:
    name = str(next((nowcast.attrs[key] for key in ("model_run", "model", "name") if key in nowcast.attrs), "")).strip()
    return f"Nowcast · {name}" if 0 < len(name) <= 24 else "Nowcast"


def _kilometers(nowcast: xr.Dataset) -> float | None:
    """Pixel width in km, where x is a length."""
    if "x" not in nowcast.coords or nowcast.sizes["x"] < 2:
        return None
    factor = {"m": 1e-3, "meter": 1e-3, "metre": 1e-3, "km": 1.0}.get(nowcast["x"].attrs.get("units", "m"))
    spacing = abs(float(nowcast["x"][1] - nowcast["x"][0]))
    return factor * spacing if factor and spacing > 0 else None


def _durations(story: list[Scene], frames_per_second: float, pause_seconds: float) -> list[int]:
    """Milliseconds each scene stays, in the hundredths of a second that a GIF can tell."""
    each = max(20, round(100 / frames_per_second) * 10)
    durations = [each] * len(story)
    past = sum(scene.past for scene in story)
    if past:
        durations[past - 1] = max(each, round(pause_seconds * 100 / 3) * 10)
    durations[-1] = max(each, round(pause_seconds * 100) * 10)
    return durations
