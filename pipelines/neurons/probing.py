"""How monosemantic the neurons of a trained ConvGRU are, which respond to a kind of weather, and what one is worth.

Everything is measured at the candidate states, where MEmeL acts. φ is that of positions, the paper's neurons, with the
mean and variance of all windows. The neuron that a kind of weather is looked for in is a channel: a kind belongs to a
whole window, as a language does to a whole text, and a channel does the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from memel import MEmeL, loss_increase, watch
from memel.diagnostics import Location
from nowcast.clips.split_windows import Windows
from nowcast.config import MemelConfig, TrainingConfig
from nowcast.device import choose_device
from nowcast.losses import BalancedLoss
from nowcast.models import build_model, start_from
from nowcast.run import Run
from nowcast.sequence import RadarSequence

FOREVER = 10**9
STRONG, WEAK = 0.4, 0.25
"""|AUC − ½| from which a channel responds to a kind, and up to which it does not; 0.4 is an AUC of 0.9 or 0.1."""

Array = NDArray[np.float64]


class Probe:
    """A trained network with an idle MEmeL at every candidate state, to look at and to take neurons out of.

    Args:
        run: run directory; its last checkpoint.
        windows: the windows whose mean and variance φ is relative to.
    """

    def __init__(self, run: Path, windows: Windows) -> None:
        opened = Run.open(run)
        self.training: TrainingConfig = opened.experiment.training
        self.device = choose_device(self.training.device)
        # Forgetting and starting never: the moments are exact, and no value is modified.
        idle = MemelConfig(placement=("candidate",), forget_step=FOREVER, late_start=FOREVER)
        self.model = build_model(opened.experiment.model.model_copy(update={"memel": idle}))
        start_from(self.model, opened.checkpoint("last"))
        self.model.to(self.device).train()
        self._forecast_all(windows)
        for module in self.modules.values():
            module.late_start = 0
        self.model.eval()

    @property
    def modules(self) -> dict[str, MEmeL]:
        """The idle modules by name; their outputs are the candidate states."""
        return {name: module for name, module in self.model.named_modules() if isinstance(module, MEmeL)}

    def survey(self, windows: Windows) -> tuple[dict[str, Location], dict[str, Array]]:
        """φ of all positions by layer, and the activity of every channel by layer: (windows, channels).

        Activity is the mean of the candidate state over positions and time steps.
        """
        with watch(self.model) as locations, _activity(self.model, self.modules) as activity:
            self._forecast_all(windows)
        return locations, {name: np.concatenate(parts) for name, parts in activity.items()}

    def worth(self, layer: str, channel: int, groups: Mapping[str, Windows]) -> dict[str, float]:
        """Increase of the loss in percent, on each group of windows, when a channel is set to its mean."""
        loss = BalancedLoss(self.training.loss_weight)

        def batch_loss(batch: RadarSequence) -> Tensor:
            batch = batch.to(self.device)
            forecast = self.model(batch.observed, batch.observed_valid, batch.lead_steps).clamp(0, 1)
            return loss(forecast, batch.observation, batch.valid)

        return loss_increase(self.model, layer, (channel,), batch_loss, groups)

    def _forecast_all(self, windows: Windows) -> None:
        with torch.no_grad():
            for batch in windows:
                batch = batch.to(self.device)
                self.model(batch.observed, batch.observed_valid, batch.lead_steps)


def separation(activity: Array, shown: NDArray[np.bool_]) -> Array:
    """AUC of every channel as a detector of a kind, (channels,): ½ says nothing, 1 or 0 tells it without error.

    The probability that a window of the kind has the larger activity (Mann-Whitney's U over the number of pairs).

    >>> separation(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]]), np.array([False, True, True])).tolist()
    [1.0, 0.0]
    """
    with_kind, without = int(shown.sum()), int((~shown).sum())
    if not with_kind or not without:
        return np.full(activity.shape[1], np.nan)
    found = stats.mannwhitneyu(activity[shown], activity[~shown], axis=0, method="asymptotic")
    return np.asarray(found.statistic / (with_kind * without))


def responding(auc: Array) -> dict[str, float]:
    """Shares of channels that respond to one kind only, to several, to none clearly; auc is (kinds, channels)."""
    strength = np.abs(auc - 0.5)
    strong = (strength >= STRONG).sum(axis=0)
    others_weak = (strength < WEAK).sum(axis=0) == len(auc) - 1
    return {
        "one": float(((strong == 1) & others_weak).mean()),
        "several": float((strong >= 2).mean()),
        "none": float((strong == 0).mean()),
    }


def stand_out(activity: Array, shown: NDArray[np.bool_]) -> float:
    """How far a channel (windows,) stands out on a kind: difference of means over the spread of all other windows."""
    spread = activity[~shown].std(ddof=1)
    return float((activity[shown].mean() - activity[~shown].mean()) / spread) if spread > 0 else float("nan")


@contextmanager
def _activity(model: nn.Module, modules: Mapping[str, nn.Module]) -> Iterator[dict[str, list[Array]]]:
    """While active, the mean of each module's channels over positions and the calls of one forecast, (B, channels)."""
    found: dict[str, list[Array]] = {name: [] for name in modules}
    calls: dict[str, list[Tensor]] = {name: [] for name in modules}

    def forecast_ends(*_: object) -> None:
        for name, of_forecast in calls.items():
            found[name].append(torch.stack(of_forecast).mean(0).cpu().double().numpy())
            of_forecast.clear()

    def looking(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _, __, z: calls[name].append(z.detach().float().mean(dim=(2, 3)))

    handles = [module.register_forward_hook(looking(name)) for name, module in modules.items()]
    handles.append(model.register_forward_hook(forecast_ends))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
