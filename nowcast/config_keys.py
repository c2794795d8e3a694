"""What the keys of an experiment file take, as the descriptions say it: for complaints and for docs/config.md."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from nowcast.config import NAME_PATTERN, Description, Experiment

_PATTERNS = {NAME_PATTERN: "a name of letters, digits, . _ + and -, beginning with a letter or digit"}


_HEAD = """# Keys of an experiment file

An experiment file is YAML and describes one training run, whole. `extends: other.yaml` takes everything from another
file but for what it says itself; `nowcast train FILE --set training.steps=2000` changes a key for one run, where a
number is a place in a list (`model.levels.0.hidden=16`). `nowcast configs` lists the files that come with the project,
`nowcast configs NAME` prints one with every default spelled out, `nowcast train NAME --dry-run` tells what it would
do. This page is what `nowcast configs --schema` prints."""


def expected(field: FieldInfo) -> str:
    """What a key takes, in words: "a whole number of at least 1", "static or frame", "text, or null"."""
    return _expected(field.annotation, list(field.metadata))


def expected_member(field: FieldInfo, place: int) -> str:
    """What the member at a place takes, for a key that takes a list."""
    inner, metadata = _unwrapped(field.annotation, list(field.metadata))
    lists = [get_args(part) for part in (inner, *get_args(inner)) if get_origin(part) is tuple]
    if not lists:
        return _expected(inner, metadata)
    return _expected(lists[0][0 if lists[0][-1] is ... else min(place, len(lists[0]) - 1)], [])


def meaning(field: FieldInfo) -> str:
    """The docstring of a key, on one line; empty where it has none."""
    return " ".join((field.description or "").split())


def reference() -> str:
    """Every key of an experiment file with type, default and meaning, as Markdown."""
    lines = [_line(name, field) for name, field in Experiment.model_fields.items()]
    parts = [part for name, field in Experiment.model_fields.items() for part in _inside(name, field, 2)]
    return "\n\n".join([_HEAD, "\n".join(lines), *parts])


def described_by(annotation: Any) -> list[type[Description]]:
    """The Description classes in an annotation, looking through optional, union and tuple."""
    if isinstance(annotation, type) and issubclass(annotation, Description):
        return [annotation]
    return [found for part in get_args(annotation) for found in described_by(part)]


def _expected(annotation: Any, metadata: list[Any]) -> str:
    annotation, metadata = _unwrapped(annotation, metadata)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        null = ", or null" if type(None) in parts else ""
        if len(choices := described_by(annotation)) > 1:
            return _keys(list(dict.fromkeys(name for choice in choices for name in choice.model_fields))) + null
        return " or ".join(_expected(part, metadata) for part in parts if part is not type(None)) + null
    if origin is Literal:
        return _one_of([str(value) for value in parts])
    if origin is tuple and parts[-1] is not ...:
        return f"a list of {len(parts)}: {_expected(parts[0], [])} each" if parts else "an empty list"
    if origin is tuple:
        return f"a list, each of it {_expected(parts[0], [])}"
    if isinstance(annotation, type) and issubclass(annotation, Description):
        return _keys(list(annotation.model_fields))
    for pattern in (getattr(item, "pattern", None) for item in metadata):
        if pattern is not None:
            return _PATTERNS.get(pattern, f"text of the form {pattern}")
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(annotation, "keys and values") + (_bounds(metadata) if annotation in (int, float) else "")


def _unwrapped(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for item in more:
            metadata = [*metadata, *(item.metadata if isinstance(item, FieldInfo) else [item])]
    return annotation, metadata


def _bounds(metadata: list[Any]) -> str:
    """The range of a number: " of at least 1", " from 0 to 20", " above 0 and below 1"."""
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    limits = {name: getattr(item, name) for name in words for item in metadata if hasattr(item, name)}
    if {"ge", "le"} <= set(limits):
        return f" from {limits['ge']} to {limits['le']}"
    return " and".join(f" {words[name]} {limit}" for name, limit in limits.items())


def _keys(names: list[str]) -> str:
    return f"keys and values ({', '.join(names)})"


def _one_of(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _sections(description: type[Description], prefix: str, title: str, depth: int) -> Iterator[str]:
    """The section of a description, then those of the descriptions inside it."""
    yield f"{'#' * depth} {title}\n\n{_paragraph(description)}"
    yield "\n".join(_line(prefix + name, field) for name, field in description.model_fields.items())
    for name, field in description.model_fields.items():
        yield from _inside(prefix + name, field, depth + 1)


def _inside(path: str, field: FieldInfo, depth: int) -> Iterator[str]:
    """Sections of what a key holds; of a choice between networks first what all of them share."""
    choices = described_by(field.annotation)
    if len(choices) == 1:
        listed = "tuple" in str(field.annotation)
        yield from _sections(choices[0], f"{path}[]." if listed else f"{path}.", f"`{path}`", depth)
    elif choices:
        first, *others = choices
        shared = {n: f for n, f in first.model_fields.items() if all(n in other.model_fields for other in others)}
        base = next(parent for parent in first.__mro__[1:] if all(issubclass(other, parent) for other in others))
        networks = _one_of([_tag(choice) for choice in choices])
        yield f"{'#' * depth} `{path}`\n\n{_paragraph(base)}"
        what = meaning(first.model_fields["network"])
        lines = [f"- `{path}.network`: {networks}; default {json.dumps(_tag(first))}. {what}"]
        lines += [_line(f"{path}.{name}", f) for name, f in shared.items() if name != "network"]
        yield "\n".join(lines)
        for name, f in shared.items():
            yield from _inside(f"{path}.{name}", f, depth + 1)
        for choice in choices:
            own = {n: f for n, f in choice.model_fields.items() if n not in shared}
            yield f"{'#' * (depth + 1)} `{path}` with `network: {_tag(choice)}`\n\n{_paragraph(choice)}"
            if own:
                yield "\n".join(_line(f"{path}.{name}", f) for name, f in own.items())


def _tag(choice: type[Description]) -> str:
    return str(get_args(choice.model_fields["network"].annotation)[0])


def _paragraph(description: type[Description]) -> str:
    paragraphs = (description.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _line(path: str, field: FieldInfo) -> str:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    kind = "see below" if described_by(field.annotation) else expected(field)
    if isinstance(default, Description):
        return f"- `{path}`: {kind}. {meaning(field)}"
    if field.is_required():
        return f"- `{path}`: {kind}; required. {meaning(field)}"
    if isinstance(default, tuple) and default and isinstance(default[0], Description):
        return f"- `{path}`: {kind}; default {len(default)} of them. {meaning(field)}"
    return f"- `{path}`: {kind}; default {json.dumps(default, ensure_ascii=False)}. {meaning(field)}"
