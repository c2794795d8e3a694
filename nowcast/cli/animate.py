"""`nowcast animate`: a nowcast as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import app, plainly


@app.command()
@plainly
def animate(
    forecast_file: Annotated[Path, typer.Argument(help="File made by `nowcast forecast`.", metavar="FORECAST.nc")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".gif, .webp, .apng, .mp4, or .png (one file per frame).")
    ],
    observed: Annotated[
        Path | None, typer.Option(help="Archive to show beside it: observed | nowcast | persistence.")
    ] = None,
    past: Annotated[int, typer.Option(min=0, help="Minutes of the observed past to show.")] = 60,
    frames_per_second: Annotated[float, typer.Option(min=0.1, max=50, help="Frames per second.")] = 6.0,
) -> None:
    """Animate a nowcast: observed, nowcast, persistence."""
    from nowcast.visualization import animate as draw

    typer.echo(str(draw(forecast_file, output, observed, past_minutes=past, frames_per_second=frames_per_second)))
