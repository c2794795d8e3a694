"""A network in Lagrangian coordinates: the rain is carried along, the network says what changes on the way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nowcast.motion.departure import displacements
from nowcast.motion.nodes import dense
from nowcast.motion.observed import observed_motion
from nowcast.motion.warp import inside, warp

SEEN = 0.5
"""Share of seen pixels, among those a value is interpolated from, above which it counts as seen."""


class Aligned(NamedTuple):
    """Observed frames as they lie at the issue time.

    Attributes:
        frames: (B, T, 1, H, W), scaled reflectivity, 0 where unseen.
        known: float (B, T, 1, H, W), share of what a value comes from that was seen, 0 to 1.
        latest: (B, 1, H, W), the value seen last at every pixel, 0 where nothing was.
        seen: bool (B, 1, H, W), where anything was.
    """

    frames: Tensor
    known: Tensor
    latest: Tensor
    seen: Tensor


class Lagrangian(nn.Module):
    """Any network of the registry, working along the motion of the rain (docs/model.md).

    The observed frames are carried to the issue time along the motion field that they show, so that rain which only
    moves stands still, and given to the network with a channel of what is known of them. It writes how the latest frame
    x changes, r_1 … r_K at once, and the changed frame is carried along the same motion:

        ŷ_k = warp(x + r_k, D_k),

    D_k the departure points k intervals back (backward, midpoint rule). The network's last convolution starts at zero,
    so that an untrained network is Lagrangian persistence. Warping is linear in scaled reflectivity, with border values
    outside; no gradient flows into the motion.

    Args:
        network: called as network(frames, known, lead_steps), reading both; its last convolution is `to_frame`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        last = network.to_frame
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(
        self, observed: Tensor, observed_valid: Tensor, lead_steps: int, motion: Tensor | None = None
    ) -> Tensor:
        """Forecast the next frames.

        Args:
            observed: scaled reflectivity (B, T, 1, H, W), 0 where unseen.
            observed_valid: bool, same shape; True = use this pixel.
            lead_steps: number of frames to forecast, ≥ 1.
            motion: pixels per interval at the nodes, (B, 2, h, w); None finds it from the observed frames.

        Returns:
            scaled reflectivity (B, lead_steps, 1, H, W), not yet clipped to [0, 1], a number everywhere; `known` tells
            where it can be known.
        """
        motion = observed_motion(observed, observed_valid) if motion is None else motion
        paths = self._paths(observed, motion, lead_steps)
        aligned = align(observed, observed_valid, paths)
        change = self.network(aligned.frames, aligned.known, lead_steps).float()
        return warp(aligned.latest.unsqueeze(1) + change, paths[:, :lead_steps])

    @torch.no_grad()
    def known(self, observed: Tensor, observed_valid: Tensor, lead_steps: int, motion: Tensor) -> Tensor:
        """Where a forecast can be known: bool (B, lead_steps, 1, H, W); arguments as for `forward`.

        False where what arrives comes from outside the frame, or from where nothing was seen.
        """
        paths = self._paths(observed, motion, lead_steps)
        seen = align(observed, observed_valid, paths).seen.float().unsqueeze(1)
        forward = paths[:, :lead_steps]
        return inside(forward) & (warp(seen.expand(-1, lead_steps, -1, -1, -1), forward) >= SEEN)

    def _paths(self, observed: Tensor, motion: Tensor, lead_steps: int) -> Tensor:
        """Displacements after 1, 2, … intervals, as many as alignment and forecast need, (B, ·, 2, H, W)."""
        height, width = observed.shape[-2:]
        with torch.no_grad(), torch.autocast(observed.device.type, enabled=False):
            return dense(displacements(motion.float(), max(observed.shape[1] - 1, lead_steps)), (height, width))


def align(observed: Tensor, observed_valid: Tensor, paths: Tensor) -> Aligned:
    """The observed frames carried to the issue time: the frame of -j intervals along the path of j intervals."""
    valid = observed_valid.float()
    both = torch.cat([observed * valid, valid], dim=2)  # (B, T, 2, H, W)
    if both.shape[1] > 1:
        back = paths[:, : both.shape[1] - 1].flip(1)
        moved = warp(both[:, :-1], back) * inside(back)
        both = torch.cat([moved, both[:, -1:]], dim=1)
    known = both[:, :, 1:]
    frames = both[:, :, :1] / known.clamp_min(SEEN)
    latest, seen = frames[:, -1], known[:, -1] >= SEEN
    for frame, share in zip(frames.unbind(1)[-2::-1], known.unbind(1)[-2::-1], strict=True):
        first = ~seen & (share >= SEEN)
        latest, seen = torch.where(first, frame, latest), seen | first
    return Aligned(frames, known, latest, seen)
