"""Compare the climate of radar archives: python benchmarks/synthetic_climate.py ARCHIVE [ARCHIVE ...]

One column per archive: how much it rains, how long it lasts where it is and along its motion, how fine it is. Only
pixels usable in nine of ten frames count, doubtful ones as what they say. Leads are the nearest whole number of frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nowcast.archive import Archive
from nowcast.motion.advection import advect
from nowcast.motion.optical_flow import motion_field
from nowcast.radar.flags import UNSEEN
from nowcast.units import THRESHOLDS, exact_threshold, rain_rate_from_scaled

RATES = rain_rate_from_scaled(np.arange(256) / 255.0)
"""Rain rate in mm/h of every code."""

LEADS = (10, 30, 60)
"""Minutes."""

FLOOR = 36
"""Code of 0 dBZ: no echo counts as this where the spectrum is measured, so that its slope is that of the rain."""


def spectrum_slope(codes: NDArray[np.uint8], pixel_km: float) -> float:
    """Exponent of the radially averaged power of the dB field between wavelengths of 8 and 64 km."""
    side = min(codes.shape)
    top, left = ((length - side) // 2 for length in codes.shape)
    field = np.maximum(codes[top : top + side, left : left + side].astype(np.float64), FLOOR)
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2
    wave = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))) / pixel_km
    edges = np.geomspace(1 / 64, 1 / 8, 11)
    band = np.digitize(wave.ravel(), edges)
    mean = [power.ravel()[band == i].mean() for i in range(1, len(edges))]
    return float(np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(mean), 1)[0])


class Pairs:
    """Forecast and observed codes of one lead time, pooled over frames."""

    def __init__(self) -> None:
        self.sums = np.zeros(6)  # n, f, o, ff, oo, fo
        self.counts = {rate: np.zeros(3) for rate in THRESHOLDS}  # hits, forecast, observed

    def add(self, forecast: NDArray[np.float32], observed: NDArray[np.float32]) -> None:
        f, o = forecast.astype(np.float64), observed.astype(np.float64)
        self.sums += len(f), f.sum(), o.sum(), f @ f, o @ o, f @ o
        for rate, count in self.counts.items():
            edge = 255 * exact_threshold(rate)
            count += ((f >= edge) & (o >= edge)).sum(), (f >= edge).sum(), (o >= edge).sum()

    def correlation(self) -> float:
        n, f, o, ff, oo, fo = self.sums
        return float((fo / n - f * o / n**2) / np.sqrt((ff / n - (f / n) ** 2) * (oo / n - (o / n) ** 2)))

    def csi(self, rate: float) -> float:
        hits, forecast, observed = self.counts[rate]
        return float(hits / max(forecast + observed - hits, 1))


def climate(archive: Archive, frames: int) -> dict[str, float]:
    """The figures of one archive, from `frames` evenly spaced issue times."""
    minutes = archive.interval / np.timedelta64(1, "m")
    pixel_km = float(abs(archive.x[1] - archive.x[0])) / 1000
    leads = {lead: max(1, round(lead / minutes)) for lead in LEADS}
    times, histogram, slopes, speeds = archive.times, np.zeros(256), [], []
    usable = (archive.read(times[:: max(1, len(times) // 60)]).flags != UNSEEN).mean(axis=0) > 0.9
    pairs = {(kind, lead): Pairs() for kind in ("persistence", "extrapolation") for lead in LEADS}
    known = set(times.tolist())
    complete = [
        time for time in times if all(time + k * archive.interval in known for k in range(-2, max(leads.values()) + 1))
    ] or [time for time in times if all(time + k * archive.interval in known for k in range(-2, leads[30] + 1))]
    for time in complete[:: max(1, len(complete) // frames)]:
        slots = time + np.arange(-2, max(leads.values()) + 1) * archive.interval
        read = archive.read(slots)
        codes, seen = read.codes, read.flags != UNSEEN
        histogram += np.bincount(codes[2][usable], minlength=256)
        motion = motion_field(codes[:3].astype(np.float32) / 255, seen[:3], np.arange(3))
        speeds.append(float(np.hypot(*np.moveaxis(motion, -1, 0)).mean()) * pixel_km * 1000 / (60 * minutes))
        if (codes[2][usable] > 71).mean() > 0.002:  # an all but dry frame has no structure to measure
            slopes.append(spectrum_slope(codes[2], pixel_km))
        carried = list(advect(codes[2].astype(np.float32), seen[2], motion, max(leads.values())))
        for lead, steps in leads.items():
            if read.present[2 + steps]:
                use = usable & seen[2 + steps] & ~np.isnan(carried[steps - 1])
                later = codes[2 + steps][use].astype(np.float32)
                pairs["persistence", lead].add(codes[2][use].astype(np.float32), later)
                pairs["extrapolation", lead].add(carried[steps - 1][use], later)
    share = histogram / histogram.sum()
    figures = {"pixel, km": pixel_km, "interval, min": float(minutes), "mean rate, mm/h": float(share @ RATES)}
    figures |= {f"share ≥ {rate:g} mm/h, %": 100 * float(share[RATES >= rate].sum()) for rate in (0.1, *THRESHOLDS)}
    figures["speed, m/s"], figures["spectrum slope, 8-64 km"] = float(np.mean(speeds)), float(np.mean(slopes))
    for (kind, lead), pair in pairs.items():
        if kind == "extrapolation" and pair.sums[0]:
            figures[f"correlation along the motion, +{lead} min"] = pair.correlation()
    for rate in THRESHOLDS:
        for lead in (30, 60):
            if pairs["persistence", lead].sums[0]:
                for kind in ("persistence", "extrapolation"):
                    figures[f"CSI {kind}, +{lead} min, {rate:g} mm/h"] = pairs[kind, lead].csi(rate)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=30, help="issue times per archive")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    columns = [climate(Archive.open(path), arguments.frames) for path in arguments.archives]
    print("| figure | " + " | ".join(path.name for path in arguments.archives) + " |")
    print("|---|" + "---|" * len(columns))
    for figure in dict.fromkeys(name for column in columns for name in column):
        print(f"| {figure} | " + " | ".join(f"{column.get(figure, float('nan')):.3g}" for column in columns) + " |")


if __name__ == "__main__":
    main()
