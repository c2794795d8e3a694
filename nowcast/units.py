"""Conversions between the units of the project: rain rate (mm/h), reflectivity (dBZ), scaled reflectivity.

Scaled reflectivity is the number a model sees: [0, 1] for [-10, 60] dBZ, the "pixel" of the HKO-7 benchmark.
Its 8-bit code (0..255) is what PNG files and archives hold; code 0 means that the radar saw no echo.
Everything works on numbers and numpy arrays; callers that hold tensors convert thresholds, not fields.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

THRESHOLDS = (0.5, 2.0, 5.0, 10.0, 30.0)
"""Rain-rate thresholds of the HKO-7 benchmark, mm/h (Shi et al. 2017, section 4)."""


@dataclass(frozen=True)
class ZRRelation:
    """Z = a R^b, written in decibels: dBZ = 10 log10(a) + 10 b log10(R), with R in mm/h.

    The default a = 58.53, b = 1.56 is the relation of the HKO-7 benchmark (Shi et al. 2017, section 4).

    >>> round(float(ZRRelation().rain_rate(35.0)), 2)
    12.9
    """

    a: float = 58.53
    b: float = 1.56

    def rain_rate(self, reflectivity: ArrayLike) -> NDArray[np.float64]:
        """Rain rate in mm/h of a reflectivity in dBZ; NaN stays NaN, -inf dBZ is 0 mm/h."""
        decibels = np.asarray(reflectivity, dtype=np.float64)
        return np.asarray(10.0 ** ((decibels - 10.0 * np.log10(self.a)) / (10.0 * self.b)))

    def reflectivity(self, rain_rate: ArrayLike) -> NDArray[np.float64]:
        """Reflectivity in dBZ of a rain rate in mm/h, rate ≥ 0; 0 mm/h is -inf dBZ."""
        rate = np.asarray(rain_rate, dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(10.0 * np.log10(self.a) + 10.0 * self.b * np.log10(rate))


@dataclass(frozen=True)
class ReflectivityScale:
    """Scaled reflectivity: 0 at `minimum`, 1 at `maximum` dBZ, 255 steps of 70/255 dB in the 8-bit code.

    >>> float(ReflectivityScale().scale(25.0))
    0.5
    """

    minimum: float = -10.0
    maximum: float = 60.0

    def scale(self, reflectivity: ArrayLike) -> NDArray[np.float64]:
        """Scaled reflectivity in [0, 1] of dBZ; values outside the scale are clipped, NaN stays NaN."""
        decibels = np.asarray(reflectivity, dtype=np.float64)
        return np.clip((decibels - self.minimum) / (self.maximum - self.minimum), 0.0, 1.0)

    def reflectivity(self, scaled: ArrayLike) -> NDArray[np.float64]:
        """Reflectivity in dBZ of a scaled reflectivity."""
        return np.asarray(scaled, dtype=np.float64) * (self.maximum - self.minimum) + self.minimum

    def encode(self, scaled: ArrayLike) -> NDArray[np.uint8]:
        """The 8-bit code of a scaled reflectivity, rounded to the nearest step; NaN becomes 0."""
        return np.rint(np.clip(np.nan_to_num(np.asarray(scaled, np.float64)), 0, 1) * 255).astype(np.uint8)

    def decode(self, code: ArrayLike) -> NDArray[np.float32]:
        """Scaled reflectivity of an 8-bit code."""
        return np.asarray(code, dtype=np.float32) / np.float32(255)


HKO7_ZR = ZRRelation()
HKO7_SCALE = ReflectivityScale()

CANONICAL_ZR, CANONICAL_SCALE = HKO7_ZR, HKO7_SCALE
"""The one scale of all archives, whatever radar they hold: readers convert at the door (nowcast.readers.canonical)."""


def rain_rate_from_scaled(
    scaled: ArrayLike, zr: ZRRelation = HKO7_ZR, scale: ReflectivityScale = HKO7_SCALE
) -> NDArray[np.float64]:
    """Rain rate in mm/h of a scaled reflectivity. A value ≤ 0 means no echo and gives exactly 0 mm/h.

    >>> rain_rate_from_scaled([0.0, 0.5]).round(3).tolist()
    [0.0, 2.949]
    """
    field = np.asarray(scaled, dtype=np.float64)
    return np.where(field <= 0, 0.0, zr.rain_rate(scale.reflectivity(field)))


def scaled_from_rain_rate(
    rain_rate: ArrayLike, zr: ZRRelation = HKO7_ZR, scale: ReflectivityScale = HKO7_SCALE
) -> NDArray[np.float64]:
    """Scaled reflectivity in [0, 1] of a rain rate in mm/h, clipped to the scale; 0 mm/h gives 0."""
    return scale.scale(zr.reflectivity(rain_rate))


def exact_threshold(threshold: float, zr: ZRRelation = HKO7_ZR, scale: ReflectivityScale = HKO7_SCALE) -> float:
    """Scaled reflectivity of a rain rate in mm/h, in double precision and not clipped: for float64 fields."""
    return (float(zr.reflectivity(threshold)) - scale.minimum) / (scale.maximum - scale.minimum)


def scaled_threshold(threshold: float, zr: ZRRelation = HKO7_ZR, scale: ReflectivityScale = HKO7_SCALE) -> np.float32:
    """The smallest float32 scaled reflectivity whose rain rate reaches `threshold` (mm/h).

    Rounded up, so that comparing a float32 field with it counts what the float64 definition counts.
    """
    exact = exact_threshold(threshold, zr, scale)
    rounded = np.float32(exact)
    return rounded if float(rounded) >= exact else np.nextafter(rounded, np.float32(np.inf))
