"""`nowcast demo`: the whole path on synthetic radar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import Quiet, app, report_errors


@app.command()
@report_errors
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything the demo makes.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic radar and of the weights.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Pretraining steps.  [default: those of `nowcast configs demo`]")
    ] = None,
    days: Annotated[int, typer.Option(min=3, help="Days of synthetic radar.")] = 20,
    size: Annotated[int, typer.Option(min=32, help="Pixels along a side of the square frame.")] = 128,
    quiet: Quiet = False,
) -> None:
    """Do the whole path on synthetic radar, in minutes.

    Synthesize, ingest, pretrain with MEmeL, fine-tune plainly, evaluate, forecast, animate.
    """
    from nowcast.demonstration import demo as run

    run(output, seed=seed, steps=steps, days=days, size=size, progress=not quiet)
