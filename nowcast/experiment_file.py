"""Reading experiment files: `extends` and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nowcast.complaints import complaints
from nowcast.config import Experiment
from nowcast.errors import NowcastError
from nowcast.shipped_configs import experiment_path
from nowcast.strict_yaml import load_yaml


def read_experiment(path: str | Path, overrides: Mapping[str, Any] | Sequence[str] | None = None) -> Experiment:
    """Read an experiment file.

    Args:
        path: a YAML file, or the short name of a shipped one (`hko7/convgru-memel`). `extends: other.yaml` in it is
            relative to that file, and what it says replaces what the other says, key by key.
        overrides: dotted keys and values (`{"training.steps": 100}`) or strings (`["training.steps=100"]`, the
            value read as YAML); a number is a place in a list (`model.levels.0.hidden=5`).

    Raises:
        NowcastError: the file is missing, is not YAML, or does not describe a valid experiment.
    """
    content = _read_extended(experiment_path(path), ())
    for key, value in parse_overrides(overrides or ()):
        _put(content, key, value)
    return experiment_from(content, str(path))


def experiment_from(content: Mapping[str, Any], source: str) -> Experiment:
    """The experiment of plain data read from `source`, or NowcastError naming every wrong key."""
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise NowcastError(f"{source}: {complaints(error)}") from None


def _read_extended(path: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in [reader.resolve() for reader in readers]:
        raise NowcastError(f"{path} extends itself; an experiment file can only extend another")
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if readers:
            raise NowcastError(f"{readers[-1]} extends {path}, which does not exist; mend extends") from None
        raise NowcastError(
            f"{path} does not exist; expected an experiment file (YAML) or one of those that `nowcast configs` lists"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NowcastError(f"{path} cannot be read as an experiment file: {error}") from None
    except ValueError as error:
        raise NowcastError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise NowcastError(f"{path} holds {found}, expected the keys of an experiment (name, data, model, …)")
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise NowcastError(f"{path}: extends is {base!r}, expected the path of another experiment file")
    return _merged(_read_extended(path.parent / base, (*readers, path)), content)


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def parse_overrides(overrides: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Any]]:
    """Dotted keys and values; those of strings such as "training.steps=100" are read as YAML."""
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise NowcastError(f"--set {text} is not of the form key=value, such as training.steps=2000")
        try:
            pairs.append((key.strip(), load_yaml(value)))
        except ValueError:
            raise NowcastError(f"--set {text}: {value!r} is not a YAML value") from None
    return pairs


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; lists that the file leaves at their default are spelled out where a member changes."""
    *parents, last = key.split(".")
    holder: Any = content
    for depth, parent in enumerate(parents):
        path, following = ".".join(parents[: depth + 1]), [*parents[depth + 1 :], last][0]
        inner = _member(holder, parent, key)
        if inner is None:
            inner = _default_list(parents[: depth + 1]) if following.isdigit() else {}
        if not isinstance(inner, dict | list):
            raise NowcastError(f"{key} cannot be set: {path} is {inner!r}, expected keys and values")
        _set(holder, parent, inner)
        holder = inner
    _member(holder, last, key)
    _set(holder, last, value)


def _member(holder: dict[str, Any] | list[Any], part: str, key: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(part)
    if not part.isdigit() or int(part) >= len(holder):
        raise NowcastError(
            f"{key} cannot be set: it leads into a list, where {part} is not a place; expected 0 to {len(holder) - 1}"
        )
    return holder[int(part)]


def _set(holder: Any, part: str, value: Any) -> None:
    holder[part if isinstance(holder, dict) else int(part)] = value


def _default_list(parts: list[str]) -> Any:
    """What a key holds by default, as plain data, where that is a list; else nothing."""
    default: Any = Experiment(name="default").plain()
    for part in parts:
        default = default.get(part) if isinstance(default, dict) else None
    return default if isinstance(default, list) else {}
