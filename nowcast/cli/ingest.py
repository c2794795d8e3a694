"""`nowcast ingest`: radar files into an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nowcast.cli.app import Quiet, Workers, app, plainly


@app.command()
@plainly
def ingest(
    format_: Annotated[
        Literal["hko7"],
        typer.Argument(help="Layout of the source: hko7 (radarPNG/, radarPNG_mask/).", metavar="FORMAT"),
    ],
    source: Annotated[Path, typer.Argument(help="Folder that holds radarPNG/.", metavar="SOURCE")],
    archive: Annotated[Path, typer.Argument(help="Archive folder to make or to add to.", metavar="ARCHIVE")],
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=YYYY-MM-DD[,YYYY-MM-DD…]: days of a split, instead of the day lists.", metavar="NAME=DAYS"
        ),
    ] = None,
    interval: Annotated[int, typer.Option(min=1, help="Minutes from frame to frame.")] = 6,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Read radar files into an archive (netCDF, one file a day).

    HKO-7, or any radar in its layout. Days already read whose files have not changed are skipped.
    """
    import numpy as np

    from nowcast.archive.splits import parse_splits
    from nowcast.ingestion.ingest import ingest_hko7 as run

    report = run(
        source,
        archive,
        splits=parse_splits(split) if split else None,
        interval=np.timedelta64(interval * 60, "s"),
        workers=workers,
        progress=not quiet,
    )
    typer.echo(str(report))
