"""What is wrong with a description, in the words of its file: full path of the key, what was found, what expected."""

from __future__ import annotations

import difflib
import json
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from nowcast.config import Description, Experiment
from nowcast.config_keys import described_by, expected, expected_member


def complaints(error: ValidationError, about: type[Description] = Experiment, name: str = "an experiment") -> str:
    """What is wrong with a description of the class `about`, in the words of the file; `name`: what it describes."""
    errors = error.errors()
    # A wrong part makes its parent wrong too: only the innermost complaint helps.
    inner = [e for e in errors if not any(_is_inside(other["loc"], e["loc"]) for other in errors)]
    return "; ".join(_say(e, about, name) for e in inner)


def _is_inside(location: tuple[int | str, ...], parent: tuple[int | str, ...]) -> bool:
    return len(location) > len(parent) and location[: len(parent)] == parent


def _say(error: Any, about: type[Description], name: str) -> str:
    path, holder = _located(error["loc"], about)
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = list(holder.model_fields) if holder is not None else []
        close = difflib.get_close_matches(path[-1], known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{key} is not a key of {name}; {advice}"
    if error["type"] == "union_tag_invalid":
        tags = " or ".join(error["ctx"]["expected_tags"].rsplit(", ", 1)).replace("'", "")
        return f"{key}.{error['ctx']['discriminator'].strip(chr(39))} is {error['ctx']['tag']!r}, expected {tags}"
    if error["type"] == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    wanted = _wanted(path, holder) or error["msg"].removeprefix("Input should be ")
    if error["type"] == "missing":
        return f"{key} is missing, expected {wanted}"
    return f"{key} is {_shown(error['input'])}, expected {wanted}"


def _wanted(path: list[str], holder: type[Description] | None) -> str | None:
    """What the key takes, or the member of a list; None where the key is not known."""
    names = [part for part in path if not part.isdigit()]
    field = holder.model_fields.get(names[-1]) if holder is not None and names else None
    if field is None:
        return None
    return expected_member(field, int(path[-1])) if path[-1].isdigit() else expected(field)


def _shown(value: Any) -> str:
    """A value as a file would hold it; long ones are cut."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


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
            field = holder.model_fields.get(part) if holder is not None else None
            inside = described_by(field.annotation) if field is not None else []
    return path, holder


def _tags(description: type[Description]) -> list[str]:
    annotations = [field.annotation for field in description.model_fields.values()]
    return [tag for annotation in annotations if get_origin(annotation) is Literal for tag in get_args(annotation)]
