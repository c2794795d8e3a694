"""Arms, phases, plan: which runs a pipeline needs, each once, recognized by what it learns and not by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nowcast.archive import Archive
from nowcast.archive.fingerprint import fingerprint
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from pipelines.engine.identity import identity


@dataclass(frozen=True)
class Arm:
    """A named sequence of phases; each later phase starts from the weights of the one before."""

    name: str
    phases: tuple[Experiment, ...]


@dataclass(frozen=True)
class PlannedRun:
    """One phase with one seed.

    Attributes:
        identity: SHA-256 of everything that matters: the experiment, the data, and the run it starts from.
        experiment: resolved; its name, hence its folder, ends with the first digits of the identity.
        parent: identity of the run it starts from.
    """

    identity: str
    experiment: Experiment
    parent: str | None

    def path(self, folder: Path) -> Path:
        """Run directory in a folder of runs."""
        return folder / self.experiment.name

    def steps_done(self, folder: Path) -> int:
        """Optimizer steps in the run's last checkpoint; 0 where there is none."""
        try:
            # Mapped, not read: the number of steps is a few bytes of a file that can hold gigabytes.
            last = self.path(folder) / "checkpoints" / "last.ckpt"
            return int(torch.load(last, map_location="cpu", weights_only=True, mmap=True)["step"])
        except Exception:  # missing or damaged: the training opens it again and says what is wrong
            return 0

    def finished(self, folder: Path) -> bool:
        """Whether the run has taken all its steps."""
        return self.steps_done(folder) >= self.experiment.training.steps


@dataclass(frozen=True)
class Plan:
    """All runs of a pipeline, parents before children, and the run that stands for each (arm, seed)."""

    folder: Path
    runs: Mapping[str, PlannedRun]
    last: Mapping[tuple[str, int], str]

    def run(self, arm: str, seed: int) -> PlannedRun:
        """The last phase of an arm: what its row of a table is about."""
        return self.runs[self.last[arm, seed]]

    def path(self, run: PlannedRun) -> Path:
        """Run directory."""
        return run.path(self.folder)

    def steps_done(self, run: PlannedRun) -> int:
        """Optimizer steps in the run's last checkpoint; 0 where there is none."""
        return run.steps_done(self.folder)

    def finished(self, run: PlannedRun) -> bool:
        """Whether the run has taken all its steps."""
        return run.finished(self.folder)


def make_plan(arms: Sequence[Arm], seeds: Sequence[int], archive: Archive, folder: Path) -> Plan:
    """Arms × seeds as runs in `folder`; phases that are the same are one run."""
    data = fingerprint(archive)
    runs: dict[str, PlannedRun] = {}
    last: dict[tuple[str, int], str] = {}
    for seed in seeds:
        for arm in arms:
            parent: PlannedRun | None = None
            for phase in arm.phases:
                parent = _planned(phase, seed, archive, data, parent, folder)
                runs.setdefault(parent.identity, parent)
            if parent is None or (arm.name, seed) in last:
                raise NowcastError(f"the arm {arm.name} has no phase or stands twice in the plan")
            last[arm.name, seed] = parent.identity
    return Plan(folder, runs, last)


def _planned(
    phase: Experiment, seed: int, archive: Archive, data: str, parent: PlannedRun | None, folder: Path
) -> PlannedRun:
    own = identity(phase, seed, data, None if parent is None else parent.identity)
    experiment = phase.model_copy(
        update={
            "name": f"{phase.name}-{method_name(phase)}-seed{seed}-{own[:10]}",
            "seed": seed,
            "start_from": None if parent is None else str((folder / parent.experiment.name).resolve()),
            "data": phase.data.model_copy(update={"archive": str(archive.path.resolve())}),
        }
    )
    return PlannedRun(own, experiment, None if parent is None else parent.identity)


def method_name(phase: Experiment) -> str:
    """What a phase does, in a few letters: `plain`, or `memel-n1-s1` with the places of MEmeL where not the usual."""
    memel = phase.model.memel
    if memel is None:
        return "plain"
    places = "" if memel.placement == ("candidate",) else "-" + "+".join(memel.placement)
    channels = "-channel" if memel.neuron == "channel" else ""
    return f"memel-n{memel.neurons}-s{memel.strength:g}{places}{channels}"
