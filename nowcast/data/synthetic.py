"""Synthetic radar on disk: an archive in the layout of HKO-7, the same bytes for the same seed.

    radarPNG/YYYY/MM/DD/RADyymmddHHMM00.png         8-bit grey, code = round(255 clip((dBZ + 10) / 70)), 0 = no echo
    radarPNG_mask/YYYY/MM/DD/RADyymmddHHMM00.mask   zlib of H*W bytes, 1 = use: neither excluded nor 0 < code < 71
    hko_data/hko7_rainy_{train,valid,test}_days.txt lines "YYYYMMDD, mm"
    hko_data/mask_dat.npz                           exclude_mask and its parts, 1 = do not use
    synthetic.json                                  settings and days: what makes an archive extensible

Day k is a pure function of the settings and k, its split included: a longer archive begins with the shorter one.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nowcast.data.rain_fields import NO_ECHO, rain_frames, regime_of_day
from nowcast.data.static_echoes import StaticEchoes
from nowcast.errors import NowcastError
from nowcast.units import HKO7_SCALE, rain_rate_from_scaled

FIRST_DAY = np.datetime64("2020-06-01", "D")
"""Date of day 0: a summer, and no date of HKO-7, so that the two are never confused."""

SPLIT_CYCLE = ("train", "valid", "test", "train", "train", "train")
"""Split of day k is SPLIT_CYCLE[k % 6]: three days hold all splits, and no day ever changes its split."""

NOISE_CODE = round(0.28 * 255)
"""Codes 1..70 are doubtful in the benchmark's frame masks (Shi et al. 2017; 0.28 is about 9.6 dBZ or 0.3 mm/h)."""

GENERATOR = 1
"""Raised when the same settings give other bytes, so that an archive is never extended by another generator."""

MARKER = "synthetic.json"
RATES = rain_rate_from_scaled(np.arange(256) / 255.0)
"""Rain rate in mm/h of every code."""


@dataclass(frozen=True)
class SyntheticDay:
    """One day: weather, rain (mm, mean over usable pixels), frames on disk, times (datetime64[s]) of its faults.

    frames counts PNG files, the truncated one included; missing frames have neither PNG nor `.mask`.
    """

    date: np.datetime64
    regime: str
    rain: float
    frames: int
    missing: tuple[np.datetime64, ...] = ()
    truncated: tuple[np.datetime64, ...] = ()
    masks_missing: tuple[np.datetime64, ...] = ()

    @property
    def split(self) -> str:
        return SPLIT_CYCLE[int((self.date - FIRST_DAY) / np.timedelta64(1, "D")) % len(SPLIT_CYCLE)]


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


@dataclass(frozen=True)
class _Settings:
    seed: int
    size: int
    interval_s: int
    frames_per_day: int

    def times(self, day: int) -> list[np.datetime64]:
        start = (FIRST_DAY + day).astype("datetime64[s]")
        return [start + np.timedelta64(i * self.interval_s, "s") for i in range(self.frames_per_day)]


