"""The folder of the default model: a run directory with its weights alone, what it was trained for, and its figures."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from nowcast.atomic_files import write_json, write_text
from nowcast.errors import NowcastError
from nowcast.models.blend import START_WEIGHTS
from nowcast.run import Run
from pipelines.default_model.weather import Part

LARGEST = 2_000_000
"""Bytes of the folder: it travels with every installation."""


def write_package(run: Run, folder: Path, parts: Sequence[Part]) -> Run:
    """Write `folder`: config.yaml, checkpoints/best.ckpt, blend.json and trained_for.json in place of what lay there.

    The configuration forgets the archive, whose path means nothing elsewhere. NowcastError where the folder is larger
    than `LARGEST`.
    """
    weights = run.checkpoint("best")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copyfile(weights, folder / "checkpoints" / "best.ckpt")
    if (run.path / START_WEIGHTS).is_file():
        shutil.copyfile(run.path / START_WEIGHTS, folder / START_WEIGHTS)
    plain = run.experiment.plain()
    plain["name"], plain["data"]["archive"], plain["start_from"] = "default", None, None
    write_text(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
    write_json(folder / "trained_for.json", ranges(parts))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LARGEST:
        raise NowcastError(f"{folder} holds {size} bytes, expected at most {LARGEST}; train a smaller network")
    return Run.open(folder)


def ranges(parts: Sequence[Part]) -> dict[str, list[float]]:
    """Least and largest frame interval (s) and pixel (m) of the training weather."""
    intervals, pixels = [60.0 * part.interval for part in parts], [float(part.pixel) for part in parts]
    return {"interval_seconds": [min(intervals), max(intervals)], "pixel_meters": [min(pixels), max(pixels)]}
