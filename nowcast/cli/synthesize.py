"""`nowcast synthesize`: synthetic radar in the layout of HKO-7."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import Quiet, Workers, app, plainly


@app.command()
@plainly
def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to write, in the layout of HKO-7.", metavar="OUT")],
    days: Annotated[int, typer.Option(min=1, help="Number of days.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(min=32, help="Pixels along a side of the square frame.")] = 480,
    frames_per_day: Annotated[
        int | None, typer.Option(min=2, help="Frames of 6 minutes per day.  [default: 240, the whole day]")
    ] = None,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Write synthetic radar in the layout of HKO-7.

    PNG frames, masks, day lists and a static mask; rain that looks and moves like the real thing.
    """
    from nowcast.synthetic.synthesize import synthesize as run

    summary = run(
        out, days=days, seed=seed, size=size, frames_per_day=frames_per_day, workers=workers, progress=not quiet
    )
    typer.echo(f"{out}: {summary.frames} frames of {size}×{size}, {len(summary.missing)} missing, "
               f"{len(summary.truncated)} truncated")  # fmt: skip
