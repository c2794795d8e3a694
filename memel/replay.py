"""What activation checkpointing needs: a forward that is run again must do what it did the first time.

`torch.utils.checkpoint` drops the activations of a region and runs its forward a second time inside the backward. The
second run must not absorb the batch again, and must deactivate the same neurons with the same means although the
statistics have moved on since; otherwise the gradients belong to another function. So the first run leaves a record of
a few numbers a sample, and the second finds it by a fingerprint of its input. The order of calls would not do: regions
are run again last to first, the calls inside one first to last, and not always all of them.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from typing import Any, NamedTuple

import torch
from torch import Tensor

PROBES = 8
BOUND = 512  # records kept: bounds memory; a graph rarely calls one module so often
TOLERANCE = 1e-2  # relative; the second run of a deterministic region is equal, of others equal up to rounding


class Selection(NamedTuple):
    """Neurons chosen in a batch: positions (B, n) int64, values (B, n) to take, active (B, n) bool."""

    positions: Tensor
    values: Tensor
    active: Tensor


class _Record:
    def __init__(self, fingerprint: Tensor, selection: Selection) -> None:
        self.fingerprint = fingerprint
        self.selection = selection
        self.replayed = False


def running_again() -> bool:
    """Whether this forward runs inside a backward, as only a recomputed one does."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


def may_run_again() -> bool:
    """Whether a checkpoint may be around this call: no graph recorded, or saved tensors intercepted."""
    if torch.compiler.is_compiling():
        return False  # the compiler recomputes from the values the graph had, without calling the module
    if not torch.is_grad_enabled():
        return True
    intercepting = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return intercepting is None or intercepting(False) is not None


@torch.library.custom_op("memel::once", mutates_args=())
def once(count: Tensor) -> Tensor:
    """A copy of count that a compiled graph cannot compute a second time: RuntimeError inside a backward.

    Compiled code runs without the Python that replays a selection, so a checkpoint around or in it would absorb every
    batch twice and return the gradient of another function. It had better stop.
    """
    if torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            "a compiled MEmeL was run again by activation checkpointing, which would absorb the batch twice: "
            "compile without checkpoint (torch.compile plans its own recomputation), or checkpoint uncompiled"
        )
    return count.clone()


@once.register_fake
def _(count: Tensor) -> Tensor:
    return torch.empty_like(count)


class Replay:
    """The selections of recent calls that may be run again, newest last; at most `BOUND` of them."""

    def __init__(self) -> None:
        self.records: deque[_Record] = deque(maxlen=BOUND)

    def record(self, z: Tensor, selection: Selection) -> None:
        # A new forward after a backward: what that backward has used is not needed any more.
        if any(record.replayed for record in self.records):
            self.records = deque((r for r in self.records if not r.replayed), maxlen=BOUND)
        self.records.append(_Record(_fingerprint(z), selection))

    def recall(self, z: Tensor) -> Selection | None:
        """The selection made when z, or what it equals up to rounding, was first seen; None if there is none.

        Two calls with equal inputs are told apart by order, as if each were a checkpoint of its own.
        """
        fingerprint = _fingerprint(z)
        records = [record for record in self.records if record.fingerprint.shape == fingerprint.shape]
        if records:
            found = torch.stack([record.fingerprint for record in records])
            distance = (found - fingerprint).abs().flatten(1).sum(1)
            nearest = distance.min()
            if bool(nearest <= TOLERANCE * fingerprint.abs().sum()):
                near = (distance == nearest).tolist()
                equals = [record for record, equal in zip(records, near, strict=True) if equal]
                record = next((record for record in reversed(equals) if not record.replayed), equals[-1])
                record.replayed = True
                return record.selection
        warnings.warn(
            "MEmeL ran inside a backward on an input it has no record of: it inhibits with the present "
            "statistics and absorbs nothing. Expected only the second run of a checkpointed forward.",
            stacklevel=3,
        )
        return None

    def __deepcopy__(self, memo: Any) -> Replay:
        return Replay()

    def __reduce__(self) -> tuple[type[Replay], tuple[()]]:
        return Replay, ()


def _fingerprint(z: Tensor) -> Tensor:
    # A few values and the sum of each sample: (B, PROBES + 1) at most.
    flat = z.detach().reshape(z.shape[0], math.prod(z.shape[1:]))
    probes = flat[:, :: max(1, flat.shape[1] // PROBES)][:, :PROBES].float()
    return torch.cat([probes, flat.sum(1, keepdim=True, dtype=torch.float32)], 1).nan_to_num()
