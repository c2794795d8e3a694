"""From an experiment to a trained run: open the archive, build the network, fit, leave everything on disk."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from nowcast.atomic_files import only_writer
from nowcast.config import Experiment, TrainingConfig
from nowcast.device import choose_device
from nowcast.errors import NowcastError
from nowcast.experiment_file import read_experiment
from nowcast.models import build_model, load_checkpoint, start_from
from nowcast.run import Run
from nowcast.training.clips import open_archive, training_clips, validation_clips
from nowcast.training.fit import Fit, Progress
from nowcast.training.memory import keep_freed_memory

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
"""Keys that a resumed run may change, since no finished step depends on them."""


def train(
    experiment: Experiment | str | Path, runs: str | Path = "runs", *, resume: bool = False, progress: bool = True
) -> Run:
    """Train an experiment; returns its run, `runs/NAME`.

    Args:
        experiment: what to do, or the file that says it; `start_from` makes it a fine-tuning.
        runs: folder of the run directories.
        resume: continue an interrupted run exactly where its last checkpoint left it (a finished one stays as it
            is); a run that does not exist yet is begun.
        progress: draw a progress bar.

    Raises:
        NowcastError: the archive, the run to start from or the run directory does not fit.
        KeyboardInterrupt: interrupted; the last finished step is saved.

    Under `torchrun` the batch is shared by all processes; gradients and MEmeL statistics are those of the whole batch.
    """
    if not isinstance(experiment, Experiment):
        experiment = read_experiment(experiment)
    experiment = _with_absolute_paths(experiment)
    archive = open_archive(experiment)
    clips, validation = training_clips(archive, experiment), validation_clips(archive, experiment)
    fabric = _fabric(experiment.training)
    if fabric.device.type == "cpu":
        keep_freed_memory()
    # Weights depend on the seed alone, and the caller's random numbers on us not at all.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        network = build_model(experiment.model)
    begun = resume and (Path(runs) / experiment.name / "checkpoints" / "last.ckpt").exists()
    if (
        experiment.start_from is not None and not begun
    ):  # before a run directory is made: a wrong path must leave none behind
        start_from(network, Run.open(experiment.start_from).checkpoint(experiment.start_at))
    run, saved = _begun(experiment, Path(runs), resume, fabric)
    if saved is not None:
        network.load_state_dict(saved["model"])

    model, optimizer = fabric.setup(network, torch.optim.Adam(network.parameters(), experiment.training.learning_rate))
    state = Progress()
    if saved is not None:
        optimizer.load_state_dict(saved["optimizer"])
        state = Progress(**saved["progress"])
    with only_writer(run.path) if fabric.is_global_zero else nullcontext():
        Fit(run, fabric, model, optimizer, clips, validation, state, progress).finish()
    if fabric.world_size > 1:
        # Nobody may leave while another still speaks to it: the other would be aborted.
        fabric.barrier()
        torch.distributed.destroy_process_group()
    return run


def _begun(experiment: Experiment, runs: Path, resume: bool, fabric: Fabric) -> tuple[Run, dict[str, Any] | None]:
    """The run directory and, when an interrupted run is continued, what its last checkpoint holds."""
    path = runs / experiment.name
    if not (resume and (path / "config.yaml").exists()):
        run = Run.create(runs, experiment) if fabric.is_global_zero else Run(path, experiment)
        fabric.barrier()
        return run, None
    run = Run.open(path)
    for key, old, new in _differences(run.experiment.plain(), experiment.plain()):
        if key not in MAY_CHANGE:
            raise NowcastError(
                f"{path} was begun with {key} = {old!r}, but the experiment now says {new!r}; resume it unchanged, or "
                f"choose another name"
            )
    run = Run(path, experiment)
    last = run.checkpoints / "last.ckpt"
    saved = load_checkpoint(last) if last.exists() else None
    if saved is not None and saved["step"] > experiment.training.steps:
        raise NowcastError(
            f"{path} has already done {saved['step']} steps, training.steps is {experiment.training.steps}; give at "
            f"least as many, or choose another name"
        )
    if fabric.is_global_zero:
        run.write_experiment()
    return run, saved


def _fabric(training: TrainingConfig) -> Fabric:
    device = choose_device(training.device)
    processes, here = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if training.batch_size % processes:
        raise NowcastError(
            f"training.batch_size {training.batch_size} cannot be shared evenly by {processes} processes"
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it would tell what the experiment says
    fabric = Fabric(
        accelerator=device.type,
        devices=here,
        num_nodes=processes // here,
        # The input convolution of the deepest forecaster cell has no input, hence weights without a gradient.
        strategy=DDPStrategy(find_unused_parameters=True) if processes > 1 else "auto",
        precision="32-true",  # `run_network` computes less precisely where that is wanted
    )
    fabric.launch()
    return fabric


def _with_absolute_paths(experiment: Experiment) -> Experiment:
    """Paths that hold wherever the run directory is used from."""
    data = experiment.data
    if data.archive is not None:
        data = data.model_copy(update={"archive": str(Path(data.archive).resolve())})
    parent = None if experiment.start_from is None else str(Path(experiment.start_from).resolve())
    return experiment.model_copy(update={"data": data, "start_from": parent})


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
