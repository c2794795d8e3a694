"""The files of a synthetic day: frames, masks and faults in the layout of HKO-7 (see synthesize.py)."""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nowcast.synthetic.rain_fields import rain_frames
from nowcast.synthetic.static_echoes import StaticEchoes
from nowcast.synthetic.weather_regimes import NO_ECHO, PIXEL_KM, regime_of_day
from nowcast.units import HKO7_SCALE, rain_rate_from_scaled

FIRST_DAY = np.datetime64("2020-06-01", "D")
"""Date of day 0: a summer, and no date of HKO-7, so that the two are never confused."""

SPLIT_CYCLE = ("train", "valid", "test", "train", "train", "train")
"""Split of day k is SPLIT_CYCLE[k % 6]: three days hold all splits, and no day ever changes its split."""

NOISE_CODE = round(0.28 * 255)
"""Codes 1..70 are doubtful in the benchmark's frame masks (Shi et al. 2017; 0.28 is about 9.6 dBZ or 0.3 mm/h)."""

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
class Settings:
    """What a day's bytes depend on, besides its number; interval_s is the frame interval in seconds.

    pixel_m: width of a pixel in meters, None where it is PIXEL_KM; climate: a name of `weather_regimes.CLIMATES`.
    """

    seed: int
    size: int
    interval_s: int
    frames_per_day: int
    pixel_m: float | None = None
    climate: str = "summer"

    @property
    def pixel_km(self) -> float:
        return PIXEL_KM if self.pixel_m is None else self.pixel_m / 1000

    def times(self, day: int) -> list[np.datetime64]:
        start = (FIRST_DAY + day).astype("datetime64[s]")
        return [start + np.timedelta64(i * self.interval_s, "s") for i in range(self.frames_per_day)]


def write_day(
    out: Path, settings: Settings, day: int, echoes: StaticEchoes, advance: Callable[[], object]
) -> SyntheticDay:
    """Write the frames and masks of day number `day`, replacing what is there; `advance` is called once a frame."""
    images, masks = (day_folder(out, kind, day) for kind in ("radarPNG", "radarPNG_mask"))
    for folder in (images, masks):  # what a killed run has left
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    rng = np.random.default_rng([settings.seed, 2, day])
    missing, truncated, unmasked = _faults(rng, day, settings.frames_per_day)
    times = settings.times(day)
    rates = 0.0
    minutes = settings.interval_s / 60
    frames = rain_frames(settings.seed, day, settings.size, minutes, settings.pixel_km, settings.climate)
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
        regime=regime_of_day(settings.seed, day, settings.climate).name,
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
    """Frames of a day that are missing, truncated and without mask.

    Never the first frame; lone missing frames are at most a twentieth of the day, an outage comes on top.
    """
    if count < 10:
        return set(), None, None
    order = (rng.permutation(count - 1) + 1).tolist()
    truncated, unmasked = (order.pop(), order.pop()) if day == 0 else (None, None)
    missing = set(order[: min(1 + int(rng.poisson(count / 80)), count // 20)])
    if count >= 40 and rng.random() < 0.3:  # now and then an outage of two to four frames
        start = int(rng.integers(1, count - 4))
        missing |= set(range(start, start + int(rng.integers(2, 5)))) - {truncated, unmasked}
    return missing, truncated, unmasked


def day_folder(out: Path, kind: str, day: int) -> Path:
    return out / kind / (FIRST_DAY + day).astype(date).strftime("%Y/%m/%d")


def list_line(day: SyntheticDay) -> str:
    return f"{day.date.astype(date):%Y%m%d}, {day.rain:.1f}\n"


def write_static_mask(path: Path, echoes: StaticEchoes) -> None:
    """mask_dat.npz without the time of writing, which numpy's own writer may put into the file."""
    parts = {"exclude_mask": echoes.excluded, "out_boundary_mask": echoes.unseen, "outlier_mask": echoes.outliers}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, part.astype(np.uint8), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)


def frame_mask(codes: NDArray[np.uint8], excluded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The benchmark's frame mask, True = use: neither excluded nor a code between no echo and NOISE_CODE."""
    return ~excluded & ((codes == 0) | (codes >= NOISE_CODE))
