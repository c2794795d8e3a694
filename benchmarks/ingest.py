"""Ingest against pure decoding of the same PNG and `.mask` files, and with more workers.

    python benchmarks/ingest.py SOURCE [--rounds 3] [--workers 2]

SOURCE is a folder in the HKO-7 layout. One worker is compared by CPU time with decoding alone; workers by wall time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from nowcast import ingest_hko7


def decode(source: Path) -> int:
    """Decode every frame and mask, and do nothing with them."""
    frames = sorted((source / "radarPNG").rglob("RAD*.png"))
    for frame in frames:
        cv2.imread(str(frame), cv2.IMREAD_GRAYSCALE)
        mask = Path(str(frame).replace("radarPNG", "radarPNG_mask")).with_suffix(".mask")
        if mask.exists():
            np.frombuffer(zlib.decompress(mask.read_bytes()), np.bool_)
    return len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frames = decode(options.source)  # warms the disk cache
    cpu: dict[str, list[float]] = {"decode": [], "ingest": []}
    wall: dict[int, list[float]] = {1: [], options.workers: []}
    for _ in range(options.rounds):
        began = time.process_time()
        decode(options.source)
        cpu["decode"].append(time.process_time() - began)
        for workers in wall:
            with tempfile.TemporaryDirectory() as folder:
                began, began_wall = time.process_time(), time.perf_counter()
                ingest_hko7(options.source, Path(folder) / "archive", workers=workers, progress=False)
                wall[workers].append(time.perf_counter() - began_wall)
                if workers == 1:
                    cpu["ingest"].append(time.process_time() - began)
    decoding, ingesting = median(cpu["decode"]), median(cpu["ingest"])
    print(f"decoding alone {frames / decoding:6.0f} frames/s, ingest {frames / ingesting:6.0f} frames/s (CPU time)")
    print(f"ingest reaches {decoding / ingesting:.0%} of the speed of decoding alone")
    print(f"{options.workers} workers take {median(wall[options.workers]) / median(wall[1]):.2f} of the time of one")


if __name__ == "__main__":
    main()
