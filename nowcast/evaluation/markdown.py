"""Tables in Markdown that read as plain text too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up as plain text too.

    >>> print(markdown_table(["", "CSI"], [["persistence", "0.2"]]))
    |             | CSI |
    |-------------|----:|
    | persistence | 0.2 |
    """
    widths = [max(3, *(len(row[k]) for row in [header, *rows])) for k in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * (w + 2) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(widths)]
    return "\n".join([lines[0], "|" + "|".join(rule) + "|", *lines[1:]])


def lead_name(scores: xr.Dataset, position: int) -> str:
    """A lead time in words, by its position from 0."""
    value = scores["lead_time"].values[position]
    if isinstance(value, np.timedelta64):
        return f"+{value / np.timedelta64(60, 's'):g} min"
    return f"+{value} frames"
