"""`nowcast synthesize`: synthetic radar in the layout of HKO-7."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import Cluster, Quiet, Workers, app, on_cluster, report_errors


@app.command()
@report_errors
def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to write, in the layout of HKO-7.", metavar="OUT")],
    days: Annotated[int, typer.Option(min=1, help="Number of days.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Pixels along a side of the square frame.")] = 480,
    frames_per_day: Annotated[
        int | None, typer.Option(min=2, help="Frames per day.  [default: the whole day, 240 at 6 minutes]")
    ] = None,
    pixel: Annotated[
        float | None, typer.Option(min=250, max=4000, help="Width of a pixel in meters.  [default: 1066.67, HKO-7's]")
    ] = None,
    interval: Annotated[int, typer.Option(min=1, max=30, help="Minutes between frames; divides a day.")] = 6,
    climate: Annotated[
        str, typer.Option(help="The weather: summer, convective, unsteady, stratiform, weak, or mixed.")
    ] = "summer",
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> None:
    """Write synthetic radar in the layout of HKO-7.

    PNG frames, masks, day lists and a static mask; rain that looks and moves like the real thing. `radar.yaml`
    states pixel and interval, and `nowcast ingest hko7` reads it.
    """
    import numpy as np

    from nowcast.synthetic.synthesize import synthesize as run

    with on_cluster(cluster, [], out) as executor:
        summary = run(
            out,
            days=days,
            seed=seed,
            size=size,
            frame_interval=np.timedelta64(interval, "m"),
            frames_per_day=frames_per_day,
            pixel=pixel,
            climate=climate,
            workers=workers,
            executor=executor,
            progress=not quiet,
        )
    typer.echo(
        f"{out}: {summary.frames} frames of {size}×{size}, {len(summary.missing)} missing, "
        f"{len(summary.truncated)} truncated"
    )
