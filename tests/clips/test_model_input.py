"""The one way from frames to model input, against a walk over single pixels."""

from __future__ import annotations

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.clips.model_input import MASKS, in_domain, model_input, scaled_frames
from nowcast.errors import NowcastError

SHAPE = (3, 2, 4)


def by_pixel(codes, flags, present, static_mask, masks):
    """The rules of docs/design.md, one pixel at a time: (codes, valid, seen)."""
    made = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    for t, y, x in np.ndindex(SHAPE):
        if not present[t]:
            continue
        flag = flags[t, y, x]
        seen = flag != 0 and bool(static_mask[y, x])
        valid = flag == 1 if masks == "frame" else seen
        made[0][t, y, x] = codes[t, y, x] if valid else 0
        made[1][t, y, x], made[2][t, y, x] = valid, seen or valid
    return made


@given(
    arrays.arrays(np.uint8, SHAPE),
    arrays.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2])),
    arrays.arrays(np.bool_, SHAPE[:1]),
    arrays.arrays(np.bool_, SHAPE[1:]),
    st.sampled_from(MASKS),
)
def test_every_pixel_by_the_rules(codes, flags, present, static_mask, masks):
    made = model_input(codes, flags, present, static_mask, masks)
    expected = by_pixel(codes, flags, present, static_mask, masks)
    for found, wanted in zip((made.codes, made.valid, made.seen), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert (made.seen | ~made.valid).all(), "what is valid was seen"
    np.testing.assert_array_equal(
        in_domain(made.seen), [[made.seen[:, y, x].any() for x in range(4)] for y in range(2)]
    )


def test_codes_become_the_scale():
    codes = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    scaled = scaled_frames(codes)
    assert scaled.dtype.is_floating_point and (scaled.numpy() == codes.astype(np.float32) / np.float32(255)).all()
    assert codes.max() == 255, "the codes themselves are left alone"


def test_an_unknown_rule_is_told():
    with pytest.raises(NowcastError, match="masks is 'none', expected one of static, frame"):
        model_input(*(np.zeros((1, 2, 2), np.uint8),) * 2, np.ones(1, bool), np.ones((2, 2), bool), "none")
