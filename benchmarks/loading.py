"""Random 20-frame clips a second and core, from the archive, from PNG files and from memory, in one interleaved run.

    python benchmarks/loading.py SOURCE [--rounds 7] [--clips 20]

SOURCE is a folder in the HKO-7 layout, of `nowcast synthesize` for example. CPU time of this process is counted, on one
thread, so that other work on the machine matters little; ratios are what to compare between machines.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from nowcast import ingest_hko7
from nowcast.archive import Archive
from nowcast.archive.summary import summarize
from nowcast.clips.store import ClipStore
from nowcast.clips.windows import clip_starts, sample_starts

LENGTH, OBSERVED = 20, 10
CROP = {"rows": (164, 284), "columns": (175, 295)}

Draw = Callable[[np.ndarray], object]


def png_clips(source: Path, with_masks: bool) -> Draw:
    """Clips decoded frame by frame, as a loader without an archive does."""

    def draw(starts: np.ndarray) -> None:
        for start in starts:
            for step in range(LENGTH):
                at = (start + step * np.timedelta64(360, "s")).item()
                name = at.strftime("%Y/%m/%d/RAD%y%m%d%H%M%S")
                cv2.imread(str(source / f"radarPNG/{name}.png"), cv2.IMREAD_GRAYSCALE)
                if with_masks:
                    content = zlib.decompress((source / f"radarPNG_mask/{name}.mask").read_bytes())
                    np.frombuffer(content, np.bool_)

    return draw


def raw_clips(archive: Archive, with_flags: bool, **crop: tuple[int, int]) -> Draw:
    """Clips as uint8, read one by one."""
    steps = np.arange(LENGTH) * np.timedelta64(360, "s")
    read = archive.read if with_flags else archive.read_codes

    def draw(starts: np.ndarray) -> None:
        for start in starts:
            read(start + steps, **crop)

    return draw


def batches(store: ClipStore) -> Draw:
    """Clips as the float32 tensors that a model gets, in batches of four."""

    def draw(starts: np.ndarray) -> None:
        for first in range(0, len(starts), 4):
            store.sequence(starts[first : first + 4], OBSERVED, LENGTH - OBSERVED)

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clips", type=int, default=20, help="clips per round and way")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    ways: dict[str, Draw] = {
        "PNG": png_clips(options.source, with_masks=False),
        "PNG and .mask": png_clips(options.source, with_masks=True),
    }
    with tempfile.TemporaryDirectory() as folder:
        for compression in ("blosc_lz4", "zstd", "zlib"):
            path = Path(folder) / compression
            ingest_hko7(options.source, path, compression=compression, progress=False)  # type: ignore[arg-type]
            archive = Archive.open(path)
            raw = len(archive.times) * archive.shape[0] * archive.shape[1]
            print(f"{compression}: {summarize(archive)['bytes'] / raw:.3f} of the codes' raw size, flags included")
            ways[f"archive {compression}"] = raw_clips(archive, with_flags=False)
            ways[f"archive {compression} and flags"] = raw_clips(archive, with_flags=True)
            if archive.shape[0] >= CROP["rows"][1] and archive.shape[1] >= CROP["columns"][1]:
                ways[f"archive {compression}, 120×120"] = raw_clips(archive, with_flags=False, **CROP)
        archive = Archive.open(Path(folder) / "blosc_lz4")
        ways["tensors from the archive"] = batches(ClipStore.from_archive(archive, archive.times, in_memory=False))
        ways["tensors from memory"] = batches(ClipStore.from_archive(archive, archive.times, in_memory=True))
        if "archive blosc_lz4, 120×120" in ways:
            store = ClipStore.from_archive(archive, archive.times, in_memory=True, **CROP)
            ways["tensors from memory, 120×120"] = batches(store)
        starts = clip_starts(archive.times, LENGTH, 0, archive.interval)
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds + 1):
            drawn = sample_starts(starts, options.clips, 0, number)
            for name, draw in ways.items():
                began = time.process_time()
                draw(drawn)
                if number:  # the first round opens files and warms the disk cache
                    rates[name].append(options.clips / (time.process_time() - began))
    reference = median(rates["PNG"])
    for name, found in rates.items():
        print(f"{name:32s} {median(found):8.0f} clips/s {median(found) / reference:7.1f} ×")


if __name__ == "__main__":
    main()
