"""The experiment file: what to learn from, which network, how long, scored how. It describes, it does not run.

A file may `extends` another and say only what differs; unknown keys, wrong values and contradictions are refused
with their full path. Everything here is plain data, so a checkpoint holds it and loads with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
"""Names of runs: they are folders."""

Placement = Literal["candidate", "hidden", "update", "reset", "cell", "input", "forget", "output"]


def _has_boolean(value: Any) -> bool:
    return any(isinstance(part, bool) for part in (value if isinstance(value, list | tuple) else [value]))


def _mentions(kind: type, annotation: Any) -> bool:
    return annotation is kind or any(_mentions(kind, part) for part in get_args(annotation))


class Description(BaseModel):
    """A frozen part of an experiment that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _true_is_not_a_number(cls, content: Any) -> Any:
        # YAML reads yes, on and true alike, and Python counts True as 1.
        wrong = [
            InitErrorDetails(type=PydanticCustomError("boolean", "expected no boolean"), loc=(key,), input=value)
            for key, value in (content.items() if isinstance(content, Mapping) else ())
            if key in cls.model_fields and _has_boolean(value) and not _mentions(bool, cls.model_fields[key].annotation)
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return content


class DataConfig(Description):
    """Which frames, how many, which part of them."""

    archive: str | None = None
    """Folder of the radar archive; `--archive` on the command line."""
    observed: int = Field(10, ge=1)
    """Frames that a nowcast starts from."""
    forecast: int = Field(10, ge=1)
    """Frames to forecast in training and, unless asked otherwise, in scoring."""
    rows: tuple[int, int] | None = None
    """Half-open crop [first, last + 1], so that [164, 284] is the paper's 164..283; null takes all rows."""
    columns: tuple[int, int] | None = None
    """Half-open crop, as `rows`."""
    masks: Literal["static", "frame"] = "static"
    """static: the archive's static mask alone (the KDD paper); frame: each frame's own mask as well (the 2017
    benchmark).
    """
    max_missing: int = Field(0, ge=0)
    """Longest run of missing frames that a training clip may hold."""
    bridge: int | None = Field(None, ge=0)
    """Longest run of missing observed frames that is filled from its neighbors before the network sees it, in training,
    scoring and issuing alike; beyond it the network gives no answer. null leaves missing frames empty, which the
    paper does, and issues no nowcast where one is missing.
    """
    in_memory: bool | None = None
    """Whether frames are held in memory; null decides by `memory_gib`."""
    memory_gib: float = Field(8.0, gt=0)
    """Most memory, in GiB, that the frames of one split may take; more are read from disk as they are needed."""

    @field_validator("rows", "columns")
    @classmethod
    def _crop_is_a_span(cls, span: tuple[int, int] | None) -> tuple[int, int] | None:
        if span is not None and not 0 <= span[0] < span[1]:
            raise ValueError(f"{list(span)} is not a span of pixels; expected [first, last + 1], first < last + 1")
        return span


class LevelConfig(Description):
    """One resolution of the encoder-forecaster (paper: Shi et al. 2017, appendix; KDD 2024, technical report E).

    A strided convolution to `features` channels leads down to the level, a cell with `hidden` channels works on
    it, a transposed convolution to `upsample_features` channels leads up again. Kernels are square, in pixels.
    """

    features: int = Field(ge=1)
    """Channels of the convolution that leads down to this level."""
    kernel: int = Field(ge=1)
    """Side of the square kernel of that convolution, pixels."""
    stride: int = Field(ge=1)
    """Pixels of the level above that become one pixel here."""
    hidden: int = Field(ge=1)
    """Channels of the cell's state."""
    input_kernel: int = Field(3, ge=1)
    """Side of the kernel from a cell's input to its gates; odd."""
    state_kernel: int = Field(3, ge=1)
    """Side of the kernel from a cell's state to its gates; odd."""
    upsample_features: int = Field(ge=1)
    """Channels of the transposed convolution that leads up again."""
    upsample_kernel: int = Field(ge=1)
    """Side of the kernel of that transposed convolution; even or odd as `stride`."""

    @model_validator(mode="after")
    def _shapes_mirror(self) -> Self:
        if self.input_kernel % 2 == 0 or self.state_kernel % 2 == 0:
            raise ValueError(f"input_kernel {self.input_kernel} and state_kernel {self.state_kernel} must both be odd")
        if self.stride == 1 and self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} at stride 1 must be odd: the grid would shrink")
        for name, kernel in (("kernel", self.kernel), ("upsample_kernel", self.upsample_kernel)):
            if kernel < self.stride:
                raise ValueError(f"{name} {kernel} is smaller than stride {self.stride}: pixels would be skipped")
        if (self.upsample_kernel - self.stride) % 2:
            raise ValueError(
                f"upsample_kernel {self.upsample_kernel} and stride {self.stride} must both be even or both odd"
            )
        return self


