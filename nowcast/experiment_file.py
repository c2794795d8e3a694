"""Reading experiment files: `extends`, overrides, and complaints in the words of the file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import ValidationError

from nowcast.config import Description, Experiment
from nowcast.errors import NowcastError
from nowcast.shipped_configs import experiment_path


def read_experiment(path: str | Path, overrides: Mapping[str, Any] | Sequence[str] | None = None) -> Experiment:
    """Read an experiment file.

    Args:
        path: a YAML file, or the short name of a shipped one (`hko7/convgru-memel`). `extends: other.yaml` in it is
            relative to that file, and what it says replaces what the other says, key by key.
        overrides: dotted keys and values (`{"training.steps": 100}`) or strings (`["training.steps=100"]`, the
            value read as YAML).

    Raises:
        NowcastError: the file is missing, is no YAML, or describes no valid experiment.
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


def complaints(error: ValidationError, about: type[Description] = Experiment, name: str = "an experiment") -> str:
    """What is wrong with a description of the class `about`, in the words of the file; `name`: what it describes."""
    errors = error.errors()
    # A wrong part makes its parent wrong too: only the innermost complaint helps.
    inner = [e for e in errors if not any(_is_inside(other["loc"], e["loc"]) for other in errors)]
    return "; ".join(_say(e, about, name) for e in inner)


def _read_extended(path: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in readers:
        raise NowcastError(f"{path} extends itself; an experiment file can only extend another")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NowcastError(f"{path} does not exist; expected an experiment file (YAML)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NowcastError(f"{path} cannot be read as an experiment file: {error}") from None
    except yaml.YAMLError as error:
        raise NowcastError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise NowcastError(f"{path} holds {found}, expected the keys of an experiment (name, data, model, …)")
    base = content.pop("extends", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise NowcastError(f"{path}: extends is {base!r}, expected the path of another experiment file")
    return _merged(_read_extended(path.parent / base, (*readers, path.resolve())), content)


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
            pairs.append((key.strip(), yaml.safe_load(value)))
        except yaml.YAMLError:
            raise NowcastError(f"--set {text}: {value!r} is not a YAML value") from None
    return pairs


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(content.get(parent), dict):
            content[parent] = {}
        content = content[parent]
    content[last] = value


def _is_inside(location: tuple[int | str, ...], parent: tuple[int | str, ...]) -> bool:
    return len(location) > len(parent) and location[: len(parent)] == parent


def _say(error: Any, about: type[Description], name: str) -> str:
    """One complaint of pydantic in the words of the file: the key's full path, what was found, what was expected."""
    path, holder = _located(error["loc"], about)
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = list(holder.model_fields) if holder is not None else []
        close = difflib.get_close_matches(path[-1], known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{key} is not a key of {name}; {advice}"
    if error["type"] == "missing":
        return f"{key} is missing; every {name.partition(' ')[2]} needs it"
    if error["type"] == "union_tag_invalid":
        expected = " or ".join(error["ctx"]["expected_tags"].rsplit(", ", 1))
        return f"{key}.{error['ctx']['discriminator'].strip(chr(39))} is {error['ctx']['tag']!r}, expected {expected}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:2] != message[:2].upper() else message
    found = error["input"]
    if error["type"] == "value_error" or isinstance(found, Mapping):
        return f"{key}: {message}" if key else message
    return f"{key} is {found!r}, {message.replace('input should be', 'expected')}"


def _located(location: tuple[int | str, ...], about: type[Description]) -> tuple[list[str], type[Description] | None]:
    """The path of a key as files write it, and the class of the description that holds the key.

    pydantic puts the tag of a tagged union (`convgru`) behind the union's key; no file does.
    """
    path: list[str] = []
    holder: type[Description] | None = None
    inside: list[type[Description]] = [about]
    for part in location:
        tagged = [choice for choice in inside if len(inside) > 1 and part in _tags(choice)]
        if tagged:
            inside = tagged
            continue
        path.append(str(part))
        if isinstance(part, str):
            holder = inside[0] if inside else None
            inside = _described_by(holder, part)
    return path, holder


def _tags(description: type[Description]) -> list[str]:
    return [tag for field in description.model_fields.values() if get_origin(field.annotation) is Literal
            for tag in get_args(field.annotation)]  # fmt: skip


def _described_by(holder: type[Description] | None, key: str) -> list[type[Description]]:
    """The Description classes behind `holder.key`, looking through optional, union and tuple annotations."""
    if holder is None or key not in holder.model_fields:
        return []
    found: list[type[Description]] = []
    pending: list[Any] = [holder.model_fields[key].annotation]
    while pending:
        annotation = pending.pop(0)
        if isinstance(annotation, type) and issubclass(annotation, Description):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found
