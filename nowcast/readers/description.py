"""`radar.yaml`: what a source states about itself, in a file beside its frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from nowcast.complaints import complaints
from nowcast.config import Description
from nowcast.errors import NowcastError
from nowcast.radar.times import parse_days
from nowcast.readers.source import Rain, SourceOptions
from nowcast.strict_yaml import load_yaml
from nowcast.units import ZRRelation

DESCRIPTION = "radar.yaml"
Positive = Annotated[float, Field(gt=0)]
Level = Annotated[int, Field(ge=0, le=65535)]
T = TypeVar("T", bound="RadarDescription")


def _days(given: Any) -> Any:
    """Days as YAML has them (dates, or text such as 2018-07-21..2018-07-24) as text."""
    if isinstance(given, dict):
        return {
            name: [str(day) for day in days] if isinstance(days, list) else [str(days)] for name, days in given.items()
        }
    return given


def _listed(given: Any) -> Any:
    return given if isinstance(given, list | tuple) else [given]


class RadarDescription(Description):
    """Facts about a radar that its frames do not state. A user's options win over them.

    interval: minutes between frames. center, pixel, crs: see `SourceOptions`. zr: a and b of Z = a R^b.
    time_stamp: what the time of a frame stands for. splits: name → days. attributes: CF global attributes.
    """

    interval: Positive | None = None
    center: tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=360)]] | None = None
    pixel: Positive | None = None
    crs: str | None = None
    zr: tuple[Positive, Positive] | None = None
    time_stamp: str | None = None
    splits: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_days)] = {}
    attributes: dict[str, str | float] = {}

    def options(self, stated: SourceOptions) -> SourceOptions:
        """What the user states, and for the rest what this description does."""
        interval = None if self.interval is None else np.timedelta64(round(self.interval * 60), "s")
        zr = None if self.zr is None else ZRRelation(*self.zr)
        merged = replace(
            stated, zr=stated.zr or zr, interval=stated.interval if stated.interval is not None else interval
        )
        if stated.site is not None:
            return merged
        return replace(
            merged,
            center=stated.center if stated.center is not None else self.center,
            pixel=stated.pixel if stated.pixel is not None else self.pixel,
            crs=stated.crs if stated.crs is not None else self.crs,
        )

    def split_days(self, path: Path) -> dict[str, Rain]:
        """Split name → days, their rain not known; NowcastError names a day that is none."""
        splits: dict[str, Rain] = {}
        for name, days in self.splits.items():
            try:
                splits[name] = {day: float("nan") for text in days for day in parse_days(text)}
            except ValueError as error:
                raise NowcastError(f"{path}: splits.{name}: {error}") from None
        return splits


class Linear(Description):
    """value = slope · level + offset."""

    slope: float
    offset: float = 0.0


class ImagesDescription(RadarDescription):
    """A folder of gray images.

    folder: where they lie, relative to this file; subfolders in the order of time. time: pattern of a file's name,
    with %Y %y %m %d %j %H %M %S as in strptime and * for what varies otherwise; utc_offset: hours that its clock is
    ahead of UTC. unit: of the values; linear or table: gray level → value. no_echo, missing: gray levels
    that mean no echo, and unseen. bounds: west, south, east, north, outer edges in units of crs, instead of center
    and pixel. static_mask: an image of the same size, 0 = never use.
    """

    folder: str = "."
    time: str
    utc_offset: Annotated[float, Field(ge=-24, le=24)] = 0.0
    unit: Literal["dBZ", "mm/h"]
    linear: Linear | None = None
    table: dict[Level, float] | None = None
    no_echo: Annotated[tuple[Level, ...], BeforeValidator(_listed)] = ()
    missing: Annotated[tuple[Level, ...], BeforeValidator(_listed)] = ()
    bounds: tuple[float, float, float, float] | None = None
    static_mask: str | None = None

    @model_validator(mode="after")
    def _without_contradictions(self) -> Self:
        if self.interval is None:
            raise ValueError("interval is missing; give the minutes from frame to frame")
        if (self.linear is None) == (self.table is None):
            found = "neither linear nor table is" if self.table is None else "linear and table are both"
            raise ValueError(f"{found} given; give one of them, to say what a gray level means in {self.unit}")
        if self.unit == "mm/h" and self.zr is not None:
            raise ValueError("zr is given for frames in mm/h, which need no Z-R relation; remove zr, or set unit: dBZ")
        if self.bounds is not None and (self.center is not None or self.pixel is not None):
            raise ValueError("bounds are given beside center or pixel; give either bounds, or center and pixel")
        both = set(self.no_echo) & set(self.missing)
        if both:
            raise ValueError(f"gray level {min(both)} is in no_echo and in missing; put it into one of them")
        return self


def read_description(path: Path, kind: type[T], name: str) -> T:
    """A radar.yaml as a description of `kind`; NowcastError with one sentence where it is not. `name`: of what."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise NowcastError(f"{path} cannot be read ({error})") from None
    except ValueError as error:
        raise NowcastError(f"{path} is not valid YAML: {error}") from None
    try:
        return kind.model_validate({} if content is None else content)
    except ValidationError as error:
        raise NowcastError(f"{path}: {complaints(error, kind, name)}") from None


def stated_by(value: object, described: object) -> str:
    """Who states a fact, in words: the user, where it is not what the description says."""
    return f"stated by {DESCRIPTION}" if value == described else "stated by the user"
