"""The command line: a thin skin over the functions that Python callers use with the same words."""

from __future__ import annotations

import io
import sys

from nowcast.cli import (  # noqa: F401
    animate,
    configs,
    demo,
    evaluate,
    forecast,
    info,
    ingest,
    synthesize,
    train,
)
from nowcast.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × and → shows ? instead of a traceback
    app()
