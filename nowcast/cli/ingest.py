"""`nowcast ingest`: radar files into an archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import Cluster, Quiet, Workers, app, on_cluster, report_errors
from nowcast.readers import READERS


def _formats(incomplete: str) -> Iterator[str]:
    from nowcast.readers import format_names

    return (name for name in format_names() if name.startswith(incomplete))


@app.command()
@report_errors
def ingest(
    format_: Annotated[
        str,
        typer.Argument(
            help="Format of the source: "
            + "; ".join(f"{name} ({format_.about})" for name, format_ in READERS.items())
            + "; or the name of a reader that another package brings.",
            metavar="FORMAT",
            autocompletion=_formats,
        ),
    ],
    source: Annotated[Path, typer.Argument(help="Folder or file of that format.", metavar="SOURCE")],
    archive: Annotated[Path, typer.Argument(help="Archive folder to make or to add to.", metavar="ARCHIVE")],
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=YYYY-MM-DD[,YYYY-MM-DD…]: days of a split, instead of the source's own.", metavar="NAME=DAYS"
        ),
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(min=1, help="Minutes from frame to frame.  [default: the source's; hko7: 6]"),
    ] = None,
    center: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Latitude and longitude in degrees of the middle of the frame.", metavar="LAT LON"),
    ] = None,
    pixel: Annotated[
        float | None,
        typer.Option(help="Edge of a pixel.  [default: the source's; hko7: 1066.67]", metavar="METERS"),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            help="Map projection in meters, such as EPSG:32651.  [default: the source's, else azimuthal equidistant "
            "about the center]",
            metavar="CRS",
        ),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(
            help="A place that the format knows, instead of center, pixel and CRS; hko7: hong-kong, where the source "
            "is the HKO-7 benchmark itself. Without a place the archive has a plain Cartesian grid.",
            metavar="NAME",
        ),
    ] = None,
    zr: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="The source's Z-R relation Z = A R^B, such as 200 1.6.  [default: the source's; hko7: 58.53 1.56]",
            metavar="A B",
        ),
    ] = None,
    compression: Annotated[
        str,
        typer.Option(help="blosc_lz4 (read fastest), zstd, or zlib (read by every netCDF tool, GDAL included)."),
    ] = "blosc_lz4",
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> None:
    """Read radar files into an archive (netCDF, one file a day).

    Days already read whose files have not changed are skipped.
    """
    import numpy as np

    from nowcast.archive.splits import parse_splits
    from nowcast.ingestion.ingest import ingest as run

    with on_cluster(cluster, [source], archive) as executor:
        report = run(
            format_,
            source,
            archive,
            splits=parse_splits(split) if split else None,
            interval=None if interval is None else np.timedelta64(interval * 60, "s"),
            center=center,
            pixel=pixel,
            crs=crs,
            site=site,
            zr=zr,
            compression=compression,  # type: ignore[arg-type]
            workers=workers,
            executor=executor,
            progress=not quiet,
        )
    typer.echo(str(report))
