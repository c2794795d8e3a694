"""What it takes to be a forecaster: one call. A trained model, a baseline and a user's own all fulfil it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from nowcast.sequence import RadarSequence


@runtime_checkable
class Forecaster(Protocol):
    """Forecasts `lead_steps` frames from the observed ones."""

    def __call__(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """Forecast.

        Args:
            observed: scaled reflectivity in [0, 1], float32 (B, T, 1, H, W), 0 where unseen.
            observed_valid: bool, same shape; True = use this pixel.
            lead_steps: number of frames to forecast, ≥ 1; one frame interval each.

        Returns:
            scaled reflectivity, float32 (B, lead_steps, 1, H, W); NaN where the forecaster cannot know
            (what moved in from outside the domain). NaN is never "dry".
        """
        ...


@runtime_checkable
class OnlineForecaster(Forecaster, Protocol):
    """A forecaster that may learn from what it has already seen (the benchmark's online protocol)."""

    def begin_episode(self) -> None:
        """A new episode starts: forget whatever was adapted to the previous one."""
        ...

    def adapt(self, seen: RadarSequence) -> None:
        """Learn from a sequence that lies wholly in the past of the next forecast."""
        ...


@runtime_checkable
class EnsembleForecaster(Forecaster, Protocol):
    """A forecaster with members; called, it gives one deterministic field that it describes in words."""

    def ensemble(self, observed: Tensor, observed_valid: Tensor, lead_steps: int) -> Tensor:
        """The members (M, B, lead_steps, 1, H, W), scaled reflectivity, NaN where the forecaster cannot know."""
        ...


@runtime_checkable
class FallbackForecaster(Forecaster, Protocol):
    """A forecaster that answers with a simpler one where what was observed does not suffice for it."""

    def fallback(self, observed: Tensor, observed_valid: Tensor) -> Tensor:
        """Which sequences, bool (B,), the simpler one answers."""
        ...


@runtime_checkable
class AnsweringForecaster(Forecaster, Protocol):
    """A forecaster that says which sequences it answers, and whether at every pixel of the domain.

    Where it knows everywhere, NaN in an answer is no "unknown": the network has diverged.
    """

    @property
    def knows_everywhere(self) -> bool:
        """Whether an answer has a number at every pixel of the domain."""
        ...

    def answers(self, observed_valid: Tensor) -> Tensor:
        """Which sequences, bool (B,), it forecasts; all others are NaN throughout."""
        ...


@runtime_checkable
class HistoryForecaster(Forecaster, Protocol):
    """A forecaster that looks further back than others, to verify the nowcasts that it would have issued.

    It is called with `history_steps` observed frames up to the issue time instead of the window's; frames that do not
    exist are zero and nowhere valid. It is given nothing after the issue time, so it cannot learn from it.
    """

    history_steps: int
