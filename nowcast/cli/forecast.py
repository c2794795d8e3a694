"""`nowcast forecast`: a nowcast as a file."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.app import ArchiveArgument, app, report_errors
from nowcast.errors import NowcastError
from nowcast.forecaster_names import BASELINE_NAMES, NAMES, run_or_name

if TYPE_CHECKING:
    import xarray as xr


@app.command()
@report_errors
def forecast(
    run: Annotated[str, typer.Argument(help=f"Run directory, or a baseline ({', '.join(NAMES)}).", metavar="RUN")],
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
    fallback: Annotated[
        str | None,
        typer.Option(help="Baseline that answers where too many observed frames are missing.  [default: refuse]"),
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(help="recent (network and extrapolation, by recent errors) or none.  [default: the run's]"),
    ] = None,
    beyond_training: Annotated[
        bool,
        typer.Option("--beyond-training", help="Forecast more or smaller frames than the run was trained for."),
    ] = False,
) -> None:
    """Issue a nowcast as a CF netCDF file, rain rate in mm/h."""
    run_or_name(run)  # before torch is loaded: a typo is told at once
    if fallback is not None and fallback not in BASELINE_NAMES:
        raise NowcastError(f"--fallback {fallback} is not a baseline; expected one of {', '.join(BASELINE_NAMES)}")

    from nowcast.forecasting import forecast as issue

    made = issue(
        run,
        archive,
        output,
        at=at,
        lead_steps=lead_steps,
        checkpoint=checkpoint,
        masks=masks,
        fallback=fallback,
        beyond_training=beyond_training,
        blend=blend,
    )
    minutes = made["lead_time"].values[-1].astype("timedelta64[m]").astype(int)
    for sentence in remarks(made):
        typer.echo(f"nowcast: {sentence}", err=True)
    typer.echo(
        f"{output}: issued {made['issue_time'].values[0].astype('datetime64[m]')} UTC, up to +{minutes} min; "
        f"next: nowcast animate {quote(str(output))} --observed {quote(str(archive))}"
    )


def remarks(nowcast: xr.Dataset) -> list[str]:
    """What whoever looks at a nowcast must know beside it, sentence by sentence."""
    notes, missing = [], nowcast.attrs["observed_frames_missing"]
    if missing:
        used, bridged = nowcast.attrs["observed_frames_used"], nowcast.attrs["observed_frames_bridged"]
        made = f", {bridged} were made from their neighbors" if bridged else ""
        notes.append(f"only {used} of {used + missing} observed frames were there{made}")
    if not nowcast["static_mask"].values.any():
        notes.append("nothing was seen in any observed frame: the nowcast is unknown everywhere")
    if "fallback" in nowcast.attrs:
        notes.append(nowcast.attrs["fallback"])
    if "caution" in nowcast.attrs:
        notes.append(nowcast.attrs["caution"])
    return notes
