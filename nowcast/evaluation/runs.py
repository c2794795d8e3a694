"""`evaluate`: runs and baselines by name, on the windows of a split of an archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from pydantic import ValidationError

from nowcast.archive import Archive
from nowcast.archive.fingerprint import pixel_metres
from nowcast.archive.of_run import archive_of
from nowcast.clips.split_windows import windows_of
from nowcast.complaints import complaints
from nowcast.config import DataConfig, EvaluationConfig
from nowcast.errors import NowcastError
from nowcast.evaluation.cases import case_fields, choose_cases
from nowcast.evaluation.comparison import FAMILIES
from nowcast.evaluation.files import make_writable, write_cases, write_scores
from nowcast.evaluation.online import OnlineModel
from nowcast.evaluation.provenance import provenance
from nowcast.evaluation.score import score_forecasters
from nowcast.forecaster import Forecaster
from nowcast.forecaster_names import NAMES, run_or_name
from nowcast.losses import BalancedLoss
from nowcast.models import ModelForecaster, TrainedFor, named
from nowcast.run import Run
from nowcast.units import THRESHOLDS

Named = str | Path | Run
Span = tuple[int, int]
REFERENCE = "persistence"
_DEFAULT_FRAMES = {"observed": 5, "forecast": 20}  # the 2017 benchmark, where no run says otherwise


@dataclass(frozen=True)
class Adaptation:
    """How a run learns in the online protocol: AdaGrad `steps` of `learning_rate` before every forecast."""

    learning_rate: float = 1e-4
    steps: int = 1


def evaluate(
    forecasters: Named | Sequence[Named] | Mapping[str, Named | Forecaster],
    split: str = "test",
    *,
    archive: str | Path | Archive | None = None,
    output: str | Path | None = None,
    protocol: str = "fixed",
    checkpoint: str = "best",
    observed: int | None = None,
    forecast: int | None = None,
    rows: Span | None = None,
    columns: Span | None = None,
    masks: str | None = None,
    stride: int | None = None,
    max_missing: int | None = None,
    score_rows: Span | None = None,
    score_columns: Span | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    families: Sequence[str] = FAMILIES,
    unknown: str = "persistence",
    adaptation: Adaptation | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    beyond_training: bool = False,
    cases: bool = True,
    progress: bool = False,
) -> xr.Dataset:
    """Forecast every window of a split with every forecaster, persistence always among them, and score them.

    What is not given comes from the runs (their archive, frames, crop, masks and windows), which must then agree; with
    no run among the forecasters 5 frames are observed, 20 forecast, and an archive must be given.

    Args:
        forecasters: a run (its folder), a baseline (persistence, extrapolation, sprog, steps), a list of those, or a
            mapping from names of your choice to those or to forecasters of your own (`nowcast.forecaster.Forecaster`).
        split: split of the archive.
        archive: archive, or its folder.
        output: folder for `scores.nc`, `scores.md` and `cases.nc`; by default the first run, without a run nowhere.
        protocol: "fixed", or "online": windows in order of time, runs adapt to what they have seen of an episode.
        checkpoint: "best" or "last", of the runs.
        observed, forecast: frames of a window before and after the issue.
        rows, columns: half-open part of the frames that forecasters see.
        masks: "static", or "frame" for every frame's own mask.
        stride, max_missing: frames between windows, and missing frames in a row that a window may hold.
        score_rows, score_columns: score only this half-open part of what the forecasters see.
        thresholds: rain rates in mm/h.
        families: some of basic, gdl, fss, ssim, spectrum, ensemble.
        unknown: "persistence" or "common", see docs/verification.md.
        adaptation: of runs, in the online protocol.
        batch_size: windows at a time; changes nothing but speed and memory.
        device: for the networks, "auto" takes a GPU when there is one.
        beyond_training: forecast more frames, or smaller ones, than a run was trained for; the scores say so.
        cases: keep the fields of the heaviest, best, median and worst window in `cases.nc`.
        progress: show a progress bar.

    Returns:
        the scores dataset of docs/verification.md.
    """
    entries = _entries(forecasters)
    runs = {name: entry for name, entry in entries.items() if isinstance(entry, Run)}
    folder = Path(output) if output is not None else next((run.path for run in runs.values()), None)
    if folder is not None:
        make_writable(folder)  # now, not after hours of forecasting
    data = _agreed(runs, {"observed": observed, "forecast": forecast, "rows": rows, "columns": columns, "masks": masks})
    rules = _window_rules(runs, stride, max_missing, batch_size)
    source = _archive(archive, runs)
    found = {
        name: named(entry, source, checkpoint=checkpoint, device=device)
        for name, entry in entries.items()
        if isinstance(entry, str | Run)
    }
    cautions = _cautions(
        [made.trained_for for made in found.values()], source, data, beyond_training
    )  # before gigabytes are read
    windows = windows_of(source, split, data, rules)
    everyone: dict[str, Forecaster] = {
        name: found[name].forecaster if isinstance(entry, str | Run) else entry for name, entry in entries.items()
    }
    if protocol == "online":
        everyone |= {name: _online(run, everyone[name], adaptation or Adaptation()) for name, run in runs.items()}
    scores = score_forecasters(
        everyone, windows, protocol=protocol, thresholds=thresholds, families=families, unknown=unknown,
        score_rows=score_rows, score_columns=score_columns, batch_size=rules.batch_size, progress=progress,
    )  # fmt: skip
    scores.attrs.update(archive=source.path.name, split=split, masks=data.masks, stride=rules.stride,
                        max_missing=rules.max_missing, **provenance(runs, source))  # fmt: skip
    if cautions:
        scores.attrs["caution"] = "; ".join(cautions)
    if folder is not None:
        write_scores(scores, folder)
        chosen = choose_cases(scores) if cases else {}
        if chosen:
            fields = case_fields(everyone, windows, chosen, protocol)
            write_cases(fields.assign_coords(source.coordinates(data.rows, data.columns)), folder)
    return scores


def _entries(
    forecasters: Named | Sequence[Named] | Mapping[str, Named | Forecaster],
) -> dict[str, Run | str | Forecaster]:
    """Runs and forecasters by name, in the order given, persistence among them."""
    if isinstance(forecasters, Mapping):
        entries = {name: _resolved(item) for name, item in forecasters.items()}
    else:
        listed = [forecasters] if isinstance(forecasters, str | Path | Run) else list(forecasters)
        resolved = [(item, _resolved(item)) for item in listed]
        names = [entry.experiment.name for _, entry in resolved if isinstance(entry, Run)]
        entries = {}
        for item, entry in resolved:
            name = str(item)
            if isinstance(entry, Run):
                name = entry.experiment.name
                name = name if names.count(name) == 1 and name not in NAMES else str(entry.path)
            entries[name] = entry
    entries.setdefault(REFERENCE, REFERENCE)
    return entries


def _resolved(item: Named | Forecaster) -> Run | str | Forecaster:
    return run_or_name(item) if isinstance(item, str | Path | Run) else item


def _agreed(runs: Mapping[str, Run], given: Mapping[str, Any]) -> DataConfig:
    """The data description: what is given, else what the runs say; NowcastError where they differ."""
    base = {**_DEFAULT_FRAMES} if not runs else next(iter(runs.values())).experiment.data.model_dump()
    for key, value in given.items():
        if value is not None:
            base[key] = value
            continue
        said = {name: getattr(run.experiment.data, key) for name, run in runs.items()}
        if len(set(said.values())) > 1:
            (one, its), (other, others) = _two_that_differ(said)
            raise NowcastError(
                f"the run {one} has data.{key} {its}, the run {other} {others}; give {key} for both, or evaluate apart"
            )
    try:
        return DataConfig(**base)
    except ValidationError as error:
        raise NowcastError(f"these windows are not possible: {complaints(error, DataConfig)}") from None


def _two_that_differ(said: Mapping[str, Any]) -> tuple[tuple[str, Any], tuple[str, Any]]:
    first, *rest = said.items()
    return first, next(pair for pair in rest if pair[1] != first[1])


def _window_rules(
    runs: Mapping[str, Run], stride: int | None, max_missing: int | None, batch_size: int | None
) -> EvaluationConfig:
    base = next(iter(runs.values())).experiment.evaluation if runs else EvaluationConfig()
    given = {"stride": stride, "max_missing": max_missing, "batch_size": batch_size}
    try:
        return EvaluationConfig(**{**base.model_dump(), **{k: v for k, v in given.items() if v is not None}})
    except ValidationError as error:
        raise NowcastError(f"these windows are not possible: {complaints(error, EvaluationConfig)}") from None


def _archive(archive: str | Path | Archive | None, runs: Mapping[str, Run]) -> Archive:
    if isinstance(archive, Archive):
        return archive
    if archive is None:
        run = next((run for run in runs.values() if run.experiment.data.archive is not None), None)
        if run is None:
            raise NowcastError("no archive to evaluate on; give --archive ARCHIVE")
        return archive_of(run)
    return Archive.open(archive)


def _cautions(limits: Iterable[TrainedFor], archive: Archive, data: DataConfig, beyond_training: bool) -> list[str]:
    """What readers of the scores must know; NowcastError where a run was not trained for these windows."""
    height, width = (_length(span, size) for span, size in zip((data.rows, data.columns), archive.shape, strict=True))
    cautions = []
    for trained_for in limits:
        trained_for.refuse_interval(archive.interval)
        cautions += trained_for.cautions(data.forecast, (height, width), pixel_metres(archive), beyond_training)
    return cautions


def _length(span: Span | None, size: int) -> int:
    return size if span is None else span[1] - span[0]


def _online(run: Run, forecaster: Forecaster, adaptation: Adaptation) -> Forecaster:
    """The network of a run that goes on learning, as it was where it takes no steps."""
    if not adaptation.steps or not isinstance(forecaster, ModelForecaster):
        return forecaster
    training = run.experiment.training
    loss = BalancedLoss(training.loss_weight)
    return OnlineModel(forecaster.model, loss, adaptation.learning_rate, adaptation.steps, training.clip_value,
                       str(forecaster.device), training.precision, forecaster.bridge)  # fmt: skip
