"""`nowcast info`: what lies at a path."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import app, report_errors


@app.command()
@report_errors
def info(
    path: Annotated[Path, typer.Argument(help="Archive, run directory, forecast file or scores.", metavar="PATH")],
    windows: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Also count an archive's windows of so many observed and forecast frames."),
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Frames from window to window.")] = 5,
    max_missing: Annotated[int, typer.Option(min=0, help="Missing frames in a row that a window may hold.")] = 2,
) -> None:
    """Describe an archive, run, forecast file or scores."""
    from nowcast.description import describe, describe_windows

    typer.echo(describe(path))
    if windows is not None:
        typer.echo(describe_windows(path, *windows, stride, max_missing))
