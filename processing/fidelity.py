"""How much of a picture a sharpened one keeps: indices against a reference, and the protocol that provides one.

Nobody has the sharp colours that a pan-sharpened picture should show. Wald's protocol makes a case where they are
known: pan and bands are degraded by the ratio between them, as the sensor's optics would do it, sharpened, and compared
with the bands as they were (Wald, Ranchin & Mangolini, PE&RS 63(6), 1997).

    pan ──► degrade ─┐
                     ├─► sharpen ──► compare ◄── bands
    bands ─► degrade ┘
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.errors import ProcessingError
from processing.mtf import NYQUIST_GAIN, PAN_NYQUIST_GAIN, degrade

Pixels = NDArray[Any]
"""Shape (bands, rows, columns)."""

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

Q_WINDOW: Final = 8
"""Rows and columns of the sliding window of Q (Wang & Bovik 2002)."""

Q2N_BLOCK: Final = 32
"""Rows and columns of the blocks of Q2n (Alparone et al. 2004)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How like a reference a picture is."""

    ergas: float
    """Relative error over all bands; 0 is equal, below 3 is called good."""

    sam_deg: float
    """Mean angle between the spectra; 0 is equal."""

    q: tuple[float, ...]
    """Universal quality index of each band; 1 is equal."""

    q2n: float
    """Quality of all bands at once; 1 is equal."""


def compare(reference: Pixels, picture: Pixels, *, ratio: float, valid: Mask | None = None) -> Fidelity:
    """All indices of a picture against a reference of the same shape; see each for its definition and errors."""
    return Fidelity(
        ergas=ergas(reference, picture, ratio=ratio, valid=valid),
        sam_deg=sam_deg(reference, picture, valid=valid),
        q=universal_quality(reference, picture, valid=valid),
        q2n=q2n(reference, picture, valid=valid),
    )


def ergas(reference: Pixels, picture: Pixels, *, ratio: float, valid: Mask | None = None) -> float:
    """Relative dimensionless global error: 100/ratio · √(mean over the bands of (RMSE / mean of the reference)²).

    Source: Wald, Data Fusion, 2002 (ERGAS, "erreur relative globale adimensionnelle de synthèse").

    Parameters
    ----------
    ratio
        Side of a pixel of the bands over that of the pan: 4.

    Raises
    ------
    ProcessingError
        The shapes differ, nothing is valid, or a band of the reference has mean 0.
    """
    wanted, shown = _valid_columns(reference, picture, valid)
    means = wanted.mean(axis=1)
    if not means.all():
        raise ProcessingError(f"ERGAS: band {int(np.argmin(np.abs(means))) + 1} of the reference has mean 0; leave it")
    errors = np.sqrt(((wanted - shown) ** 2).mean(axis=1)) / means
    return float(100.0 / ratio * np.sqrt((errors**2).mean()))


def sam_deg(reference: Pixels, picture: Pixels, *, valid: Mask | None = None) -> float:
    """Spectral angle: mean over the pixels of the angle between both vectors of bands, in degrees.

    Pixels of which a vector is zero have no angle and are left out. Source: Yuhas, Goetz & Boardman, Summaries of the
    Third Annual JPL Airborne Geoscience Workshop, 1992.

    Raises
    ------
    ProcessingError
        The shapes differ, or no pixel has an angle.
    """
    a, b = _valid_columns(reference, picture, valid)
    lengths = np.sqrt((a**2).sum(axis=0)), np.sqrt((b**2).sum(axis=0))
    known = (lengths[0] > 0) & (lengths[1] > 0)
    if not known.any():
        raise ProcessingError("spectral angle: every pixel is zero; compare pictures that show something")
    a, b = a[:, known] / lengths[0][known], b[:, known] / lengths[1][known]
    # The arc cosine loses half of the digits at small angles; chord and sum of unit vectors keep them (Kahan).
    angles = 2.0 * np.arctan2(np.sqrt(((a - b) ** 2).sum(axis=0)), np.sqrt(((a + b) ** 2).sum(axis=0)))
    return float(np.degrees(angles.mean()))


def universal_quality(
    reference: Pixels, picture: Pixels, *, valid: Mask | None = None, window: int = Q_WINDOW
) -> tuple[float, ...]:
    """Q of each band: mean over all places of a window of 4 σxy x̄ ȳ / ((σx² + σy²)(x̄² + ȳ²)).

    Windows with a pixel that is not valid are left out. Where both windows are flat they are judged by their means
    alone, as in the authors' program; where both means are 0, by the rest alone. Source: Wang & Bovik, IEEE Signal
    Processing Letters 9(3), 2002.

    Raises
    ------
    ProcessingError
        The shapes differ, or no window is valid all over.
    """
    seen = _seen(reference, picture, valid)
    found = [
        _mean_quality(x, y, seen, window)
        for x, y in zip(reference.astype(np.float64), picture.astype(np.float64), strict=True)
    ]
    if not np.isfinite(found).all():
        raise ProcessingError(f"Q: no {window} × {window} window is valid all over; compare larger pictures")
    return tuple(found)


def q2n(reference: Pixels, picture: Pixels, *, valid: Mask | None = None, block: int = Q2N_BLOCK) -> float:
    """Q of hypercomplex pixels whose parts are the bands: Q4 for four, |Q| for one.

    Mean over blocks side by side of 4 |σxy| |x̄| |ȳ| / ((σx² + σy²)(|x̄|² + |ȳ|²)), σxy = E[x y*] - x̄ ȳ*; bands are
    filled up with zeros to a power of two. Blocks that are cut off or not valid all over are left out. Sources:
    Alparone et al., IEEE GRSL 1(4), 2004 (Q4); Garzelli & Nencini, IEEE GRSL 6(4), 2009 (Q2n), without the
    normalisation that their program puts before it.

    Raises
    ------
    ProcessingError
        The shapes differ, or no block is valid all over.
    """
    seen = _seen(reference, picture, valid)
    size = 1 << (len(reference) - 1).bit_length()
    signs = _signs(size)[: len(reference), : len(reference)]
    target = np.bitwise_xor.outer(*2 * [np.arange(len(reference))])
    found = []
    for row in range(0, seen.shape[0] - block + 1, block):
        for col in range(0, seen.shape[1] - block + 1, block):
            here = slice(row, row + block), slice(col, col + block)
            if seen[here].all():
                x, y = (part[:, *here].reshape(len(part), -1).astype(np.float64) for part in (reference, picture))
                found.append(_hypercomplex_quality(x, y, signs, target, size))
    if not found:
        raise ProcessingError(f"Q2n: no {block} × {block} block is valid all over; compare larger pictures")
    return float(np.mean(found))


def _hypercomplex_quality(x: Floats, y: Floats, signs: Floats, target: NDArray[np.int64], size: int) -> float:
    """Of one block; shapes (bands, pixels). e_i · e_j* is a sign times e_(i xor j), so the covariances say it all."""
    mean_x, mean_y = x.mean(axis=1), y.mean(axis=1)
    x, y = x - mean_x[:, None], y - mean_y[:, None]
    covariance = np.bincount(target.ravel(), weights=(signs * (x @ y.T / x.shape[1])).ravel(), minlength=size)
    spread = (x**2).sum() / x.shape[1] + (y**2).sum() / x.shape[1]
    level = (mean_x**2).sum() + (mean_y**2).sum()
    means = np.sqrt((mean_x**2).sum() * (mean_y**2).sum())
    alike = 2 * np.sqrt((covariance**2).sum()) / spread if spread else 1.0
    return float(alike * (2 * means / level if level else 1.0))


def _signs(size: int) -> Floats:
    """Sign of e_i · e_j* for hypercomplex units by Cayley and Dickson: (a, b)(c, d) = (ac - d*b, da + bc*)."""
    product = np.ones((1, 1))
    while len(product) < size:
        half = len(product)
        turn = np.where(np.arange(half) == 0, 1.0, -1.0)  # of the conjugate
        upper = np.concatenate([product, product.T], axis=1)
        lower = np.concatenate([product * turn, -(product * turn[:, None]).T], axis=1)
        product = np.concatenate([upper, lower])
    return product * np.where(np.arange(size) == 0, 1.0, -1.0)


def wald(
    pan: Pixels,
    bands: Pixels,
    sharpen: Callable[[Floats, Floats], Pixels],
    *,
    ratio: int,
    nyquist_gain: float = NYQUIST_GAIN,
    pan_nyquist_gain: float = PAN_NYQUIST_GAIN,
) -> Fidelity:
    """What a way of sharpening keeps, by Wald's protocol.

    Parameters
    ----------
    pan
        Shape (ratio · rows, ratio · columns); no pixel is missing.
    bands
        Shape (bands, rows, columns), rows and columns multiples of the ratio.
    sharpen
        Given the degraded pan (rows, columns) and bands (bands, rows / ratio, columns / ratio), gives back
        (bands, rows, columns). The middle of a coarse pixel is that of its ratio × ratio fine ones.

    Raises
    ------
    ProcessingError
        The shapes do not belong together.
    """
    if pan.shape != (bands.shape[1] * ratio, bands.shape[2] * ratio):
        raise ProcessingError(f"Wald's protocol: pan {pan.shape} over bands {bands.shape}; the ratio should be {ratio}")
    coarse = np.stack([degrade(band, ratio=ratio, nyquist_gain=nyquist_gain) for band in bands])
    shown = sharpen(degrade(pan, ratio=ratio, nyquist_gain=pan_nyquist_gain), coarse)
    return compare(bands, shown, ratio=ratio)


def _seen(reference: Pixels, picture: Pixels, valid: Mask | None) -> Mask:
    if reference.shape != picture.shape or reference.ndim != 3:
        raise ProcessingError(
            f"compare: reference {reference.shape}, picture {picture.shape}; give (bands, rows, columns) of one grid"
        )
    return np.ones(reference.shape[1:], dtype=bool) if valid is None else valid


def _valid_columns(reference: Pixels, picture: Pixels, valid: Mask | None) -> tuple[Floats, Floats]:
    """Both as (bands, valid pixels)."""
    seen = _seen(reference, picture, valid)
    if not seen.any():
        raise ProcessingError("compare: no pixel is valid in both pictures; compare pictures of the same place")
    return reference[:, seen].astype(np.float64), picture[:, seen].astype(np.float64)


@njit(cache=True, nogil=True)
def _mean_quality(x: Floats, y: Floats, seen: Mask, window: int) -> float:
    """Mean of Q over all places of the window that are valid all over; NaN for none."""
    total, count, size = 0.0, 0, window * window
    for row in range(x.shape[0] - window + 1):
        for col in range(x.shape[1] - window + 1):
            known, mean_x, mean_y = True, 0.0, 0.0
            for i in range(row, row + window):
                for j in range(col, col + window):
                    known &= seen[i, j]
                    mean_x += x[i, j]
                    mean_y += y[i, j]
            if not known:
                continue
            mean_x, mean_y = mean_x / size, mean_y / size
            spread, both = 0.0, 0.0
            for i in range(row, row + window):
                for j in range(col, col + window):
                    off_x, off_y = x[i, j] - mean_x, y[i, j] - mean_y
                    spread += off_x * off_x + off_y * off_y
                    both += off_x * off_y
            level = mean_x * mean_x + mean_y * mean_y
            quality = 1.0
            if level != 0.0 and spread == 0.0:
                quality = 2.0 * mean_x * mean_y / level
            elif level != 0.0:
                quality = 4.0 * both * mean_x * mean_y / (spread * level)
            elif spread != 0.0:
                quality = 0.0
            total += quality
            count += 1
    return total / count if count else np.nan
