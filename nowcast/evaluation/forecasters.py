"""The forecasters of an evaluation: baselines and runs by name, a caller's own, and what each was made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nowcast.archive import Archive
from nowcast.archive.fingerprint import pixel_metres
from nowcast.evaluation.online import OnlineModel
from nowcast.evaluation.options import Adaptation, EvaluationOptions
from nowcast.evaluation.plan import Entry, EvaluationPlan
from nowcast.forecaster import Forecaster
from nowcast.losses import BalancedLoss
from nowcast.models import ModelForecaster, Named, named
from nowcast.models.blend import NETWORK, RecentBlend
from nowcast.run import Run


def named_forecasters(entries: Mapping[str, Entry], archive: Archive, options: EvaluationOptions) -> dict[str, Named]:
    """The forecasters of an evaluation, loaded and ready."""
    made: dict[str, Named] = {}
    for name, entry in entries.items():
        if not isinstance(entry, str | Run):
            made[name] = Named(name, entry)
            continue
        made[name] = named(entry, archive, checkpoint=options.checkpoint, device=options.device)
        if isinstance(entry, Run) and options.protocol == "online":
            made[name] = replace(made[name], forecaster=_online(entry, made[name].forecaster, options.adaptation))
    return made


def cautions(made: Mapping[str, Named], plan: EvaluationPlan) -> list[str]:
    """What readers of the scores must know; NowcastError where a run was not trained for these windows."""
    found = []
    for one in made.values():
        one.trained_for.refuse_interval(plan.archive.interval)
        found += one.trained_for.cautions(
            plan.data.forecast,
            plan.shape,
            pixel_metres(plan.archive),
            plan.options.beyond_training,
            plan.archive.interval,
        )
    return found


def _online(run: Run, forecaster: Forecaster, adaptation: Adaptation) -> Forecaster:
    """The network of a run that goes on learning, as it was where it takes no steps."""
    if isinstance(forecaster, RecentBlend):
        return forecaster.with_member(NETWORK, _online(run, forecaster.members[NETWORK], adaptation))
    if not adaptation.steps or not isinstance(forecaster, ModelForecaster):
        return forecaster
    training = run.experiment.training
    loss = BalancedLoss(training.loss_weight)
    return OnlineModel(
        forecaster.model,
        loss,
        adaptation.learning_rate,
        adaptation.steps,
        training.clip_value,
        str(forecaster.device),
        training.precision,
        forecaster.bridge,
    )
