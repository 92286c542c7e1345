"""What a whole scene says of a pan and its bands: gathered piece by piece, and put into the recipe.

Pieces have a fixed size and are put together in a fixed order: the same bits however the work is divided.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.errors import NoDetailError
from processing.ortho import Part, Pixels
from processing.pair import Pair
from processing.sharpen import Floats, Recipe, coarse_pan, known_bands

PIECE: Final = 512
"""Rows and columns, in pixels of the bands, of the pieces from which the scene's moments are put together."""

MAX_GAIN: Final = 3.0
"""Largest gain of glp-cbd, in units of the band's standard deviation over the pan's in the whole scene."""

MIN_PIXELS: Final = 16
"""Fewer pixels of the bands than this say nothing of a scene."""

_FLAT: Final = 1e-9
"""Standard deviation of a pan in units of its mean that rounding makes where it is the same everywhere."""

_WHOLE: Final = 0.999
"""Share of the low pass that must have found pixels where the scene's moments are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What a number of pixels of the bands have in common with each other and with L, which comes last."""

    count: int
    mean: Floats
    """Shape (bands + 1)."""

    scatter: Floats
    """Sums of the products of what differs from the mean; shape (bands + 1, bands + 1)."""

    def __add__(self, other: Self) -> Self:
        """Of both sets of pixels (Chan, Golub & LeVeque, The American Statistician 37(3), 1983)."""
        if not self.count or not other.count:
            return self if self.count else other
        count, apart = self.count + other.count, other.mean - self.mean
        between = np.outer(apart, apart) * (self.count * other.count / count)
        return replace(
            self,
            count=count,
            mean=self.mean + apart * (other.count / count),
            scatter=self.scatter + other.scatter + between,
        )


def measure(pan: Pixels, bands: Pixels, part: Part, *, pair: Pair, recipe: Recipe) -> Moments:
    """The moments of a part of the bands; `pan` is the part of the pan that `measured` gives."""
    seen = measured(part, pair, recipe)
    low, share = coarse_pan(pan, (seen[0], seen[2]), part, pair, recipe)
    channels = np.concatenate([known_bands(bands, (part[0], part[2]), part, pair), low[None]])
    channels[:, np.isnan(channels[0]) | (share < _WHOLE)] = np.nan
    count, mean, scatter = _moments(channels)
    return Moments(count=count, mean=mean, scatter=scatter)


def measured(part: Part, pair: Pair, recipe: Recipe) -> Part:
    """The part of the pan on which the moments of a part of the bands depend."""
    return (
        *pair.rows.around(part[0], part[1], recipe.nyquist_gain),
        *pair.cols.around(part[2], part[3], recipe.nyquist_gain),
    )


def fitted(recipe: Recipe, moments: Moments) -> Recipe:
    """The recipe with what a scene says: by least squares, the pan from the bands (brovey) or each band from the pan.

    Raises
    ------
    NoDetailError
        Too few pixels show both pan and bands, or the pan is the same everywhere.
    """
    spread = math.sqrt(moments.scatter[-1, -1] / moments.count) if moments.count else 0.0
    if moments.count < MIN_PIXELS or not spread > _FLAT * abs(float(moments.mean[-1])):
        raise NoDetailError(
            f"pan-sharpening: {moments.count} pixels of the bands show the pan all around, and it varies by "
            f"{moments.scatter[-1, -1]:.3g}; give a pan and bands of the same ground that show something"
        )
    mean, scatter = moments.mean, moments.scatter
    if recipe.method == "brovey":
        weights = np.linalg.lstsq(scatter[:-1, :-1], scatter[:-1, -1], rcond=1e-12)[0]
        offset = mean[-1:] - weights @ mean[:-1]
        return replace(recipe, weights=_rounded(weights, weights), offsets=_rounded(offset, mean[-1:]))
    if recipe.method == "glp-cbd":
        largest = MAX_GAIN * np.sqrt(np.diag(scatter)[:-1] / scatter[-1, -1])
        return replace(recipe, weights=_rounded(largest, largest))
    slopes = scatter[:-1, -1] / scatter[-1, -1]
    offsets = mean[:-1] - slopes * mean[-1]
    return replace(recipe, weights=_rounded(slopes, slopes), offsets=_rounded(offsets, mean[:-1]))


def _rounded(values: NDArray[np.floating[Any]], like: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """To ten digits of the largest of those that they are like: the linear algebra of two machines differs in more."""
    largest = float(np.abs(like).max())
    digits = 9 - math.floor(math.log10(largest)) if largest > 0 else 9
    return tuple(round(float(value), digits) for value in values)


@njit(cache=True, nogil=True)
def _moments(channels: Floats) -> tuple[int, Floats, Floats]:
    """Count, mean and scatter of the known pixels."""
    size = channels.shape[0]
    count, mean, scatter, off = 0, np.zeros(size), np.zeros((size, size)), np.empty(size)
    for row in range(channels.shape[1]):
        for col in range(channels.shape[2]):
            if not np.isnan(channels[size - 1, row, col]):
                count += 1
                for c in range(size):
                    mean[c] += channels[c, row, col]
    if count == 0:
        return count, mean, scatter
    mean /= count
    for row in range(channels.shape[1]):
        for col in range(channels.shape[2]):
            if not np.isnan(channels[size - 1, row, col]):
                for c in range(size):
                    off[c] = channels[c, row, col] - mean[c]
                for c in range(size):
                    for d in range(size):
                        scatter[c, d] += off[c] * off[d]
    return count, mean, scatter