class MemelConfig(Description):
    """MEmeL in every cell of a network (KDD 2024): where it acts and how."""

    placement: tuple[Placement, ...] = ("candidate",)
    """Where in a cell: every cell has a candidate and a hidden state; update and reset are gates of a ConvGRU, input,
    forget and output those of a ConvLSTM, cell is its cell state.
    """
    neurons: int = Field(1, ge=1)
    """Values of each sample that are deactivated in every call."""
    strength: float = 1.0
    """Δ: 1 is Reversed Deactivation, 0 the naive method (a), -1 naive (b); more inhibits more strongly."""
    forget_step: int = Field(10, ge=1)
    """After so many batches the past weighs as that many (Algorithm 1)."""
    late_start: int = Field(10, ge=0)
    """Batches that are absorbed before the first value is modified (App. A.2)."""
    epsilon: float = Field(0.01, ge=0)
    """Share of a layer's mean variance that is added to every variance (App. A.2)."""
    order: Literal["paper", "reference"] = "paper"
    """paper: statistics from before the batch; reference: as the authors' code, which absorbs the batch first."""
    inhibit_in_eval: bool = False
    """Inhibit in evaluation as well, with frozen statistics (the paper's "-T")."""
    neuron: Literal["position", "channel"] = "position"
    """What a neuron is: a position of the state, or (an extension) a whole channel."""

    @field_validator("placement")
    @classmethod
    def _placements_once(cls, placement: tuple[Placement, ...]) -> tuple[Placement, ...]:
        if not placement or len(set(placement)) != len(placement):
            raise ValueError(f"{list(placement)} must name at least one place, each once")
        return placement


PAPER_LEVELS = (
    LevelConfig(
        features=8,
        kernel=7,
        stride=5,
        hidden=64,
        input_kernel=3,
        state_kernel=5,
        upsample_features=8,
        upsample_kernel=7,
    ),
    LevelConfig(
        features=64,
        kernel=5,
        stride=3,
        hidden=192,
        input_kernel=3,
        state_kernel=5,
        upsample_features=192,
        upsample_kernel=5,
    ),
    LevelConfig(
        features=192,
        kernel=3,
        stride=2,
        hidden=192,
        input_kernel=3,
        state_kernel=3,
        upsample_features=192,
        upsample_kernel=4,
    ),
)
"""The three levels of the HKO-7 ConvGRU, 13 775 137 parameters (Shi et al. 2017; KDD 2024)."""


class NetworkConfig(Description):
    """What all networks share: an encoder-forecaster around cells of some kind."""

    title: ClassVar[str]
    places: ClassVar[tuple[Placement, ...]]

    network: str
    """Which network."""
    levels: tuple[LevelConfig, ...] = Field(PAPER_LEVELS, min_length=1)
    """Resolutions, from the finest to the coarsest; by default the three of the paper, 13 775 137 parameters in all."""
    negative_slope: float = Field(0.2, ge=0, lt=1)
    """Slope of the leaky ReLU below zero."""
    memel: MemelConfig | None = None
    """MEmeL in every cell; null trains plainly."""
    mask_channel: bool = False
    """Give the network `observed_valid` as a second input channel, so that dry and unseen differ for it; the paper's
    network does not look at the mask, one in Lagrangian coordinates always does.
    """
    coordinates: Literal["eulerian", "lagrangian"] = "eulerian"
    """eulerian: the network paints every frame; lagrangian: the rain is carried along its motion and the network says
    what changes on the way.
    """

    @field_validator("memel")
    @classmethod
    def _cells_have_the_places(cls, memel: MemelConfig | None) -> MemelConfig | None:
        foreign = [] if memel is None else [place for place in memel.placement if place not in cls.places]
        if foreign:
            raise ValueError(f"placement {foreign[0]} is not a place in a {cls.title}; expected {_one_of(cls.places)}")
        return memel


