"""Decoding one radar PNG, refusing what an image library would silently make up."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nowcast.readers.source import UnreadableFrame

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = 3
"""Color type of the PNG header (W3C PNG, section 11.2.2)."""


def read_bytes(path: str | Path) -> bytes:
    """Content of a file; UnreadableFrame with the system's reason where it cannot be read, or where it is empty."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        # A fixed permission or a mounted disk leaves size and time of the file as they were.
        raise UnreadableFrame(f"cannot be read ({error.strerror or error})", retry=True) from error
    if not content:
        raise UnreadableFrame("is empty (0 bytes)")
    return content


def header_shape(head: bytes) -> tuple[int, int] | None:
    """(H, W) that the first 24 bytes of a PNG file state; None where they are not a PNG header."""
    if head[:8] != SIGNATURE or head[12:16] != b"IHDR" or len(head) < 24:
        return None
    return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")


def decode_frame(content: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """8-bit codes (H, W) of a PNG file's content.

    A color image whose channels are equal is its gray one. UnreadableFrame where the file is truncated or damaged,
    has another size than `shape`, different channels, transparency or another depth than 8 bits.
    """
    _check_chunks(content)
    found = header_shape(content[:24])
    if found is None:
        raise UnreadableFrame("is damaged (no PNG header)")
    if found != shape:
        raise UnreadableFrame(f"is {found[0]}×{found[1]}, expected {shape[0]}×{shape[1]}")
    depth, color = content[24], content[25]
    if depth != 8 and color != PALETTE:
        raise UnreadableFrame(f"has {depth}-bit values, expected 8-bit")
    frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if frame is None or frame.shape[:2] != shape:
        raise UnreadableFrame("is damaged (its pixels cannot be decoded)")
    return np.ascontiguousarray(_grey(frame), dtype=np.uint8)


def decode_image(content: bytes) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Gray levels (H, W), 8 or 16 bits, of an image file of any kind that OpenCV reads (PNG, TIFF, PGM, BMP, …).

    UnreadableFrame where it is truncated or damaged, has channels that differ, transparency or another depth.
    """
    if content[:8] == SIGNATURE:
        _check_chunks(content)
    try:
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        frame = None
    if frame is None:
        raise UnreadableFrame("is not an image that can be decoded")
    if frame.dtype not in (np.uint8, np.uint16):
        raise UnreadableFrame(f"has {frame.dtype} values, expected 8 or 16 bits")
    return np.ascontiguousarray(_grey(frame))


def _grey(frame: NDArray[Any]) -> NDArray[Any]:
    """The one channel of an image whose channels are equal."""
    if frame.ndim == 2:
        return frame
    if frame.shape[2] == 4 and (frame[..., 3] != np.iinfo(frame.dtype).max).any():
        raise UnreadableFrame("is partly transparent, expected opaque gray")
    if (frame[..., 0] != frame[..., 1]).any() or (frame[..., 0] != frame[..., 2]).any():
        raise UnreadableFrame("has channels that differ (a color picture), expected gray")
    return frame[..., 0]


def _check_chunks(content: bytes) -> None:
    """Walk the chunks to IEND and check their checksums: OpenCV decodes half a file without a word."""
    if content[:8] != SIGNATURE:
        raise UnreadableFrame("is not a PNG file")
    position, view = 8, memoryview(content)
    while position + 12 <= len(content):
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + 12 + length
        if end > len(content):
            break
        stated = int.from_bytes(view[end - 4 : end], "big")
        if zlib.crc32(view[position + 4 : end - 4]) != stated:
            raise UnreadableFrame(f"is damaged (wrong checksum {position} bytes in)")
        if view[position + 4 : position + 8] == b"IEND":
            return
        position = end
    raise UnreadableFrame(f"is truncated after {len(content)} bytes")
