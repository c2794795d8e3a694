"""Beginning a run or continuing one: everything that can be refused is refused before anything is loaded or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast.archive import Archive
from nowcast.archive.fingerprint import ArchiveFacts
from nowcast.archive.of_run import archive_of, facts_of
from nowcast.atomic_files import WRITER_LOCK, only_writer
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.models import load_checkpoint
from nowcast.run import Run
from nowcast.training.clips import open_archive

MAY_CHANGE = frozenset(
    {
        "training.steps",
        "training.device",
        "training.log_every",
        "training.checkpoint_every",
        "data.archive",
        "data.in_memory",
        "data.memory_gib",
        "evaluation.batch_size",
    }
)
"""Keys that a resumed run may change, since no finished step depends on them. The archive may lie elsewhere; whether it
is the same is asked of itself."""


@dataclass(frozen=True)
class Beginning:
    """Where a training starts.

    Attributes:
        run: the run directory; nothing of it is written yet.
        saved: what the last checkpoint of a continued run holds; None where there is none.
        continued: whether the run directory is there already.
        facts: of the archive.
    """

    run: Run
    saved: dict[str, Any] | None
    continued: bool
    facts: ArchiveFacts


def resolved(experiment: Experiment, runs: Path, resume: bool) -> tuple[Experiment, Archive]:
    """The experiment with paths that hold wherever it is used from, and its archive: a resumed run knows its own."""
    path = runs / experiment.name
    if experiment.data.archive is None and resume and (path / "config.yaml").exists():
        archive = archive_of(Run.open(path))
    else:
        archive = open_archive(experiment)
    data = experiment.data.model_copy(update={"archive": str(archive.path.resolve())})
    parent = None if experiment.start_from is None else str(Path(experiment.start_from).resolve())
    return experiment.model_copy(update={"data": data, "start_from": parent}), archive


def begin(experiment: Experiment, archive: Archive, runs: Path, resume: bool) -> Beginning:
    """Look whether the run may be begun or continued; reads only. NowcastError says why not."""
    path, facts = runs / experiment.name, ArchiveFacts.of(archive)
    if not (path / "config.yaml").exists():
        return Beginning(Run(path, experiment), None, False, facts)
    if not resume:
        raise NowcastError(
            f"{path} already holds a run; continue it with --resume, or choose another name or --runs folder"
        )
    run = Run.open(path)
    # Every step of a cosine depends on how many there are.
    fixed = {"training.steps"} if experiment.training.schedule == "cosine" else set()
    for key, old, new in _differences(run.experiment.plain(), experiment.plain()):
        if key not in MAY_CHANGE - fixed:
            raise NowcastError(
                f"{path} was begun with {key} = {old!r}, but the experiment now says {new!r}; resume it unchanged, or "
                f"choose another name"
            )
    remembered = facts_of(run)
    difference = remembered and remembered.difference(facts)
    if difference:
        raise NowcastError(
            f"{path} was begun on {run.experiment.data.archive}, but {archive.path} holds {difference}; give the "
            "archive that it was begun on, or choose another name"
        )
    last = run.checkpoints / "last.ckpt"
    saved = load_checkpoint(last) if last.exists() else None
    if saved is not None and saved["step"] > experiment.training.steps:
        raise NowcastError(
            f"{path} has already done {saved['step']} steps, training.steps is {experiment.training.steps}; give at "
            f"least as many, or choose another name"
        )
    return Beginning(Run(path, experiment), saved, True, facts)


@contextmanager
def claimed(beginning: Beginning) -> Iterator[None]:
    """Hold the run directory against other processes; a new one that came to nothing is removed again."""
    path = beginning.run.path
    try:
        with only_writer(path):
            yield
    finally:
        if not beginning.continued and path.is_dir() and {file.name for file in path.iterdir()} <= {WRITER_LOCK}:
            (path / WRITER_LOCK).unlink(missing_ok=True)
            path.rmdir()


def write_beginning(beginning: Beginning) -> None:
    """Write the experiment and what the run shall remember of its archive."""
    run = beginning.run
    if beginning.continued:
        run.write_experiment()
    else:
        Run.create(run.path.parent, run.experiment)
    run.remember_archive(beginning.facts.plain())


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Keys whose values differ, with both values."""
    found = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append((prefix + key, a, b))
    return found