class ConvGRUConfig(NetworkConfig):
    """The network of the paper: ConvGRU cells (Shi et al. 2017)."""

    title: ClassVar[str] = "ConvGRU"
    places: ClassVar[tuple[Placement, ...]] = ("candidate", "hidden", "update", "reset")

    network: Literal["convgru"] = "convgru"
    """Which network."""
    activation_before_gates: bool = False
    """Pass the convolutions of input and state through the leaky ReLU before they enter the gates, as the authors'
    published code does; the equations of the paper have none.
    """


class ConvLSTMConfig(NetworkConfig):
    """The same encoder-forecaster around ConvLSTM cells (Shi et al. 2015)."""

    title: ClassVar[str] = "ConvLSTM"
    places: ClassVar[tuple[Placement, ...]] = ("candidate", "hidden", "cell", "input", "forget", "output")

    # Required: it is what tells the networks apart, and a run's identity leaves out what is left at its default.
    network: Literal["convlstm"]
    peephole: bool = True
    """Let the gates look at the cell state, with a weight for every channel (the paper's have one for every position,
    which ties a network to one frame size).
    """


ModelConfig = Annotated[ConvGRUConfig | ConvLSTMConfig, Field(discriminator="network")]
"""Any network, told apart by `network`; a file without that key describes a ConvGRU."""


class TrainingConfig(Description):
    """The optimization: Adam, its learning rate, what it is shown, and how often it is looked at."""

    steps: int = Field(20000, ge=1)
    """Optimizer steps of the whole run."""
    batch_size: int = Field(16, ge=1, le=65536)
    """Clips of a step, shared by all processes under torchrun."""
    crop: int | None = Field(None, ge=1)
    """Side in pixels of the square cut from every clip; a shorter side is taken whole, null takes whole frames."""
    sampling: Literal["uniform", "wet"] = "uniform"
    """uniform draws all clips alike, wet in proportion to how much of their frames is wet."""
    wettest_of: int = Field(1, ge=1)
    """Random places for a crop, of which the wettest is taken."""
    turns: bool = False
    """Whether clips are turned by random quarter turns and mirrored, their motion with them."""
    intensity_jitter: float = Field(0.0, ge=0, le=20)
    """Echoes of a clip are made stronger or weaker by a random number of decibels up to this."""
    learning_rate: float = Field(1e-4, gt=0)
    """Adam's learning rate at its highest."""
    schedule: Literal["steps", "cosine"] = "steps"
    """steps: the rate falls by decay_factor every decay_every steps; cosine: along half a cosine to final_rate at the
    last step.
    """
    warm_up: int = Field(0, ge=0)
    """Steps in which the learning rate rises to its full value."""
    final_rate: float = Field(0.02, gt=0, le=1)
    """Share of the learning rate that a cosine ends at."""
    decay_factor: float = Field(0.7, gt=0, le=1)
    """What the rate is multiplied by every `decay_every` steps (schedule: steps)."""
    decay_every: int | None = Field(5000, ge=1)
    """Steps between decays; null keeps the rate constant (schedule: steps)."""
    clip_value: float | None = Field(50.0, gt=0)
    """Every gradient is cut to ± this; null leaves them."""
    clip_norm: float | None = Field(None, gt=0)
    """Gradients of all weights together are shortened to this length; null leaves them."""
    mean_weights: float | None = Field(None, gt=0, lt=1)
    """Share of the old mean that the exponential mean of the weights keeps at every step; checkpoints hold this mean;
    null keeps none.
    """
    loss_weight: float = Field(5e-5, gt=0)
    """Factor of the balanced loss; Adam does not notice it, `clip_value` does."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """fp32, or bf16 for mixed precision on a GPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    log_every: int = Field(50, ge=1)
    """Steps between rows of the training log."""
    validate_every: int = Field(1000, ge=1)
    """Steps between validations, which also choose the best checkpoint."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints from which a run can be resumed."""
    drop_frames: float = Field(0.0, ge=0, lt=1)
    """Probability with which an observed frame but the last is taken away, and then bridged, so that the network learns
    what to make of late and missing frames.
    """

    @model_validator(mode="after")
    def _places_are_for_crops(self) -> Self:
        if self.wettest_of > 1 and self.crop is None:
            raise ValueError(f"wettest_of {self.wettest_of} chooses among places for a crop; give crop, or 1")
        return self

    def rate_at(self, step: int) -> float:
        """Learning rate of optimizer step `step` (the first is 0)."""
        if step < self.warm_up:
            return float(self.learning_rate * (step + 1) / self.warm_up)
        if self.schedule == "cosine":
            done = (step - self.warm_up) / max(self.steps - self.warm_up, 1)
            share = self.final_rate + (1 - self.final_rate) * (1 + math.cos(math.pi * done)) / 2
            return float(self.learning_rate * share)
        decays = 0 if self.decay_every is None else step // self.decay_every
        return float(self.learning_rate * self.decay_factor**decays)


