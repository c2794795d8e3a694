import numpy as np
import pytest

from nowcast.visualization import colors

# Severity 1.0 matrices of Machado, Oliveira and Fernandes (2009), on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab(color: str, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a color as a kind of vision sees it."""
    value = np.array(colors.rgb(color)) / 255
    linear = np.clip(vision @ np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = to_xyz @ linear / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", VISION)
def test_heavier_rain_is_darker_and_told_apart_by_every_vision(kind):
    scale = np.array([lab(color, VISION[kind]) for color in (colors.DRY, *colors.RAIN_COLORS)])
    assert (np.diff(scale[:, 0]) < -4).all()
    assert (np.linalg.norm(np.diff(scale, axis=0), axis=1) > 6).all()


@pytest.mark.parametrize("kind", VISION)
def test_unseen_and_unknown_are_not_dry(kind):
    dry, unseen, unknown = (lab(c, VISION[kind]) for c in (colors.DRY, colors.UNSEEN, colors.UNKNOWN))
    assert np.linalg.norm(dry - unseen) > 10
    assert np.linalg.norm(dry - unknown) > 8
    assert np.linalg.norm(unseen - unknown) > 5


def test_a_rate_equal_to_a_limit_starts_its_class():
    limits = np.array(colors.RAIN_LIMITS)
    expected = np.arange(1, len(limits) + 1)
    for kind in (np.float32, np.float64):
        assert (colors.classify(limits.astype(kind)) == expected).all()
        assert (colors.classify(np.nextafter(limits.astype(np.float32), np.float32(0))) == expected - 1).all()


def test_special_values():
    field = np.array([0.0, -1.0, 1e9, np.inf, np.nan, np.nan])
    seen = np.array([True, True, True, True, True, False])
    expected = [0, 0, 10, 10, colors.UNKNOWN_CLASS, colors.UNSEEN_CLASS]
    assert colors.classify(field, seen).tolist() == expected


def test_persistence_is_gray_and_takes_no_color():
    named = colors.forecaster_colors(["a", "persistence", "b"])
    assert named["persistence"] == colors.REFERENCE_COLOR
    assert [named["a"], named["b"]] == list(colors.FORECASTER_COLORS[:2])
