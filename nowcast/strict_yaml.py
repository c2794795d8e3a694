"""YAML as people write it: a key that stands twice is a mistake, not a change of mind."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """The safe loader, but for keys that stand twice in one mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in lines:
                raise _Twice(f"the key {key.value} stands twice, in lines {lines[name]} and {line}; remove one of them")
            lines[name] = line
        return super().construct_mapping(node, deep)


class _Twice(yaml.YAMLError):
    pass


def load_yaml(text: str) -> Any:
    """Plain data from YAML text; ValueError in one line where it is not valid, or a key stands twice in a mapping.

    >>> load_yaml("a: {b: 1}")
    {'a': {'b': 1}}
    """
    try:
        return yaml.load(text, _Loader)
    except _Twice as error:
        raise ValueError(str(error)) from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).replace(' in "<unicode string>",', " in").split())) from None
