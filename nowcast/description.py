"""What lies at a path: an archive, a run, a forecast, scores, or radar files not yet ingested."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from nowcast.errors import NowcastError
from nowcast.forecaster_names import DEFAULT, DEFAULT_RUN
from nowcast.readers import READERS, recognized_format


def describe(path: str | Path) -> str:
    """A few readable lines about what lies at a path; NowcastError where that is nothing of ours.

    Archive, run directory, folder of runs, folder of an evaluation, experiment file, radar files of a known format, or
    a netCDF file: nowcast, scores, cases, one day of an archive. "default" is the model that comes with the package.
    """
    path = Path(path)
    if str(path) == DEFAULT and not path.exists():
        path = DEFAULT_RUN
    if not path.exists():
        raise NowcastError(f"{path} does not exist")
    if (path / "config.yaml").is_file():
        return _run(path)
    if (path / "archive.json").is_file():
        return _archive(path)
    if path.is_file() and path.suffix == ".nc":
        return _netcdf(path)
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        return _experiment(path)
    if (path / "scores.nc").is_file():
        return _evaluation(path)
    if path.is_dir() and (runs := sorted(file.parent for file in path.glob("*/config.yaml"))):
        return _runs(path, runs)
    format_ = recognized_format(path)
    if format_ is not None:
        command = f"nowcast ingest {format_} {shlex.quote(str(path))} ARCHIVE"
        return f"{path}: radar files ({READERS[format_].about}); make an archive with: {command}"
    raise NowcastError(
        f"{path} is none of archive, run directory or folder of runs, evaluation, "
        "experiment file, or netCDF file of a nowcast, scores, cases or a day of radar"
    )


def describe_windows(path: str | Path, observed: int, forecast: int, stride: int = 5, max_missing: int = 2) -> str:
    """How many windows each split of an archive has by the fixed protocol, and how many starts each rule rejects."""
    from nowcast.archive import Archive
    from nowcast.clips.windows import window_report

    if observed < 1 or forecast < 1:
        raise NowcastError(
            f"a window of {observed} observed and {forecast} forecast frames holds nothing; give ≥ 1 each"
        )
    archive = Archive.open(path)
    rows = {
        split: window_report(archive.split_times(split), observed, forecast, stride, max_missing, archive.interval)
        for split in archive.splits
        if len(archive.split_times(split))
    }
    title = f"windows of {observed} → {forecast} frames, stride {stride}, at most {max_missing} missing in a row"
    return _table(title, rows or {"none": "the archive has no splits"})


def _table(title: str, rows: dict[str, Any]) -> str:
    width = max(len(name) for name in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows.items())])


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.2f} %"


def _archive(path: Path) -> str:
    from nowcast.archive import Archive
    from nowcast.archive.summary import summarize

    facts = summarize(Archive.open(path))
    splits = ", ".join(f"{n}: {s['days']} days, {s['frames']} frames" for n, s in facts["splits"].items())
    return _table(
        f"{path}: radar archive",
        {
            "frames": f"{facts['frames']} on {facts['days']} days, every {facts['interval_minutes']:g} min",
            "time (UTC)": f"{facts['first']} to {facts['last']}",
            "missing": f"{facts['missing_slots']} slots{', first ' + facts['missing'][0] if facts['missing'] else ''}",
            "grid": facts["grid"],
            "place": facts["place"],
            "splits": splits or "none",
            "static mask": f"{facts['static_mask']}, {_percent(facts['static_mask_fraction'])} usable",
            "valid pixels": _percent(facts["valid_fraction"]),
            "wet (≥ 0.1 mm/h)": _percent(facts["wet_fraction"]),
            "heavy (≥ 10 mm/h)": _percent(facts["heavy_fraction"]),
            "source": facts["source_format"],
            "size": f"{facts['bytes'] / 2**20:.1f} MiB",
        },
    )


def _run(path: Path) -> str:
    from nowcast.run import Run
    from nowcast.training_log import read_training_log

    run = Run.open(path)
    experiment, log = run.experiment, read_training_log(path)
    validated = [row for row in log if "validation_loss" in row]
    best = min(validated, key=lambda row: row["validation_loss"], default=None)
    memel = experiment.model.memel
    hidden = ", ".join(str(level.hidden) for level in experiment.model.levels)
    crop = "" if experiment.data.rows is None else f", rows {experiment.data.rows}, columns {experiment.data.columns}"
    rows: dict[str, Any] = {
        "archive": experiment.data.archive,
        "frames": f"{experiment.data.observed} observed → {experiment.data.forecast} forecast{crop}",
        "network": f"{experiment.model.title}, {experiment.model.coordinates}, hidden {hidden}",
        "MEmeL": "none"
        if memel is None
        else f"{', '.join(memel.placement)}; {memel.neurons} neurons, strength {memel.strength:g}",
        "started from": experiment.start_from or "scratch",
        "steps": f"{log[-1]['step'] if log else 0} of {experiment.training.steps}",
        "seed": experiment.seed,
        "checkpoints": ", ".join(sorted(file.stem for file in run.checkpoints.glob("*.ckpt"))) or "none yet",
    }
    if best is not None:
        rows["best validation"] = (
            f"B-MSE {best['validation_balanced_mse']:.2f}, B-MAE {best['validation_balanced_mae']:.2f} "
            f"at step {best['step']}"
        )
    evaluations = [*path.glob("scores.nc"), *sorted(path.glob("evaluation/*/scores.nc"))]
    if evaluations:
        rows["scores"] = ", ".join(str(file) for file in evaluations)
    return _table(f"{path}: run {experiment.name}", rows)


def _experiment(path: Path) -> str:
    from nowcast.experiment_file import read_experiment

    experiment = read_experiment(path)
    data, training, memel = experiment.data, experiment.training, experiment.model.memel
    rows = {
        "frames": f"{data.observed} observed → {data.forecast} forecast",
        "network": f"{experiment.model.title}, {experiment.model.coordinates}",
        "MEmeL": "none" if memel is None else ", ".join(memel.placement),
        "training": f"{training.steps} steps of {training.batch_size}",
        "started from": experiment.start_from or "scratch",
        "next": f"nowcast train {shlex.quote(str(path))} --archive ARCHIVE",
    }
    return _table(f"{path}: experiment {experiment.name}", rows)


def _runs(path: Path, runs: list[Path]) -> str:
    from nowcast.run import Run
    from nowcast.training_log import read_training_log

    rows = {}
    for folder in runs:
        log, experiment = read_training_log(folder), Run.open(folder).experiment
        scored = ", ".join(sorted(file.parent.name for file in folder.glob("evaluation/*/scores.nc")))
        rows[folder.name] = f"{log[-1]['step'] if log else 0} of {experiment.training.steps} steps" + (
            f"; scores: {scored}" if scored else ""
        )
    return _table(f"{path}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}", rows)


def _evaluation(path: Path) -> str:
    extra = [name for name in ("scores.md", "cases.nc") if (path / name).is_file()]
    plots = len(list((path / "plots").glob("*.png")))
    return f"{_netcdf(path / 'scores.nc')}\n  beside them: {', '.join([*extra, f'{plots} plots'])}"


def _netcdf(path: Path) -> str:
    import xarray as xr

    try:
        with xr.open_dataset(path, decode_timedelta=True) as opened:
            file = opened.load()
    except (OSError, ValueError) as error:
        raise NowcastError(f"{path} is not a readable netCDF file ({str(error).splitlines()[0][:120]})") from None
    if "rainfall_rate" in file:
        lead = file["lead_time"].values.astype("timedelta64[m]").astype(int)
        rate = file["rainfall_rate"]
        return _table(
            f"{path}: nowcast",
            {
                "issue time (UTC)": file["forecast_reference_time"].values.astype("datetime64[m]"),
                "lead times": f"{len(lead)}, +{lead[0]} to +{lead[-1]} min",
                "grid": f"{file.sizes['y']}×{file.sizes['x']}",
                "rain rate (mm/h)": f"mean {float(rate.mean()):.3f}, maximum {float(rate.max()):.1f}",
                "model run": file.attrs.get("model_run", "unknown"),
                "observed frames": f"{file.attrs.get('observed_frames_used', '?')} used, "
                f"{file.attrs.get('observed_frames_missing', '?')} missing, "
                f"{file.attrs.get('observed_frames_bridged', 0)} of them bridged",
                **{key: file.attrs[key] for key in ("caution", "fallback") if key in file.attrs},
            },
        )
    if "balanced_mse" in file:
        mean = file[["balanced_mse", "balanced_mae"]].mean("lead_time")
        names = file["forecaster"].values.tolist() if "forecaster" in file.dims else [""]
        rows = {}
        for name in names:
            one = mean.sel(forecaster=name) if name else mean
            rows[name or "scores"] = f"B-MSE {float(one['balanced_mse']):.2f}, B-MAE {float(one['balanced_mae']):.2f}"
        facts = " ".join(str(file.attrs[key]) for key in ("archive", "split", "protocol") if key in file.attrs)
        if "sequences" in file:
            facts = f"{facts}, {int(file['sequences'].max())} windows"
        return _table(f"{path}: scores of {facts}, mean over {file.sizes['lead_time']} lead times", rows)
    if {"forecast", "observation", "case"} <= set(file.variables):
        times = file["issue_time"].values.astype("datetime64[m]")
        rows = {str(label): f"issued {time} UTC" for label, time in zip(file["case"].values, times, strict=True)}
        names = ", ".join(str(name) for name in file["forecaster"].values)
        return _table(f"{path}: {len(rows)} cases of {names}", rows)
    if "reflectivity" in file and "time" in file.dims:
        times = file["time"].values.astype("datetime64[m]")
        grid = f"{file['reflectivity'].shape[1]}×{file['reflectivity'].shape[2]}"
        rows = {"frames": f"{len(times)} of {grid}", "time (UTC)": f"{times[0]} to {times[-1]}"}
        return _table(f"{path}: a day of an archive", rows)
    raise NowcastError(f"{path} is a netCDF file, but no nowcast, scores, cases or day of an archive")
