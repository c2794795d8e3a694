"""`nowcast forecast`: a nowcast as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import ArchiveArgument, app, plainly


@app.command()
@plainly
def forecast(
    run: Annotated[
        str, typer.Argument(help="Run directory, or a baseline (persistence, extrapolation).", metavar="RUN")
    ],
    archive: ArchiveArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="netCDF file to write, rain rate in mm/h.")],
    at: Annotated[
        str | None, typer.Option(help="Issue time, UTC, such as 2018-07-24T03:30.  [default: latest frame]")
    ] = None,
    lead_steps: Annotated[int | None, typer.Option(min=1, help="Frames to forecast.  [default: the model's]")] = None,
    checkpoint: Annotated[str, typer.Option(help="best (on validation) or last.")] = "best",
    masks: Annotated[
        str | None,
        typer.Option(help="static, or frame (each frame's mask).  [default: the run's, static for a baseline]"),
    ] = None,
) -> None:
    """Issue a nowcast as a CF netCDF file, rain rate in mm/h."""
    from nowcast.forecasting import forecast as issue

    made = issue(run, archive, output, at=at, lead_steps=lead_steps, checkpoint=checkpoint, masks=masks)
    minutes = made["lead_time"].values[-1].astype("timedelta64[m]").astype(int)
    if made.attrs["observed_frames_missing"]:
        used, missing = made.attrs["observed_frames_used"], made.attrs["observed_frames_missing"]
        typer.echo(f"nowcast: only {used} of {used + missing} observed frames were there", err=True)
    typer.echo(f"{output}: issued {made['issue_time'].values[0].astype('datetime64[m]')} UTC, up to +{minutes} min; "
               f"next: nowcast animate {output} --observed {archive}")  # fmt: skip
