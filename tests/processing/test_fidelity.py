"""Indices of likeness, held against values worked out by hand, plain loops and quaternions written out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from processing import fidelity
from processing.errors import ProcessingError
from processing.fidelity import compare, ergas, q2n, sam_deg, universal_quality, wald
from processing.mtf import degrade


def pictures(seed=0, *, bands=4, size=(64, 64)):
    rng = np.random.default_rng(seed)
    picture = ndimage.gaussian_filter(rng.uniform(0, 4000, (bands, *size)), (0, 2, 2))
    return picture, 0.9 * picture + 30 + rng.normal(0, 20, picture.shape)


def test_ergas_by_hand():
    reference = np.array([[[10.0, 30.0]], [[100.0, 100.0]]])
    picture = np.array([[[13.0, 34.0]], [[100.0, 110.0]]])
    # RMSE √12.5 of mean 20, RMSE √50 of mean 100
    expected = 100 / 4 * math.sqrt((12.5 / 400 + 50 / 10_000) / 2)
    assert ergas(reference, picture, ratio=4) == pytest.approx(expected, rel=1e-14)
    assert ergas(reference, reference, ratio=4) == 0
    assert ergas(reference, picture, ratio=4, valid=np.array([[True, False]])) == pytest.approx(
        25 * math.sqrt(0.09 / 2), rel=1e-14
    )


def test_spectral_angles_by_hand():
    # Columns are pixels: 90°, 45°, 0° with a scale, and one that has no angle.
    reference = np.array([[[1.0, 1.0, 2.0, 0.0]], [[0.0, 0.0, 3.0, 0.0]]])
    picture = np.array([[[0.0, 5.0, 4.0, 9.0]], [[7.0, 5.0, 6.0, 9.0]]])
    assert sam_deg(reference, picture) == pytest.approx((90 + 45 + 0) / 3, rel=1e-14)


def test_tiny_angles_are_not_lost():
    angle = 1e-9
    reference, picture = np.array([[[1.0]], [[0.0]]]), np.array([[[math.cos(angle)]], [[math.sin(angle)]]])
    assert sam_deg(reference, picture) == pytest.approx(math.degrees(angle), rel=1e-6)


def test_q_of_one_window_by_hand():
    x, y = np.array([[[1.0, 2.0], [3.0, 6.0]]]), np.array([[[2.0, 2.0], [4.0, 8.0]]])
    # Means 3 and 4; variances 3.5 and 6 (over n); covariance (4 + 2 + 0 + 12) / 4 = 4.5: the mean's share is 24/25.
    assert universal_quality(x, y, window=2) == pytest.approx((24 / 25 * 2 * 4.5 / 9.5,), rel=1e-14)


def test_q_of_flat_windows():
    flat = np.full((1, 8, 8), 3.0)
    assert universal_quality(flat, flat) == (1,)
    assert universal_quality(flat, 2 * flat) == pytest.approx((2 * 3 * 6 / 45,))
    assert universal_quality(0 * flat, 0 * flat) == (1,)


def test_q_in_plain_loops():
    x, y = pictures(1, bands=2, size=(20, 17))
    valid = np.ones((20, 17), dtype=bool)
    valid[5, 12] = False
    found = universal_quality(x, y, valid=valid)
    for band in range(2):
        each = []
        for row, col in itertools.product(range(13), range(10)):
            here = slice(row, row + 8), slice(col, col + 8)
            if valid[here].all():
                a, b = x[band][here].ravel(), y[band][here].ravel()
                both = np.cov(a, b)
                each.append(
                    4 * both[0, 1] * a.mean() * b.mean() / (both[0, 0] + both[1, 1]) / (a.mean() ** 2 + b.mean() ** 2)
                )
        assert 0 < len(each) < 130
        assert found[band] == pytest.approx(np.mean(each), rel=1e-10)


def hamilton(p, q):
    """Product of quaternions, as Hamilton wrote it."""
    a, b, c, d = p
    e, f, g, h = q
    return np.array(
        [
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        ]
    )


@pytest.mark.parametrize("bands", [3, 4])
def test_q4_in_quaternions(bands):
    x, y = pictures(2, bands=bands, size=(70, 40))
    each = []
    for row in (0, 32):  # what is left at the edges is no whole block
        a, b = np.zeros((4, 1024)), np.zeros((4, 1024))
        a[:bands], b[:bands] = (part[:, row : row + 32, :32].reshape(bands, -1) for part in (x, y))
        turned = b * np.array([[1], [-1], [-1], [-1]])
        both = hamilton(a, turned).mean(axis=1) - hamilton(a.mean(axis=1), turned.mean(axis=1))
        spread = a.var(axis=1).sum() + b.var(axis=1).sum()
        mean_a, mean_b = (np.linalg.norm(part.mean(axis=1)) for part in (a, b))
        each.append(4 * np.linalg.norm(both) * mean_a * mean_b / spread / (mean_a**2 + mean_b**2))
    assert q2n(x, y) == pytest.approx(np.mean(each), rel=1e-10)


def test_units_multiply_as_octonions_do():
    signs = fidelity._signs(8)
    # |x y*| = |x| |y| holds up to the octonions, and for them alone with all signs right.
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.normal(size=(2, 8))
        product = np.zeros(8)
        for i, j in itertools.product(range(8), range(8)):
            product[i ^ j] += signs[i, j] * x[i] * y[j]
        assert np.linalg.norm(product) == pytest.approx(np.linalg.norm(x) * np.linalg.norm(y), rel=1e-12)


def test_q2n_of_one_band_is_q():
    x, y = pictures(3, bands=1, size=(32, 32))
    assert q2n(x, y) == pytest.approx(universal_quality(x, y, window=32)[0], rel=1e-10)


@settings(max_examples=15)
@given(seed=st.integers(0, 99), bands=st.integers(1, 5), scale=st.floats(0.2, 5), error=st.floats(0.01, 0.3))
def test_what_every_index_must_do(seed, bands, scale, error):
    x, _ = pictures(seed, bands=bands, size=(40, 36))
    same = compare(x, x, ratio=4)
    assert same.ergas == 0
    assert same.sam_deg == pytest.approx(0, abs=1e-6)
    assert (*same.q, same.q2n) == pytest.approx((1,) * (bands + 1))
    # A factor for all: the angle does not see it, ERGAS is that of the relative error, Q falls.
    scaled = compare(x, scale * x, ratio=4)
    assert scaled.sam_deg == pytest.approx(0, abs=1e-6)
    relative = np.sqrt(((x**2).mean(axis=(1, 2)) / x.mean(axis=(1, 2)) ** 2).mean())
    assert scaled.ergas == pytest.approx(25 * abs(scale - 1) * relative, abs=1e-9)
    assert (*scaled.q, scaled.q2n) == pytest.approx((4 * scale**2 / (1 + scale**2) ** 2,) * (bands + 1))
    # The more noise the worse.
    noise = np.random.default_rng(seed).normal(0, error * x.mean(), x.shape)
    once, twice = compare(x, x + noise, ratio=4), compare(x, x + 2 * noise, ratio=4)
    assert twice.ergas == pytest.approx(2 * once.ergas)
    assert twice.q2n < once.q2n < 1
    assert max(a - b for a, b in zip(twice.q, once.q, strict=True)) < 0
    if bands > 1:
        assert twice.sam_deg > once.sam_deg > 0


def test_the_protocol_hands_over_coarse_pictures_and_judges_fine_ones():
    bands, _ = pictures(6, bands=2, size=(64, 64))
    pan = np.repeat(np.repeat(bands.mean(axis=0), 2, axis=0), 2, axis=1)
    seen = []

    def sharpen(coarse_pan, coarse_bands):
        seen.append((coarse_pan.shape, coarse_bands.shape))
        np.testing.assert_array_equal(coarse_pan, degrade(pan, ratio=2, nyquist_gain=0.15))
        np.testing.assert_array_equal(coarse_bands[1], degrade(bands[1], ratio=2))
        return 1.1 * bands

    assert wald(pan, bands, sharpen, ratio=2) == compare(bands, 1.1 * bands, ratio=2)
    assert seen == [((64, 64), (2, 32, 32))]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: ergas(a, b[:, 1:], ratio=4), "reference .4, 64, 64., picture .4, 63, 64.; give .bands, rows"),
        (lambda a, b: ergas(a * 0, b, ratio=4), "band 1 of the reference has mean 0"),
        (lambda a, b: sam_deg(a, b * 0), "every pixel is zero"),
        (lambda a, b: sam_deg(a, b, valid=np.zeros((64, 64), bool)), "no pixel is valid in both"),
        (lambda a, b: universal_quality(a, b, window=65), "no 65 × 65 window is valid all over"),
        (lambda a, b: q2n(a, b, block=100), "no 100 × 100 block is valid"),
        (lambda a, _: degrade(a[0], ratio=5), r"\(64, 64\) pixels by 5; cut them to multiples"),
        (lambda a, _: degrade(a[0], ratio=4, nyquist_gain=0), "gain 0 at the Nyquist frequency; give one between"),
        (lambda a, b: wald(a[0], b, lambda *_: b, ratio=4), "the ratio should be 4"),
    ],
)
def test_what_cannot_be_compared(call, message):
    with pytest.raises(ProcessingError, match=message):
        call(*pictures(0))
