"""A gallery of cases: what was observed and what each forecaster made of it, on one sheet a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nowcast.atomic_files import atomic_file
from nowcast.visualization import colors
from nowcast.visualization.canvas import PALETTE, UNSEEN_LINE, Canvas, text_width
from nowcast.visualization.legend import draw_legend, legend_height
from nowcast.visualization.panel import Panel
from nowcast.visualization.scenes import clock, minutes

MARGIN, GAP, TITLE, HEADER = 24, 8, 62, 24
NAMES = 150
"""Least width of the first column, which holds the names."""
MOST_COLUMNS = 6


@dataclass(frozen=True)
class Case:
    """One forecast situation, in mm/h.

    Attributes:
        label: why it is shown: "worst", "median", "best", "heaviest".
        issue_time: UTC, the time of the last observed frame.
        lead_times: timedelta64 (T,).
        observed: the observed past (T_observed, H, W), its last frame at the issue time.
        observation: what came after (T, H, W).
        forecasts: name → (T, H, W); NaN = unknown.
        valid: bool (H, W) or (T, H, W), True = use this pixel.
        notes: name → a few words under the forecaster's name, such as its score.
    """

    label: str
    issue_time: np.datetime64
    lead_times: NDArray[np.timedelta64]
    observed: NDArray[np.float32]
    observation: NDArray[np.float32]
    forecasts: Mapping[str, NDArray[np.float32]]
    valid: NDArray[np.bool_]
    notes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.observation)
        if len(shape) != 3 or len(self.lead_times) != shape[0] or not all(shape):
            raise ValueError(f"observation is {shape} for {len(self.lead_times)} lead times, expected (T, H, W)")
        for name, forecast in self.forecasts.items():
            if np.shape(forecast) != shape:
                raise ValueError(f"the forecast of {name} is {np.shape(forecast)}, the observation {shape}")
        if np.ndim(self.observed) != 3 or np.shape(self.observed)[1:] != shape[1:]:
            raise ValueError(f"observed is {np.shape(self.observed)}, expected (T, {shape[1]}, {shape[2]})")
        if np.shape(self.valid) not in (shape, shape[1:]):
            raise ValueError(f"valid is {np.shape(self.valid)}, expected {shape} or {shape[1:]}")


def plot_case(case: Case, path: str | Path, panel_size: int = 200) -> Path:
    """Draw a case as a PNG sheet: a row for the observation and each forecaster, a column for some lead times.

    The first column holds the last observed frame, and under it the forecasters' names; the lead times are spread
    evenly up to the last.
    """
    chosen = _spread(len(case.lead_times))
    anywhere = np.asarray(case.valid.reshape(-1, *case.observation.shape[1:]).any(axis=0))
    rows = {"Observed": case.observation, **case.forecasts}
    panel = Panel(case.observation.shape[1:], panel_size, None)
    lefts = [MARGIN, *(MARGIN + max(panel.width, NAMES) + GAP + k * (panel.width + GAP) for k in range(len(chosen)))]
    content = max(lefts[-1] + panel.width - MARGIN, 640)
    head = MARGIN + TITLE + HEADER
    legend_top = head + len(rows) * (panel.height + GAP) + 10
    canvas = Canvas(content + 2 * MARGIN, legend_top + legend_height(content) + MARGIN - 8)
    date = str(case.issue_time.astype("datetime64[D]"))
    canvas.text(MARGIN, MARGIN + 22, f"Case: {case.label}", 22, bold=True)
    canvas.text(MARGIN, MARGIN + 44, f"issued {date} {clock(case.issue_time)}", 14, colors.MUTED)

    def place(row: int, column: int, rate: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        left, top = lefts[column], head + row * (panel.height + GAP)
        canvas.pixels[top : top + panel.height, left : left + panel.width] = panel.paint(rate, valid)
        canvas.frame(left, top, panel.width, panel.height, UNSEEN_LINE)

    for column, lead in enumerate([None, *chosen]):
        left = lefts[column]
        header = "Observed" if lead is None else f"+{minutes(case.lead_times[lead])} min"
        time = case.issue_time if lead is None else case.issue_time + case.lead_times[lead]
        canvas.text(left, head - 8, header, 13, bold=True, color=colors.INK if lead is None else colors.ACCENT)
        if text_width(header, 13, bold=True) + text_width(clock(time), 12) + 8 <= panel.width:
            canvas.text(left + panel.width, head - 8, clock(time), 12, colors.MUTED, anchor="rs")
    place(0, 0, case.observed[-1], anywhere)
    for row, (name, fields) in enumerate(rows.items()):
        if row:
            top = head + row * (panel.height + GAP)
            _name(canvas, MARGIN, top + 16, name, case.notes.get(name, ""), max(panel.width, NAMES) - 4)
        for column, lead in enumerate(chosen, start=1):
            place(row, column, fields[lead], case.valid if case.valid.ndim == 2 else case.valid[lead])
    unknown = any(bool((np.isnan(f[chosen]) & anywhere).any()) for f in rows.values())
    draw_legend(canvas, MARGIN, legend_top, content, unseen=not bool(case.valid.all()), unknown=unknown)
    return _write(canvas, Path(path))


def plot_gallery(cases: Iterable[Case], folder: str | Path, panel_size: int = 200) -> list[Path]:
    """Draw every case into `folder` as case_<label>.png (numbered where a label returns); returns the files."""
    written: list[Path] = []
    taken: dict[str, int] = {}
    for case in cases:
        name = re.sub(r"[^\w-]+", "_", case.label.strip().lower()) or "case"
        taken[name] = taken.get(name, 0) + 1
        suffix = f"_{taken[name]}" if taken[name] > 1 else ""
        written.append(plot_case(case, Path(folder) / f"case_{name}{suffix}.png", panel_size))
    return written


def _spread(count: int) -> list[int]:
    """At most `MOST_COLUMNS` of `count` lead steps, evenly spread and ending with the last.

    >>> _spread(20), _spread(3)
    ([3, 7, 11, 15, 19], [0, 1, 2])
    """
    if count <= MOST_COLUMNS:
        return list(range(count))
    columns = next((n for n in (5, 6, 4) if count % n == 0), 5)
    return [round((k + 1) * count / columns) - 1 for k in range(columns)]


def _name(canvas: Canvas, left: int, baseline: int, name: str, note: str, width: int) -> None:
    """A row's name, broken at hyphens and spaces where it is too long, and a note under it."""
    line = ""
    for part in re.findall(r"[^\s_-]+[\s_-]*|[\s_-]+", name):
        if line and text_width(line + part, 15, bold=True) > width:
            canvas.text(left, baseline, line, 15, bold=True)
            line, baseline = "", baseline + 19
        line += part
    canvas.text(left, baseline, line, 15, bold=True)
    for index, words in enumerate(note.splitlines(), start=1):
        canvas.text(left, baseline + 3 + 17 * index, words, 12, colors.MUTED)


def _write(canvas: Canvas, path: Path) -> Path:
    image = Image.fromarray(canvas.pixels)
    image.putpalette(PALETTE.tobytes())
    with atomic_file(path) as temporary:
        image.save(temporary, "PNG", optimize=True)
    return path
