"""The modulation transfer function of a sensor: a picture as one with larger pixels would see it."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.errors import ProcessingError

Pixels = NDArray[Any]
Floats = NDArray[np.float64]

NYQUIST_GAIN: Final = 0.3
"""MTF of multispectral bands at their Nyquist frequency, where nothing better is known (Aiazzi et al. 2006)."""

PAN_NYQUIST_GAIN: Final = 0.15
"""The same of panchromatic bands."""

REACH: Final = 4.0
"""Standard deviations beyond which a Gaussian is cut off; what is lost weighs 6e-5."""


def degrade(pixels: Pixels, *, ratio: int, nyquist_gain: float = NYQUIST_GAIN) -> Floats:
    """One band as a sensor with pixels `ratio` times as large would see it; shape (rows / ratio, columns / ratio).

    Raises
    ------
    ProcessingError
        Rows or columns are no multiples of the ratio.
    """
    if pixels.shape[0] % ratio or pixels.shape[1] % ratio:
        raise ProcessingError(f"degrade: {pixels.shape} pixels by {ratio}; cut them to multiples of it")
    sigma = gaussian_sigma(ratio, nyquist_gain)
    rows, cols = (ratio * np.arange(size // ratio) + (ratio - 1) / 2 for size in pixels.shape)
    return low_pass(np.ascontiguousarray(pixels), (0, 0), np.nan, rows, cols, (sigma, sigma))[0]


def gaussian_sigma(ratio: float, nyquist_gain: float) -> float:
    """Standard deviation, fine pixels, of the Gaussian that passes this much of the coarse Nyquist frequency.

    exp(-2π²σ²f²) = gain at f = 1 / (2 ratio). Source: Aiazzi, Alparone, Baronti, Garzelli & Selva, PE&RS 72(5), 2006.

    Raises
    ------
    ProcessingError
        The gain is not between 0 and 1.
    """
    if not 0 < nyquist_gain < 1:
        raise ProcessingError(f"MTF: gain {nyquist_gain} at the Nyquist frequency; give one between 0 and 1")
    return ratio / math.pi * math.sqrt(-2.0 * math.log(nyquist_gain))


# Compiled code. Each value depends on its own inputs alone, in one order: the same bits whatever the window.


@njit(cache=True, nogil=True)
def low_pass(
    pixels: Pixels, first: tuple[int, int], nodata: float, rows: Floats, cols: Floats, sigma: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Gaussian means around places of one band; pixels that are missing (outside, nodata, NaN) have no weight.

    Parameters
    ----------
    pixels, first
        Shape (rows, columns), and the row and column of the first; `REACH` · sigma beyond the places, where there are.
    nodata
        NaN for none.
    rows, cols
        Of the places, whole numbers at the centres of pixels; every row with every column.

    Returns
    -------
    The means, NaN without any pixel; and the share of the weights that found one, 0 to 1.
    """
    at_row, weights_row = _taps(rows, sigma[0])
    at_col, weights_col = _taps(cols, sigma[1])
    mean, share = np.full((rows.size, cols.size), np.nan), np.zeros((rows.size, cols.size))
    along = np.empty(pixels.shape[1])
    for i in range(rows.size):
        top = at_row[i] - first[0]
        along[:] = 0.0
        for k in range(weights_row.shape[1]):
            if top + k < 0 or top + k >= pixels.shape[0]:
                along[:] = np.nan
                break
            for j in range(pixels.shape[1]):
                value = float(pixels[top + k, j])
                along[j] += weights_row[i, k] * (np.nan if value == nodata else value)
        for j in range(cols.size):
            left = at_col[j] - first[1]
            total = np.nan
            if left >= 0 and left + weights_col.shape[1] <= pixels.shape[1]:
                total = 0.0
                for k in range(weights_col.shape[1]):
                    total += weights_col[j, k] * along[left + k]
            if np.isnan(total):
                mean[i, j], share[i, j] = _mean_of_known(pixels, top, left, nodata, weights_row[i], weights_col[j])
            else:
                mean[i, j], share[i, j] = total, 1.0
    return mean, share


@njit(cache=True, nogil=True)
def _mean_of_known(
    pixels: Pixels, top: int, left: int, nodata: float, weights_row: Floats, weights_col: Floats
) -> tuple[float, float]:
    total, weight = 0.0, 0.0
    for i in range(max(0, -top), min(weights_row.size, pixels.shape[0] - top)):
        for j in range(max(0, -left), min(weights_col.size, pixels.shape[1] - left)):
            value = float(pixels[top + i, left + j])
            if value != nodata and not np.isnan(value):
                total += weights_row[i] * weights_col[j] * value
                weight += weights_row[i] * weights_col[j]
    return (total / weight, weight) if weight > 0.0 else (np.nan, 0.0)


@njit(cache=True, nogil=True)
def _taps(places: Floats, sigma: float) -> tuple[NDArray[np.int64], Floats]:
    """First pixel and weights, which add up to 1, of the Gaussian around each place."""
    reach = int(np.ceil(REACH * sigma))
    at, weights = np.empty(places.size, dtype=np.int64), np.empty((places.size, 2 * reach + 1))
    for i in range(places.size):
        # As many pixels before as behind; a place in the middle between two pixels has its last one without weight.
        at[i] = int(np.floor(places[i] + 0.5)) - reach
        total = 0.0
        for k in range(2 * reach + 1):
            away = (at[i] + k - places[i]) / sigma
            weights[i, k] = np.exp(-0.5 * away * away) if abs(away) <= REACH else 0.0
            total += weights[i, k]
        weights[i] /= total
    return at, weights
