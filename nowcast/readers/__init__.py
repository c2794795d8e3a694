"""Radar formats: one file each, none of which knows the archive."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from nowcast.errors import NowcastError

if TYPE_CHECKING:
    from nowcast.readers.source import Reader, Source, SourceOptions

GROUP = "nowcast.readers"
"""Entry point group in which other packages name readers: `name = "package.module:ReaderClass"`."""


@dataclass(frozen=True)
class Format:
    """A format by name: where its reader is ("module:name", imported when it is needed), and what it reads."""

    reader: str
    about: str


READERS: Mapping[str, Format] = MappingProxyType(
    {
        "hko7": Format("nowcast.readers.hko7:Hko7Source", "PNG frames and masks in the layout of the HKO-7 benchmark"),
        "images": Format("nowcast.readers.images:ImagesSource", "a folder of gray images that a radar.yaml describes"),
    }
)
"""The formats that come with the project; a new one is one file here and one line above."""


def format_names() -> list[str]:
    """Names of all formats: the project's, then those of installed packages, which cannot take one of the project's."""
    return [*READERS, *sorted(set(_installed()) - set(READERS))]


def load_reader(name: str) -> Reader:
    """The reader of a format; NowcastError lists the names there are."""
    # Other packages are asked only for names that are not the project's: finding them takes a tenth of a second.
    installed = {} if name in READERS else _installed()
    if name not in READERS and name not in installed:
        raise NowcastError(f"unknown radar format {name!r}; expected one of {', '.join(format_names())}")
    target = READERS[name].reader if name in READERS else installed[name].value
    module, _, attribute = target.partition(":")
    try:
        reader: Reader = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise NowcastError(f"the reader of format {name!r}, {target}, cannot be imported ({error})") from error
    return reader


def open_source(format: str | Reader, path: str | Path, options: SourceOptions | None = None) -> Source:
    """The radar files at `path`, of a format by name or by its reader; NowcastError where they are not of it."""
    from nowcast.readers.source import SourceOptions

    reader = load_reader(format) if isinstance(format, str) else format
    return reader.open(Path(path), options or SourceOptions())


def recognized_format(path: Path) -> str | None:
    """Name of the first format of the project that a folder or file looks like."""
    return next((name for name in READERS if load_reader(name).recognizes(path)), None)


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
