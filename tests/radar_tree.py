"""A small folder in the HKO-7 layout, written frame by frame."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nowcast import ingest_hko7
from nowcast.archive import Archive
from nowcast.ingestion.report import IngestReport

SHAPE = (12, 16)


def frame_of(time: np.datetime64, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Codes that differ from frame to frame: noise, rain and no echo."""
    codes = np.random.default_rng(int(time.astype("datetime64[s]").astype(int))).integers(0, 256, shape, np.uint8)
    codes[codes < 60] = 0
    return codes


@dataclass
class Tree:
    """A source folder; `excluded` is the part that its static mask drops."""

    root: Path
    shape: tuple[int, int] = SHAPE

    @property
    def excluded(self) -> np.ndarray:
        excluded = np.zeros(self.shape, bool)
        excluded[:3] = True
        return excluded

    def path(self, time: str, kind: str = "radarPNG") -> Path:
        """Path of a frame (`2018-07-21T00:12`) or its mask."""
        at = np.datetime64(time, "s").item()
        suffix = ".png" if kind == "radarPNG" else ".mask"
        return self.root / kind / at.strftime("%Y/%m/%d") / at.strftime(f"RAD%y%m%d%H%M%S{suffix}")

    def frame(self, time: str, codes: np.ndarray | None = None, mask: bool = True) -> Path:
        """Write a frame and, by the benchmark's rule, its mask."""
        codes = frame_of(np.datetime64(time), self.shape) if codes is None else codes
        path = self.path(time)
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), codes)
        if mask:
            self.mask(time, ~self.excluded & ~((codes > 0) & (codes < 71)))
        return path

    def mask(self, time: str, usable: np.ndarray) -> Path:
        path = self.path(time, "radarPNG_mask")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zlib.compress(usable.astype(np.uint8).tobytes()))
        return path

    def day(self, day: str, frames: int = 6, first: int = 0) -> list[Path]:
        """Frames every 6 minutes from slot `first` on."""
        start = np.datetime64(day, "s")
        return [self.frame(str(start + np.timedelta64(360 * k, "s"))) for k in range(first, first + frames)]

    def static_mask(self) -> None:
        (self.root / "hko_data").mkdir(exist_ok=True)
        np.savez(self.root / "hko_data" / "mask_dat.npz", exclude_mask=self.excluded.astype(np.uint8))

    def day_list(self, split: str, *lines: str, beside: bool = False) -> None:
        folder = self.root if beside else self.root / "hko_data"
        folder.mkdir(exist_ok=True)
        (folder / f"hko7_rainy_{split}_days.txt").write_text("".join(f"{line}\n" for line in lines))

    def ingest(self, archive: Path | None = None, **options: object) -> tuple[IngestReport, Archive]:
        """Ingest in this process, without a bar."""
        folder = archive if archive is not None else self.root.parent / "archive"
        report = ingest_hko7(self.root, folder, **{"workers": 1, "progress": False, **options})  # type: ignore[arg-type]
        return report, Archive.open(folder)
