"""Does a training step make the neurons it modified less monosemantic? (paper, Section 4.3 and Table 4)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from memel.deactivation import inverse_variance
from memel.deviations import by_neuron
from memel.module import MEmeL
from memel.replay import Replay, Selection


@dataclass(frozen=True)
class InhibitionEffect:
    """Selected neurons before and after one optimizer step, one entry for each sample, call and neuron.

    Attributes:
        value, value_after: z and z*, what the layer returned for the same input before and after the step.
        scale, scale_after: φ(z) and φ(z*), with the same statistics for both.

    All are 1-D, float32 or float64, of one length.
    """

    value: Tensor
    value_after: Tensor
    scale: Tensor
    scale_after: Tensor

    @property
    def decrease_ratios(self) -> Tensor:
        """(1 - φ(z*) / φ(z)) · 100 %, of each neuron; not finite where φ(z) is 0."""
        return (1 - self.scale_after / self.scale) * 100

    @property
    def total_update_ratios(self) -> Tensor:
        """|z* / z - 1| · 100 %, of each neuron; not finite where z is 0."""
        return (self.value_after / self.value - 1).abs() * 100

    @property
    def decrease_ratio(self) -> float:
        """Table 4's Average Decrease Ratio in percent, over the neurons where it is finite; NaN for none."""
        return _finite_mean(self.decrease_ratios)

    @property
    def total_update_ratio(self) -> float:
        """Table 4's Average Total Update Ratio in percent, over the neurons where it is finite; NaN for none.

        A few z near 0 can dominate it: see the median of `total_update_ratios` beside it.
        """
        return _finite_mean(self.total_update_ratios)

    def __len__(self) -> int:
        return len(self.value)


def pooled(effects: Iterable[InhibitionEffect]) -> InhibitionEffect:
    """All neurons of several layers or batches as one; the paper takes 10 000. ValueError for none."""
    effects = list(effects)
    if not effects:
        raise ValueError("found no effects to pool, expected at least one")
    names = ("value", "value_after", "scale", "scale_after")
    return InhibitionEffect(*(torch.cat([getattr(effect, name) for effect in effects]) for name in names))


def inhibition_effect(
    model: nn.Module,
    batch_loss: Callable[[], Tensor],
    optimizer: torch.optim.Optimizer,
    strength: float | None = 1.0,
    restore: bool = True,
    before_step: Callable[[], object] | None = None,
) -> dict[str, InhibitionEffect]:
    """Take one training step on a batch, feed the batch again, and compare the neurons that were selected.

    Args:
        model: in training mode, with MEmeL modules that are past their late start (else nothing is selected, and the
            effects are empty). A module may be called any number of times, as in a recurrent network.
        batch_loss: runs the model on the batch and returns the loss, a scalar tensor; the same batch at each call.
        optimizer: takes the step.
        strength: used by all modules instead of theirs: 1 is Reversed Deactivation, 0 naive (a), -1 naive (b), any
            other number its Δ. None is Table 4's "Original": the same neurons are selected and none is modified.
        restore: put parameters, buffers, optimizer, gradients and random state back as they were. With False the step
            stays taken, as in training; the second pass leaves no trace in any case.
        before_step: called between backward and step, for example to clip gradients.

    Returns:
        The effect for each module by name.

    Raises:
        ValueError: the model has no MEmeL, or one is in evaluation mode.
        RuntimeError: the two passes differ in their calls.

    In the second pass every call repeats the selection and the means of the first, and so do random numbers (dropout),
    so that the optimizer step is all that differs: otherwise z* of a deeper layer or a later call would also answer to
    another choice of neurons before it.
    """
    modules = {name: module for name, module in model.named_modules() if isinstance(module, MEmeL)}
    if not modules or not all(module.training for module in modules.values()):
        found = "one in evaluation mode" if modules else "no MEmeL"
        raise ValueError(f"found {found}, expected a model in training mode with MEmeL modules")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters]
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict())) if restore else None
    strengths = {name: (module.strength, module.selector) for name, module in modules.items()}
    recorders = {name: _Recorder(modify=strength is not None) for name in modules}
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    try:
        for name, module in modules.items():
            module.strength = module.strength if strength is None else float(strength)
            module.selector = recorders[name].first
        with torch.random.fork_rng(devices):
            optimizer.zero_grad(set_to_none=True)
            batch_loss().backward()  # type: ignore[no-untyped-call]
        if before_step is not None:
            before_step()
        optimizer.step()
        buffers = copy.deepcopy(dict(model.named_buffers()))
        for name, module in modules.items():
            module.selector = recorders[name].second
        with torch.random.fork_rng(devices), torch.no_grad():
            batch_loss()
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
    finally:
        for name, module in modules.items():
            module.strength, module.selector = strengths[name]
            module._replay = Replay()
        if before is not None:
            model.load_state_dict(before[0])
            optimizer.load_state_dict(before[1])
            for p, gradient in zip(parameters, gradients, strict=True):
                p.grad = gradient
    return {name: recorder.effect(name) for name, recorder in recorders.items()}


