"""Make the model that comes with the package: python -m pipelines.default_model OUT [--score NAME=ARCHIVE …]

Synthesizes weather of many kinds, ingests it, trains configs/radar/default-first.yaml, then default.yaml on it and on
nothing else, scores the run on the test splits of the archives that are named (radar it never saw), and writes
OUT/package, the content of nowcast/default_model. Finished work is kept: the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nowcast.errors import NowcastError
from nowcast.experiment_file import read_experiment
from nowcast.shipped_configs import shipped_config
from nowcast.training import train
from pipelines.default_model.card import card_lines, score, write_rows
from pipelines.default_model.package import write_package
from pipelines.default_model.weather import PARTS, make_archive


def main(arguments: list[str] | None = None) -> None:
    """Do it; exit 1 on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.default_model", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="folder to make, or to go on in")
    parser.add_argument("--score", action="append", default=[], metavar="NAME=ARCHIVE", help="radar to score it on")
    parser.add_argument("--workers", type=int, help="processes; default one a core")
    given = parser.parse_args(arguments)
    try:
        sets = {name: Path(path) for name, _, path in (each.partition("=") for each in given.score)}
        archive = make_archive(given.out, PARTS, given.workers)
        runs, changes = given.out / "runs", {"data.archive": str(archive)}
        first = train(read_experiment(shipped_config("radar/default-first.yaml"), changes), runs, resume=True)
        changes["start_from"] = str(first.path)
        run = train(read_experiment(shipped_config("radar/default.yaml"), changes), runs, resume=True)
        package = write_package(run, given.out / "package", PARTS)
        rows = score(package, sets, given.out / "scores")
        write_rows(package.path / "scores.csv", rows)
    except NowcastError as error:
        print(f"pipelines: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print("\n".join(card_lines(rows)))
    print(f"written to {package.path}; copy it to nowcast/default_model and its table to docs/default-model.md")


if __name__ == "__main__":
    main()
