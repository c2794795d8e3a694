"""Compare the climate of radar archives in the HKO-7 layout: python benchmarks/synthetic_climate.py TREE [TREE ...]

One column per tree: wet shares, persistence and advection CSI, correlation in time, slope of the spectrum. Pixels of
the static mask are left out; doubtful pixels (0 < code < 71) count as what they say, as in the KDD code.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from nowcast.units import THRESHOLDS, rain_rate_from_scaled, scaled_from_rain_rate

RATES = rain_rate_from_scaled(np.arange(256) / 255.0)
"""Rain rate in mm/h of every code."""


def read_tree(tree: Path) -> tuple[dict[datetime, np.ndarray], np.ndarray]:
    """The readable frames of a tree by time, uint8 (H, W), and the static mask, bool (H, W), True = use."""
    frames = {}
    for path in sorted((tree / "radarPNG").glob("*/*/*/RAD*.png")):
        if path.read_bytes().endswith(b"IEND\xaeB`\x82"):  # a truncated file would be decoded as far as it goes
            frames[datetime.strptime(path.stem, "RAD%y%m%d%H%M%S")] = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    with np.load(tree / "hko_data" / "mask_dat.npz") as masks:
        return frames, ~masks["exclude_mask"].astype(bool)


def extrapolate(before: np.ndarray, now: np.ndarray, span: int, steps: int) -> np.ndarray:
    """The field `steps` frames after `now`, moved with the optical flow seen over the last `span` frames."""
    flow_method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    smooth = [cv2.GaussianBlur(np.maximum(frame, 50), (0, 0), 2) for frame in (before, now)]
    flow = flow_method.calc(smooth[1], smooth[0], None)  # where each pixel of `now` came from
    weight = cv2.GaussianBlur((now > 70).astype(np.float32), (0, 0), 25) + 1e-3
    flow = np.dstack([cv2.GaussianBlur(flow[..., i] * (now > 70), (0, 0), 25) / weight for i in (0, 1)]) * (
        steps / span
    )
    rows, columns = np.mgrid[: now.shape[0], : now.shape[1]].astype(np.float32)
    return cv2.remap(now, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_NEAREST, borderValue=0)


def spectrum_slope(frame: np.ndarray) -> float:
    """Exponent of the radially averaged power of the dB field between wavelengths of 4 and 64 pixels."""
    field = np.maximum(frame.astype(np.float64), 36.0)  # no echo counts as 0 dBZ: the slope is that of the rain
    window = np.outer(np.hanning(len(field)), np.hanning(len(field)))
    power = np.abs(np.fft.fft2((field - field.mean()) * window)) ** 2
    wave = np.hypot(*np.meshgrid(np.fft.fftfreq(len(field)), np.fft.fftfreq(len(field))))
    edges = np.geomspace(1 / 64, 1 / 4, 13)
    band = np.digitize(wave.ravel(), edges)
    mean = [power.ravel()[band == i].mean() for i in range(1, 13)]
    centers = np.sqrt(edges[1:] * edges[:-1])
    return float(np.polyfit(np.log(centers), np.log(mean), 1)[0])


def climate(tree: Path, lead_steps: int = 5, stride: int = 2) -> dict[str, float]:
    """The figures of one tree; `lead_steps` frames ahead (5 = 30 min), every `stride`-th frame."""
    frames, use = read_tree(tree)
    times = sorted(frames)
    histogram = np.zeros(256)
    for time in times:
        histogram += np.bincount(frames[time][use], minlength=256)
    share = histogram / histogram.sum()
    figures = {"frames": float(len(times)), "mean rate, mm/h": float(share @ RATES)}
    for rate in (0.1, *THRESHOLDS):
        figures[f"share ≥ {rate:g} mm/h, %"] = 100 * float(share[RATES >= rate].sum())
    figures["doubtful (0 < code < 71), %"] = 100 * float(share[1:71].sum())

    interval = timedelta(minutes=6)
    codes = {rate: 255 * float(scaled_from_rain_rate(rate)) for rate in THRESHOLDS}
    counts = {(kind, rate): np.zeros(3) for kind in ("persistence", "advection") for rate in THRESHOLDS}
    correlations: dict[int, list[float]] = {1: [], lead_steps: [], 2 * lead_steps: []}
    slopes = []
    span = 3
    for time in times[::stride]:
        now = frames[time]
        if (now[use] >= codes[0.5]).mean() < 0.002:
            continue  # an all but dry frame has no structure to compare
        slopes.append(spectrum_slope(now))
        for steps, values in correlations.items():
            if (later := frames.get(time + steps * interval)) is not None and later[use].any():
                values.append(float(np.corrcoef(now[use], later[use])[0, 1]))
        before, later = frames.get(time - span * interval), frames.get(time + lead_steps * interval)
        if before is None or later is None:
            continue
        forecasts = {"persistence": now, "advection": extrapolate(before, now, span, lead_steps)}
        for (kind, rate), count in counts.items():
            forecast, observed = forecasts[kind][use] >= codes[rate], later[use] >= codes[rate]
            count += (forecast & observed).sum(), (observed & ~forecast).sum(), (forecast & ~observed).sum()
    for (kind, rate), count in counts.items():
        figures[f"CSI {kind} +{6 * lead_steps} min, {rate:g} mm/h"] = float(count[0] / max(count.sum(), 1))
    for steps, values in correlations.items():
        figures[f"correlation +{6 * steps} min"] = float(np.mean(values)) if values else float("nan")
    figures["spectrum slope (4-64 pixels)"] = float(np.mean(slopes)) if slopes else float("nan")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--stride", type=int, default=2, help="score every n-th frame")
    arguments = parser.parse_args()
    columns = [climate(tree, stride=arguments.stride) for tree in arguments.trees]
    print("| figure | " + " | ".join(tree.name for tree in arguments.trees) + " |")
    print("|---|" + "---|" * len(columns))
    for figure in columns[0]:
        print(f"| {figure} | " + " | ".join(f"{column[figure]:.3g}" for column in columns) + " |")


if __name__ == "__main__":
    main()