class _Recorder:
    """The selector of one module: notes what it selects in the first pass, and repeats it in the second."""

    def __init__(self, modify: bool) -> None:
        self.modify = modify
        self.calls: list[tuple[Selection, Tensor, Tensor, Tensor]] = []
        self.after: list[Tensor] = []

    def first(self, memel: MEmeL, z: Tensor) -> Selection:
        memel.statistics.begin(z)
        mean, weight = _statistics(memel)
        selection = memel.observe(z)
        if memel.statistics.order == "reference":
            mean, weight = _statistics(memel)
        at = selection.positions
        self.calls.append((selection, _at(memel, z, at), mean[at], weight[at]))
        return self._applied(selection)

    def second(self, memel: MEmeL, z: Tensor) -> Selection:
        if len(self.after) == len(self.calls) or z.shape[0] != len(self.calls[len(self.after)][1]):
            raise RuntimeError("the second pass called a module otherwise than the first: is it the same batch?")
        selection = self.calls[len(self.after)][0]
        self.after.append(_at(memel, z, selection.positions))
        return self._applied(selection)

    def _applied(self, selection: Selection) -> Selection:
        return selection if self.modify else selection._replace(active=torch.zeros_like(selection.active))

    def effect(self, name: str) -> InhibitionEffect:
        if len(self.after) != len(self.calls):
            raise RuntimeError(f"{name!r} was called {len(self.calls)} times, then {len(self.after)}: one batch?")
        columns: list[list[Tensor]] = [[torch.empty(0)] for _ in range(4)]
        for (selection, value, mean, weight), after in zip(self.calls, self.after, strict=True):
            for column, of_all in enumerate((value, after)):
                scale = ((of_all - mean[:, :, None]).square() * weight[:, :, None]).mean(2)
                columns[column].append(of_all.mean(2)[selection.active])
                columns[column + 2].append(scale[selection.active])
        return InhibitionEffect(*(torch.cat([part.cpu() for part in column]) for column in columns))


def _statistics(memel: MEmeL) -> tuple[Tensor, Tensor]:
    mean, variance = memel.statistics.mean.reshape(-1), memel.statistics.variance.reshape(-1)
    return mean.clone(), inverse_variance(variance, memel.epsilon)


def _at(memel: MEmeL, z: Tensor, positions: Tensor) -> Tensor:
    """The values at the positions, (B, n, S), in the precision of the statistics; S is 1 but for channels."""
    rows = by_neuron(z.detach(), memel.statistics.neuron)
    rows = rows.reshape(*rows.shape[:2], -1)
    chosen = rows.gather(1, positions[:, :, None].expand(-1, -1, rows.shape[2]))
    return chosen.to(torch.promote_types(z.dtype, memel.statistics.mean.dtype))


def _finite_mean(ratios: Tensor) -> float:
    return ratios[ratios.isfinite()].double().mean().item()
