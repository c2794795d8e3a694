"""`nowcast animate`: a nowcast as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nowcast.cli.app import app, report_errors
from nowcast.errors import NowcastError


@app.command()
@report_errors
def animate(
    forecast_file: Annotated[Path, typer.Argument(help="File made by `nowcast forecast`.", metavar="FORECAST.nc")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".gif, .webp, .apng, .mp4, or .png (one file per frame).")
    ],
    observed: Annotated[
        Path | None, typer.Option(help="Archive to show beside it: observed | nowcast | persistence.")
    ] = None,
    beside: Annotated[
        str | None,
        typer.Option(
            help="For the third panel: a baseline such as extrapolation, a run, or a forecast file.  "
            "[default: persistence]",
            metavar="NAME|FILE",
        ),
    ] = None,
    past: Annotated[int, typer.Option(min=0, help="Minutes of the observed past to show.")] = 60,
    frames_per_second: Annotated[float, typer.Option(min=0.1, max=50, help="Frames per second.")] = 6.0,
) -> None:
    """Animate a nowcast: observed, nowcast, persistence or another nowcast."""
    from nowcast.forecast_file import read_forecast
    from nowcast.visualization import animate as draw

    rival: Any = None
    if beside is not None and Path(beside).suffix == ".nc":
        rival = Path(beside)
    elif beside is not None and beside != "persistence":
        if observed is None:
            raise NowcastError(f"--beside {beside} is issued from the archive; give --observed ARCHIVE too")
        from nowcast.forecasting import forecast

        shown = read_forecast(forecast_file)
        issued = shown["issue_time"].values[0]
        rival = forecast(beside, observed, at=issued, lead_steps=shown.sizes["lead_time"])
    written = draw(
        forecast_file, output, observed, beside=rival, past_minutes=past, frames_per_second=frames_per_second
    )
    typer.echo(str(written))
