"""What makes a run this run: a digest of everything that it learns from, unmoved by keys that later versions add."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nowcast.config import Experiment
from nowcast.training.begin import MAY_CHANGE

FREE = MAY_CHANGE - {"training.steps", "data.archive"} | {"name"}
"""Keys that make no difference to what a run learns."""

FIRST_KEYS = frozenset(
    """
    seed start_from start_at
    data data.archive data.observed data.forecast data.rows data.columns data.masks data.max_missing
    model model.levels model.negative_slope model.activation_before_gates
    model.levels.features model.levels.kernel model.levels.stride model.levels.hidden model.levels.input_kernel
    model.levels.state_kernel model.levels.upsample_features model.levels.upsample_kernel
    model.memel model.memel.placement model.memel.neurons model.memel.strength model.memel.forget_step
    model.memel.late_start model.memel.epsilon model.memel.order model.memel.inhibit_in_eval model.memel.neuron
    training training.steps training.batch_size training.learning_rate training.decay_factor training.decay_every
    training.clip_value training.loss_weight training.precision training.validate_every
    evaluation evaluation.stride evaluation.max_missing
    """.split()
)
"""Keys of the first version, which always count. The list is closed: a key that is not in it counts only where it
differs from its default, so a new key gives no finished run another identity."""


def identity(experiment: Experiment, seed: int, data: str, parent: str | None) -> str:
    """SHA-256 of what a run learns.

    Args:
        experiment: one phase; its own seed, archive and `start_from` do not count.
        seed: of the run.
        data: fingerprint of the archive.
        parent: identity of the run that it starts from.
    """
    content = experiment.plain()
    content |= {"seed": seed, "start_from": parent}
    content["data"]["archive"] = data
    changed = experiment.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(_counting(content, changed), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _counting(content: Any, changed: Any, path: str = "") -> Any:
    """The part of `content` that counts; `changed` is what of it differs from the defaults."""
    if isinstance(content, dict):
        known = changed if isinstance(changed, dict) else {}
        keys = {key: f"{path}.{key}".lstrip(".") for key in content}
        return {
            key: _counting(value, known.get(key), keys[key])
            for key, value in content.items()
            if keys[key] not in FREE and (keys[key] in FIRST_KEYS or key in known)
        }
    if isinstance(content, list) and isinstance(changed, list):
        return [_counting(one, other, path) for one, other in zip(content, changed, strict=True)]
    return [_counting(one, None, path) for one in content] if isinstance(content, list) else content
