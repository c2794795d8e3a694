"""The pictures of a run: its training curve, its scores against lead time, and the cases worth looking at."""

from __future__ import annotations

from pathlib import Path

from nowcast.evaluation import read_cases, read_scores
from nowcast.training_log import read_training_log
from nowcast.visualization import Case, plot_gallery, plot_scores, plot_training


def draw_report(folder: str | Path) -> list[Path]:
    """Draw what `evaluate` left in a folder into `folder/plots`; returns the PNG files.

    Args:
        folder: holds `scores.nc` and, for the gallery, `cases.nc`; plots of earlier scores are removed from it.

    Raises:
        NowcastError: there are no scores, or the folder cannot be written.
    """
    folder = Path(folder)
    scores = read_scores(folder / "scores.nc")
    for old in (folder / "plots").glob("*.png"):
        old.unlink()
    drawn = plot_scores(scores, folder / "plots")
    if not (folder / "cases.nc").exists():
        return drawn
    fields = read_cases(folder / "cases.nc")
    cases = []
    for label in fields["case"].values:
        one = fields.sel(case=label)
        forecasts = {str(name): one["forecast"].sel(forecaster=name).values for name in fields["forecaster"].values}
        cases.append(
            Case(
                label=str(label),
                issue_time=one["issue_time"].values.astype("datetime64[s]")[()],  # type: ignore[arg-type]
                lead_times=one["lead_time"].values,
                observed=one["observed"].values,
                observation=one["observation"].values,
                forecasts=forecasts,
                valid=one["valid"].values.astype(bool),
            )
        )
    return [*drawn, *plot_gallery(cases, folder / "plots")]


def draw_training(run: str | Path) -> Path | None:
    """Draw the training curve of a run directory into `plots/training.png`; None where nothing is logged yet."""
    run = Path(run)
    if not any("loss" in row for row in read_training_log(run)):
        return None
    return plot_training(run / "log.csv", run / "plots" / "training.png")
