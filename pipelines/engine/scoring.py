"""Scores of finished runs on the windows of a split: the last checkpoint, as the paper does; kept beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from memel import MEmeL
from nowcast.archive import Archive
from nowcast.clips.split_windows import Windows, windows_of
from nowcast.errors import NowcastError
from nowcast.evaluation import read_scores, score_forecasters
from nowcast.evaluation.files import write_scores
from nowcast.forecaster import Forecaster
from nowcast.models import ModelForecaster, load_model
from nowcast.models.persistence import Persistence
from nowcast.run import Run
from nowcast.training_log import read_training_log
from pipelines.engine.arms import Arm, Plan, PlannedRun
from pipelines.engine.study import Study

ERRORS = ("balanced_mae", "balanced_mse")
"""The scores of the paper's tables: sums per frame, averaged over windows and lead times; smaller is better."""


class Scorer:
    """Scores runs of one plan on one split; frames are read once, results of a run are computed once.

    Args:
        archive: the archive.
        plan: the runs.
        split: split of the archive.
        progress: draw a progress bar.
    """

    def __init__(self, archive: Archive, plan: Plan, split: str = "test", progress: bool = False) -> None:
        self.archive, self.plan, self.split, self.progress = archive, plan, split, progress
        self._windows: dict[str, Windows] = {}

    def scores(self, run: PlannedRun, inhibited: bool = False) -> xr.Dataset:
        """Scores (lead_time) and by window (issue_time, lead_time) of a run's last checkpoint.

        `inhibited` keeps MEmeL working at test time, with the statistics that training ended with (the paper's "-T").
        """
        folder = self.plan.path(run) / f"{self.split}-last{'-inhibited' if inhibited else ''}"
        if not (folder / "scores.nc").is_file():
            forecaster = trained_forecaster(self.plan.path(run), inhibited)
            self._write(forecaster, run, folder, f"{run.experiment.name}{' inhibited' if inhibited else ''}")
        return read_scores(folder).isel(forecaster=0)

    def persistence(self, like: PlannedRun) -> xr.Dataset:
        """The same of persistence on the windows that a run is scored on."""
        return score_forecasters(
            {"persistence": Persistence()},
            self.windows(like),
            families=("basic",),
            unknown="persistence",
            batch_size=like.experiment.evaluation.batch_size,
        ).isel(forecaster=0)

    def windows(self, run: PlannedRun) -> Windows:
        """The windows of the split by the rules of a run's experiment."""
        data, rules = run.experiment.data, run.experiment.evaluation
        key = f"{data!r}{rules!r}"
        if key not in self._windows:
            self._windows[key] = windows_of(self.archive, self.split, data, rules)
        return self._windows[key]

    def _write(self, forecaster: Forecaster, run: PlannedRun, folder: Path, name: str) -> None:
        scores = score_forecasters(
            {name: forecaster},
            self.windows(run),
            families=("basic",),
            unknown="persistence",
            batch_size=run.experiment.evaluation.batch_size,
            progress=self.progress,
        )
        scores.attrs.update(archive=self.archive.path.name, split=self.split, checkpoint="last")
        folder.mkdir(parents=True, exist_ok=True)
        write_scores(scores, folder)


def trained_forecaster(run: Path, inhibited: bool = False) -> ModelForecaster:
    """The last checkpoint of a run as a forecaster, on request with MEmeL at work and its statistics frozen."""
    opened = Run.open(run)
    model = load_model(opened, "last")
    if inhibited:
        modules = [module for module in model.modules() if isinstance(module, MEmeL)]
        if not modules:
            raise NowcastError(f"{run} was trained without MEmeL; there is nothing to keep inhibiting at test time")
        for module in modules:
            module.inhibit_in_eval = True
    training = opened.experiment.training
    return ModelForecaster(model, training.device, training.precision, opened.experiment.data.bridge)


def score_arms(study: Study, arms: Sequence[Arm]) -> tuple[Plan, Scorer, dict[str, list[xr.Dataset]]]:
    """Train what is missing of some arms and score them: the plan, its scorer, and arm → scores, seed by seed."""
    plan = study.plan(arms)
    study.carry_out(plan)
    scorer = Scorer(study.data, plan, progress=study.progress)
    scores = {arm.name: [scorer.scores(plan.run(arm.name, seed)) for seed in study.seed_list] for arm in arms}
    return plan, scorer, scores


def validation_error(plan: Plan, run: PlannedRun) -> float:
    """B-MSE + B-MAE of a finished run over the validation windows, from its log; what settings are chosen by."""
    rows = [row for row in read_training_log(plan.path(run)) if "validation_balanced_mse" in row]
    if not rows or rows[-1]["step"] != run.experiment.training.steps:
        raise NowcastError(
            f"{plan.path(run)} was not validated at its end; the archive needs a valid split to choose a setting by"
        )
    return float(rows[-1]["validation_balanced_mse"] + rows[-1]["validation_balanced_mae"])


def mean_error(scores: xr.Dataset, error: str) -> float:
    """One number of a scores dataset: the mean over lead times (and windows) of balanced_mse or balanced_mae."""
    return float(np.nanmean(scores[error].values))