def synthesize(
    out: str | Path,
    *,
    days: int,
    seed: int,
    size: int = 480,
    frame_interval: np.timedelta64 = np.timedelta64(6, "m"),
    frames_per_day: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> SyntheticSummary:
    """Write `days` days of synthetic radar to the folder `out` in the layout of HKO-7, or extend what is there.

    size: height and width in pixels of 1.07 km; a smaller window sees a smaller area at the same resolution.
    frame_interval: between 1 and 30 minutes, a divisor of the day. frames_per_day: from 00:00 UTC on; None is the
    whole day. workers: days made at the same time, default one per processor; the bytes do not depend on it.

    `out` must be absent, empty, or made before with the same settings and no more days; finished days are kept.
    One frame of day 0 is truncated and one `.mask` of day 0 absent (10 frames a day or more), and every day misses
    a few frames. One day has train only; two have train and valid; the lists of the other splits are then empty.
    """
    settings = _checked(days, seed, size, frame_interval, frames_per_day)
    out = Path(out)
    try:
        done = _claim(out, settings, days)
        echoes = StaticEchoes(seed, size)
        _write_static_mask(out / "hko_data" / "mask_dat.npz", echoes)
        pending = [day for day in range(days) if day not in done]
        workers = workers or min(os.cpu_count() or 1, 16)
        bar = tqdm(total=len(pending) * settings.frames_per_day, unit="frame", disable=not progress or not pending)
        with bar, ThreadPoolExecutor(workers) as pool:  # the work is numpy, FFT and OpenCV, which release the lock
            futures = {pool.submit(_write_day, out, settings, day, echoes, bar.update): day for day in pending}
            try:
                for future in as_completed(futures):
                    done[futures[future]] = future.result()
                    _write_marker(out, settings, done)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        summary = SyntheticSummary(out, tuple(done[day] for day in range(days)))
        for split in ("train", "valid", "test"):
            lines = [_list_line(day) for day in summary.days if day.split == split]
            (out / "hko_data" / f"hko7_rainy_{split}_days.txt").write_text("".join(lines))
        return summary
    except OSError as error:
        raise NowcastError(f"{out} cannot be written: {error.strerror or error}.") from error


def frame_mask(codes: NDArray[np.uint8], excluded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The benchmark's frame mask, True = use: neither excluded nor a code between no echo and NOISE_CODE."""
    return ~excluded & ((codes == 0) | (codes >= NOISE_CODE))


def _checked(
    days: int, seed: int, size: int, frame_interval: np.timedelta64, frames_per_day: int | None
) -> _Settings:
    interval_s = int(frame_interval / np.timedelta64(1, "s"))
    if not 60 <= interval_s <= 1800 or 86400 % interval_s:
        raise NowcastError(f"The frame interval is {interval_s} s, expected 60 to 1800 s and a divisor of the day.")
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
    return _Settings(seed, size, interval_s, frames_per_day)


def _claim(out: Path, settings: _Settings, days: int) -> dict[int, SyntheticDay]:
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
            before, done = found["settings"], {int(day): _day_from_json(day, found) for day in found["days"]}
        except (ValueError, KeyError, TypeError) as error:
            raise NowcastError(f"{out / MARKER} is damaged; {advice}.") from error
        asked = _settings_to_json(settings)
        if before != asked:
            differing = [name for name in asked if before.get(name) != asked[name]]
            told = ", ".join(f"{name} {before.get(name)} instead of {asked[name]}" for name in differing)
            raise NowcastError(f"{out} holds synthetic radar with {told}; {advice}.")
        if done and max(done) >= days:
            raise NowcastError(f"{out} holds {max(done) + 1} days already, more than the {days} asked for; {advice}.")
        return {day: kept for day, kept in done.items() if _folder(out, "radarPNG", day).is_dir()}
    (out / "hko_data").mkdir(parents=True, exist_ok=True)
    _write_marker(out, settings, {})
    return {}


def _write_day(
    out: Path, settings: _Settings, day: int, echoes: StaticEchoes, advance: Callable[[], object]
) -> SyntheticDay:
    images, masks = (_folder(out, kind, day) for kind in ("radarPNG", "radarPNG_mask"))
    for folder in (images, masks):  # what a killed run has left
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    rng = np.random.default_rng([settings.seed, 2, day])
    missing, truncated, unmasked = _faults(rng, day, settings.frames_per_day)
    times = settings.times(day)
    rates = 0.0
    frames = rain_frames(settings.seed, day, settings.size, settings.interval_s / 60)
    for index, (reflectivity, _) in enumerate(islice(frames, settings.frames_per_day)):
        codes = echoes.add(encode(reflectivity), rng)
        rates += float(RATES[codes[~echoes.excluded]].mean())
        if index not in missing:
            name = times[index].astype(datetime).strftime("RAD%y%m%d%H%M%S")
            png = cv2.imencode(".png", codes)[1].tobytes()
            (images / f"{name}.png").write_bytes(png[: len(png) * 3 // 5] if index == truncated else png)
            if index != unmasked:
                usable = frame_mask(codes, echoes.excluded)
                (masks / f"{name}.mask").write_bytes(zlib.compress(usable.tobytes()))
        advance()
    return SyntheticDay(
        date=FIRST_DAY + day,
        regime=regime_of_day(settings.seed, day).name,
        rain=round(rates * settings.interval_s / 3600, 1),
        frames=settings.frames_per_day - len(missing),
        missing=tuple(times[index] for index in sorted(missing)),
        truncated=tuple(times[index] for index in (truncated,) if index is not None),
        masks_missing=tuple(times[index] for index in (unmasked,) if index is not None),
    )


def encode(reflectivity: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The 8-bit codes of a field in dBZ; NO_ECHO becomes 0."""
    codes = np.zeros(reflectivity.shape, np.uint8)
    wet = reflectivity > NO_ECHO
    codes[wet] = HKO7_SCALE.encode(HKO7_SCALE.scale(reflectivity[wet]))
    return codes


def _faults(rng: np.random.Generator, day: int, count: int) -> tuple[set[int], int | None, int | None]:
    """Frames of a day that are missing, truncated and without mask, never the first one nor more than a twelfth."""
    if count < 10:
        return set(), None, None
    order = (rng.permutation(count - 1) + 1).tolist()
    truncated, unmasked = (order.pop(), order.pop()) if day == 0 else (None, None)
    missing = set(order[: min(1 + int(rng.poisson(count / 80)), count // 20)])
    if count >= 40 and rng.random() < 0.3:  # now and then an outage of two to four frames
        start = int(rng.integers(1, count - 4))
        missing |= set(range(start, start + int(rng.integers(2, 5)))) - {truncated, unmasked}
    return missing, truncated, unmasked


def _folder(out: Path, kind: str, day: int) -> Path:
    return out / kind / (FIRST_DAY + day).astype(date).strftime("%Y/%m/%d")


def _list_line(day: SyntheticDay) -> str:
    return f"{day.date.astype(date):%Y%m%d}, {day.rain:.1f}\n"


def _write_static_mask(path: Path, echoes: StaticEchoes) -> None:
    """mask_dat.npz without the time of writing, which numpy's own writer may put into the file."""
    parts = {"exclude_mask": echoes.excluded, "out_boundary_mask": echoes.unseen, "outlier_mask": echoes.outliers}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, part.astype(np.uint8), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)


def _settings_to_json(settings: _Settings) -> dict[str, int]:
    return {"generator": GENERATOR, **vars(settings)}


def _write_marker(out: Path, settings: _Settings, done: dict[int, SyntheticDay]) -> None:
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
