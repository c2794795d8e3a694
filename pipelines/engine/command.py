"""The command line that all pipelines share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nowcast.cluster import executor_of
from nowcast.errors import NowcastError
from pipelines.engine.arms import Arm
from pipelines.engine.estimate import described_plan
from pipelines.engine.scales import SCALES
from pipelines.engine.study import Study
from pipelines.engine.tables import Report

STUDY = (
    "archive",
    "scale",
    "seeds",
    "output",
    "runs",
    "overrides",
    "pretrain_steps",
    "finetune_steps",
    "jobs",
    "block_hours",
)


def command(
    description: str | None,
    arms: Callable[..., Sequence[Arm]],
    run: Callable[..., Report],
    add_options: Callable[[argparse.ArgumentParser], None] | None = None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Read the command line, run the pipeline (or print its plan), print the report; exit 1 on bad input.

    Args:
        description: what --help begins with.
        arms, run: of the pipeline; both take a Study and the options that `add_options` adds.
        add_options: adds the pipeline's own options.
        arguments: instead of sys.argv.
    """
    parser = _parser(description)
    if add_options is not None:
        add_options(parser)
    given = vars(parser.parse_args(arguments))
    dry, quiet, cluster = given.pop("dry_run"), given.pop("quiet"), given.pop("cluster")
    try:
        study = Study(**{name: given.pop(name) for name in STUDY}, progress=not quiet)
        if dry:
            print(described_plan(study, study.plan(arms(study, **given))))
        else:
            report = _run_on(cluster, study, run, given)
            print(report.markdown())
            print(f"written to {study.output_folder / report.name}.md and .csv")
    except NowcastError as error:
        print(f"pipelines: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; the tables are written
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(f"pipelines: {error.filename} cannot be read or written ({error.strerror})", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print(
            "\npipelines: interrupted; everything finished is kept, the same command goes on from there",
            file=sys.stderr,
        )
        raise SystemExit(130) from None


def _run_on(cluster: str | None, study: Study, run: Callable[..., Report], options: Mapping[str, Any]) -> Report:
    """The report of a pipeline, its runs trained here or on a cluster."""
    if cluster is None:
        return run(study, **options)
    folder = study.runs_folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with executor_of(cluster=cluster, read=[study.data.path.resolve()], written=[folder]) as executor:
        return run(replace(study, executor=executor, runs=folder), **options)


def numbers(text: str) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,10,100") from None
    if len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"{text!r} names a number twice")
    return found


def whole_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers above 0, separated by commas."""
    found = numbers(text)
    if any(value != int(value) or value < 1 for value in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers above 0, such as 1,10,100")
    return tuple(int(value) for value in found)


def _seeds(text: str) -> int | tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of seeds nor a list such as 0,3,7") from None
    return found[0] if len(found) == 1 and not text.endswith(",") else found


def _parser(description: str | None) -> argparse.ArgumentParser:
    # By name, so that nothing is abbreviated in a command that a table records.
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add = parser.add_argument
    add("--archive", required=True, metavar="ARCHIVE", help="archive folder made by `nowcast ingest`")
    add("--scale", choices=SCALES, default="cpu", help="the paper's protocol, or a reduction (default: %(default)s)")
    add("--seeds", type=_seeds, default=3, metavar="N", help="how many, or which: 0,3,7 (default: %(default)s)")
    add("--output", metavar="FOLDER", help="folder of the tables (default: results/ARCHIVE-SCALE)")
    add("--runs", metavar="FOLDER", help="folder of the runs, which pipelines share (default: OUTPUT/runs)")
    add(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of every phase; model.memel.KEY changes the arms with MEmeL",
    )
    add("--pretrain-steps", type=int, metavar="N", help="optimizer steps of pretraining")
    add("--finetune-steps", type=int, metavar="N", help="optimizer steps of fine-tuning")
    add("--jobs", type=int, default=1, metavar="N", help="runs trained at the same time (default: %(default)s)")
    add("--cluster", metavar="ADDRESS", help="dask scheduler that trains the runs, such as tcp://host:8786")
    add("--block-hours", type=float, metavar="H", help="length of the blocks of windows (default: what suits them)")
    add("--dry-run", action="store_true", help="print the runs and an estimate of the time, and train nothing")
    add("--quiet", action="store_true", help="no progress")
    return parser
