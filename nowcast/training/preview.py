"""What a training would do, told before it is done: its folder, network, clips, and the resolved experiment."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from nowcast.archive import Archive
from nowcast.clips.split_windows import window_starts
from nowcast.config import Experiment
from nowcast.experiment_file import read_experiment
from nowcast.models import build_model, count_parameters, start_from
from nowcast.run import Run
from nowcast.training.begin import begin, resolved
from nowcast.training.clips import check_clips


def preview(experiment: Experiment | str | Path, runs: str | Path = "runs", *, resume: bool = False) -> str:
    """What `train` would do with the same arguments, as an experiment file with comments; nothing is written.

    Whatever `train` would refuse is refused here with the same NowcastError. An experiment that names no archive is
    told what it lacks.
    """
    if not isinstance(experiment, Experiment):
        experiment = read_experiment(experiment)
    path, archive, saved = Path(runs) / experiment.name, None, None
    if experiment.data.archive is not None or (resume and (path / "config.yaml").exists()):
        experiment, archive = resolved(experiment, Path(runs), resume)
        beginning = begin(experiment, archive, Path(runs), resume)
        check_clips(archive, experiment)
        saved = beginning.saved
    with torch.random.fork_rng(devices=[]):
        network = build_model(experiment.model)
    if saved is None and experiment.start_from is not None:
        start_from(network, Run.open(experiment.start_from).checkpoint(experiment.start_at))
    steps = experiment.training.steps
    done = f"continued after step {saved['step']} of {steps}" if saved is not None else f"{steps} steps from the first"
    facts = {
        "run directory": f"{path}, {done}",
        "network": f"{experiment.model.title}, {count_parameters(network)} parameters",
        "begins with": experiment.start_from or "random weights",
        "clips": "no archive named; give --archive ARCHIVE" if archive is None else _clips(archive, experiment),
    }
    lines = ["Nothing is written: this is what would be done.", *(f"{name}: {fact}" for name, fact in facts.items())]
    comments = "".join(f"# {line}\n" for line in lines)
    return comments + yaml.safe_dump(experiment.plain(), sort_keys=False, allow_unicode=True)


def _clips(archive: Archive, experiment: Experiment) -> str:
    """How many clips there are to learn from and windows to validate on, and how often each clip is seen."""
    clips = len(window_starts(archive, "train", experiment.data, None))
    seen = experiment.training.steps * experiment.training.batch_size / clips
    windows = 0
    if "valid" in archive.splits:
        windows = len(window_starts(archive, "valid", experiment.data, experiment.evaluation))
    return f"{clips} to learn from, each about {seen:.3g} times; {windows} windows to validate on"
