"""The rainy-day lists of the HKO-7 benchmark: which days are for training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nowcast.errors import NowcastError
from nowcast.radar.times import parse_day

DAY_LISTS = {name: f"hko7_rainy_{name}_days.txt" for name in ("train", "valid", "test")}
"""Split name → file name of its list of rainy days, as the HKO-7 benchmark names them."""


def read_day_list(path: Path) -> dict[np.datetime64, float]:
    """Day → rain amount (mm; NaN where the line has none) of a list with lines `YYYYMMDD, mm`, in any order.

    NowcastError names the first line that is not of this form.
    """
    amounts: dict[np.datetime64, float] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NowcastError(f"cannot read the day list {path} ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        day, _, amount = (part.strip() for part in line.partition(","))
        try:
            amounts[parse_day(day)] = float(amount) if amount else float("nan")
        except ValueError as error:
            raise NowcastError(
                f"line {number} of {path} is {line.strip()!r}, expected a day and its rain as 'YYYYMMDD, mm'"
            ) from error
    return amounts


def find_day_lists(folders: Iterable[Path]) -> dict[str, Path]:
    """Split name → its day list, the first found in `folders`."""
    folders = list(folders)
    candidates = {name: [folder / file for folder in folders] for name, file in DAY_LISTS.items()}
    found = {name: next((p for p in paths if p.is_file()), None) for name, paths in candidates.items()}
    return {name: path for name, path in found.items() if path is not None}
