"""Training: `train(experiment, runs)` makes a run directory or continues one."""

from nowcast.training.train import train

__all__ = ["train"]
