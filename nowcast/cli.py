"""The command line: a thin skin over the functions that Python callers use with the same words."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nowcast.errors import NowcastError

app = typer.Typer(
    name="nowcast",
    help="Precipitation nowcasting from weather radar: ConvGRU encoder-forecasters with MEmeL. All times are UTC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ArchiveArgument = Annotated[Path, typer.Argument(help="Archive folder made by `nowcast ingest`.", metavar="ARCHIVE")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes to work with.  [default: all cores]")]


def plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Say what went wrong in one sentence, and exit with 1 (bad input) or 130 (interrupted)."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except NowcastError as error:
            typer.echo(f"nowcast: {error}", err=True)
            raise typer.Exit(1) from None
        except BrokenPipeError:
            # Whoever read our output has gone (`nowcast info … | head`): nothing left to say.
            sys.stderr.close()
            raise typer.Exit(1) from None
        except OSError as error:
            if error.filename is None:
                raise
            typer.echo(f"nowcast: {error.filename} cannot be read or written ({error.strerror})", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            typer.echo(
                "\nnowcast: interrupted; what was finished is kept (continue a training with --resume)", err=True
            )
            raise typer.Exit(130) from None

    return wrapped


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
    from nowcast.data.synthetic import synthesize as run

    summary = run(
        out, days=days, seed=seed, size=size, frames_per_day=frames_per_day, workers=workers, progress=not quiet
    )
    typer.echo(f"{out}: {summary.frames} frames of {size}×{size}, {len(summary.missing)} missing, "
               f"{len(summary.truncated)} truncated")  # fmt: skip


@app.command()
@plainly
def ingest(
    format_: Annotated[
        Literal["hko7"],
        typer.Argument(help="Layout of the source: hko7 (radarPNG/, radarPNG_mask/).", metavar="FORMAT"),
    ],
    source: Annotated[Path, typer.Argument(help="Folder that holds radarPNG/.", metavar="SOURCE")],
    archive: Annotated[Path, typer.Argument(help="Archive folder to make or to add to.", metavar="ARCHIVE")],
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=YYYY-MM-DD[,YYYY-MM-DD…]: days of a split, instead of the day lists.", metavar="NAME=DAYS"
        ),
    ] = None,
    interval: Annotated[int, typer.Option(min=1, help="Minutes from frame to frame.")] = 6,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Read radar files into an archive (netCDF, one file a day).

    HKO-7, or any radar in its layout. Days already read whose files have not changed are skipped.
    """
    import numpy as np

    from nowcast.data.ingest import ingest_hko7 as run
    from nowcast.data.splits import parse_splits

    report = run(
        source,
        archive,
        splits=parse_splits(split) if split else None,
        interval=np.timedelta64(interval * 60, "s"),
        workers=workers,
        progress=not quiet,
    )
    typer.echo(str(report))


@app.command()
@plainly
def train(
    config: Annotated[Path, typer.Argument(help="Experiment file (YAML).", metavar="CONFIG")],
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

    from nowcast.training import train as run

    done = run(experiment, runs, resume=resume, progress=not quiet)
    typer.echo(f"{done.path}: {experiment.training.steps} steps; next: nowcast evaluate {done.path}")


@app.command()
@plainly
def evaluate(
    forecasters: Annotated[
        list[str],
        typer.Argument(help="Run directories and baselines (persistence, extrapolation, sprog, steps).", metavar="RUN"),
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
    plots: Annotated[bool, typer.Option(help="Draw scores against lead time and a gallery of cases.")] = True,
    quiet: Quiet = False,
) -> None:
    """Score forecasters on every window of a split.

    Persistence always stands beside them, on the same windows.
    """
    from nowcast.data.archive import Archive
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
        progress=not quiet,
        **{name: value for name, value in options.items() if value},
    )
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
) -> None:
    """Issue a nowcast as a CF netCDF file, rain rate in mm/h."""
    from nowcast.forecasting import forecast as issue

    made = issue(run, archive, output, at=at, lead_steps=lead_steps, checkpoint=checkpoint)
    minutes = made["lead_time"].values[-1].astype("timedelta64[m]").astype(int)
    if made.attrs["observed_frames_missing"]:
        used, missing = made.attrs["observed_frames_used"], made.attrs["observed_frames_missing"]
        typer.echo(f"nowcast: only {used} of {used + missing} observed frames were there", err=True)
    typer.echo(f"{output}: issued {made['issue_time'].values[0].astype('datetime64[m]')} UTC, up to +{minutes} min; "
               f"next: nowcast animate {output} --observed {archive}")  # fmt: skip


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


@app.command()
@plainly
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything the demo makes.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the synthetic radar and of the weights.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Pretraining steps.  [default: from configs/demo.yaml]")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Do the whole path on synthetic radar, in minutes.

    Synthesize, ingest, pretrain with MEmeL, fine-tune plainly, evaluate, forecast, animate.
    """
    from nowcast.demonstration import demo as run

    run(output, seed=seed, steps=steps, progress=not quiet)


@app.command()
@plainly
def info(
    path: Annotated[Path, typer.Argument(help="Archive, run directory, forecast file or scores.", metavar="PATH")],
    windows: Annotated[
        tuple[int, int] | None,
        typer.Option(help="Also count an archive's windows of so many observed and forecast frames."),
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Frames from window to window.")] = 5,
    max_missing: Annotated[int, typer.Option(min=0, help="Missing frames in a row that a window may hold.")] = 2,
) -> None:
    """Describe an archive, run, forecast file or scores."""
    from nowcast.description import describe, describe_windows

    typer.echo(describe(path))
    if windows is not None:
        typer.echo(describe_windows(path, *windows, stride, max_missing))


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without × and → shows ? instead of a traceback
    app()
