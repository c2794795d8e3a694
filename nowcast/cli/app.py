"""The application, what its commands share, and how they tell what went wrong."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from nowcast.errors import NowcastError

app = typer.Typer(
    name="nowcast",
    help="Precipitation nowcasting from weather radar: ConvGRU encoder-forecasters with MEmeL. All times are UTC.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from nowcast import __version__

        typer.echo(f"nowcast {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before a command; the application's own help is the one above."""


ArchiveArgument = Annotated[Path, typer.Argument(help="Archive folder made by `nowcast ingest`.", metavar="ARCHIVE")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Cluster = Annotated[
    str | None,
    typer.Option(help="Work on a dask cluster, such as tcp://host:8786 (docs/cluster.md).", metavar="ADDRESS"),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes to work with.  [default: all cores]")]


@contextmanager
def on_cluster(cluster: str | None, read: Sequence[Path], written: Path) -> Iterator[Executor | None]:
    """The executor of `--cluster`, None without; its workers must see `read` and the folder that holds `written`."""
    if cluster is None:
        yield None  # the function works with processes or threads of this machine as it sees fit
        return
    from nowcast.cluster import executor_of

    # What is to be written may not be there yet: the nearest folder above it that is has to be shared.
    folder = next(path for path in (written.resolve(), *written.resolve().parents) if path.is_dir())
    with executor_of(1, cluster, read, [folder]) as executor:
        yield executor


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
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
