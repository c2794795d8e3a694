"""The plan in words, and how long it will take: by the logs of runs like it, else by a few steps taken here."""

from __future__ import annotations

import time

import torch

from nowcast.clips.split_windows import window_starts
from nowcast.config import Experiment
from nowcast.device import choose_device, run_network
from nowcast.evaluation.markdown import markdown_table
from nowcast.losses import BalancedLoss
from nowcast.models import build_model
from nowcast.training_log import read_training_log
from pipelines.engine.arms import Plan, PlannedRun
from pipelines.engine.cores import threads_of_a_job
from pipelines.engine.origin import said_time
from pipelines.engine.scales import frame_shape
from pipelines.engine.study import Study

TRIAL_STEPS, TRIAL_SECONDS = 5, 20.0
FORECAST_SHARE = 1 / 3
"""A forecast takes about a third of a training step: forward without backward."""


def described_plan(study: Study, plan: Plan) -> str:
    """The runs of a plan, what is done already, and an estimate for the rest."""
    with threads_of_a_job(study.jobs):
        rates = _rates(study, plan)
    lines, total = [], 0.0
    for run in plan.runs.values():
        done, steps = min(plan.steps_done(run), run.experiment.training.steps), run.experiment.training.steps
        seconds = (steps - done) / steps * _seconds(study, run, rates[_kind(run.experiment)])
        total += seconds
        state = "finished" if done == steps else f"{done} of {steps} steps" if done else "to do"
        arms = sorted({arm for (arm, _), identity in plan.last.items() if identity == run.identity})
        parent = "" if run.parent is None else plan.runs[run.parent].experiment.name
        lines.append([run.experiment.name, ", ".join(arms), parent, str(steps), state, said_time(seconds)])
    header = ["run", "arm", "starts from", "steps", "state", "time left"]
    wanted = len(plan.last)
    return (
        f"{len(plan.runs)} runs for {wanted} arms × seeds, in {plan.folder}\n\n{markdown_table(header, lines)}\n\n"
        f"estimated time left: {said_time(total / study.jobs)} with {study.jobs} "
        f"{'job' if study.jobs == 1 else 'jobs at full speed each (jobs that share cores or a GPU are slower)'}"
    )


def seconds_per_step(experiment: Experiment, shape: tuple[int, int]) -> float:
    """Seconds of one optimizer step on this machine, by a few steps on random frames."""
    chosen = choose_device(experiment.training.device)
    data, training = experiment.data, experiment.training
    with torch.random.fork_rng(devices=[]):
        model = build_model(experiment.model).to(chosen).train()
        frames = torch.rand(training.batch_size, data.observed + data.forecast, 1, *shape, device=chosen)
    optimizer, loss = torch.optim.Adam(model.parameters(), 1e-6), BalancedLoss(training.loss_weight)
    observed, observation = frames[:, : data.observed], frames[:, data.observed :]
    seen = torch.ones_like(observed, dtype=torch.bool)
    taken: list[float] = []
    while len(taken) <= TRIAL_STEPS and sum(taken) < TRIAL_SECONDS or len(taken) < 2:
        begun = time.perf_counter()
        forecast = run_network(model, observed, seen, data.forecast, training.precision)
        optimizer.zero_grad(set_to_none=True)
        loss(forecast, observation, torch.ones_like(observation, dtype=torch.bool)).backward()
        optimizer.step()
        if chosen.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return sum(taken[1:]) / len(taken[1:])  # the first one pays for memory and choice of kernels


def _rates(study: Study, plan: Plan) -> dict[str, float]:
    """Seconds per step of every kind of run in the plan."""
    rates: dict[str, float] = {}
    for run in plan.runs.values():
        logged = _logged(plan, run)
        if logged is not None:
            rates.setdefault(_kind(run.experiment), logged)
    for run in plan.runs.values():
        if _kind(run.experiment) not in rates:
            rates[_kind(run.experiment)] = seconds_per_step(
                run.experiment, frame_shape(run.experiment, study.data.shape)
            )
    return rates


def _logged(plan: Plan, run: PlannedRun) -> float | None:
    speeds = [row["clips_per_second"] for row in read_training_log(plan.path(run)) if row.get("clips_per_second")]
    return run.experiment.training.batch_size / sorted(speeds)[len(speeds) // 2] if speeds else None


def _seconds(study: Study, run: PlannedRun, rate: float) -> float:
    """Seconds of a whole run: optimizer steps, validations, and the test windows once."""
    experiment = run.experiment
    training = experiment.training
    validations = -(-training.steps // training.validate_every)
    forecasts = validations * _windows(study, experiment, "valid") + _windows(study, experiment, "test")
    return training.steps * rate + forecasts * FORECAST_SHARE * rate / training.batch_size


def _windows(study: Study, experiment: Experiment, split: str) -> int:
    if split not in study.data.splits:
        return 0
    return len(window_starts(study.data, split, experiment.data, experiment.evaluation))


def _kind(experiment: Experiment) -> str:
    """Runs of one kind take one time a step."""
    memel, plain = experiment.model.memel, experiment.model.model_copy(update={"memel": None})
    pieces = (
        plain,
        None if memel is None else (len(memel.placement), memel.neuron),
        experiment.data.rows,
        experiment.data.columns,
        experiment.data.observed,
        experiment.data.forecast,
        experiment.training.batch_size,
        experiment.training.precision,
        experiment.training.device,
    )
    return repr(pieces)
