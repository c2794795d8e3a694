"""MEmeL: select the most monosemantic neurons of a layer, deactivate them, observe the batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from memel.deactivation import DeactivateAt, inverse_variance, largest
from memel.deviations import Deviations, Neuron
from memel.replay import Replay, Selection, may_run_again, once, running_again
from memel.statistics import Order, RunningMoments


class MEmeL(nn.Module):
    """Monosemanticity-based Emergence Learning, placed after any layer; keeps the shape and dtype of its input.

    For an input z of shape (B, …), every position of one sample is a neuron. In training mode the `neurons` values of
    each sample with the largest monosemantic scale φ (ties: lowest position) take the value of their running mean, and
    the gradient that reaches them is passed on multiplied by -`strength`; the batch's unmodified values then enter the
    running statistics. In evaluation mode the very same tensor object is returned, unless `inhibit_in_eval` (the
    paper's "-T"), which inhibits with frozen statistics. There are no parameters.

    Args:
        neurons: how many values of each sample are deactivated, from 1 to the layer's number of neurons.
        strength: Δ. 1 is Reversed Deactivation, 0 the naive method (a), -1 naive (b); more inhibits more strongly.
        forget_step: after so many batches the past weighs as that many batches (Algorithm 1).
        late_start: so many batches are absorbed before the first value is modified (App. A.2). With 0, still nothing
            is selected in the first batch or before two values have been seen: there is no variance yet.
        epsilon: share of the layer's mean variance that is added to every variance (App. A.2).
        order: "paper" uses the statistics from before the batch, by Lemma 3.2 exact for the first `forget_step`
            batches. "reference" does what the authors' code does: statistics first, so the batch sees itself; batch
            t > 1 weighs the past as min(t, forget_step) batches; values are modified from batch forget_step + 1 on,
            and `late_start` is not used.
        inhibit_in_eval: inhibit in evaluation mode as well, with the statistics as they are.
        neuron: "position", or, as an extension of this package, "channel": one neuron for each index of axis 1,
            statistics pooled over the batch and all further axes; φ of a channel is the mean of φ over its positions,
            and whole channels are deactivated.

    Raises:
        ValueError: an option is out of range, an input is not floating point, or its shape (after the batch) differs
            from that of the inputs before.

    A sample that holds a value which is not finite (or whose square is not) passes through unchanged and does not enter
    the statistics; the other samples are treated as ever.

    Statistics live in the submodule `statistics` (see RunningMoments) and are float32 at least. In a recurrent network
    call the module once for each time step: a "batch" above is a call. It works with `torch.utils.checkpoint` (a
    recomputed forward repeats the first one and absorbs nothing) or under `torch.compile`; not with both at once, which
    stops with a RuntimeError in the backward. `strength` may be changed between steps. Calling the module inside
    torch.func.grad needs its buffers passed through the transformed function, as BatchNorm's do.
    """

    def __init__(
        self,
        neurons: int = 1,
        strength: float = 1.0,
        forget_step: int = 10,
        late_start: int = 10,
        epsilon: float = 0.01,
        order: Order = "paper",
        inhibit_in_eval: bool = False,
        neuron: Neuron = "position",
    ) -> None:
        super().__init__()
        for name, found, least in (
            ("neurons", neurons, 1),
            ("forget_step", forget_step, 1),
            ("late_start", late_start, 0),
        ):
            if not isinstance(found, int) or isinstance(found, bool) or found < least:
                raise ValueError(f"{name} is {found!r}, expected a whole number, at least {least}")
        if not math.isfinite(strength):
            raise ValueError(f"strength is {strength!r}, expected a finite number")
        if not 0 <= epsilon < math.inf:
            raise ValueError(f"epsilon is {epsilon!r}, expected a finite number, at least 0")
        self.neurons = neurons
        self.strength = float(strength)
        self.late_start = late_start
        self.epsilon = float(epsilon)
        self.inhibit_in_eval = inhibit_in_eval
        self.statistics = RunningMoments(forget_step, order, neuron)
        # Diagnostics put a function here to watch, replace or repeat what is selected; it then also absorbs.
        self.selector: Callable[[MEmeL, Tensor], Selection | None] | None = None
        self._replay = Replay()

    @property
    def forget_step(self) -> int:
        """After so many batches the past weighs as that many."""
        return self.statistics.forget_step

    @property
    def order(self) -> Order:
        """Whose order of selecting and absorbing: "paper" or "reference"."""
        return self.statistics.order

    @property
    def neuron(self) -> Neuron:
        """What one neuron is: "position" or "channel"."""
        return self.statistics.neuron

    def forward(self, z: Tensor) -> Tensor:
        """z (B, …) of floating point numbers → the same shape and dtype; z itself in evaluation mode."""
        if not self.training and not self.inhibit_in_eval and self.selector is None:
            return z
        selection = self._selection(z)
        if selection is None:
            return z
        positions, values, active = selection
        channel = self.statistics.neuron == "channel"
        return DeactivateAt.apply(z, positions, values, active, self.strength, channel)

    def _selection(self, z: Tensor) -> Selection | None:
        recorded = self.training and may_run_again()  # asked before gradients are off
        with torch.no_grad():
            if self.training and running_again():
                return self._replay.recall(z) or self.select(z)
            if self.selector is not None:
                selection = self.selector(self, z)
            elif self.training:
                selection = self.observe(z)
            else:
                selection = self.select(z) if self.statistics.begun else None
            if recorded and selection is not None:
                self._replay.record(z, selection)
            return selection

    def observe(self, z: Tensor) -> Selection:
        """Select in the batch z, (B, …), and absorb it, in the sequence that `order` says. z is untouched."""
        with torch.no_grad():
            self.statistics.begin(z)
            deviations = self.statistics.deviations(z)
            if self.statistics.order == "reference":
                self.statistics.absorb_deviations(deviations)
                return self._select(self.statistics.deviations(z))
            selection = self._select(deviations)
            self.statistics.absorb_deviations(deviations)
            return selection

    def select(self, z: Tensor) -> Selection:
        """Select in the batch z, (B, …), by the present statistics, which stay as they are."""
        with torch.no_grad():
            self.statistics.begin(z)
            return self._select(self.statistics.deviations(z))

    def scale(self, z: Tensor) -> Tensor:
        """φ of every neuron of the batch z, (B, …), by the present statistics: (B, neurons)."""
        with torch.no_grad():
            self.statistics.begin(z)
            return self._scale(self.statistics.deviations(z))

    def _select(self, deviations: Deviations) -> Selection:
        scale = self._scale(deviations)
        positions = largest(scale, self.neurons)
        values = self.statistics.mean.take(positions)
        # A value at its mean is not monosemantic: where φ is 0 everywhere (a dead layer) nothing is deactivated.
        active = (deviations.usable & self._inhibiting())[:, None] & (scale.gather(1, positions) > 0)
        return Selection(positions, values, active)

    def _scale(self, deviations: Deviations) -> Tensor:
        squares = deviations.squares.mean(2) if deviations.squares.dim() == 3 else deviations.squares
        # In place, for nobody needs the squares after their sums: fresh memory costs more than arithmetic.
        return squares.mul_(inverse_variance(self.statistics.variance.reshape(-1), self.epsilon))

    def _inhibiting(self) -> Tensor:
        # A tensor: a Python number that changes would recompile a compiled step at every call.
        statistics = self.statistics
        batches = once(statistics.batches) if torch.compiler.is_compiling() else statistics.batches
        if statistics.order == "reference":
            return batches > statistics.forget_step
        # Two batches hold the two values that a variance needs; one or none may not.
        started = batches >= self.late_start
        return started if self.late_start >= 2 else started & (statistics.values >= 2)

    def extra_repr(self) -> str:
        return (
            f"neurons={self.neurons}, strength={self.strength:g}, forget_step={self.statistics.forget_step}, "
            f"late_start={self.late_start}, epsilon={self.epsilon:g}, order={self.statistics.order!r}, "
            f"inhibit_in_eval={self.inhibit_in_eval}, neuron={self.statistics.neuron!r}"
        )
