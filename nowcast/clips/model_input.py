"""The one way from an archive's frames to what a forecaster is given: the same in training, scoring and issuing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nowcast.errors import NowcastError
from nowcast.radar.flags import UNSEEN, USABLE

MASKS = ("static", "frame")
"""static: the site's mask decides which pixels count (the KDD paper); frame: each frame's own `.mask` (the 2017
benchmark), so that doubtful pixels, such as clutter and noise, do not count."""


@dataclass(frozen=True, eq=False)
class ModelInput:
    """Frames as forecasters take them, any leading shape, then (H, W).

    Attributes:
        codes: uint8, 8-bit codes of scaled reflectivity, 0 wherever not `valid`.
        valid: bool, True = use this pixel.
        seen: bool, True = the radar saw this pixel, be its echo doubtful or not; holds all of `valid`.
    """

    codes: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def model_input(
    codes: NDArray[np.uint8],
    flags: NDArray[np.uint8],
    present: NDArray[np.bool_],
    static_mask: NDArray[np.bool_],
    masks: str,
) -> ModelInput:
    """What a forecaster is given of frames.

    A pixel is `seen` in frames that exist where the static mask holds and the flag is not 0. With `masks="static"`
    every pixel seen is valid; with `"frame"` valid = flag 1, as the frame's `.mask` says, the static mask or not.
    A frame that does not exist is nowhere seen. Codes are 0 wherever not valid: a network reads them alone.

    Arguments:
        codes: uint8 (…, H, W), as an archive holds them.
        flags: uint8 (…, H, W), 0 unseen, 1 usable, 2 doubtful.
        present: bool (…), False where there is no frame.
        static_mask: bool (H, W), True = use this pixel.
        masks: one of `MASKS`; NowcastError otherwise.

    >>> codes, flags = np.full((1, 1, 3), 90, np.uint8), np.array([[[0, 1, 2]]], np.uint8)
    >>> here, everywhere = np.array([True]), np.ones((1, 3), bool)
    >>> [model_input(codes, flags, here, everywhere, masks).codes.ravel().tolist() for masks in MASKS]
    [[0, 90, 90], [0, 90, 0]]
    """
    check_masks(masks)
    there = present[..., None, None]
    seen = (flags != UNSEEN) & there & static_mask
    valid = seen
    if masks == "frame":
        valid = (flags == USABLE) & there
        seen |= valid
    return ModelInput(codes * valid, valid, seen)


def check_masks(masks: str) -> None:
    """NowcastError where `masks` is not one of `MASKS`."""
    if masks not in MASKS:
        raise NowcastError(f"masks is {masks!r}, expected one of {', '.join(MASKS)}")


def scaled_frames(codes: NDArray[np.uint8] | Tensor) -> Tensor:
    """Scaled reflectivity in [0, 1], float32, of 8-bit codes; same shape."""
    codes = torch.from_numpy(codes) if isinstance(codes, np.ndarray) else codes
    return codes.to(torch.float32).div_(255.0)


def in_domain(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a forecast may say anything: pixels seen in at least one observed frame, (…, H, W) of `seen` (…, T, H, W).

    Nothing seen, nothing known: outside, a network's "no echo" would be taken for dry weather.
    """
    return np.asarray(seen.any(axis=-3))
