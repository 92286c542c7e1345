"""The low pass against a wave whose damping is known, and against scipy's Gaussian."""

import numpy as np
import pytest
from scipy import ndimage

from processing.mtf import REACH, degrade, gaussian_sigma, low_pass


@pytest.mark.parametrize("gain", [0.15, 0.3, 0.6])
def test_a_wave_is_damped_as_the_mtf_says(gain):
    ratio, nyquist = 4, 1 / 8
    cols = np.arange(400)
    sigma = gaussian_sigma(ratio, gain)
    for frequency in (nyquist, nyquist / 2):
        wave = np.tile(1000 + 500 * np.cos(2 * np.pi * frequency * cols), (80, 1))
        places = 4 * np.arange(15, 85) + 1.5
        found, share = low_pass(wave, (0, 0), np.nan, np.array([40.0]), places, (sigma, sigma))
        expected = gain ** ((frequency / nyquist) ** 2)
        np.testing.assert_allclose(found[0] - 1000, expected * 500 * np.cos(2 * np.pi * frequency * places), atol=0.1)
        assert (share == 1).all()


def test_degraded_is_a_gaussian_of_scipy():
    picture = np.random.default_rng(4).uniform(100, 900, (120, 96))
    sigma = gaussian_sigma(3, 0.3)
    blurred = ndimage.gaussian_filter(picture, sigma, radius=int(REACH * sigma))
    # With three pixels to one, the middle of a coarse pixel is that of a fine one.
    found = degrade(picture, ratio=3)
    inside = slice(3, -3), slice(3, -3)
    np.testing.assert_allclose(found[inside], blurred[1::3, 1::3][inside], rtol=1e-12)


def test_missing_pixels_have_no_weight():
    picture = np.full((40, 40), 500, dtype=np.uint16)
    picture[:, 17:] = 9
    picture[12:14, 3:9] = 9
    found, share = low_pass(picture, (0, 0), 9.0, np.array([13.0, 20.0]), np.array([8.2, 16.0, 30.0]), (2.0, 2.0))
    np.testing.assert_allclose(found, [[500, 500, np.nan]] * 2)
    assert share[0, 0] < share[1, 0] == pytest.approx(1, abs=1e-3)
    assert share[1, 1] == pytest.approx(0.6, abs=0.01)  # half of it and a pixel's own half
    assert (share[:, 2] == 0).all()


def test_a_place_is_the_same_in_any_window():
    picture = np.random.default_rng(5).uniform(100, 900, (90, 80))
    rows, cols = np.array([20.3, 44.8, 45.0]), np.array([30.1, 33.6])
    whole = low_pass(picture, (0, 0), np.nan, rows, cols, (1.7, 1.9))
    part = low_pass(np.ascontiguousarray(picture[12:54, 21:43]), (12, 21), np.nan, rows, cols, (1.7, 1.9))
    np.testing.assert_array_equal(whole, part)
