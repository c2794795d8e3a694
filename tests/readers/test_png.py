import io
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from nowcast.readers.png import UnreadableFrame, decode_frame, header_shape, read_bytes

FRAME = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16)


def png(frame: np.ndarray) -> bytes:
    return cv2.imencode(".png", frame)[1].tobytes()


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableFrame) as caught:
        decode_frame(content, (12, 16))
    assert not caught.value.retry
    return str(caught.value)


def test_a_grey_frame_is_decoded_value_by_value():
    assert (decode_frame(png(FRAME), (12, 16)) == FRAME).all()
    assert header_shape(png(FRAME)[:24]) == (12, 16)


def test_equal_channels_are_one_grey_frame():
    assert (decode_frame(png(np.repeat(FRAME[..., None], 3, 2)), (12, 16)) == FRAME).all()
    opaque = np.dstack([FRAME, FRAME, FRAME, np.full_like(FRAME, 255)])
    assert (decode_frame(png(opaque), (12, 16)) == FRAME).all()


def test_a_palette_picture_of_greys_is_its_greys():
    content = io.BytesIO()
    Image.fromarray(FRAME).convert("P").save(content, "PNG")
    assert (decode_frame(content.getvalue(), (12, 16)) == FRAME).all()


@pytest.mark.parametrize("cut", [9, 40, 60, -1, -12, -20])
def test_every_truncation_is_met(cut: int):
    assert reason(png(FRAME)[:cut]).startswith(("is truncated after", "is not a PNG"))


def test_opencv_alone_would_not_tell():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    content = png(noise)[:-500]
    with pytest.raises(UnreadableFrame, match="is truncated after"):
        decode_frame(content, (64, 64))


def test_one_flipped_bit_is_met():
    content = bytearray(png(FRAME))
    content[60] ^= 1
    assert "wrong checksum" in reason(bytes(content))


def test_broken_pixels_under_a_good_checksum_are_no_crash():
    content = png(FRAME)
    start = content.index(b"IDAT")
    length = int.from_bytes(content[start - 4 : start], "big")
    body = b"IDAT" + bytes(length)
    broken = content[:start] + body + zlib.crc32(body).to_bytes(4, "big") + content[start + 8 + length :]
    assert "cannot be decoded" in reason(broken)


def test_what_is_no_code_of_reflectivity_is_refused():
    assert reason(png(np.zeros((20, 20), np.uint8))) == "is 20×20, expected 12×16"
    assert reason(png(np.zeros((12, 16), np.uint16))) == "has 16-bit values, expected 8-bit"
    color = np.dstack([FRAME, FRAME, FRAME])
    color[3, 4, 2] += 1
    assert "channels that differ" in reason(png(color))
    assert "transparent" in reason(png(np.dstack([FRAME, FRAME, FRAME, FRAME])))
    assert reason(b"GIF89a and more") == "is not a PNG file"


def test_files_that_cannot_be_read(tmp_path: Path):
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(UnreadableFrame, match=r"is empty \(0 bytes\)"):
        read_bytes(empty)
    with pytest.raises(UnreadableFrame, match="cannot be read") as caught:
        read_bytes(tmp_path / "absent.png")
    assert caught.value.retry
