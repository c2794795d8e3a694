"""Radar data: from files on a disk to an archive, and from an archive to windows and batches.

The names below are loaded when they are first used, so that reading an archive does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast.data.archive import Archive, Frames
    from nowcast.data.clips import ClipStore
    from nowcast.data.gaps import missing_slots
    from nowcast.data.ingest import ingest_hko7
    from nowcast.data.report import IngestReport
    from nowcast.data.splits import parse_splits
    from nowcast.data.windows import WindowReport, clip_starts, fixed_windows, sample_starts, window_report

__all__ = [
    "Archive",
    "ClipStore",
    "Frames",
    "IngestReport",
    "WindowReport",
    "clip_starts",
    "fixed_windows",
    "ingest_hko7",
    "missing_slots",
    "parse_splits",
    "sample_starts",
    "window_report",
]

_HOMES = {
    "Archive": "archive",
    "ClipStore": "clips",
    "Frames": "archive",
    "IngestReport": "report",
    "WindowReport": "windows",
    "clip_starts": "windows",
    "fixed_windows": "windows",
    "ingest_hko7": "ingest",
    "missing_slots": "gaps",
    "parse_splits": "splits",
    "sample_starts": "windows",
    "window_report": "windows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
