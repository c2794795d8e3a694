"""Everything that is summed up while forecasters are compared: per lead time, and per window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from nowcast.errors import NowcastError
from nowcast.evaluation.options import FAMILIES
from nowcast.evaluation.unknown import known
from nowcast.models.ensemble_mean import mean_of_rates
from nowcast.units import THRESHOLDS, rain_rate_from_scaled
from nowcast.verification import (
    EnsembleScores,
    FractionsSkill,
    GradientDifference,
    Scorecard,
    SpectralAgreement,
    StructuralSimilarity,
)
from nowcast.verification.scorecard import balanced_sums, contingency_counts
from nowcast.verification.streaming import StreamingScore, ratio

_SHARED = ("sequences", "valid_pixels")
_BY_WINDOW = ("forecaster", "issue_time", "lead_time")


class Comparison:
    """Scores of several forecasters on the same windows: update → merge → dataset.

    Args:
        names: the forecasters, in the order of the result.
        lead_steps: number of forecast frames.
        shape: (H, W) of the scored part of the frames.
        frame_interval: timedelta64.
        thresholds: rain rates in mm/h.
        families: which of `FAMILIES` to compute.
    """

    def __init__(
        self,
        names: Sequence[str],
        lead_steps: int,
        shape: tuple[int, int],
        frame_interval: np.timedelta64 | None = None,
        thresholds: Sequence[float] = THRESHOLDS,
        families: Sequence[str] = FAMILIES,
    ) -> None:
        for family in families:
            if family not in FAMILIES:
                raise NowcastError(f"{family!r} is not a family of scores; expected some of {', '.join(FAMILIES)}")
        self.names, self.lead_steps, self.shape = list(names), lead_steps, shape
        self.frame_interval, self.thresholds, self.families = frame_interval, thresholds, tuple(families)
        self.cards = {name: Scorecard(lead_steps, thresholds, frame_interval) for name in names}
        self.others: dict[str, list[StreamingScore]] = {name: self._field_scores() for name in names}
        self.ensembles: dict[str, EnsembleScores] = {}
        known_by = [f"known {k}" for k in range(len(self.names))]
        self.pixels = {key: np.zeros(lead_steps, np.int64) for key in ("valid", "scored", *known_by)}
        self.windows: dict[str, list[NDArray[Any]]] = {}

    def update(
        self,
        issue_times: NDArray[np.datetime64],
        forecasts: Mapping[str, Tensor],
        observation: Tensor,
        valid: Tensor,
        scored: Tensor,
        raw_forecasts: Mapping[str, Tensor],
        fallbacks: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Add a batch of windows.

        Args:
            issue_times: datetime64 (B,).
            forecasts: name → (B, T, 1, H, W) or members (M, B, T, 1, H, W); no NaN where `scored`.
            observation: scaled reflectivity (B, T, 1, H, W).
            valid: bool, True = the observation is usable.
            scored: bool, True = score this pixel; a part of `valid`.
            raw_forecasts: the forecasts as they were issued, NaN = unknown.
            fallbacks: name → bool (B,), True where a forecaster answered with a simpler one.
        """
        self._count("valid", valid)
        self._count("scored", scored)
        self._remember("issue_time", np.asarray(issue_times, "datetime64[s]").astype(np.int64))
        self._remember("rain_rate", _mean_rain_rate(observation, scored))
        self._remember("valid_pixels", count_pixels(scored))
        for k, name in enumerate(self.names):
            self._count(f"known {k}", valid & known(raw_forecasts[name]))
            if fallbacks and name in fallbacks:
                self._remember(f"fallback {k}", fallbacks[name].cpu().numpy().astype(np.int8))
            try:
                self._update_one(k, name, forecasts[name], observation, scored)
            except ValueError as error:
                raise NowcastError(f"{name} cannot be scored: {error}") from error

    def _update_one(self, k: int, name: str, forecast: Tensor, observation: Tensor, scored: Tensor) -> None:
        if forecast.ndim == 6:
            if "ensemble" in self.families:
                members = self.ensembles.setdefault(name, self._ensemble_scores(len(forecast)))
                members.update(forecast, observation, scored)
            forecast = mean_of_rates(forecast)
        card = self.cards[name]
        joint = card.joint(forecast, observation, scored)
        card.add(joint)
        squared, absolute = balanced_sums(joint)
        self._remember(f"balanced_mse {k}", squared)
        self._remember(f"balanced_mae {k}", absolute)
        for count, values in contingency_counts(joint, card.thresholds).items():
            self._remember(f"{count} {k}", values.astype(np.int32))
        for score in self.others[name]:
            score.update(forecast, observation, scored)  # type: ignore[attr-defined]

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that was summed up, as plain arrays by name: what workers send and files keep."""
        arrays = {f"pixels/{key}": total for key, total in self.pixels.items()}
        arrays |= {f"windows/{key}": np.concatenate(parts) for key, parts in self.windows.items()}
        for place, score in self._scores():
            arrays |= {f"{place}/{key}": total for key, total in score.totals.items()}
        return arrays

    def absorb(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Add what `state` of a comparison of the same forecasters and settings gave; returns self.

        Sums of floating-point numbers depend on the order of absorbing: keep it, and the result is the same to the bit.
        """
        for k, name in enumerate(self.names):
            ranks = state.get(f"ensemble {k}/ranks")
            if ranks is not None:
                self.ensembles.setdefault(name, self._ensemble_scores(ranks.shape[1] - 1))
        totals = {f"pixels/{key}": total for key, total in self.pixels.items()}
        for place, score in self._scores():
            totals |= {f"{place}/{key}": total for key, total in score.totals.items()}
        for key, total in totals.items():
            if key in state:
                total += state[key]
        for key, values in state.items():
            if key.startswith("windows/"):
                self._remember(key.removeprefix("windows/"), values)
        return self

    def merge(self, other: Self) -> Self:
        """Add the windows of another comparison of the same forecasters (another worker's part); returns self."""
        if other.names != self.names:
            raise ValueError(f"cannot merge forecasters {other.names} into {self.names}")
        for name in self.names:
            mine, theirs = ([c.cards[name], *c.others[name]] for c in (self, other))
            if [score.settings for score in mine] != [score.settings for score in theirs]:
                raise ValueError(f"cannot merge scores of {name} with other settings")
        return self.absorb(other.state())

    def _scores(self) -> list[tuple[str, StreamingScore]]:
        """Every score with the place of its totals in `state`."""
        found: list[tuple[str, StreamingScore]] = []
        for k, name in enumerate(self.names):
            found.append((f"card {k}", self.cards[name]))
            found += [(f"other {k} {i}", score) for i, score in enumerate(self.others[name])]
            found += [(f"ensemble {k}", self.ensembles[name])] if name in self.ensembles else []
        return found

    def dataset(self) -> xr.Dataset:
        """All scores with a `forecaster` dimension; `window_…` holds what every window (issue_time) adds."""
        parts = []
        for k, name in enumerate(self.names):
            scores = [self.cards[name], *self.others[name], *([self.ensembles[name]] if name in self.ensembles else [])]
            one = xr.merge([score.dataset() for score in scores], combine_attrs="drop_conflicts", join="outer")
            one["known"] = ("lead_time", ratio(self.pixels[f"known {k}"], self.pixels["valid"]))
            parts.append(one.assign(self._window_variables(k)))
        shared = parts[0][list(_SHARED)]
        names = xr.Variable("forecaster", np.array(self.names, dtype=object))
        whole = xr.concat([part.drop_vars(_SHARED) for part in parts], names, join="outer", data_vars="all")
        whole = whole.assign(shared).assign(
            coverage=("lead_time", ratio(self.pixels["scored"], self.pixels["valid"])),
            window_rain_rate=(_BY_WINDOW[1:], self._windows("rain_rate")),
            window_valid_pixels=(_BY_WINDOW[1:], self._windows("valid_pixels").astype(np.int32)),
        )
        issued = self._windows("issue_time").astype("datetime64[s]").astype("datetime64[ns]")
        return whole.assign_coords(issue_time=("issue_time", issued)).sortby("issue_time")

    def _window_variables(self, k: int) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        for error in ("balanced_mse", "balanced_mae"):
            variables[f"window_{error}"] = (_BY_WINDOW[1:], self._windows(f"{error} {k}"))
        for count in ("hits", "misses", "false_alarms", "correct_negatives"):
            values = self._windows(f"{count} {k}")
            variables[f"window_{count}"] = ((*_BY_WINDOW[1:], "threshold"), values)
        if any(key.startswith("fallback") for key in self.windows):
            there = self.windows.get(f"fallback {k}")
            fallback = np.concatenate(there) if there else np.zeros(len(self._windows("issue_time")), np.int8)
            variables["window_fallback"] = ("issue_time", fallback)
        return variables

    def _field_scores(self) -> list[StreamingScore]:
        common = self.lead_steps, self.frame_interval
        makers: dict[str, Any] = {
            "gdl": lambda: GradientDifference(*common),
            "fss": lambda: FractionsSkill(self.lead_steps, self.thresholds, frame_interval=self.frame_interval),
            "ssim": lambda: StructuralSimilarity(*common),
            "spectrum": lambda: SpectralAgreement(self.lead_steps, self.shape, self.frame_interval),
        }
        return [make() for family, make in makers.items() if family in self.families]

    def _ensemble_scores(self, members: int) -> EnsembleScores:
        return EnsembleScores(self.lead_steps, members, self.thresholds, self.frame_interval)

    def _count(self, key: str, pixels: Tensor) -> None:
        self.pixels[key] += count_pixels(pixels).sum(axis=0)

    def _remember(self, key: str, values: NDArray[Any]) -> None:
        self.windows.setdefault(key, []).append(values)

    def _windows(self, key: str) -> NDArray[Any]:
        return np.concatenate(self.windows[key])


def count_pixels(mask: Tensor) -> NDArray[np.int64]:
    """Number of True pixels of every frame, (B, T) of a bool (B, T, 1, H, W).

    Frame by frame with numpy: torch sums booleans a hundred times slower.
    """
    array = mask.cpu().numpy()
    return np.array([[np.count_nonzero(frame) for frame in frames] for frames in array], np.int64)


def _mean_rain_rate(observation: Tensor, scored: Tensor) -> NDArray[np.float32]:
    """Mean observed rain rate of the scored pixels of every frame, mm/h (B, T); NaN where there is none."""
    codes = np.rint(observation.clamp(0, 1).cpu().numpy() * np.float32(255)).astype(np.uint8)
    codes[~scored.cpu().numpy()] = 0  # no echo, 0 mm/h
    table = rain_rate_from_scaled(np.arange(256) / 255)  # a table of the 8-bit codes: observations are nothing else
    totals = [[np.bincount(frame.ravel(), minlength=256) @ table for frame in frames] for frames in codes]
    return ratio(totals, count_pixels(scored)).astype(np.float32)
