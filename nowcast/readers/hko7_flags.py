"""Flags of frames in the HKO-7 layout: from the static mask and the benchmark's per-frame `.mask`, or from its rule."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nowcast.radar.flags import USABLE
from nowcast.readers.png import read_bytes
from nowcast.readers.source import UnreadableFrame

NOISE_LIMIT = round(0.28 * 255)
"""Codes 1 .. NOISE_LIMIT - 1 count as noise (Shi et al. 2017: 0 < p < round(0.28 * 255) / 255, below 9.5 dBZ)."""


def is_noise(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """True where an echo is so weak that the benchmark does not trust it; any shape, uint8 codes.

    >>> is_noise(np.array([0, 1, 70, 71, 255], np.uint8)).tolist()
    [False, True, True, False, False]
    """
    # Unsigned arithmetic wraps 0 to 255, so that one comparison holds both bounds.
    return (codes - np.uint8(1)) < np.uint8(NOISE_LIMIT - 1)


def flags_of_frame(
    codes: NDArray[np.uint8],
    usable: NDArray[np.bool_] | None = None,
    static_mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Flags uint8 (H, W) of one frame.

    Arguments:
        codes: 8-bit reflectivity codes (H, W).
        usable: the frame's `.mask` (True = use this pixel); None where there is none.
        static_mask: True = inside coverage and not excluded; None where it is not known.

    With a `.mask`, flag 1 is that mask, value by value; what it drops is 0 where the static mask excludes it and 2
    elsewhere. With a `.mask` but no static mask, what it drops is 2 where the code is noise, the only other reason
    the benchmark has to drop a pixel, and 0 elsewhere. Without a `.mask` the benchmark's rule stands in for it:
    usable = not excluded and not noise.
    """
    if usable is None:
        seen: NDArray[np.uint8] = is_noise(codes).view(np.uint8) + np.uint8(USABLE)
        return seen if static_mask is None else seen * static_mask
    doubtful = is_noise(codes) if static_mask is None else static_mask
    flags: NDArray[np.uint8] = usable.view(np.uint8) - np.uint8(1)  # 0 where usable, elsewhere all bits set
    flags &= doubtful.view(np.uint8) << np.uint8(1)
    flags |= usable.view(np.uint8)
    return flags  # in a fifth of the time of np.where


def read_mask(path: str | Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Usable pixels, bool (H, W), of a `.mask` file: a zlib stream of H·W bytes, nonzero = use this pixel.

    UnreadableFrame where the stream is damaged or of another length.
    """
    size = shape[0] * shape[1]
    try:
        # Bounded, so that a damaged stream cannot ask for more memory than one mask and a byte.
        stream = zlib.decompressobj()
        content = stream.decompress(read_bytes(path), size + 1)
    except zlib.error as error:
        raise UnreadableFrame(f"is damaged ({error})") from error
    if len(content) != size or not stream.eof:
        found = "more" if len(content) > size else str(len(content))
        raise UnreadableFrame(f"is damaged or of another size ({found} pixels, expected {size})")
    return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
