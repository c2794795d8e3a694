"""The training log: the same rows as JSON lines and as CSV, cut back to the checkpoint when a run is resumed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from nowcast.atomic_files import atomic_file
from nowcast.errors import NowcastError

COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "clips_per_second",
    "validation_loss",
    "validation_balanced_mse",
    "validation_balanced_mae",
)
"""`step` counts finished optimizer steps; losses and errors are means since the last row or over all windows."""


class TrainingLog:
    """Appends rows to `log.jsonl` and `log.csv` in a run directory."""

    def __init__(self, folder: Path, resume_at: int) -> None:
        """Open the log, keeping only the rows up to optimizer step `resume_at` (0: start anew)."""
        self._lines, self._table = folder / "log.jsonl", folder / "log.csv"
        kept = [row for row in read_training_log(folder) if row["step"] <= resume_at] if resume_at else []
        with atomic_file(self._lines) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        with atomic_file(self._table) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def write(self, **row: Any) -> None:
        """Append one row; its keys are among COLUMNS."""
        with self._lines.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        with self._table.open("a", newline="") as stream:
            csv.DictWriter(stream, COLUMNS).writerow(row)


def read_training_log(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's log; an unfinished last line (the machine went down) is dropped."""
    path = folder / "log.jsonl"
    if not path.exists():
        return []
    rows = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise NowcastError(f"{path} line {number} is not JSON; the log was edited or damaged") from None
    return rows
