"""Forecasters × windows → scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import xarray as xr
from torch import Tensor
from tqdm import tqdm

from nowcast.clips.split_windows import Windows
from nowcast.errors import NowcastError
from nowcast.evaluation.comparison import Comparison
from nowcast.evaluation.options import EvaluationOptions, Span
from nowcast.evaluation.protocols import Issued, blocks_of, issue
from nowcast.evaluation.score_names import with_cf_names
from nowcast.evaluation.unknown import fill_unknown
from nowcast.forecaster import AnsweringForecaster, FallbackForecaster, Forecaster
from nowcast.sequence import RadarSequence


def score_forecasters(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    options: EvaluationOptions | None = None,
    *,
    progress: bool = False,
    **changes: Any,
) -> xr.Dataset:
    """Forecast every window with every forecaster and score them on the same pixels.

    Args:
        forecasters: name → forecaster; the names are the `forecaster` dimension of the result.
        windows: what to forecast.
        options: protocol, thresholds, families, unknown, score_rows, score_columns and batch_size count; what says
            which windows does not. `changes` are any of them by name.
        progress: show a progress bar.

    Returns:
        the scores dataset of docs/verification.md.

    Raises:
        NowcastError: there is no window, a trained network forecasts NaN, or names and options do not fit.
    """
    options = EvaluationOptions.of(options, changes)
    with tqdm(total=len(windows.starts), desc="evaluate", unit="window", disable=not progress) as bar:
        comparison = compare_forecasters(forecasters, windows, options, bar.update)
    return scores_of(comparison, windows.observed, windows.forecast, options)


def scores_of(comparison: Comparison, observed: int, forecast: int, options: EvaluationOptions) -> xr.Dataset:
    """The scores dataset of what was summed up."""
    scores = with_cf_names(comparison.dataset())
    scores.attrs = {
        "title": "scores of precipitation nowcasts",
        "protocol": options.protocol,
        "observed_frames": observed,
        "forecast_frames": forecast,
        "unknown_pixels": options.unknown,
    }
    means = [f"{name}: mean of {scored.members} members" for name, scored in comparison.ensembles.items()]
    if means:
        scores.attrs["deterministic_fields"] = f"{'; '.join(means)} (mean of rain rates)"
    return scores


def compare_forecasters(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    options: EvaluationOptions | None = None,
    tick: Callable[[int], Any] | None = None,
    **changes: Any,
) -> Comparison:
    """The sums behind `score_forecasters`, block by block; `tick` hears how many windows were done.

    Those of several workers, each with blocks of its own, can be merged; in the order of time the sums are the same to
    the bit, whoever made them.
    """
    options = EvaluationOptions.of(options, changes)
    if not forecasters:
        raise NowcastError("there is no forecaster to evaluate")
    if not len(windows.starts):
        raise NowcastError("there is no window to evaluate; allow more missing frames, or choose another split")
    batch_size = options.batch_size or windows.batch_size
    whole: Comparison | None = None
    for starts in blocks_of(forecasters, windows, options, batch_size):
        block = _compare_block(forecasters, windows.only(starts), options, batch_size, tick)
        whole = block if whole is None else whole.merge(block)
    assert whole is not None
    return whole


def _compare_block(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    options: EvaluationOptions,
    batch_size: int,
    tick: Callable[[int], Any] | None,
) -> Comparison:
    comparison: Comparison | None = None
    part = options.score_rows, options.score_columns
    for batch in issue(forecasters, windows, options.protocol, batch_size, "ensemble" in options.families):
        for name, forecast in batch.forecasts.items():
            _must_be_numbers(name, forecasters[name], forecast, batch.sequence)
        filled, scored = fill_unknown(batch.forecasts, batch.sequence, options.unknown)
        fields = {name: _crop(field, part) for name, field in filled.items()}
        observation, valid = (_crop(field, part) for field in (batch.sequence.observation, batch.sequence.valid))
        if comparison is None:
            comparison = new_comparison(
                list(forecasters), windows, (observation.shape[3], observation.shape[4]), options
            )
        raw = {name: _crop(field, part) for name, field in batch.forecasts.items()}
        times = windows.issue_times(batch.starts)
        fallbacks = _fallbacks(forecasters, batch)
        comparison.update(times, fields, observation, valid, _crop(scored, part), raw, fallbacks)
        if tick is not None:
            tick(len(batch.starts))
    assert comparison is not None
    return comparison


def new_comparison(
    names: list[str], windows: Windows, shape: tuple[int, int], options: EvaluationOptions
) -> Comparison:
    """Nothing summed up yet; `shape` is that of the scored part of the frames."""
    return Comparison(names, windows.forecast, shape, windows.interval, options.thresholds, options.families)


def _fallbacks(forecasters: Mapping[str, Forecaster], batch: Issued) -> dict[str, Tensor]:
    observed = batch.sequence.observed, batch.sequence.observed_valid
    return {n: f.fallback(*observed) for n, f in forecasters.items() if isinstance(f, FallbackForecaster)}


def _must_be_numbers(name: str, forecaster: Forecaster, forecast: Tensor, sequence: RadarSequence) -> None:
    """A diverged network must not pass as one that does not know."""
    if forecast.isinf().any():
        raise NowcastError(f"{name} forecast infinite values; it cannot be scored")
    unknown = forecast.isnan()
    if forecast.ndim == 6:
        unknown = unknown.any(dim=0)
    if sequence.in_domain is not None:
        unknown = unknown & sequence.in_domain
    answered = torch.ones(len(unknown), dtype=torch.bool)
    if isinstance(forecaster, AnsweringForecaster):
        answered = forecaster.answers(sequence.observed_valid).to(unknown.device)  # NaN answers too long a gap
        if forecaster.knows_everywhere and unknown[answered].any():
            raise NowcastError(f"{name} forecast NaN: the network has diverged; train it with a smaller learning rate")
    # Whoever moves rain does not know what comes in from outside, but never nothing at all of a frame mostly seen.
    seen = sequence.observed_valid[:, -1].float().mean(dim=(1, 2, 3)) > 0.5
    nothing = forecast.isnan().flatten(-4).all(dim=-1)
    if (answered & seen & (nothing.any(dim=0) if forecast.ndim == 6 else nothing)).any():
        raise NowcastError(
            f"{name} forecast NaN at every pixel and lead time of a window whose last frame was seen; where that is a "
            "network it has diverged, and must not be scored as one that does not know"
        )


def _crop(field: Tensor, part: tuple[Span | None, Span | None]) -> Tensor:
    rows, columns = part
    for span, size, name in ((rows, field.shape[-2], "rows"), (columns, field.shape[-1], "columns")):
        if span is not None and not 0 <= span[0] < span[1] <= size:
            raise NowcastError(f"{name} {span[0]}:{span[1]} to score do not lie in the frame's 0:{size}")
    return field[..., slice(*(rows or (None,))), slice(*(columns or (None,)))]
