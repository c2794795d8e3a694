"""What will be evaluated on what: everything that can be wrong is told here, before torch is imported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from pydantic import ValidationError

from nowcast.archive import Archive
from nowcast.archive.fingerprint import fingerprint
from nowcast.archive.of_run import archive_of
from nowcast.cf_file import software
from nowcast.clips.windows import fixed_windows
from nowcast.complaints import complaints
from nowcast.config import DataConfig, EvaluationConfig
from nowcast.errors import NowcastError
from nowcast.evaluation.options import EvaluationOptions
from nowcast.forecaster_names import DEFAULT_RUN, NAMES, run_or_name
from nowcast.radar.times import Times
from nowcast.run import Run

if TYPE_CHECKING:
    from nowcast.forecaster import Forecaster

Named = Union[str, Path, Run]  # noqa: UP007 (evaluated at run time beside a name that is not imported)
Entry = Union[str, Run, "Forecaster"]
"""A baseline by name, a run, or a forecaster of the caller's own."""

REFERENCES = ("extrapolation", "persistence")
"""What every forecaster is judged beside."""

_DEFAULT_FRAMES = {"observed": 5, "forecast": 20}  # the 2017 benchmark, where no run says otherwise


@dataclass(frozen=True)
class EvaluationPlan:
    """One evaluation.

    Attributes:
        entries: name → forecaster, in the order of the result.
        archive: where the frames come from.
        data, rules: the windows that all are forecast on.
        options: everything else.
        starts: first frames of the windows, datetime64[s].
        folder: where the results go, None for nowhere.
    """

    entries: dict[str, Entry]
    archive: Archive
    data: DataConfig
    rules: EvaluationConfig
    options: EvaluationOptions
    starts: Times
    folder: Path | None

    @property
    def runs(self) -> dict[str, Run]:
        """The runs among the forecasters."""
        return {name: entry for name, entry in self.entries.items() if isinstance(entry, Run)}

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of what the forecasters see."""
        height, width = self.archive.shape
        rows, columns = self.data.rows or (0, height), self.data.columns or (0, width)
        return rows[1] - rows[0], columns[1] - columns[0]

    @property
    def scored_shape(self) -> tuple[int, int]:
        """(H, W) of what is scored of it."""
        (height, width), options = self.shape, self.options
        rows, columns = options.score_rows or (0, height), options.score_columns or (0, width)
        return rows[1] - rows[0], columns[1] - columns[0]

    def key(self) -> str | None:
        """What the sums of a block depend on, as a digest; None where a forecaster is the caller's own object."""
        if not all(isinstance(entry, str | Run) for entry in self.entries.values()):
            return None
        files = [self.archive.path / name for name in self.archive.index.files]
        facts = {
            "version": software(),
            "forecasters": {name: self._identity(entry) for name, entry in self.entries.items()},
            "archive": [str(self.archive.path.resolve()), fingerprint(self.archive), *map(_state, files)],
            "data": self.data.model_dump(mode="json", exclude={"archive", "in_memory", "memory_gib"}),
            "rules": self.rules.model_dump(mode="json"),
            "options": self.options.model_dump(mode="json", exclude={"cases"}),
            "starts": self.starts.astype("int64").tolist(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _identity(self, entry: Entry) -> Any:
        if not isinstance(entry, Run):
            return entry
        checkpoint = entry.checkpoint(self.options.checkpoint)
        return [str(checkpoint.resolve()), _state(checkpoint), entry.experiment.plain()]


def plan_evaluation(
    forecasters: Named | Sequence[Named] | Mapping[str, Named | Forecaster],
    archive: str | Path | Archive | None = None,
    output: str | Path | None = None,
    options: EvaluationOptions | None = None,
) -> EvaluationPlan:
    """Open runs and archive and count the windows; NowcastError, in one sentence, for all that does not fit."""
    options = options or EvaluationOptions()
    entries = _entries(forecasters)
    runs = {name: entry for name, entry in entries.items() if isinstance(entry, Run)}
    for run in runs.values():
        run.checkpoint(options.checkpoint)
    source = _archive(archive, runs)
    data = _agreed(runs, options, source)
    rules = _window_rules(runs, options)
    times = source.split_times(options.split)
    starts = fixed_windows(times, data.observed, data.forecast, rules.stride, rules.max_missing, source.interval)
    if not len(starts):
        raise NowcastError(
            f"{source.path} has no window of {data.observed} + {data.forecast} frames in its {options.split} split of "
            f"{len(times)} frames; ingest more days, or lower --observed or --forecast"
        )
    folder = Path(output) if output is not None else None
    own = [run.path for run in runs.values() if run.path != DEFAULT_RUN]  # nothing is written into the package
    if folder is None and own:
        folder = evaluation_folder(own[0], source, options.split, options.protocol)
    return EvaluationPlan(entries, source, data, rules, options, starts, folder)


def evaluation_folder(run: Path, archive: Archive, split: str, protocol: str) -> Path:
    """Where the scores of a run on a split of an archive are kept, unless told otherwise."""
    return run / "evaluation" / evaluation_name(archive, split, protocol)


def evaluation_name(archive: Archive, split: str, protocol: str) -> str:
    """Name of the folder of an evaluation, so that none overwrites another's."""
    return f"{archive.path.resolve().name}-{split}-{protocol}"


def _entries(forecasters: Named | Sequence[Named] | Mapping[str, Named | Forecaster]) -> dict[str, Entry]:
    """Runs and forecasters by name, in the order given, the references among them."""
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
                own = entry.path == DEFAULT_RUN or name not in NAMES
                name = name if names.count(name) == 1 and own else str(entry.path)
            entries[name] = entry
    if not entries:
        raise NowcastError("there is no forecaster to evaluate")
    for reference in REFERENCES:
        entries.setdefault(reference, reference)
    return entries


def _resolved(item: Named | Forecaster) -> Entry:
    return run_or_name(item) if isinstance(item, str | Path | Run) else item


def _agreed(runs: Mapping[str, Run], options: EvaluationOptions, archive: Archive) -> DataConfig:
    """The data description: what is given, else what the runs say; NowcastError where they differ."""
    given = {key: getattr(options, key) for key in ("observed", "forecast", "rows", "columns", "masks")}
    if options.whole:
        height, width = archive.shape
        given |= {"rows": (0, height), "columns": (0, width)}
    base = {**_DEFAULT_FRAMES} if not runs else next(iter(runs.values())).experiment.data.model_dump()
    for key, value in given.items():
        if value is not None:
            base[key] = value
            continue
        found = {name: getattr(run.experiment.data, key) for name, run in runs.items()}
        if len(set(found.values())) > 1:
            (one, its), (other, others) = _two_that_differ(found)
            raise NowcastError(
                f"the run {one} has data.{key} {its}, the run {other} {others}; give {key} for both, or evaluate apart"
            )
    try:
        return DataConfig(**base)
    except ValidationError as error:
        raise NowcastError(f"these windows are not possible: {complaints(error, DataConfig)}") from None


def _two_that_differ(found: Mapping[str, Any]) -> tuple[tuple[str, Any], tuple[str, Any]]:
    first, *rest = found.items()
    return first, next(pair for pair in rest if pair[1] != first[1])


def _window_rules(runs: Mapping[str, Run], options: EvaluationOptions) -> EvaluationConfig:
    base = next(iter(runs.values())).experiment.evaluation if runs else EvaluationConfig()
    given = {key: getattr(options, key) for key in ("stride", "max_missing", "batch_size")}
    return base.model_copy(update={key: value for key, value in given.items() if value is not None})


def _archive(archive: str | Path | Archive | None, runs: Mapping[str, Run]) -> Archive:
    if isinstance(archive, Archive):
        return archive
    if archive is not None:
        return Archive.open(archive)
    naming = [run for run in runs.values() if run.experiment.data.archive is not None]
    if not naming:
        raise NowcastError("no archive to evaluate on; give --archive ARCHIVE")
    return archive_of(naming[0])


def _state(file: Path) -> list[int]:
    """Size and time of the last change, by which a file is known to be the same."""
    facts = file.stat()
    return [facts.st_size, facts.st_mtime_ns]
