"""The run directory: one folder that says what was learned, how, and how well. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nowcast.atomic_files import write_json, write_text
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.experiment_file import experiment_from

CHECKPOINTS = ("best", "last")


@dataclass(frozen=True, repr=False)
class Run:
    """A run directory.

    Attributes:
        path: the folder.
        experiment: the resolved experiment that it holds in `config.yaml`.
    """

    path: Path
    experiment: Experiment

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(cls, runs: str | Path, experiment: Experiment) -> Run:
        """Make `runs/NAME` and write the experiment into it; NowcastError if a run lies there already."""
        run = cls(Path(runs) / experiment.name, experiment)
        if (run.path / "config.yaml").exists():
            raise NowcastError(
                f"{run.path} already holds a run; continue it with --resume, or choose another name or --runs folder"
            )
        try:
            run.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NowcastError(
                f"{run.path} cannot be made ({error.strerror}); give another folder with --runs"
            ) from None
        run.write_experiment()
        return run

    def write_experiment(self) -> None:
        """Write `config.yaml`, every default spelled out."""
        text = yaml.safe_dump(self.experiment.plain(), sort_keys=False, allow_unicode=True)
        write_text(self.path / "config.yaml", text)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """The run in a folder; NowcastError when there is none."""
        path = Path(path)
        file = path / "config.yaml"
        if not path.is_dir():
            raise NowcastError(f"{path} does not exist; expected a run directory made by `nowcast train`")
        if not file.is_file():
            raise NowcastError(f"{path} holds no config.yaml; expected a run directory made by `nowcast train`")
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise NowcastError(f"{file} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise NowcastError(f"{file} describes no experiment; the run directory is damaged")
        return cls(path, experiment_from(content, str(file)))

    @property
    def trained_on_file(self) -> Path:
        """Where the run remembers its archive."""
        return self.path / "trained_on.json"

    @property
    def trained_on(self) -> dict[str, Any] | None:
        """What the run remembers of its archive (`nowcast.archive.fingerprint.ArchiveFacts`); None in older runs."""
        try:
            content = json.loads(self.trained_on_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise NowcastError(f"{self.trained_on_file} cannot be read: {error}") from None
        return content if isinstance(content, dict) else {}

    def remember_archive(self, facts: Mapping[str, Any]) -> None:
        """Write what the run shall remember of its archive."""
        write_json(self.trained_on_file, facts)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, which: str = "best") -> Path:
        """Path of the checkpoint `best` (lowest validation loss; `last` where nothing was validated) or `last`."""
        if which not in CHECKPOINTS:
            raise NowcastError(f"{which} is not a checkpoint; expected {' or '.join(CHECKPOINTS)}")
        for name in CHECKPOINTS[CHECKPOINTS.index(which) :]:
            if (self.checkpoints / f"{name}.ckpt").is_file():
                return self.checkpoints / f"{name}.ckpt"
        raise NowcastError(f"{self.path} has no checkpoint yet; train it with `nowcast train CONFIG --resume`")
