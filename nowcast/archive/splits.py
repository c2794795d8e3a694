"""Which days are for training, validation and test: day lists of a source, or dates that a user gives."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nowcast.errors import NowcastError
from nowcast.radar.times import parse_days

Days = NDArray[np.datetime64]
Splits = dict[str, Days]

USUAL = ("train", "valid", "test")
"""Splits that training, validation and scoring take by themselves; others can be asked for by name."""
OTHERWISE = {"val": "valid", "validation": "valid", "training": "train", "testing": "test"}
"""What others call them."""
FORM = "expected NAME=DAY,DAY,… or NAME=DAY..DAY with days as YYYY-MM-DD, for example train=2018-07-21,2018-07-22"


def parse_splits(given: Iterable[str] | Mapping[str, Iterable[object]]) -> Splits:
    """Splits a user gives: `["train=2018-07-21,2018-07-22", "valid=2018-07-23"]`, or a mapping name → days.

    A day is YYYY-MM-DD or YYYYMMDD; `2018-07-21..2018-07-24` is every day from the first to the last.

    >>> parse_splits(["train=2018-07-21..2018-07-23"])["train"].astype(str).tolist()
    ['2018-07-21', '2018-07-22', '2018-07-23']
    """
    if isinstance(given, Mapping):
        pairs = [(name, [str(day) for day in days]) for name, days in given.items()]
    else:
        pairs = [(name, days.split(",")) for name, _, days in (item.partition("=") for item in given)]
    splits: Splits = {}
    for name, days in pairs:
        shown = f"{name}={','.join(days)}" if name or any(days) else repr("")
        if not name or not any(days):
            raise NowcastError(f"{shown} is not a split, {FORM}")
        refuse_typo(name)
        try:
            expanded = [day for part in days if part for day in parse_days(part.strip())]
        except ValueError as error:
            raise NowcastError(f"the split {shown}: {error}") from error
        splits[name] = np.unique(np.concatenate([splits.get(name, np.empty(0, "datetime64[D]")), expanded]))
    refuse_overlap(splits)
    return splits


def refuse_typo(name: str) -> None:
    """NowcastError for a name that is nearly, but not quite, one of the three that training and scoring look for."""
    lower = name.lower()
    close = OTHERWISE.get(lower, lower if lower in USUAL else None)
    if close is None and name.isalpha():
        close = next(
            (k for k in difflib.get_close_matches(lower, USUAL, cutoff=0.75) if abs(len(k) - len(name)) < 2), None
        )
    if close is not None and name != close:
        raise NowcastError(f"unknown split {name!r}, did you mean {close}? Training and scoring use {', '.join(USUAL)}")


def refuse_overlap(splits: Splits) -> None:
    """NowcastError where one day is in two splits: a model would be scored on what it learned from."""
    owner: dict[np.datetime64, str] = {}
    for name, days in splits.items():
        for day in days:
            if day in owner:
                raise NowcastError(f"{day} is in the splits {owner[day]} and {name}; put it into one of them")
            owner[day] = name


def merge_splits(stored: Splits, found: Splits, source_days: Iterable[np.datetime64]) -> Splits:
    """The splits of an archive after one more ingest: `found` decides about its own days and those of its source.

    A stored day stays in its split unless `found` lists it or the source holds it; so a second source adds days
    without losing those of the first, and a corrected list moves its days.
    """
    decided = {day for days in found.values() for day in days} | set(source_days)
    merged = {}
    for name in [*stored, *(name for name in found if name not in stored)]:
        kept = [day for day in stored.get(name, ()) if not found or day not in decided]
        merged[name] = np.unique(np.array([*kept, *found.get(name, ())], "datetime64[D]"))
    return {name: days for name, days in merged.items() if len(days)}
