"""The mean of a field over a neighborhood, some of its pixels counting more than others."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Field = NDArray[np.float32]

MARGIN = 3
"""Widths of the neighborhood that are added around a field, so that its edges do not see each other."""


class LocalMean:
    """Weighted means of fields of one shape over Gaussian neighborhoods: G ∗ (w x) / G ∗ w, by FFT.

    A wide neighborhood costs no more than a narrow one, and every further one of the same field one inverse transform.

    Args:
        shape: (H, W) of the fields.
        widest: largest standard deviation in pixels that will be asked for.

    >>> spread = LocalMean((1, 5), widest=1.0)
    >>> field, weights = np.float32([[0, 0, 1, 0, 0]]), np.float32([[1, 1, 3, 1, 1]])
    >>> mean = spread.of(spread.transform(field * weights), spread.transform(weights), 0.01)
    >>> mean.round(2).tolist() == [[0, 0, 1, 0, 0]]
    True
    """

    def __init__(self, shape: tuple[int, int], widest: float) -> None:
        self.shape = shape
        margin = int(np.ceil(MARGIN * widest))
        self._padded = [scipy.fft.next_fast_len(size + margin, real=True) for size in shape]
        rows = np.fft.fftfreq(self._padded[0])[:, None]
        columns = np.fft.rfftfreq(self._padded[1])[None]
        self._squared_frequency = np.asarray(rows**2 + columns**2, np.float32)

    def transform(self, field: Field) -> NDArray[np.complex64]:
        """What `of` takes: the transform of a field (H, W) with nothing around it."""
        return np.asarray(scipy.fft.rfft2(np.asarray(field, np.float32), self._padded))

    def of(self, weighted: NDArray[np.complex64], weights: NDArray[np.complex64], width: float) -> Field:
        """G ∗ (w x) / G ∗ w of the transforms of w x and w; 0 where no weight is near.

        Args:
            width: standard deviation of the Gaussian, pixels, > 0.
        """
        total = self._spread(weights, width)
        near = total > 1e-4  # what the transform leaves of zero is about 1e-6
        return np.where(near, self._spread(weighted, width) / np.where(near, total, 1), 0).astype(np.float32)

    def _spread(self, transformed: NDArray[np.complex64], width: float) -> Field:
        response = np.exp(np.float32(-2 * np.pi**2 * width**2) * self._squared_frequency)
        spread = scipy.fft.irfft2(transformed * response, self._padded)
        return np.asarray(spread[: self.shape[0], : self.shape[1]], np.float32)
