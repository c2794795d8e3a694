"""Insert MEmeL after any layer of any network by name, without touching its code, and remove it again."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from memel.module import MEmeL

NAME = "memel"


class Attached(MEmeL):
    """A MEmeL that lives as the child `memel` of the layer whose output it inhibits."""

    def __init__(self, batch_axis: int, **options: Any) -> None:
        super().__init__(**options)
        self.batch_axis = batch_axis

    def forward(self, z: Tensor) -> Tensor:
        if self.batch_axis == 0:
            return super().forward(z)
        first = z.movedim(self.batch_axis, 0)
        inhibited = super().forward(first)
        return z if inhibited is first else inhibited.movedim(0, self.batch_axis)


def attach(model: nn.Module, layers: str | Iterable[str], *, batch_axis: int = 0, **options: Any) -> dict[str, MEmeL]:
    """Insert a MEmeL after each of the named layers of model; returns them by the layer's name.

    Args:
        layers: a name as in `model.named_modules()`, a pattern of `*`, `?`, `[…]` (`*` also crosses dots), or several
            of either; "" is the model itself. In an nn.Sequential the module sits after the last member.
        batch_axis: where the layer's output holds the batch; 1 for nn.GRU and its kin without `batch_first`.
        options: those of MEmeL.

    Raises:
        ValueError: a pattern matches nothing (the nearest names are given), a layer already has a module, or it is a
            container that is never called itself.
        TypeError: when the model is called, if a layer's output holds no tensor.

    A layer that returns a tuple, list or dict has its first tensor inhibited; the rest is left alone: `output` and not
    `h_n` of nn.GRU, whose recurrence runs inside and is not touched; the attended values of an attention layer. A
    layer that is called several times (a recurrent cell) has one module that pools all its calls.

    The module is a child named `memel` of its layer, called by a forward hook: it moves, copies, saves and trains or
    evaluates with the model. No existing key of the state dict changes, so plain weights load (strictly) into a model
    with modules, and `plain_state_dict(model)` loads into a plain one.
    """
    found = _find(model, [layers] if isinstance(layers, str) else list(layers))
    for name, layer in found.items():
        if hasattr(layer, NAME) or sum(other is layer for other in found.values()) > 1:
            raise ValueError(
                f"layer {name!r} has a member {NAME!r} already: name each layer once, or detach(model) first"
            )
    modules: dict[str, MEmeL] = {}
    for name, layer in found.items():
        module = Attached(batch_axis, **options)
        module.train(layer.training)
        layer.add_module(NAME, module)
        layer.register_forward_hook(_inhibit)
        modules[name] = module
    return modules


def detach(model: nn.Module) -> dict[str, MEmeL]:
    """Remove all that `attach` has inserted into model, statistics included; returns it by layer name."""
    removed: dict[str, MEmeL] = {}
    for name, layer in list(model.named_modules()):
        module = layer._modules.get(NAME)
        if isinstance(module, Attached):
            # By function rather than by handle: handles do not survive deepcopy and pickle, functions do.
            for key in [key for key, hook in layer._forward_hooks.items() if hook is _inhibit]:
                del layer._forward_hooks[key]
            del layer._modules[NAME]
            removed[name] = module
    return removed


def plain_state_dict(model: nn.Module) -> dict[str, Any]:
    """The state dict of model without the statistics of any MEmeL in it: weights for inference.

    It loads into the same model with, without, or with other MEmeL modules, attached or written into its code.
    """
    prefixes = tuple(f"{name}." if name else "" for name, module in model.named_modules() if isinstance(module, MEmeL))
    return {key: value for key, value in model.state_dict().items() if not key.startswith(prefixes)}


def change_first_tensor(output: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A layer's output with its first tensor changed; the same object if the change returns its argument."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, Mapping):
        members: list[tuple[Any, Any]] = list(output.items())
    else:
        members = list(enumerate(output)) if isinstance(output, (tuple, list)) else []
    for key, member in members:
        if isinstance(output, PackedSequence) or isinstance(member, PackedSequence):
            raise TypeError("found a PackedSequence, expected a padded tensor: its rows are not samples")
        if isinstance(member, Tensor):
            changed = change(member)
            return output if changed is member else _with_member(output, key, changed)
    raise TypeError(f"found an output of type {type(output).__name__}, expected a tensor in it to inhibit")


def _with_member(output: Any, key: Any, member: Tensor) -> Any:
    if isinstance(output, tuple):
        members = (*output[:key], member, *output[key + 1 :])
        return type(output)(*members) if hasattr(output, "_fields") else members
    output = copy(output)
    output[key] = member
    return output


def _inhibit(layer: nn.Module, _: Any, output: Any) -> Any:
    return change_first_tensor(output, layer.get_submodule(NAME))


def _find(model: nn.Module, patterns: list[str]) -> dict[str, nn.Module]:
    names = {name: layer for name, layer in model.named_modules() if not _inside_memel(model, name)}
    found: dict[str, nn.Module] = {}
    for pattern in patterns:
        matching = [pattern] if pattern in names else [n for n in names if n and fnmatchcase(n, pattern)]
        if not matching:
            near = difflib.get_close_matches(pattern, names, n=5, cutoff=0.3) or list(names)[1:6]
            raise ValueError(f"no layer matches {pattern!r}; the nearest names are {', '.join(map(repr, near))}")
        found.update((name, _called(name, names[name])) for name in matching)
    return found


def _inside_memel(model: nn.Module, name: str) -> bool:
    parts = name.split(".") if name else []
    return any(isinstance(model.get_submodule(".".join(parts[: i + 1])), MEmeL) for i in range(len(parts)))


def _called(name: str, layer: nn.Module) -> nn.Module:
    # A child of an nn.Sequential would become one more member of the chain; its last member has the same output.
    while isinstance(layer, nn.Sequential) and len(layer):
        layer = layer[-1]
    if isinstance(layer, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        raise ValueError(f"layer {name!r} is a {type(layer).__name__}, which is never called: name its members")
    return layer
