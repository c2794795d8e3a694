"""Results on paper: a Markdown report for people, CSV for programs, each written whole."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nowcast.atomic_files import atomic_file, write_text
from nowcast.evaluation.markdown import markdown_table

Cell = str | float | int | None


@dataclass(frozen=True)
class Section:
    """One table: header and lines as text for people, records with every digit for programs."""

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    records: Sequence[dict[str, Cell]]
    file: str = ""


@dataclass(frozen=True)
class Report:
    """What a pipeline found.

    Attributes:
        name: of the files, `name.md` and `name.csv` (sections with a `file` go to `name-file.csv`).
        title: heading.
        introduction: what the table shows, one paragraph.
        sections: its tables.
        notes: how to read them, and how far they reach.
        runs: the list of runs, for `name-runs.csv` alone.
        origin: data, scale, command, configs: what it takes to make them again.
    """

    name: str
    title: str
    introduction: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    origin: Sequence[str] = ()
    runs: Section | None = None

    def markdown(self) -> str:
        """The report as Markdown."""
        parts = [f"# {self.title}", self.introduction]
        for section in self.sections:
            if not section.header:  # for the file alone
                continue
            parts += [f"**{section.title}**", markdown_table(section.header, section.lines)]
        parts += ["\n".join(f"- {note}" for note in self.notes)] if self.notes else []
        parts += ["**Origin**", "\n".join(f"- {fact}" for fact in self.origin)] if self.origin else []
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> Path:
        """Write the report and its CSV files; returns the Markdown file."""
        files: dict[str, list[dict[str, Cell]]] = {}
        for section in (*self.sections, *([self.runs] if self.runs else [])):
            name = f"{self.name}-{section.file}.csv" if section.file else f"{self.name}.csv"
            files.setdefault(name, []).extend(section.records)
        for name, records in files.items():
            _write_csv(folder / name, records)
        write_text(folder / f"{self.name}.md", self.markdown())
        return folder / f"{self.name}.md"


def mean_and_spread(values: Sequence[float], style: str = ".2f") -> str:
    """Mean ± sample standard deviation; the mean alone of one value; – of none that is a number.

    >>> mean_and_spread([1.0, 2.0, 3.0])
    '2.00 ± 1.00'
    """
    known = np.asarray([value for value in values if not math.isnan(value)], np.float64)
    if not len(known):
        return "–"
    mean = format(float(known.mean()), style)
    return mean if len(known) == 1 else f"{mean} ± {format(float(known.std(ddof=1)), style.lstrip('+'))}"


def signed(value: float) -> str:
    """A difference with its sign, small ones with more digits.

    >>> signed(-8.2), signed(0.00123), signed(0.0)
    ('-8.20', '+0.0012', '+0.00')
    """
    return f"{value:+.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:+.4f}"


def interval_text(low: float, high: float) -> str:
    """An interval in brackets, – where there is none."""
    return "–" if math.isnan(low) or math.isnan(high) else f"[{signed(low)}, {signed(high)}]"


def summary(values: Sequence[float], prefix: str) -> dict[str, Cell]:
    """Mean, sample standard deviation and number of values, for a record."""
    known = np.asarray([value for value in values if not math.isnan(value)], np.float64)
    return {
        f"{prefix}_mean": float(known.mean()) if len(known) else None,
        f"{prefix}_std": float(known.std(ddof=1)) if len(known) > 1 else None,
        f"{prefix}_count": len(known),
    }


def _write_csv(path: Path, records: Sequence[dict[str, Cell]]) -> None:
    columns = list(dict.fromkeys(key for record in records for key in record))
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for record in records:
            kept = {key: "" if isinstance(v, float) and math.isnan(v) else v for key, v in record.items()}
            writer.writerow(kept)
