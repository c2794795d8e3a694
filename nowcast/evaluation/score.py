"""Forecasters × windows → scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr
from torch import Tensor
from tqdm import tqdm

from nowcast.clips.split_windows import Windows
from nowcast.errors import NowcastError
from nowcast.evaluation.comparison import FAMILIES, Comparison
from nowcast.evaluation.online import OnlineModel
from nowcast.evaluation.protocols import issue
from nowcast.evaluation.unknown import settle
from nowcast.forecaster import Forecaster
from nowcast.models import ModelForecaster
from nowcast.sequence import RadarSequence
from nowcast.units import THRESHOLDS

Span = tuple[int, int]


def score_forecasters(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    *,
    protocol: str = "fixed",
    thresholds: Sequence[float] = THRESHOLDS,
    families: Sequence[str] = FAMILIES,
    unknown: str = "persistence",
    score_rows: Span | None = None,
    score_columns: Span | None = None,
    batch_size: int = 8,
    progress: bool = False,
) -> xr.Dataset:
    """Forecast every window with every forecaster and score them on the same pixels.

    Args:
        forecasters: name → forecaster; the names are the `forecaster` dimension of the result.
        windows: what to forecast.
        protocol: "fixed" or "online", see `nowcast.evaluation.protocols`.
        thresholds: rain rates in mm/h.
        families: some of basic, gdl, fss, ssim, spectrum, ensemble; basic scores are always there.
        unknown: how unknown pixels are scored, "persistence" or "common"; see docs/verification.md.
        score_rows, score_columns: score only this half-open part of the frames (forecasters see all of them).
        batch_size: windows at a time in the fixed protocol.
        progress: show a progress bar.

    Returns:
        the scores dataset of docs/verification.md.

    Raises:
        NowcastError: there is no window, a trained network forecasts NaN, or names and options do not fit.
    """
    comparison = compare_forecasters(
        forecasters, windows, protocol, thresholds, families, unknown, (score_rows, score_columns), batch_size, progress
    )
    scores = comparison.dataset()
    scores.attrs = {
        "title": "scores of precipitation nowcasts",
        "protocol": protocol,
        "observed_frames": windows.observed,
        "forecast_frames": windows.forecast,
        "unknown_pixels": unknown,
    }
    return scores


def compare_forecasters(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    protocol: str = "fixed",
    thresholds: Sequence[float] = THRESHOLDS,
    families: Sequence[str] = FAMILIES,
    unknown: str = "persistence",
    part: tuple[Span | None, Span | None] = (None, None),
    batch_size: int = 8,
    progress: bool = False,
) -> Comparison:
    """The sums behind `score_forecasters`; those of several workers, each with its own windows, can be merged."""
    if not forecasters:
        raise NowcastError("there is no forecaster to evaluate")
    if not len(windows.starts):
        raise NowcastError("there is no window to evaluate; allow more missing frames, or choose another split")
    comparison: Comparison | None = None
    with tqdm(total=len(windows.starts), desc="evaluate", unit="window", disable=not progress) as bar:
        for batch in issue(forecasters, windows, protocol, batch_size, ensembles="ensemble" in families):
            for name, forecast in batch.forecasts.items():
                _must_be_numbers(name, forecasters[name], forecast, batch.sequence)
            settled, scored = settle(batch.forecasts, batch.sequence, unknown)
            fields = {name: _crop(field, part) for name, field in settled.items()}
            observation, valid = (_crop(field, part) for field in (batch.sequence.observation, batch.sequence.valid))
            if comparison is None:
                shape = int(observation.shape[3]), int(observation.shape[4])
                names = list(forecasters)
                comparison = Comparison(names, windows.forecast, shape, windows.interval, thresholds, families)
            issued = {name: _crop(field, part) for name, field in batch.forecasts.items()}
            times = windows.issue_times(batch.starts)
            comparison.update(times, fields, observation, valid, _crop(scored, part), issued)
            bar.update(len(batch.starts))
    assert comparison is not None
    return comparison


def _must_be_numbers(name: str, forecaster: Forecaster, forecast: Tensor, sequence: RadarSequence) -> None:
    """A network knows all of the domain: NaN in it is not "unknown", it has diverged and must not pass unnoticed."""
    if forecast.isinf().any():
        raise NowcastError(f"{name} forecast infinite values; it cannot be scored")
    unknown = forecast.isnan()
    if sequence.in_domain is not None:
        unknown = unknown & sequence.in_domain
    if not isinstance(forecaster, ModelForecaster | OnlineModel) or not forecaster.knows_everywhere:
        return
    answered = forecaster.answers(sequence.observed_valid).to(unknown.device)  # with too long a gap NaN is the answer
    if unknown[answered].any():
        raise NowcastError(f"{name} forecast NaN: the network has diverged; train it with a smaller learning rate")


def _crop(field: Tensor, part: tuple[Span | None, Span | None]) -> Tensor:
    rows, columns = part
    for span, size, name in ((rows, field.shape[-2], "rows"), (columns, field.shape[-1], "columns")):
        if span is not None and not 0 <= span[0] < span[1] <= size:
            raise NowcastError(f"{name} {span[0]}:{span[1]} to score do not lie in the frame's 0:{size}")
    return field[..., slice(*(rows or (None,))), slice(*(columns or (None,)))]
