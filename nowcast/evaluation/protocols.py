"""The benchmark's two protocols: in which order forecasters are called, and what they may learn from on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from nowcast.clips.split_windows import Windows
from nowcast.errors import NowcastError
from nowcast.evaluation.options import PROTOCOLS, EvaluationOptions
from nowcast.forecaster import EnsembleForecaster, FallbackForecaster, Forecaster, HistoryForecaster, OnlineForecaster
from nowcast.radar.times import Times
from nowcast.sequence import RadarSequence


@dataclass(frozen=True)
class Issued:
    """Forecasts of one batch of windows: name → (B, T, 1, H, W), or (M, B, T, 1, H, W) from an ensemble."""

    starts: Times
    sequence: RadarSequence
    forecasts: dict[str, Tensor]


def issue(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    protocol: str = "fixed",
    batch_size: int = 8,
    ensembles: bool = True,
) -> Iterator[Issued]:
    """Forecast every window once, all forecasters on the same ones; the last batch may be smaller.

    Args:
        forecasters: name → forecaster.
        windows: what to forecast.
        protocol: "fixed" calls forecasters in batches. "online" goes through every episode in order of time, one window
            at a time: an `OnlineForecaster` is told when an episode begins and may adapt before every later forecast.
        batch_size: windows at a time in the fixed protocol.
        ensembles: ask ensemble forecasters for their members instead of the mean.
    """
    if protocol == "fixed":
        for first in range(0, len(windows.starts), batch_size):
            yield _forecast(forecasters, windows, windows.starts[first : first + batch_size], ensembles)
    elif protocol == "online":
        for episode in windows.episodes():
            yield from _episode(forecasters, windows, episode, ensembles)
    else:
        raise NowcastError(f"{protocol!r} is not a protocol; expected one of {', '.join(PROTOCOLS)}")


def blocks_of(
    forecasters: Mapping[str, object], windows: Windows, options: EvaluationOptions, batch_size: int
) -> list[Times]:
    """The starts of all windows in the blocks that are scored, sent to workers and kept one by one.

    Blocks depend on the forecasters and the batch size, not on who works: an episode online, else a batch; a single
    window where a forecaster works window by window anyway (one with a fallback, or an ensemble asked for its members),
    because its members fill the memory and its minutes should not be lost.
    """
    if options.protocol == "online":
        return windows.episodes()
    alone = any(
        isinstance(one, FallbackForecaster) or ("ensemble" in options.families and isinstance(one, EnsembleForecaster))
        for one in forecasters.values()
    )
    size = 1 if alone else batch_size
    return [windows.starts[first : first + size] for first in range(0, len(windows.starts), size)]


def _episode(
    forecasters: Mapping[str, Forecaster], windows: Windows, starts: Times, ensembles: bool
) -> Iterator[Issued]:
    """One episode online: what was seen grows by `stride` frames a window and never reaches past the issue time."""
    learners = [forecaster for forecaster in forecasters.values() if isinstance(forecaster, OnlineForecaster)]
    for learner in learners:
        learner.begin_episode()
    for k, start in enumerate(starts):
        lead_steps = min(windows.forecast, k * windows.stride)  # frames seen in this episode beyond the first observed
        if lead_steps and learners:
            past = start - lead_steps * windows.interval
            seen = windows.clips.sequence(np.atleast_1d(past), windows.observed, lead_steps)
            for learner in learners:
                learner.adapt(seen)
        yield _forecast(forecasters, windows, starts[k : k + 1], ensembles)


def _forecast(forecasters: Mapping[str, Forecaster], windows: Windows, starts: Times, ensembles: bool) -> Issued:
    sequence = windows.sequence(starts)
    forecasts = {}
    for name, forecaster in forecasters.items():
        members = ensembles and isinstance(forecaster, EnsembleForecaster)
        call = forecaster.ensemble if members else forecaster  # type: ignore[attr-defined]
        made = call(*_given(forecaster, windows, starts, sequence), windows.forecast)
        if not isinstance(made, Tensor):
            raise NowcastError(f"{name} returned {type(made).__name__}, expected a torch.Tensor (B, T, 1, H, W)")
        made = made.detach().to(sequence.observed.device)
        expected = tuple(sequence.observation.shape)
        if tuple(made.shape[1:] if members else made.shape) != expected:
            raise NowcastError(f"{name} forecast the shape {tuple(made.shape)}, expected (B, T, 1, H, W) = {expected}")
        forecasts[name] = sequence.within_domain(made)
    return Issued(starts, sequence, forecasts)


def _given(forecaster: Forecaster, windows: Windows, starts: Times, sequence: RadarSequence) -> tuple[Tensor, Tensor]:
    """Observed frames and where they are valid, as far back as the forecaster wants them."""
    if isinstance(forecaster, HistoryForecaster):
        return windows.history(starts, forecaster.history_steps)
    return sequence.observed, sequence.observed_valid
