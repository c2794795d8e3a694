"""Scores and cases on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from nowcast.atomic_files import whole_file, write_text
from nowcast.cf_file import write_cf
from nowcast.errors import NowcastError
from nowcast.evaluation.score_names import with_cf_names
from nowcast.evaluation.table import score_table


def make_writable(folder: Path) -> None:
    """Make a folder; NowcastError where it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / "scores.nc.probe") as temporary:
            temporary.touch()
        (folder / "scores.nc.probe").unlink()
    except OSError as error:
        raise NowcastError(f"{folder} cannot be written ({error.strerror}); give another --output") from None


def write_scores(scores: xr.Dataset, folder: Path) -> None:
    """Write `scores.nc` and the table `scores.md` into a folder, each whole or not at all."""
    _write(scores, folder / "scores.nc", {name: {"zlib": True, "complevel": 4} for name in _windowed(scores)})
    write_text(folder / "scores.md", score_table(scores))


def write_cases(cases: xr.Dataset, folder: Path) -> None:
    """Write `cases.nc` into a folder; rain rates are rounded to about 0.01 mm/h."""
    packed = {"zlib": True, "complevel": 4, "least_significant_digit": 2}
    encoding = {name: packed for name in ("forecast", "observation", "observed")}
    _write(cases, folder / "cases.nc", {**encoding, "valid": {"zlib": True, "dtype": "int8"}})


def read_scores(path: str | Path) -> xr.Dataset:
    """The scores in a file, or in a run directory, whole in memory."""
    return _read(Path(path), "scores.nc", "evaluate the run first: nowcast evaluate RUN")


def read_cases(path: str | Path) -> xr.Dataset:
    """The cases in a file, or in a run directory, whole in memory."""
    cases = _read(Path(path), "cases.nc", "evaluate the run first: nowcast evaluate RUN")
    return cases.assign(valid=cases["valid"].astype(bool))


def _read(path: Path, name: str, advice: str) -> xr.Dataset:
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise NowcastError(f"{file} does not exist; {advice}")
    try:
        with xr.open_dataset(file, decode_timedelta=True, engine="netcdf4") as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise NowcastError(f"{file} is no readable netCDF file ({str(error)[:120]}); evaluate again") from None


def _write(dataset: xr.Dataset, file: Path, encoding: Mapping[Any, Any]) -> None:
    write_cf(with_cf_names(dataset), file, encoding)


def _windowed(scores: xr.Dataset) -> list[str]:
    return [str(name) for name in scores.data_vars if str(name).startswith("window_")]
