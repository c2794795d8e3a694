"""A study: one archive, one scale, some seeds; what every pipeline is given."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nowcast.archive import Archive
from nowcast.errors import NowcastError
from pipelines.engine.arms import Arm, Plan, make_plan
from pipelines.engine.execution import carry_out
from pipelines.engine.scales import Phases, check_neurons, read_phases


@dataclass(frozen=True)
class Study:
    """What to run pipelines on.

    Attributes:
        archive: archive folder.
        scale: smoke, cpu or paper.
        seeds: how many (0, 1, …), or which.
        output: folder of the tables; by default results/ARCHIVE-SCALE.
        runs: folder of the runs, shared by pipelines; by default OUTPUT/runs.
        overrides: `key=value` strings for every phase; the tables name them.
        pretrain_steps, finetune_steps: replace the scale's numbers.
        jobs: runs trained at the same time, each in a process of its own.
        executor: where to train instead, such as `dask.distributed.Client(…).get_executor(pure=False)`.
        block_hours: length of the blocks of windows; by default what suits the differences (`verification.jackknife`).
        progress: say what is done, with progress bars.
    """

    archive: str | Path
    scale: str = "cpu"
    seeds: int | Sequence[int] = 3
    output: str | Path | None = None
    runs: str | Path | None = None
    overrides: Sequence[str] | Mapping[str, Any] = ()
    pretrain_steps: int | None = None
    finetune_steps: int | None = None
    jobs: int = 1
    executor: Executor | None = None
    block_hours: float | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        seeds = self.seed_list
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise NowcastError(f"seeds are {list(seeds)}, expected at least one, each once, none negative")
        for name in ("pretrain_steps", "finetune_steps", "jobs", "block_hours"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise NowcastError(f"{name} is {value}, expected more than 0")

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else tuple(self.seeds)

    @cached_property
    def data(self) -> Archive:
        """The archive, open."""
        return Archive.open(self.archive)

    @cached_property
    def phases(self) -> Phases:
        """The scale's phases with the overrides of this study."""
        return read_phases(self.scale, self.data.shape, self.overrides, self.pretrain_steps, self.finetune_steps)

    @property
    def output_folder(self) -> Path:
        """Where the tables go."""
        if self.output is not None:
            return Path(self.output)
        return Path("results") / f"{Path(self.archive).resolve().name}-{self.scale}"

    @property
    def runs_folder(self) -> Path:
        """Where the runs lie."""
        return self.output_folder / "runs" if self.runs is None else Path(self.runs)

    def plan(self, arms: Sequence[Arm]) -> Plan:
        """The runs that arms need."""
        for arm in arms:
            for phase in arm.phases:
                check_neurons(phase, self.data.shape)
        return make_plan(arms, self.seed_list, self.data, self.runs_folder)

    def carry_out(self, plan: Plan) -> None:
        """Train what is not finished of a plan."""
        carry_out(plan, self.executor, jobs=self.jobs, progress=self.progress)

    def command(self, pipeline: str, **options: Any) -> str:
        """The command line that does the same."""
        parts = ["python", "-m", f"pipelines.{pipeline}", "--archive", str(self.archive), "--scale", self.scale]
        parts += ["--seeds", str(self.seeds) if isinstance(self.seeds, int) else ",".join(map(str, self.seeds))]
        named = {
            "output": self.output,
            "runs": self.runs,
            "pretrain_steps": self.pretrain_steps,
            "finetune_steps": self.finetune_steps,
            "block_hours": self.block_hours,
            **options,
        }
        for name, value in named.items():
            if value is not None:
                listed = isinstance(value, Sequence) and not isinstance(value, str)
                text = ",".join(f"{v:g}" for v in value) if listed else str(value)
                parts += [f"--{name.replace('_', '-')}", text]
        for text in self.override_list:
            parts += ["--set", text]
        return shlex.join(parts)

    @property
    def override_list(self) -> list[str]:
        """The overrides as `key=value`."""
        if isinstance(self.overrides, Mapping):
            return [f"{key}={value}" for key, value in self.overrides.items()]
        return list(self.overrides)
