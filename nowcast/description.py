"""What lies at a path: an archive, a run, a forecast, scores, or radar files not yet ingested."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from nowcast.errors import NowcastError
from nowcast.readers import READERS, recognized_format


def describe(path: str | Path) -> str:
    """A few readable lines about an archive, run directory, forecast file or score file; NowcastError for others."""
    path = Path(path)
    if not path.exists():
        raise NowcastError(f"{path} does not exist")
    if (path / "config.yaml").is_file():
        return _run(path)
    if (path / "archive.json").is_file():
        return _archive(path)
    if path.is_file() and path.suffix == ".nc":
        return _netcdf(path)
    format_ = recognized_format(path)
    if format_ is not None:
        command = f"nowcast ingest {format_} {shlex.quote(str(path))} ARCHIVE"
        return f"{path}: radar files ({READERS[format_].about}); make an archive with: {command}"
    raise NowcastError(f"{path} is none of archive, run directory, forecast file or score file")


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
    if (path / "scores.nc").exists():
        rows["scores"] = str(path / "scores.nc")
    return _table(f"{path}: run {experiment.name}", rows)


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
        return _table(f"{path}: scores, mean over {file.sizes['lead_time']} lead times", rows)
    raise NowcastError(f"{path} holds neither rainfall_rate (a nowcast) nor balanced_mse (scores)")
