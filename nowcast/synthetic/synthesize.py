"""Synthetic radar on disk: an archive in the layout of HKO-7, the same bytes for the same seed.

    radarPNG/YYYY/MM/DD/RADyymmddHHMM00.png         8-bit gray, code = round(255 clip((dBZ + 10) / 70)), 0 = no echo
    radarPNG_mask/YYYY/MM/DD/RADyymmddHHMM00.mask   zlib of H*W bytes, 1 = use: neither excluded nor 0 < code < 71
    hko_data/hko7_rainy_{train,valid,test}_days.txt lines "YYYYMMDD, mm"
    hko_data/mask_dat.npz                           exclude_mask and its parts, 1 = do not use
    radar.yaml                                      pixel and interval, which the layout does not tell
    synthetic.json                                  settings and days: what makes an archive extensible

Day k is a pure function of the settings and k, its split included: a longer archive begins with the shorter one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nowcast.errors import NowcastError
from nowcast.synthetic.days import (
    FIRST_DAY,
    Settings,
    SyntheticDay,
    day_folder,
    list_line,
    write_day,
    write_static_mask,
)
from nowcast.synthetic.static_echoes import StaticEchoes
from nowcast.synthetic.weather_regimes import climate_named

GENERATOR = 1
"""Raised when the same settings give other bytes, so that an archive is never extended by another generator."""

MARKER = "synthetic.json"


@dataclass(frozen=True)
class SyntheticSummary:
    """What `synthesize` has put at `path`; the sums are over `days`."""

    path: Path
    days: tuple[SyntheticDay, ...]

    @property
    def frames(self) -> int:
        """PNG files, the truncated one included."""
        return sum(day.frames for day in self.days)

    @property
    def missing(self) -> tuple[np.datetime64, ...]:
        return tuple(time for day in self.days for time in day.missing)

    @property
    def truncated(self) -> tuple[np.datetime64, ...]:
        return tuple(time for day in self.days for time in day.truncated)

    @property
    def masks_missing(self) -> tuple[np.datetime64, ...]:
        return tuple(time for day in self.days for time in day.masks_missing)

    @property
    def splits(self) -> dict[str, tuple[np.datetime64, ...]]:
        """Days (datetime64[D]) of train, valid and test."""
        names = ("train", "valid", "test")
        return {name: tuple(day.date for day in self.days if day.split == name) for name in names}


def synthesize(
    out: str | Path,
    *,
    days: int,
    seed: int,
    size: int = 480,
    frame_interval: np.timedelta64 = np.timedelta64(6, "m"),
    frames_per_day: int | None = None,
    pixel: float | None = None,
    climate: str = "summer",
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> SyntheticSummary:
    """Write `days` days of synthetic radar to the folder `out` in the layout of HKO-7, or extend what is there.

    size: height and width in pixels; a smaller window sees a smaller area at the same resolution.
    frame_interval: 1 to 30 whole minutes that divide a day. frames_per_day: from 00:00 UTC on; None is the
    whole day. pixel: width of a pixel in meters, 250 to 4000; None is 1066.67, HKO-7's. climate: the weather, one of
    `nowcast.synthetic.weather_regimes.CLIMATES`. The layout tells neither pixel nor interval: `radar.yaml` in `out`
    does, and `ingest` reads it. workers: days made at the same time, default one per processor; executor: where they
    are made instead (its workers must see `out`). The bytes depend on neither.

    `out` must be absent, empty, or made before with the same settings and no more days; finished days are kept.
    One frame of day 0 is truncated and one `.mask` of day 0 absent (10 frames a day or more), and every day misses
    a few frames. One day has train only; two have train and valid; the lists of the other splits are then empty.
    """
    settings = _checked(days, seed, size, frame_interval, frames_per_day, pixel, climate)
    out = Path(out)
    try:
        done = _claim(out, settings, days)
        echoes = StaticEchoes(seed, size)
        write_static_mask(out / "hko_data" / "mask_dat.npz", echoes)
        pending = [day for day in range(days) if day not in done]
        _describe(out, settings)
        bar = tqdm(
            total=len(pending) * settings.frames_per_day,
            unit="frame",
            disable=not progress or not pending,
            mininterval=0.1 if sys.stderr.isatty() else 10.0,  # a log file wants a line now and then
        )
        with bar:
            for day, made in _days(out.resolve(), settings, echoes, pending, workers, executor, bar.update):
                done[day] = made
                _write_marker(out, settings, done)
        summary = SyntheticSummary(out, tuple(done[day] for day in range(days)))
        for split in ("train", "valid", "test"):
            lines = [list_line(day) for day in summary.days if day.split == split]
            (out / "hko_data" / f"hko7_rainy_{split}_days.txt").write_text("".join(lines))
        return summary
    except OSError as error:
        raise NowcastError(f"{out} cannot be written: {error.strerror or error}.") from error


def make_day(out: Path, settings: Settings, day: int) -> SyntheticDay:
    """One day as a task of plain data, for an executor anywhere."""
    return write_day(out, settings, day, StaticEchoes(settings.seed, settings.size), lambda: None)


def _days(
    out: Path,
    settings: Settings,
    echoes: StaticEchoes,
    days: list[int],
    workers: int | None,
    executor: Executor | None,
    advance: Callable[..., object],
) -> Iterator[tuple[int, SyntheticDay]]:
    """(number, day) of every day in `days` as it is finished; `advance(frames)` moves the bar."""
    futures: dict[Future[SyntheticDay], int] = {}
    # Threads, because the work is numpy, FFT and OpenCV, which release the lock.
    own = ThreadPoolExecutor(workers or min(os.cpu_count() or 1, 16)) if executor is None else None
    try:
        for day in days:
            if own is not None:
                futures[own.submit(write_day, out, settings, day, echoes, advance)] = day
            elif executor is not None:
                futures[executor.submit(make_day, out, settings, day)] = day
        for future in as_completed(futures):
            yield futures[future], future.result()
            if own is None:
                advance(settings.frames_per_day)
    finally:
        for future in futures:
            future.cancel()
        if own is not None:
            own.shutdown()


def _describe(out: Path, settings: Settings) -> None:
    """State in radar.yaml what the layout does not (see `nowcast.readers.description`)."""
    (out / "radar.yaml").write_text(
        f"# What the layout does not tell; nowcast ingest reads it.\ninterval: {settings.interval_s / 60:g}\n"
        f"pixel: {settings.pixel_km * 1000!r}\n"
        f'attributes: {{source: "synthetic radar of nowcast synthesize, climate {settings.climate}"}}\n'
    )


def _checked(
    days: int,
    seed: int,
    size: int,
    frame_interval: np.timedelta64,
    frames_per_day: int | None,
    pixel: float | None,
    climate: str,
) -> Settings:
    climate_named(climate)
    if pixel is not None and not 250 <= pixel <= 4000:
        raise NowcastError(f"A pixel is {pixel:g} m wide, expected 250 to 4000 m.")
    interval_s = int(frame_interval / np.timedelta64(1, "s"))
    if not 60 <= interval_s <= 1800 or interval_s % 60 or 86400 % interval_s:
        raise NowcastError(f"The frame interval is {interval_s} s, expected 1 to 30 whole minutes that divide a day.")
    most = 86400 // interval_s
    frames_per_day = most if frames_per_day is None else frames_per_day
    for name, value, least, largest in (
        ("days", days, 1, 3650),
        ("seed", seed, 0, 2**63 - 1),
        ("size", size, 32, 4096),
        ("frames_per_day", frames_per_day, 1, most),
    ):
        if not least <= value <= largest:
            raise NowcastError(f"{name} is {value}, expected {least} to {largest}.")
    return Settings(seed, size, interval_s, frames_per_day, pixel, climate)


def _claim(out: Path, settings: Settings, days: int) -> dict[int, SyntheticDay]:
    """The days that an archive of the same settings at `out` already holds; anything else at `out` is refused."""
    advice = "choose another folder or remove this one"
    if out.exists() and not out.is_dir():
        raise NowcastError(f"{out} is a file, expected a folder for synthetic radar; {advice}.")
    found: dict[str, Any] = {}
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARKER).is_file():
            raise NowcastError(f"{out} is not empty and was not made by `nowcast synthesize`; {advice}.")
        try:
            found = json.loads((out / MARKER).read_text())
            before = {**_ALWAYS_SO_FAR, **found["settings"]}
            done = {int(day): _day_from_json(day, found) for day in found["days"]}
        except (ValueError, KeyError, TypeError) as error:
            raise NowcastError(f"{out / MARKER} is damaged; {advice}.") from error
        asked = _settings_to_json(settings)
        if before != asked:
            differing = [name for name in asked if before.get(name) != asked[name]]
            told = ", ".join(f"{name} {before.get(name)} instead of {asked[name]}" for name in differing)
            raise NowcastError(f"{out} holds synthetic radar with {told}; {advice}.")
        if done and max(done) >= days:
            raise NowcastError(f"{out} holds {max(done) + 1} days already, more than the {days} asked for; {advice}.")
        return {day: kept for day, kept in done.items() if day_folder(out, "radarPNG", day).is_dir()}
    (out / "hko_data").mkdir(parents=True, exist_ok=True)
    _write_marker(out, settings, {})
    return {}


_ALWAYS_SO_FAR = {"pixel_m": None, "climate": "summer"}
"""Settings that older archives do not name, since they had no choice."""


def _settings_to_json(settings: Settings) -> dict[str, int | float | str | None]:
    return {"generator": GENERATOR, **vars(settings)}


def _write_marker(out: Path, settings: Settings, done: dict[int, SyntheticDay]) -> None:
    days = {
        str(day): {
            "regime": done[day].regime,
            "rain_mm": done[day].rain,
            "frames": done[day].frames,
            **{kind: [str(time) for time in getattr(done[day], kind)] for kind in _FAULTS},
        }
        for day in sorted(done)
    }
    text = json.dumps({"settings": _settings_to_json(settings), "days": days}, indent=1) + "\n"
    (out / f"{MARKER}.tmp").write_text(text)
    (out / f"{MARKER}.tmp").replace(out / MARKER)


_FAULTS = ("missing", "truncated", "masks_missing")


def _day_from_json(day: str, found: dict[str, Any]) -> SyntheticDay:
    entry = found["days"][day]
    faults = {kind: tuple(np.datetime64(time, "s") for time in entry[kind]) for kind in _FAULTS}
    return SyntheticDay(FIRST_DAY + int(day), entry["regime"], entry["rain_mm"], entry["frames"], **faults)
