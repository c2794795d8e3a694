"""Scores and cases on disk."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from nowcast.atomic_files import write_text
from nowcast.cf_file import write_cf
from nowcast.errors import NowcastError
from nowcast.evaluation.score_names import with_cf_names
from nowcast.evaluation.table import score_table


@contextmanager
def temporary_folder(folder: Path | None) -> Iterator[None]:
    """Make a folder to write into, and remove it again if it was made here and nothing came into it.

    NowcastError where it cannot be made or written.
    """
    if folder is None:
        yield
        return
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NowcastError(f"{folder} cannot be written ({error.strerror}); give another --output") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a folder that holds something is not removed
            for one in made:
                one.rmdir()


def remove_results(folder: Path) -> None:
    """Remove scores, cases and plots of an earlier evaluation, so that none of them is taken for the new one's."""
    for file in (folder / "scores.nc", folder / "scores.md", folder / "cases.nc", *(folder / "plots").glob("*.png")):
        file.unlink(missing_ok=True)


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
    """The scores in a file, in the folder of an evaluation, or of a run that was evaluated once, whole in memory.

    Of several evaluations of a run the one on the test split by the fixed protocol is meant; NowcastError lists them
    where there is none such, or more than one.
    """
    return _read(Path(path), "scores.nc")


def read_cases(path: str | Path) -> xr.Dataset:
    """The cases in a file or folder, found like the scores, whole in memory."""
    cases = _read(Path(path), "cases.nc")
    return cases.assign(valid=cases["valid"].astype(bool))


def evaluations_of(run: str | Path) -> list[Path]:
    """Folders with scores of a run, those of older versions (the run's own folder) included, by name."""
    path = Path(run)
    return [file.parent for file in [*path.glob("scores.nc"), *sorted(path.glob("evaluation/*/scores.nc"))]]


def _folder(path: Path) -> Path:
    """The folder of the evaluation that is meant by a path."""
    found = evaluations_of(path)
    if len(found) > 1 and path not in found:
        found = [one for one in found if one.name.endswith("-test-fixed")] or found
    if len(found) > 1 and path not in found:
        names = ", ".join(str(one) for one in evaluations_of(path))
        raise NowcastError(f"{path} was evaluated several times; give one of {names}")
    return path if path in found or not found else found[0]


def _read(path: Path, name: str) -> xr.Dataset:
    file = _folder(path) / name if path.is_dir() else path
    if not file.is_file():
        raise NowcastError(f"{file} does not exist; evaluate the run first: nowcast evaluate RUN")
    try:
        with xr.open_dataset(file, decode_timedelta=True, engine="netcdf4") as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise NowcastError(f"{file} is not a readable netCDF file ({str(error)[:120]}); evaluate again") from None


def _write(dataset: xr.Dataset, file: Path, encoding: Mapping[Any, Any]) -> None:
    write_cf(with_cf_names(dataset), file, encoding)


def _windowed(scores: xr.Dataset) -> list[str]:
    return [str(name) for name in scores.data_vars if str(name).startswith("window_")]
