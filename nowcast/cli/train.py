"""`nowcast train`: training and fine-tuning."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from nowcast.cli.app import Quiet, app, report_errors


@app.command()
@report_errors
def train(
    config: Annotated[
        Path, typer.Argument(help="Experiment file (YAML), or a shipped one (see `nowcast configs`).", metavar="CONFIG")
    ],
    changes: Annotated[list[str] | None, typer.Argument(help="More key=value pairs.", metavar="KEY=VALUE")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one key, such as training.steps=2000.", metavar="KEY=VALUE"),
    ] = None,
    archive: Annotated[Path | None, typer.Option(help="Archive to learn from; the same as data.archive.")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Run whose weights to begin with (fine-tuning); the same as start_from.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the run directories; this one is RUNS/name.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run exactly where it stopped.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell what would be done and with which settings; write nothing."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a network, or fine-tune one with --start-from."""
    from nowcast.experiment_file import parse_overrides, read_experiment

    overrides = dict(parse_overrides([*(set_ or []), *(changes or [])]))
    if archive is not None:
        overrides["data.archive"] = str(archive)
    if start_from is not None:
        overrides["start_from"] = str(start_from)
    experiment = read_experiment(config, overrides)  # before torch is loaded: a typo is told at once

    if dry_run:
        from nowcast.training.preview import preview

        typer.echo(preview(experiment, runs, resume=resume), nl=False)
        return
    from nowcast.training import train as run

    done = run(experiment, runs, resume=resume, progress=not quiet)
    if os.environ.get("RANK", "0") != "0":
        return  # one process of several under torchrun has the word
    from nowcast.report import draw_training

    draw_training(done.path)
    typer.echo(f"{done.path}: {experiment.training.steps} steps; next: nowcast evaluate {quote(str(done.path))}")