class EvaluationConfig(Description):
    """Windows of validation and test, by the *fixed* protocol."""

    stride: int = Field(5, ge=1)
    """Frames from window to window of the fixed protocol."""
    max_missing: int = Field(2, ge=0)
    """Longest run of missing frames that a window may hold."""
    batch_size: int = Field(8, ge=1)
    """Windows in memory at a time; the scores do not depend on it."""


class Experiment(Description):
    """One training run, whole.

    Built in Python with a wrong value it raises pydantic's ValidationError (a ValueError that names the key);
    `read_experiment` says the same in one NowcastError.
    """

    name: str = Field(pattern=NAME_PATTERN)
    """Name of the run and of its folder."""
    seed: int = Field(0, ge=0, le=2**63 - 1)
    """Of the weights and of the choice of clips."""
    start_from: str | None = None
    """Run whose weights this one begins with (fine-tuning); null begins with random weights."""
    start_at: Literal["last", "best"] = "last"
    """Which of its checkpoints: the last, or the best on validation."""
    data: DataConfig = DataConfig()
    """Which frames, how many, which part of them."""
    model: ModelConfig = ConvGRUConfig()
    """Which network."""
    training: TrainingConfig = TrainingConfig()
    """The optimization."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Windows of validation and test."""
    blend: Literal["none", "recent"] = "none"
    """What is issued: the network alone, or its blend with extrapolation that follows recent errors."""

    @field_validator("model", mode="before")
    @classmethod
    def _convgru_unless_told(cls, model: Any) -> Any:
        return {"network": "convgru", **model} if isinstance(model, Mapping) else model

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.data.max_missing >= self.data.observed + self.data.forecast:
            raise ValueError(
                f"data.max_missing {self.data.max_missing} allows a clip of data.observed + data.forecast = "
                f"{self.data.observed + self.data.forecast} frames to be missing altogether"
            )
        if self.training.drop_frames > 0 and not self.data.bridge:
            raise ValueError(
                f"training.drop_frames {self.training.drop_frames:g} takes frames away but data.bridge is "
                f"{'null' if self.data.bridge is None else self.data.bridge}; say how many missing frames are bridged"
            )
        if self.start_at == "best" and self.start_from is None:
            raise ValueError("start_at is best but start_from names no run; give start_from or drop start_at")
        return self

    def plain(self) -> dict[str, Any]:
        """The experiment as plain data (dicts, lists, numbers, strings): what files and checkpoints hold."""
        return self.model_dump(mode="json")

    @property
    def sha256(self) -> str:
        """SHA-256 of the experiment with every default spelled out: two of the same digest are the same."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
