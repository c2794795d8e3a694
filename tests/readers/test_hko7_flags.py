import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nowcast.readers.hko7_flags import NOISE_LIMIT, flags_of_frame, is_noise

CODES = np.array([[0, 1, 70, 71, 255, 30]], np.uint8)
INSIDE = np.array([[True, True, True, True, True, False]])


def test_the_noise_limit_is_the_benchmarks():
    assert NOISE_LIMIT == 71
    pixel = np.arange(256) / 255
    assert (is_noise(np.arange(256).astype(np.uint8)) == ((pixel > 0) & (pixel < round(0.28 * 255) / 255))).all()


def test_without_a_mask_the_rule_decides():
    assert flags_of_frame(CODES, None, INSIDE).tolist() == [[1, 2, 2, 1, 1, 0]]
    assert flags_of_frame(CODES, None, None).tolist() == [[1, 2, 2, 1, 1, 2]]


def test_with_a_mask_flag_one_is_the_mask():
    usable = np.array([[True, True, False, False, True, False]])
    assert flags_of_frame(CODES, usable, INSIDE).tolist() == [[1, 1, 2, 2, 1, 0]]


def test_with_a_mask_alone_noise_is_doubtful_and_the_rest_unseen():
    usable = np.array([[False, False, False, True, True, False]])
    assert flags_of_frame(CODES, usable, None).tolist() == [[0, 2, 2, 1, 1, 2]]


@given(st.lists(st.tuples(st.integers(0, 255), st.booleans(), st.booleans()), min_size=1, max_size=30), st.booleans())
def test_flag_one_always_equals_the_mask(pixels, static_known):
    codes, usable, inside = (np.array(column)[None] for column in zip(*pixels, strict=True))
    flags = flags_of_frame(codes.astype(np.uint8), usable, inside if static_known else None)
    assert ((flags == 1) == usable).all()
    if static_known:
        assert (flags[~inside & ~usable] == 0).all()
