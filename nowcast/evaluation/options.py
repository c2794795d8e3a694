"""What an evaluation may be told: one description, checked before anything is loaded. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from nowcast.complaints import complaints
from nowcast.config import Description
from nowcast.errors import NowcastError
from nowcast.units import THRESHOLDS

Family = Literal["basic", "gdl", "fss", "ssim", "spectrum", "ensemble"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Score families: balanced, plain and categorical scores (always), and those that cost more."""

PROTOCOLS: tuple[str, ...] = ("fixed", "online")
TREATMENTS: tuple[str, ...] = ("common", "persistence")
"""Unknown pixels. common: a pixel that any forecaster of the call leaves unknown is scored for none of them, at that
window and lead time. persistence: unknown pixels take the value seen there last, and no echo where nothing was ever
seen, so that all valid pixels are scored and the sums compare with published ones."""

Span = tuple[int, int]


class Adaptation(Description):
    """How a run learns in the online protocol: AdaGrad `steps` of `learning_rate` before every forecast."""

    learning_rate: float = Field(1e-4, gt=0)
    steps: int = Field(1, ge=0)


class EvaluationOptions(Description):
    """How forecasters are evaluated; what is None comes from the runs, which must then agree.

    Attributes:
        split: split of the archive.
        protocol: "fixed", or "online": windows in order of time, runs adapt to what they have seen of an episode.
        checkpoint: "best" or "last", of the runs.
        observed, forecast: frames of a window before and after the issue; without a run 5 and 20.
        rows, columns: half-open part of the frames that forecasters see.
        whole: the whole frame instead, whatever the runs' crop.
        masks: "static", or "frame" for every frame's own mask.
        stride, max_missing: frames between windows, and missing frames in a row that a window may hold.
        score_rows, score_columns: score only this half-open part of what the forecasters see.
        thresholds: rain rates in mm/h, each once.
        families: score families; basic scores are always there.
        unknown: "persistence" or "common", see docs/verification.md.
        adaptation: of runs, in the online protocol.
        batch_size: windows forecast at a time; S-PROG and ensembles are always asked window by window.
        beyond_training: forecast more frames, or smaller ones, than a run was trained for; the scores say so.
        device: for the networks; "auto" takes a GPU when there is one.
        cases: keep the fields of the heaviest, best, median and worst window.
    """

    split: str = "test"
    protocol: Literal["fixed", "online"] = "fixed"
    checkpoint: Literal["best", "last"] = "best"
    observed: int | None = Field(None, ge=1)
    forecast: int | None = Field(None, ge=1)
    rows: Span | None = None
    columns: Span | None = None
    whole: bool = False
    masks: Literal["static", "frame"] | None = None
    stride: int | None = Field(None, ge=1)
    max_missing: int | None = Field(None, ge=0)
    score_rows: Span | None = None
    score_columns: Span | None = None
    thresholds: tuple[float, ...] = THRESHOLDS
    families: tuple[Family, ...] = FAMILIES
    unknown: Literal["persistence", "common"] = "persistence"
    adaptation: Adaptation = Adaptation()
    batch_size: int | None = Field(None, ge=1)
    beyond_training: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cases: bool = True

    @classmethod
    def of(
        cls, options: EvaluationOptions | None = None, changes: Mapping[str, Any] | None = None
    ) -> EvaluationOptions:
        """Options with some of them changed; NowcastError in one sentence where one is not possible."""
        base = {} if options is None else {name: getattr(options, name) for name in options.model_fields_set}
        try:
            return cls(**{**base, **(changes or {})})
        except ValidationError as error:
            raise NowcastError(complaints(error, cls, "an evaluation")) from None

    @field_validator("thresholds")
    @classmethod
    def _each_threshold_once(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        for rate in thresholds:
            if not 0 < rate < float("inf"):
                raise ValueError(f"{rate:g} is not a rain rate to tell events by; expected mm/h above 0")
            if thresholds.count(rate) > 1:
                raise ValueError(f"{rate:g} mm/h stands {thresholds.count(rate)} times; give every threshold once")
        return thresholds

    @field_validator("score_rows", "score_columns")
    @classmethod
    def _span(cls, span: Span | None) -> Span | None:
        if span is not None and not 0 <= span[0] < span[1]:
            raise ValueError(f"{list(span)} is not a span of pixels; expected first, last + 1 with first < last + 1")
        return span

    @model_validator(mode="after")
    def _whole_or_crop(self) -> Self:
        if self.whole and (self.rows or self.columns):
            raise ValueError("whole forecasts the whole frame; give it or rows and columns, not both")
        return self
