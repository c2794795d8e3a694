"""From an experiment to a trained run: open the archive, build the network, fit, leave everything on disk."""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from nowcast.config import Experiment, TrainingConfig
from nowcast.device import choose_device
from nowcast.errors import NowcastError
from nowcast.experiment_file import read_experiment
from nowcast.models import build_model, start_from
from nowcast.run import Run
from nowcast.training.averaging import MeanWeights
from nowcast.training.begin import begin, claimed, resolved, write_beginning
from nowcast.training.clips import check_clips, in_motion, motion_of, training_clips, validation_clips
from nowcast.training.fit import Fit, Progress, bare
from nowcast.training.memory import disable_malloc_trim
from nowcast.training.sampling import Sampler
from nowcast.training.start_weights import store_start_weights


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
    experiment, archive = resolved(experiment, Path(runs), resume)
    fabric = _fabric(experiment.training)
    beginning = begin(experiment, archive, Path(runs), resume)
    check_clips(archive, experiment)
    # Weights depend on the seed alone, and the caller's random numbers on us not at all.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        network = build_model(experiment.model)
    run, saved = beginning.run, beginning.saved
    if saved is not None:
        network.load_state_dict(saved.get("latest_model", saved["model"]))
    elif experiment.start_from is not None:
        start_from(network, Run.open(experiment.start_from).checkpoint(experiment.start_at))
    fabric.barrier()  # nobody may write before everybody has looked
    with claimed(beginning) if fabric.is_global_zero else nullcontext():
        if fabric.device.type == "cpu":
            disable_malloc_trim()
        clips, validation = training_clips(archive, experiment), validation_clips(archive, experiment)
        motion = motion_of(archive, experiment, progress) if fabric.is_global_zero else None
        fabric.barrier()  # one process finds the motion of the frames, the others read it
        motion = motion if fabric.is_global_zero else motion_of(archive, experiment)
        if motion is not None and validation is not None:
            validation = in_motion(validation, motion)
        sampler = Sampler.of(clips, experiment.training, experiment.seed, motion)
        if fabric.is_global_zero:
            write_beginning(beginning)
        fabric.barrier()
        adam = torch.optim.Adam(network.parameters(), experiment.training.learning_rate)
        model, optimizer = fabric.setup(network, adam)
        state = Progress()
        if saved is not None:
            optimizer.load_state_dict(saved["optimizer"])
            state = Progress(**saved["progress"])
        decay = experiment.training.mean_weights
        mean = None if decay is None else MeanWeights(bare(model), decay, None if saved is None else saved["model"])
        Fit(run, fabric, model, optimizer, sampler, validation, state, progress, mean).finish()
        if experiment.blend == "recent" and validation is not None and fabric.is_global_zero:
            store_start_weights(run, experiment, validation)
    if fabric.world_size > 1:
        # Nobody may leave while another still speaks to it: the other would be aborted.
        fabric.barrier()
        torch.distributed.destroy_process_group()
    return run


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
