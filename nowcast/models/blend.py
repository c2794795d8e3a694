"""A blend of forecasters that follows how good they have just been: no harm where one of them fails."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.atomic_files import write_json
from nowcast.errors import NowcastError
from nowcast.forecaster import Forecaster, OnlineForecaster
from nowcast.models.blend_weights import Verified, choose, together, verify
from nowcast.models.extrapolation import Extrapolation
from nowcast.sequence import RadarSequence

Field = NDArray[np.float32]

DECAY = 0.7
"""What a nowcast counts against one that was issued a step later."""

KEPT_BYTES = 512 * 2**20
"""Memory for past nowcasts, which the next issue time needs again."""

BASE = "extrapolation"
NETWORK = "network"
"""What the network of a run is called among the members."""

START_WEIGHTS = "blend.json"
"""File of a run directory that holds the start weights."""


class RecentBlend:
    """Extrapolation + Σ w_m (member m − extrapolation), weights per lead time from nowcasts already verified.

    The nowcasts that would have been issued `spacing`, 2 · `spacing`, … `past` · `spacing` frames before the issue time
    are made from the frames of the history and verified with those that came until the issue time. The weights with the
    least B-MSE + B-MAE (`nowcast.models.blend_weights.choose`) are taken, a nowcast counting 0.7 of the one after it.
    Nothing after the issue time is known here, so nothing can be learned from it. Without a history the start weights
    stand. Fulfils `nowcast.forecaster.HistoryForecaster`.

    Where extrapolation is unknown, the members that know share the pixel by their weights (evenly where all are 0);
    where a member is unknown, extrapolation stands for it; where nobody knows it is NaN.

    Args:
        members: name → forecaster, beside extrapolation.
        start_weights: name → weight of every lead time, of which the last goes on; at least 0, together at most 1. By
            default the members share evenly and extrapolation has no part.
        observed_steps: frames that the members look at.
        past: how many earlier issue times are verified.
        spacing: frames between them; the windows of an evaluation with the same stride need no nowcast twice.
    """

    def __init__(
        self,
        members: Mapping[str, Forecaster],
        start_weights: Mapping[str, float | Sequence[float]] | None = None,
        observed_steps: int = 5,
        past: int = 4,
        spacing: int = 5,
    ) -> None:
        if not members or BASE in members:
            raise NowcastError(f"a blend needs members beside {BASE}, found {', '.join(members) or 'none'}")
        self.members = dict(members)
        self.start_weights = _checked(start_weights or {name: 1 / len(members) for name in members}, self.members)
        self.observed_steps, self.past, self.spacing = observed_steps, past, spacing
        self.history_steps = observed_steps + past * spacing
        self.weights = np.zeros((0, len(members), 0))
        self._base = Extrapolation()
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast (B, lead_steps, 1, H, W) from up to `history_steps` frames, the last one of the issue time.

        `weights` then holds the weights that were taken, (B, members, lead_steps).
        """
        made, taken = [], []
        for sample in range(len(observed)):
            frames, valid = observed[sample : sample + 1], observed_valid[sample : sample + 1]
            weights = self._weights(frames, valid, lead_steps)
            window = slice(-self.observed_steps, None)
            issued = self._nowcasts(frames[:, window], valid[:, window], lead_steps)
            made.append(blended(issued[0], issued[1:], torch.from_numpy(weights.T)))
            taken.append(weights.T)
        self.weights = np.stack(taken)
        return torch.stack(made).unsqueeze(2).to(observed.device)  # (B, lead_steps, 1, H, W)

    def __getstate__(self) -> dict[str, object]:
        """Without the nowcasts kept: another process makes its own."""
        return {**self.__dict__, "_kept": OrderedDict()}

    def with_member(self, name: str, forecaster: Forecaster) -> RecentBlend:
        """The same blend with another forecaster in the place of a member."""
        members = {**self.members, name: forecaster}
        return RecentBlend(members, self.start_weights, self.observed_steps, self.past, self.spacing)

    def weights_by_member(self) -> dict[str, list[float]]:
        """Weights of every lead time in the nowcast issued last, extrapolation's among them."""
        taken = {name: self.weights[-1, place] for place, name in enumerate(self.members)}
        taken[BASE] = 1 - np.sum(list(taken.values()), axis=0)
        return {name: values.round(6).tolist() for name, values in taken.items()}

    def begin_episode(self) -> None:
        """Members that learn on the way begin anew; what they forecast before is forgotten."""
        for member in self._learners():
            member.begin_episode()
        if self._learners():
            self._kept.clear()

    def adapt(self, seen: RadarSequence) -> None:
        """Members that learn on the way learn from a sequence of the past."""
        for member in self._learners():
            member.adapt(seen)

    def _learners(self) -> list[OnlineForecaster]:
        return [member for member in self.members.values() if isinstance(member, OnlineForecaster)]

    def _weights(self, frames: Tensor, valid: Tensor, lead_steps: int) -> NDArray[np.float64]:
        """Weights (lead_steps, members) at the end of a history (1, T, 1, H, W)."""
        length = frames.shape[1]
        errors: list[list[tuple[float, Verified]]] = [[] for _ in range(lead_steps)]
        for step in range(1, self.past + 1):
            end = length - step * self.spacing  # one past the last frame that was known then
            if end <= 0:
                break
            window = slice(max(0, end - self.observed_steps), end)
            leads = [lead for lead in range(min(lead_steps, length - end)) if valid[:, end + lead].any()]
            if not leads or valid[0, window].flatten(1).any(dim=1).sum() < min(2, self.observed_steps):
                continue  # nothing to verify, or too little to have forecast from
            base, *members = (
                field.numpy() for field in self._nowcasts(frames[:, window], valid[:, window], lead_steps)
            )
            for lead in leads:
                came = frames[0, end + lead, 0].float().cpu().numpy(), valid[0, end + lead, 0].cpu().numpy()
                made = verify(base[lead], [member[lead] for member in members], *came)
                errors[lead].append((DECAY ** (step - 1), made))
        start = np.stack([_reaching(self.start_weights[name], lead_steps) for name in self.members], axis=1)
        return choose([together(one) for one in errors], start)

    def _nowcasts(self, frames: Tensor, valid: Tensor, lead_steps: int) -> list[Tensor]:
        """What extrapolation and every member forecast from one window, (lead_steps, H, W) each, on the CPU."""
        key = _digest(frames, valid)
        found = []
        for name, forecaster in {BASE: self._base, **self.members}.items():
            own = key + f"{name} {lead_steps}".encode()
            if own not in self._kept:
                made = forecaster(frames.clone(), valid.clone(), lead_steps)
                self._kept[own] = made[0, :, 0].detach().float().cpu()
            self._kept.move_to_end(own)
            found.append(self._kept[own])
        while len(self._kept) > 1 and sum(field.nbytes for field in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return found


def blended(base: Tensor, members: Sequence[Tensor], weights: Tensor) -> Tensor:
    """One field of several, NaN meaning unknown as `RecentBlend` says.

    Args:
        base, members: (lead_steps, H, W), scaled reflectivity.
        weights: (members, lead_steps).
    """
    known = ~base.isnan()
    total = base.nan_to_num()
    above, share = torch.zeros_like(total), torch.zeros_like(total)
    for member, weight in zip(members, weights.to(total.dtype)[:, :, None, None], strict=True):
        sure = ~member.isnan()
        field = member.nan_to_num()
        total = total + torch.where(sure & known, weight * (field - base.nan_to_num()), 0)
        part = sure * (weight + 1e-6)  # members that know share evenly where all weights are 0
        above, share = above + part * field, share + part
    beyond = torch.where(share > 0, above / share.clamp_min(1e-6), torch.nan)
    return torch.where(known, total, beyond)


def fit_start_weights(members: Mapping[str, Forecaster], sequences: Iterable[RadarSequence]) -> dict[str, list[float]]:
    """Weights of every lead time that are best over sequences kept for it (the validation split), by member.

    Args:
        members: name → forecaster, beside extrapolation.
        sequences: batches of windows, each read once.
    """
    base = Extrapolation()
    errors: list[list[tuple[float, Verified]]] = []
    for batch in sequences:
        given = batch.observed, batch.observed_valid
        fields = [
            f(given[0].clone(), given[1].clone(), batch.lead_steps)[:, :, 0].cpu().numpy()
            for f in (base, *members.values())
        ]
        errors = errors or [[] for _ in range(batch.lead_steps)]
        for sample in range(len(batch)):
            for lead in range(batch.lead_steps):
                valid = batch.valid[sample, lead, 0].cpu().numpy()
                if valid.any():
                    came = batch.observation[sample, lead, 0].float().cpu().numpy()
                    made = verify(fields[0][sample, lead], [f[sample, lead] for f in fields[1:]], came, valid)
                    errors[lead] = [(1.0, together([*errors[lead], (1.0, made)]) or made)]
    if not any(errors):
        raise NowcastError("there is no valid window to fit the start weights of the blend on")
    even = np.full((len(errors), len(members)), 1 / len(members))
    chosen = choose([together(one) for one in errors], even, loyalty=0.01)
    return {name: chosen[:, column].tolist() for column, name in enumerate(members)}


def write_start_weights(path: Path, weights: Mapping[str, Sequence[float]]) -> None:
    """Write start weights as JSON, whole or not at all."""
    write_json(path, {"start_weights": {name: list(values) for name, values in weights.items()}})


def read_start_weights(path: Path) -> dict[str, list[float]] | None:
    """The start weights of a file; None where there is none, NowcastError where it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [float(value) for value in values] for name, values in content["start_weights"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NowcastError(f"{path} holds no start weights of a blend; delete it, or fit them again") from None


def _checked(
    weights: Mapping[str, float | Sequence[float]], members: Mapping[str, Forecaster]
) -> dict[str, list[float]]:
    if set(weights) != set(members):
        raise NowcastError(
            f"start weights name {', '.join(weights) or 'no member'}, expected the members {', '.join(members)}"
        )
    lists = {name: list(np.atleast_1d(np.asarray(value, float))) for name, value in weights.items()}
    longest = max(len(values) for values in lists.values())
    if min(len(values) for values in lists.values()) == 0:
        raise NowcastError("start weights of a blend are empty; give one for every lead time, or one for all")
    table = np.stack([_reaching(values, longest) for values in lists.values()])
    if not (np.isfinite(table).all() and table.min() >= 0 and table.sum(axis=0).max() <= 1 + 1e-6):
        raise NowcastError("start weights of a blend must be at least 0 and together at most 1 at every lead time")
    return lists


def _reaching(values: Sequence[float], steps: int) -> NDArray[np.float64]:
    """So many values, the last one going on."""
    return np.array([values[min(step, len(values) - 1)] for step in range(steps)], np.float64)


def _digest(frames: Tensor, valid: Tensor) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for part in (frames, valid):
        content.update(str(tuple(part.shape)).encode())
        content.update(part.detach().cpu().contiguous().numpy().tobytes())
    return content.digest()
