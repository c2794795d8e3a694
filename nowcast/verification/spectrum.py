"""Power spectra: does the forecast vary at every scale as much as the observation?"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from nowcast.verification.arrays import frames
from nowcast.verification.streaming import StreamingScore, ratio


class SpectralAgreement(StreamingScore):
    """Agreement of the radially averaged power spectra of forecast and observation (scaled reflectivity).

    `log_spectral_distance` = √ mean over wavenumbers k of (10 log10 (F(k)/O(k)))², in dB, F and O the spectra averaged
    over all sequences. Range 0 to ∞, perfect 0. It says nothing about place: a shifted forecast is perfect.
    `power_ratio` (lead_time, wavelength) = F/O: 1 is perfect, below 1 the forecast is too smooth at that wavelength,
    above 1 too rough. Wavelengths in pixels, from the longer side of the frame down to 2. Masked pixels are 0 in both
    fields (the same holes in both spectra), the mean is removed, and a Hann window softens the border. NaN where the
    observation has no variance at all; a forecast without variance is infinitely far. Reference: Ruzanski and
    Chandrasekar 2011 for radially averaged spectra of radar rain; Rabiner and Juang 1993 for the distance.

    Args:
        lead_steps: number of forecast frames.
        shape: (H, W) of the frames.
        frame_interval: gives `lead_time` as timedelta64.

    >>> import torch
    >>> score = SpectralAgreement(1, (16, 16))
    >>> field = torch.rand(1, 1, 1, 16, 16)
    >>> score.update(field / 2, field, torch.ones_like(field, dtype=torch.bool))
    >>> score.dataset().log_spectral_distance.values.round(2).tolist()     # a quarter of the power: 6 dB everywhere
    [6.02]
    """

    def __init__(self, lead_steps: int, shape: tuple[int, int], frame_interval: np.timedelta64 | None = None) -> None:
        super().__init__(lead_steps, frame_interval, shape=tuple(shape))
        self.shape = shape
        self.wavenumbers = np.arange(1, max(max(shape) // 2, 1) + 1)
        rows, columns = (np.fft.fftfreq(n) * max(shape) for n in shape)
        self._ring = np.rint(np.hypot(rows[:, None], columns[None, : shape[1] // 2 + 1])).astype(np.intp)
        # A real field's spectrum is symmetric: of the half that is computed, inner columns stand for two.
        twice = np.full(shape[1] // 2 + 1, 2.0)
        twice[0] = 1.0
        if shape[1] % 2 == 0:
            twice[-1] = 1.0
        self._multiplicity = np.broadcast_to(twice, self._ring.shape).ravel()
        self._taper = np.outer(*(_hann(n) for n in shape)).astype(np.float32)
        for name in ("forecast_power", "observed_power"):
            self.register(name, (lead_steps, len(self.wavenumbers)))

    def update(self, forecast: Tensor, observation: Tensor, valid: Tensor) -> None:
        """Add sequences: scaled reflectivity (B, T, 1, H, W) twice and bool `valid`, True = use this pixel."""
        for step, forecast_frame, observed_frame, usable in frames(forecast, observation, valid, self.lead_steps):
            self.totals["forecast_power"][step] += self._spectrum(forecast_frame, usable)
            self.totals["observed_power"][step] += self._spectrum(observed_frame, usable)

    def dataset(self) -> xr.Dataset:
        """`log_spectral_distance` (lead_time) in dB and `power_ratio` (lead_time, wavelength)."""
        power = ratio(self.totals["forecast_power"], self.totals["observed_power"])
        with np.errstate(divide="ignore"):
            distance = np.sqrt(np.mean((10 * np.log10(power)) ** 2, axis=1))
        wavelengths = max(self.shape) / self.wavenumbers
        return xr.Dataset(
            {
                "log_spectral_distance": ("lead_time", distance, {"units": "dB"}),
                "power_ratio": (("lead_time", "wavelength"), power, {"units": "1"}),
            },
            {"lead_time": self.lead_time(), "wavelength": ("wavelength", wavelengths, {"units": "pixel"})},
        )

    def _spectrum(self, field: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean power on rings of whole wavenumbers (cycles per longer side of the frame)."""
        anomaly = np.where(usable, field - field[usable].mean(), 0).astype(np.float32)
        power = np.abs(fft.rfft2(anomaly * self._taper)).ravel().astype(np.float64) ** 2 * self._multiplicity
        ring, length = self._ring.ravel(), len(self.wavenumbers) + 1
        total = np.bincount(ring, power, length)[1:length]
        members = np.bincount(ring, self._multiplicity, length)[1:length]
        return np.asarray(total / members)


def _hann(n: int) -> NDArray[np.float64]:
    """A Hann window without zeros at its ends, so that tiny frames keep all their pixels."""
    return np.asarray(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2)
