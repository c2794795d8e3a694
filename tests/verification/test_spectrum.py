import numpy as np
import pytest
import torch

from nowcast.verification.spectrum import SpectralAgreement


def seen(field):
    return torch.ones_like(field, dtype=torch.bool)


def rough(seed, height=24, width=32):
    return torch.rand(1, 1, 1, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(24, 32), (15, 21), (16, 16)])
def test_ring_means_equal_a_loop_over_all_frequencies(shape):
    field = rough(0, *shape)
    score = SpectralAgreement(1, shape)
    score.update(field, field, seen(field))
    values = field[0, 0, 0].double().numpy()
    taper = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in shape]
    power = np.abs(np.fft.fft2((values - values.mean()) * np.outer(*taper))) ** 2
    rings = {}
    for r, c in np.ndindex(shape):
        frequency = np.hypot(np.fft.fftfreq(shape[0])[r], np.fft.fftfreq(shape[1])[c])
        rings.setdefault(round(frequency * max(shape)), []).append(power[r, c])
    expected = [np.mean(rings[k]) for k in range(1, max(shape) // 2 + 1)]
    np.testing.assert_allclose(score.totals["observed_power"][0], expected, rtol=1e-4)


def test_agrees_with_pysteps_on_a_square_frame():
    rapsd = pytest.importorskip("pysteps.utils.spectral").rapsd
    field = rough(1, 32, 32)
    score = SpectralAgreement(1, (32, 32))
    score.update(field, field, seen(field))
    values = field[0, 0, 0].double().numpy()
    taper = np.sin(np.pi * (np.arange(32) + 0.5) / 32) ** 2
    expected = rapsd((values - values.mean()) * np.outer(taper, taper), fft_method=np.fft)[1:]
    ours = score.totals["observed_power"][0][: len(expected)]
    np.testing.assert_allclose(ours / ours[3], expected / expected[3], rtol=0.25)  # its rings round differently


def test_blurring_loses_power_at_small_scales_and_shifting_does_not():
    field = rough(2, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(field[:, 0], 3, 1, 1)[:, None]
    score = SpectralAgreement(1, (32, 32))
    score.update(blurred, field, seen(field))
    power = score.dataset().power_ratio[0]
    assert power.sel(wavelength=32.0) > 0.5 and power.sel(wavelength=2.0) < 0.1
    still = SpectralAgreement(1, (32, 32))
    still.update(field, field, seen(field))
    assert still.dataset().log_spectral_distance.item() == 0 < score.dataset().log_spectral_distance.item()


def test_undefined_and_infinite():
    field, flat = rough(3, 16, 16), torch.zeros(1, 1, 1, 16, 16)
    score = SpectralAgreement(1, (16, 16))
    score.update(flat, flat, seen(flat))
    assert score.dataset().log_spectral_distance.isnull().all()
    score.update(flat, field, seen(flat))
    assert np.isinf(score.dataset().log_spectral_distance).all()
    empty = SpectralAgreement(1, (16, 16))
    empty.update(field, field, ~seen(field))
    assert empty.dataset().log_spectral_distance.isnull().all()


def test_merging_equals_one_pass_and_masked_values_play_no_part():
    a, b, mask = rough(4), rough(5), rough(6) < 0.8
    whole, parts = SpectralAgreement(1, (24, 32)), [SpectralAgreement(1, (24, 32)) for _ in range(2)]
    whole.update(torch.cat([a, b]), torch.cat([b, a]), torch.cat([mask, mask]))
    parts[0].update(a.where(mask, torch.nan), b, mask)
    parts[1].update(b, a.where(mask, torch.nan), mask)
    found, expected = parts[0].merge(parts[1]).dataset(), whole.dataset()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10)
