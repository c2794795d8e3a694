"""The whole path on synthetic radar: make, ingest, pretrain with MEmeL, fine-tune plainly, score, forecast, show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from nowcast.archive import Archive
from nowcast.clips.split_windows import window_starts
from nowcast.clips.surroundings import observed_around
from nowcast.config import EvaluationConfig
from nowcast.errors import NowcastError
from nowcast.evaluation import evaluate, score_table
from nowcast.experiment_file import read_experiment
from nowcast.forecasting import forecast
from nowcast.ingestion.ingest import ingest
from nowcast.report import draw_report, draw_training
from nowcast.run import Run
from nowcast.shipped_configs import shipped_config
from nowcast.synthetic.synthesize import synthesize
from nowcast.training import train
from nowcast.visualization import animate

DAYS, FRAMES_PER_DAY, SIZE = 20, 60, 128
"""Synthetic radar of the demo: six hours a day on 137 km × 137 km; seconds to make."""

FEWEST_DAYS = 3
"""One for each split."""


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    archive: Path
    pretrained: Run
    finetuned: Run
    scores: xr.Dataset
    forecast_file: Path
    animation: Path


def demo(
    output: str | Path = "demo",
    *,
    seed: int = 0,
    steps: int | None = None,
    days: int = DAYS,
    size: int = SIZE,
    progress: bool = True,
) -> Demo:
    """Do everything once, in `output`; what is there already and finished is not done again.

    Args:
        output: folder to make or to go on in.
        seed: of the synthetic radar and the weights.
        steps: pretraining steps, fine-tuning takes a quarter; None takes the shipped experiments' numbers.
        days: of synthetic radar, at least 3.
        size: pixels along a side of the frames, at least 32.
        progress: print what is done, with progress bars.
    """
    if days < FEWEST_DAYS:
        raise NowcastError(f"{days} days of radar cannot be split into train, valid and test; give at least 3")
    folder, started = Path(output), time.perf_counter()
    changes = {"seed": seed, "data.archive": str(folder / "archive")}
    coarse = {} if steps is None else {"training.steps": steps}
    fine = {} if steps is None else {"training.steps": max(1, steps // 4)}
    pretraining = read_experiment(shipped_config("demo.yaml"), {**changes, **coarse})
    finetuning = read_experiment(
        shipped_config("demo-finetune.yaml"),
        {**changes, **fine, "start_from": str(folder / "runs" / pretraining.name)},
    )

    def tell(text: str) -> None:
        if progress:
            print(f"{time.perf_counter() - started:5.0f} s  {text}", flush=True)

    tell(f"synthesize {days} days of radar")
    synthesize(folder / "radar", days=days, seed=seed, size=size, frames_per_day=FRAMES_PER_DAY, progress=progress)
    tell("ingest them into an archive")
    ingest("hko7", folder / "radar", folder / "archive", progress=progress)
    tell("pretrain a ConvGRU with MEmeL")
    pretrained = train(pretraining, folder / "runs", resume=True, progress=progress)
    tell("fine-tune it plainly")
    finetuned = train(finetuning, folder / "runs", resume=True, progress=progress)
    tell("score it on the test days, beside persistence and extrapolation")
    scores = evaluate([finetuned, "persistence", "extrapolation"], split="test", progress=progress)
    scored = Path(scores.encoding["source"]).parent
    draw_report(scored)
    for run in (pretrained, finetuned):
        draw_training(run.path)
    tell("forecast and animate the rainiest hour of the test days")
    forecast_file = folder / "nowcast.nc"
    archive = Archive.open(folder / "archive")
    issued = forecast(finetuned, archive, forecast_file, at=_rainiest(archive, finetuned))
    leads = issued.sizes["lead_time"]
    carried = forecast("extrapolation", archive, at=issued["issue_time"].values[0], lead_steps=leads)
    animation = animate(issued, folder / "nowcast.gif", observed_around(archive, issued), beside=carried)

    if progress:
        print(f"\n{score_table(scores)}\n")
        for what, path in (
            ("radar files", folder / "radar"),
            ("archive", archive.path),
            ("pretrained with MEmeL", pretrained.path),
            ("fine-tuned", finetuned.path),
            ("scores", scored / "scores.nc"),
            ("plots", scored / "plots"),
            ("nowcast", forecast_file),
            ("animation", animation),
        ):
            print(f"{what:<22} {path}")
        tell("done")
    return Demo(archive.path, pretrained, finetuned, scores, forecast_file, animation)


def _rainiest(archive: Archive, run: Run) -> np.datetime64:
    """Issue time of the test window with the most echo, both before and after it."""
    data = run.experiment.data
    starts = window_starts(archive, "test", data, EvaluationConfig(stride=3, max_missing=0))
    if len(starts) == 0:
        raise NowcastError(f"{archive.path} has no test window without a gap; choose another seed")
    lengths = archive.interval * np.arange(data.observed + data.forecast)
    echo = [archive.read_codes(start + lengths)[0].mean(axis=(1, 2)).min() for start in starts]
    return np.datetime64(starts[int(np.argmax(echo))] + archive.interval * (data.observed - 1), "s")
