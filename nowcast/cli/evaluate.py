"""`nowcast evaluate`: scores of runs and baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nowcast.cli.app import Quiet, app, plainly
from nowcast.errors import NowcastError
from nowcast.forecaster_names import NAMES, run_or_name


@app.command()
@plainly
def evaluate(
    forecasters: Annotated[
        list[str],
        typer.Argument(help=f"Run directories and baselines ({', '.join(NAMES)}).", metavar="RUN"),
    ],
    split: Annotated[str, typer.Option(help="Split whose windows are forecast: test, valid or train.")] = "test",
    archive: Annotated[Path | None, typer.Option(help="Archive to evaluate on.  [default: the run's own]")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for scores, table and plots.  [default: first run]")
    ] = None,
    protocol: Annotated[str, typer.Option(help="fixed, or online (a run adapts to what it has seen).")] = "fixed",
    checkpoint: Annotated[str, typer.Option(help="best (on validation) or last, of the runs.")] = "best",
    observed: Annotated[int | None, typer.Option(min=1, help="Frames before the issue.  [default: the run's]")] = None,
    forecast: Annotated[int | None, typer.Option(min=1, help="Frames to forecast.  [default: the run's]")] = None,
    rows: Annotated[
        tuple[int, int] | None, typer.Option(help="Rows FIRST LAST+1 that are forecast.  [default: the run's]")
    ] = None,
    columns: Annotated[tuple[int, int] | None, typer.Option(help="Columns FIRST LAST+1.  [default: the run's]")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Forecast the whole frame, whatever the run's crop.")] = False,
    masks: Annotated[
        str | None, typer.Option(help="static, or frame (each frame's mask).  [default: the run's]")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Frames from window to window.  [default: the run's]")
    ] = None,
    max_missing: Annotated[
        int | None, typer.Option(min=0, help="Missing frames in a row that a window may hold.  [default: the run's]")
    ] = None,
    score_rows: Annotated[
        tuple[int, int] | None, typer.Option(help="Score only rows FIRST LAST+1 of what is forecast.  [default: all]")
    ] = None,
    score_columns: Annotated[
        tuple[int, int] | None, typer.Option(help="Score only columns FIRST LAST+1.  [default: all]")
    ] = None,
    threshold: Annotated[
        list[float] | None, typer.Option(help="Rain rate in mm/h, repeatable.  [default: 0.5, 2, 5, 10, 30]")
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(help="basic, gdl, fss, ssim, spectrum, ensemble; repeatable.  [default: all that apply]"),
    ] = None,
    unknown: Annotated[
        str, typer.Option(help="Pixels some forecaster cannot know: persistence (filled), or common (scored for none).")
    ] = "persistence",
    beyond_training: Annotated[
        bool, typer.Option("--beyond-training", help="Forecast more or smaller frames than a run was trained for.")
    ] = False,
    plots: Annotated[bool, typer.Option(help="Draw scores against lead time and a gallery of cases.")] = True,
    quiet: Quiet = False,
) -> None:
    """Score forecasters on every window of a split.

    Persistence always stands beside them, on the same windows.
    """
    for name in forecasters:
        run_or_name(name)  # before torch is loaded: a typo is told at once

    from nowcast.archive import Archive
    from nowcast.evaluation import evaluate as run
    from nowcast.evaluation import score_table

    if output is None and not any(Path(name).is_dir() for name in forecasters):
        output = Path("scores")
    if any(not 0 < rate < float("inf") for rate in threshold or []):
        raise NowcastError(f"--threshold {min(threshold or [])} is no rain rate; expected mm/h above 0")
    options: dict[str, Any] = {"thresholds": threshold, "families": scores}
    if whole and (rows or columns):
        raise NowcastError("--whole forecasts the whole frame; give it or --rows and --columns, not both")
    if whole:
        source = archive if archive is not None else _archive_of(forecasters)
        height, width = Archive.open(source).shape
        rows, columns = (0, height), (0, width)
    found = run(
        forecasters,
        split,
        archive=archive,
        output=output,
        protocol=protocol,
        checkpoint=checkpoint,
        observed=observed,
        forecast=forecast,
        rows=rows,
        columns=columns,
        masks=masks,
        stride=stride,
        max_missing=max_missing,
        score_rows=score_rows,
        score_columns=score_columns,
        unknown=unknown,
        beyond_training=beyond_training,
        progress=not quiet,
        **{name: value for name, value in options.items() if value},
    )
    if "caution" in found.attrs:
        typer.echo(f"nowcast: {found.attrs['caution']}", err=True)
    typer.echo(score_table(found))
    folder = output if output is not None else next(Path(name) for name in forecasters if Path(name).is_dir())
    if plots:
        from nowcast.report import draw_report

        draw_report(folder)
    typer.echo(f"{folder / 'scores.nc'}, scores.md" + (f", {folder / 'plots'}/" if plots else ""))


def _archive_of(forecasters: list[str]) -> Path:
    """The archive of the first run among the forecasters."""
    from nowcast.run import Run

    for name in forecasters:
        if Path(name).is_dir() and (found := Run.open(name).experiment.data.archive):
            return Path(found)
    raise NowcastError("no run among the forecasters names an archive; give --archive ARCHIVE")
