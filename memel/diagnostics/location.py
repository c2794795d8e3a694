"""Where the monosemantic neurons of a network sit, and whether they are always the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from memel.module import MEmeL
from memel.replay import Selection

LOG_EDGES = torch.linspace(-6, 6, 121)


@dataclass
class Location:
    """One layer under watch.

    Attributes:
        times_selected: int64 (neurons,), how often each was among the most monosemantic of a sample.
        samples: how many samples were selected from (once the late start is over).
        histogram: int64, counts of φ below, between and above `edges`, over all neurons of these samples.
    """

    times_selected: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    samples: int = 0
    histogram: Tensor = field(default_factory=lambda: torch.zeros(len(LOG_EDGES) + 1, dtype=torch.int64))

    @property
    def edges(self) -> Tensor:
        """Edges of the histogram's bins in φ, ten to a decade."""
        return 10**LOG_EDGES

    @property
    def share_ever_selected(self) -> float:
        """Share of the layer's neurons selected at least once, in [0, 1]; NaN if nothing was seen."""
        return (self.times_selected > 0).double().mean().item()

    @property
    def frequency(self) -> Tensor:
        """Share of the samples in which each neuron was selected, float64, (neurons,)."""
        return self.times_selected.double() / max(self.samples, 1)

    def quantile(self, share: float) -> float:
        """φ below which that share of all values lay, to a tenth of a decade; NaN if none was seen."""
        counts = self.histogram.double()
        if not counts.sum():
            return float("nan")
        bin_ = int(torch.searchsorted(counts.cumsum(0), share * counts.sum()))
        return self.edges[min(bin_, len(self.edges) - 1)].item()

    def _add(self, scale: Tensor, selection: Selection) -> None:
        scale, positions = scale.cpu(), selection.positions.cpu()
        active = selection.active.cpu()
        if not len(self.times_selected):
            self.times_selected = torch.zeros(scale.shape[1], dtype=torch.int64)
        counted = active.any(1)
        self.samples += int(counted.sum())
        self.times_selected += torch.bincount(positions[active], minlength=scale.shape[1])
        bins = torch.bucketize(scale[counted].flatten().float().log10(), LOG_EDGES)
        self.histogram += torch.bincount(bins, minlength=len(self.histogram))


@contextmanager
def watch(model: nn.Module) -> Iterator[dict[str, Location]]:
    """Watch every MEmeL in model while the block runs; yields a Location for each by name.

    In training mode the modules work as ever. In evaluation mode they select by their frozen statistics and change
    nothing (unless `inhibit_in_eval`), so that a trained network can be surveyed on any data. ValueError if the model
    has no MEmeL.
    """
    modules = {name: module for name, module in model.named_modules() if isinstance(module, MEmeL)}
    if not modules:
        raise ValueError("the model has no MEmeL: attach some first")
    locations = {name: Location() for name in modules}
    before = {name: module.selector for name, module in modules.items()}
    for name, module in modules.items():
        module.selector = _Watcher(locations[name])
    try:
        yield locations
    finally:
        for name, module in modules.items():
            module.selector = before[name]


class _Watcher:
    def __init__(self, location: Location) -> None:
        self.location = location

    def __call__(self, memel: MEmeL, z: Tensor) -> Selection | None:
        if not memel.training:
            if not memel.statistics.begun:
                return None
            selection = memel.select(z)
            self.location._add(memel.scale(z), selection)
            return selection if memel.inhibit_in_eval else None
        memel.statistics.begin(z)
        scale = memel.scale(z)
        selection = memel.observe(z)
        if memel.statistics.order == "reference":
            scale = memel.scale(z)
        self.location._add(scale, selection)
        return selection
