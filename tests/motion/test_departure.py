"""Departure points and warping: torch at nodes against numpy and OpenCV at every pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.motion.departure import departure_points, displacements
from nowcast.motion.nodes import SPACING, at_nodes, crop_motion, dense, node_count
from nowcast.motion.warp import inside, positions, warp


def swirl(height: int, width: int, fastest: float = 4.0) -> np.ndarray:
    """A smooth motion field (H, W, 2) that turns and drifts."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    y, x = (rows - height / 2) / height, (columns - width / 2) / width
    return (fastest * np.stack([0.4 - y, 0.2 + x + 0.5 * x * y], -1)).astype(np.float32)


def nodes_of(motion: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(at_nodes(motion))[None]


@pytest.mark.parametrize("shape", [(96, 128), (97, 81), (130, 177)])
def test_displacements_at_nodes_are_the_departure_points_at_every_pixel(shape):
    motion = swirl(*shape)
    moved = dense(displacements(nodes_of(motion), 8), shape)[0].numpy()
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for step, (x, y) in enumerate(departure_points(motion, 8)):
        apart = np.hypot(moved[step, 0] + columns - x, moved[step, 1] + rows - y)
        apart_from_border = np.minimum.reduce([x, y, shape[1] - 1 - x, shape[0] - 1 - y])
        within = apart_from_border >= SPACING  # at the border paths bend, nodes only at the next one
        assert within.mean() > 0.2
        assert apart[within].max() < 0.05  # pixels, on paths of up to 20
        assert apart[apart_from_border >= 0].max() < 1


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 4), st.integers(0, 999)
)
def test_uniform_motion_is_exact(height, width, east, south, steps, seed):
    motion = np.broadcast_to(np.array([east, south], np.float32), (height, width, 2))
    moved = dense(displacements(nodes_of(motion), steps), (height, width))
    assert moved.shape == (1, steps, 2, height, width)
    expected = -np.arange(1, steps + 1)[:, None] * np.array([east, south])
    assert np.allclose(moved[0].mean((-2, -1)) if steps else moved[0].reshape(0, 2), expected, atol=1e-3)
    if east == round(east) and south == round(south) and steps:
        field = torch.rand(1, 1, 1, height, width, generator=torch.Generator().manual_seed(seed))
        carried = warp(field, moved[:, :1])[0, 0, 0]
        rolled = torch.roll(field[0, 0, 0], (round(south), round(east)), (0, 1))
        within = inside(moved[:, :1])[0, 0, 0]
        assert torch.allclose(carried[within], rolled[within], atol=1e-4)


def test_whole_pixels_move_without_blur_and_the_border_is_unknown():
    motion = np.broadcast_to(np.array([3.0, -2.0], np.float32), (24, 32, 2))
    moved = dense(displacements(nodes_of(motion), 2), (24, 32))
    field = torch.rand(1, 1, 1, 24, 32).expand(1, 2, 1, 24, 32)
    carried, within = warp(field, moved), inside(moved)
    for step in (0, 1):
        shift = 3 * (step + 1), 2 * (step + 1)
        assert torch.allclose(
            carried[0, step, 0, : 24 - shift[1], shift[0] :], field[0, 0, 0, shift[1] :, : 32 - shift[0]], atol=1e-4
        )
        assert within[0, step, 0].sum() == (32 - shift[0]) * (24 - shift[1])


def test_warping_is_what_opencv_does():
    field = torch.rand(2, 3, 2, 37, 52, generator=torch.Generator().manual_seed(1))
    moved = 5 * torch.randn(2, 3, 2, 37, 52, generator=torch.Generator().manual_seed(2))
    carried = warp(field, moved)
    columns, rows = (p.numpy() for p in positions(moved))
    for b, t, c in np.ndindex(2, 3, 2):
        expected = cv2.remap(
            field[b, t, c].numpy(), columns[b, t], rows[b, t], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        assert np.abs(carried[b, t, c].numpy() - expected).max() < 0.02  # OpenCV rounds positions to 1/32 pixel


def test_gradients_of_warping():
    field = torch.rand(1, 2, 1, 5, 6, dtype=torch.float32, requires_grad=True)
    moved = torch.randn(1, 2, 2, 5, 6)
    weight = torch.randn(1, 2, 1, 5, 6)
    (warp(field, moved) * weight).sum().backward()
    # Warping is linear in the field: its gradient is what every pixel gives to the sum.
    for place in [(0, 0, 0, 2, 3), (0, 1, 0, 0, 0), (0, 1, 0, 4, 5)]:
        one = torch.zeros(1, 2, 1, 5, 6)
        one[place] = 1
        assert field.grad[place] == pytest.approx(float((warp(one, moved) * weight).sum()), abs=1e-5)


def test_warping_stays_in_float32_under_autocast():
    field, moved = torch.rand(1, 1, 1, 16, 400), torch.full((1, 1, 2, 16, 400), 0.5)
    plain = warp(field, moved)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(warp(field.bfloat16(), moved), warp(field.bfloat16().float(), moved))
        assert torch.equal(warp(field, moved), plain)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_turned_crop_sees_turned_motion(turns, flipped):
    """The motion of a turned crop carries the turned crop to where the turned later frame lies."""
    motion = swirl(120, 160)
    top, left, height, width = 21, 34, 48, 66
    seen = crop_motion(torch.from_numpy(at_nodes(motion)), top, left, (height, width), turns, flipped)
    cut = torch.from_numpy(motion[top : top + height, left : left + width].copy()).permute(2, 0, 1)
    x, y = torch.rot90(cut, turns, (-2, -1))
    for _ in range(turns):
        x, y = y, -x
    if flipped:
        x, y = -x.flip(-1), y.flip(-1)
    assert seen.shape == (2, node_count(x.shape[0]), node_count(x.shape[1]))
    assert torch.allclose(dense(seen[None, None], tuple(x.shape))[0, 0], torch.stack([x, y]), atol=0.03)


@pytest.mark.parametrize("turns", [1, 3])
def test_turning_a_vector_is_turning_what_it_moves(turns):
    blob = torch.zeros(40, 40)
    blob[10:14, 20:23] = 1
    later = torch.roll(blob, (2, 5), (0, 1))
    motion = np.broadcast_to(np.array([5.0, 2.0], np.float32), (40, 40, 2))
    seen = crop_motion(torch.from_numpy(at_nodes(motion)), 0, 0, (40, 40), turns, True)[None]
    turned, expected = (torch.rot90(frame, turns, (-2, -1)).flip(-1) for frame in (blob, later))
    carried = warp(turned[None, None, None], dense(displacements(seen, 1), (40, 40)))[0, 0, 0]
    assert torch.allclose(carried, expected, atol=1e-4)


def test_nodes_reach_the_last_pixel():
    for size in range(1, 40):
        assert SPACING * (node_count(size) - 1) >= size - 1 > SPACING * (node_count(size) - 2)
