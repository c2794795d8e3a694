"""The batch: what was observed, what came after, and where the radar could see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RadarSequence:
    """A batch of radar sequences, observed frames followed by the frames to forecast.

    Attributes:
        observed: scaled reflectivity in [0, 1], float32 (B, T_observed, 1, H, W); 0 where unseen.
        observed_valid: bool, same shape; True = use this pixel.
        observation: scaled reflectivity of the frames to forecast, float32 (B, T_forecast, 1, H, W).
        valid: bool, same shape as `observation`; True = use this pixel (score it, learn from it).
        in_domain: bool (B, 1, 1, H, W), True where a forecast may say anything: the radar saw the pixel in at least one
            observed frame; None = everywhere.
        motion: where the rain moves at the issue time, pixels per interval at the nodes of `nowcast.motion.nodes`,
            float32 (B, 2, h, w): columns, rows; None = whoever needs it finds it from the observed frames.

    A sequence with contradicting shapes or types cannot be built (ValueError).
    """

    observed: Tensor
    observed_valid: Tensor
    observation: Tensor
    valid: Tensor
    in_domain: Tensor | None = None
    motion: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("observed", "observation"):
            field, mask_name = getattr(self, name), "observed_valid" if name == "observed" else "valid"
            mask = getattr(self, mask_name)
            if field.ndim != 5 or field.shape[2] != 1:
                raise ValueError(f"{name} has shape {tuple(field.shape)}, expected (B, T, 1, H, W)")
            if not field.is_floating_point():
                raise ValueError(f"{name} is {field.dtype}, expected floating point in [0, 1]")
            if mask.shape != field.shape or mask.dtype != torch.bool:
                raise ValueError(
                    f"{mask_name} is {mask.dtype} {tuple(mask.shape)}, expected torch.bool {tuple(field.shape)}"
                )
        if self.observed.shape[0] != self.observation.shape[0]:
            raise ValueError(
                f"observed holds {self.observed.shape[0]} sequences, observation {self.observation.shape[0]}"
            )
        if self.observed.shape[3:] != self.observation.shape[3:]:
            raise ValueError(
                f"observed frames are {tuple(self.observed.shape[3:])}, "
                f"observation frames {tuple(self.observation.shape[3:])}"
            )
        domain = self.in_domain
        expected = (len(self), 1, 1, *self.observed.shape[3:])
        if domain is not None and (domain.dtype != torch.bool or tuple(domain.shape) != expected):
            raise ValueError(f"in_domain is {domain.dtype} {tuple(domain.shape)}, expected torch.bool {expected}")
        if self.motion is not None and (self.motion.ndim != 4 or self.motion.shape[:2] != (len(self), 2)):
            raise ValueError(f"motion has shape {tuple(self.motion.shape)}, expected ({len(self)}, 2, h, w)")

    def __len__(self) -> int:
        return int(self.observed.shape[0])

    @property
    def lead_steps(self) -> int:
        """Number of frames to forecast."""
        return int(self.observation.shape[1])

    def to(self, device: torch.device | str) -> RadarSequence:
        """The same sequences on another device."""
        return RadarSequence(
            self.observed.to(device),
            self.observed_valid.to(device),
            self.observation.to(device),
            self.valid.to(device),
            None if self.in_domain is None else self.in_domain.to(device),
            None if self.motion is None else self.motion.to(device),
        )

    def within_domain(self, forecast: Tensor) -> Tensor:
        """A forecast (…, B, T, 1, H, W) of this sequence with NaN outside the domain, on its own device."""
        if self.in_domain is None:
            return forecast
        return forecast.masked_fill(~self.in_domain.to(forecast.device), torch.nan)
