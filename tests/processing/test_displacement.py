"""The measure of accuracy, itself measured on pictures whose shift is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from processing.displacement import measure_displacement
from processing.errors import ProcessingError

FINER = 4


def two_pictures(down, right, *, size=400, smooth_px=1.25, gain=1.7, offset=30.0, noise=0.0, seed=0):
    """A random scene, and the same moved by exactly that many pixels: a phase ramp on a four times finer grid."""
    rng = np.random.default_rng(seed)
    side = size * FINER
    fine = ndimage.gaussian_filter(rng.normal(size=(side, side)), smooth_px * FINER, mode="wrap")
    fine /= fine.std()
    y, x = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    ramp = np.exp(-2j * np.pi * FINER * (y * down + x * right))
    moved = np.fft.ifft2(np.fft.fft2(fine) * ramp).real
    reference, image = fine[::FINER, ::FINER], moved[::FINER, ::FINER]
    return gain * image + offset + noise * rng.normal(size=image.shape), reference


@settings(max_examples=15, deadline=None)
@given(down=st.floats(-14, 14), right=st.floats(-14, 14), seed=st.integers(0, 9))
def test_every_patch_finds_the_shift(down, right, seed):
    image, reference = two_pictures(down, right, size=300, noise=0.03, seed=seed)
    found = measure_displacement(image, reference, resolution_m=1.0)
    error_px = np.hypot(found.east_m - right, found.north_m + down)
    assert error_px.max() < 0.05
    assert len(found.east_m) > 0.9 * found.patches


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (0.25, 3.75), (-7.9, 0.1)])
def test_it_is_far_better_than_asked_on_a_clean_picture(shift):
    found = measure_displacement(*two_pictures(*shift), resolution_m=1.0)
    assert np.hypot(found.east_m - shift[1], found.north_m + shift[0]).max() < 0.005


def test_metres_east_and_north():
    found = measure_displacement(*two_pictures(2.0, -3.0), resolution_m=8.0)
    assert found.bias_m == pytest.approx((-24.0, -16.0), abs=0.05)
    assert found.ce90_m == pytest.approx(np.hypot(24, 16), abs=0.1)
    assert found.rmse_m == pytest.approx(np.hypot(24, 16), abs=0.1)


def test_ce90_is_the_distance_that_nine_of_ten_keep():
    """A stretched picture: the displacement grows with the column, from 0 to 4 px."""
    _, reference = two_pictures(0, 0, size=600)
    rows, cols = np.indices(reference.shape).astype(float)
    image = ndimage.map_coordinates(reference, [rows, cols * (1 - 4 / 600)], order=3, mode="nearest")
    found = measure_displacement(image, reference, resolution_m=2.0)
    expected = 2.0 * found.col * (4 / 600) / (1 - 4 / 600)
    np.testing.assert_allclose(found.east_m, expected, atol=0.1)
    assert found.ce90_m == pytest.approx(np.percentile(np.hypot(found.east_m, found.north_m), 90))
    assert np.mean(np.hypot(found.east_m, found.north_m) <= found.ce90_m) == pytest.approx(0.9, abs=0.03)


def test_clouds_are_left_out():
    image, reference = two_pictures(1.3, 0.4, size=600)
    cloud = np.s_[200:400, 200:400]
    image[cloud] = np.random.default_rng(5).normal(size=(200, 200)) * 3
    found = measure_displacement(image, reference, resolution_m=1.0)
    assert np.hypot(found.east_m - 0.4, found.north_m + 1.3).max() < 0.05
    assert len(found.east_m) < found.patches
    valid = np.ones(image.shape, dtype=bool)
    valid[cloud] = False
    masked = measure_displacement(image, reference, resolution_m=1.0, valid=valid)
    assert masked.patches < found.patches


def test_pictures_of_different_ground_are_not_matched():
    image, _ = two_pictures(0, 0, seed=1)
    _, reference = two_pictures(0, 0, seed=2)
    with pytest.raises(ProcessingError, match="not of the same ground"):
        measure_displacement(image, reference, resolution_m=1.0)


@pytest.mark.parametrize("flat", [np.zeros((300, 300)), np.tile(np.sin(np.arange(300) / 3), (300, 1))])
def test_without_texture_nothing_is_said(flat):
    """In stripes the shift along them cannot be known."""
    with pytest.raises(ProcessingError, match="patches could be matched"):
        measure_displacement(flat, flat, resolution_m=1.0)


def test_grids_must_be_the_same():
    with pytest.raises(ProcessingError, match="give the same grid"):
        measure_displacement(np.zeros((9, 9)), np.zeros((9, 8)), resolution_m=1.0)
