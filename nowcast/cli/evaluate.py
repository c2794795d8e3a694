"""`nowcast evaluate`: scores of runs and baselines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.app import Cluster, Quiet, app, report_errors
from nowcast.forecaster_names import NAMES

Crop = tuple[int, int] | None


@app.command()
@report_errors
def evaluate(
    forecasters: Annotated[
        list[str],
        typer.Argument(help=f"Run directories and baselines ({', '.join(NAMES)}).", metavar="RUN"),
    ],
    split: Annotated[str, typer.Option(help="Split whose windows are forecast: test, valid or train.")] = "test",
    archive: Annotated[Path | None, typer.Option(help="Archive to evaluate on.  [default: the run's own]")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for scores, table and plots.  [default: RUN/evaluation/ARCHIVE-SPLIT-PROTOCOL]",
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="fixed, or online (a run adapts to what it has seen).")] = "fixed",
    checkpoint: Annotated[str, typer.Option(help="best (on validation) or last, of the runs.")] = "best",
    observed: Annotated[int | None, typer.Option(min=1, help="Frames before the issue.  [default: the run's]")] = None,
    forecast: Annotated[int | None, typer.Option(min=1, help="Frames to forecast.  [default: the run's]")] = None,
    rows: Annotated[Crop, typer.Option(help="Rows FIRST LAST+1 that are forecast.  [default: the run's]")] = None,
    columns: Annotated[Crop, typer.Option(help="Columns FIRST LAST+1.  [default: the run's]")] = None,
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
        Crop, typer.Option(help="Score only rows FIRST LAST+1 of what is forecast.  [default: all]")
    ] = None,
    score_columns: Annotated[Crop, typer.Option(help="Score only columns FIRST LAST+1.  [default: all]")] = None,
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
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Windows that a network forecasts at a time.  [default: the run's, or 8]")
    ] = None,
    beyond_training: Annotated[
        bool, typer.Option("--beyond-training", help="Forecast more or smaller frames than a run was trained for.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes to work with, about 2 GB each at 480×480.")] = 1,
    cluster: Cluster = None,
    plots: Annotated[bool, typer.Option(help="Draw scores against lead time and a gallery of cases.")] = True,
    quiet: Quiet = False,
) -> None:
    """Score forecasters on every window of a split.

    Extrapolation and persistence always stand beside them, on the same windows. A stopped evaluation keeps what it has
    finished; the same command goes on from there.
    """
    from nowcast.evaluation import EvaluationOptions, evaluation_name, plan_evaluation

    options = EvaluationOptions.of(
        None,
        {
            **{"split": split, "protocol": protocol, "checkpoint": checkpoint, "unknown": unknown, "whole": whole},
            **{"observed": observed, "forecast": forecast, "rows": rows, "columns": columns, "masks": masks},
            **{
                "stride": stride,
                "max_missing": max_missing,
                "batch_size": batch_size,
                "beyond_training": beyond_training,
            },
            **{"score_rows": score_rows, "score_columns": score_columns},
            **({"thresholds": threshold} if threshold else {}),
            **({"families": scores} if scores else {}),
        },
    )
    plan = plan_evaluation(forecasters, archive, output, options)
    folder = plan.folder or Path("scores") / evaluation_name(plan.archive, split, protocol)
    plan = replace(plan, folder=folder)

    # All that can be wrong has been told: now torch, which takes seconds.
    from nowcast.cluster import executor_of
    from nowcast.evaluation import carry_out, score_table

    read = (plan.archive.path, *(run.path for run in plan.runs.values()))
    with executor_of(workers, cluster, read) as executor:
        found = carry_out(plan, executor, progress=not quiet)
    if "caution" in found.attrs:
        typer.echo(f"nowcast: {found.attrs['caution']}", err=True)
    typer.echo(score_table(found))
    if plots:
        from nowcast.report import draw_report

        draw_report(folder)
    typer.echo(f"{folder / 'scores.nc'}, scores.md" + (f", {folder / 'plots'}/" if plots else ""))
