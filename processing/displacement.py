"""How far a picture lies from a reference of the same ground on the same grid.

Patch by patch: whole pixels by phase correlation (Kuglin & Hines 1975), the rest by least squares matching with gain
and offset (Grün 1985, Lucas & Kanade 1981): the shift d, gain g and offset b for which
image(x + d) ≈ g · reference(x) + b.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from processing.errors import ProcessingError

Picture = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
"""One band; shape (rows, columns)."""

_Floats = NDArray[np.float64]

MIN_CORRELATION: Final = 0.7
"""A patch whose two pictures correlate less shows clouds or nothing."""

MIN_PATCHES: Final = 5
"""Below so many matches there is nothing to say of a 90th percentile."""

_ITERATIONS: Final = 15
_CONVERGED_PX: Final = 1e-3
_MARGIN_PX: Final = 4
"""Pixels around a patch that the splines and small shifts may reach into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """Where the ground appears in a picture, seen from where the reference has it."""

    east_m: _Floats
    """One a patch that could be matched, as is `north_m`."""

    north_m: _Floats
    row: _Floats
    """Centre of the patch in the reference, pixels, as is `col`."""

    col: _Floats
    patches: int
    """How many were tried."""

    @property
    def ce90_m(self) -> float:
        """Circular error at 90 %: nine of ten patches lie no farther off; counted, with no law of errors assumed."""
        return float(np.percentile(np.hypot(self.east_m, self.north_m), 90))

    @property
    def rmse_m(self) -> float:
        """Root of the mean squared radial distance."""
        return float(np.sqrt(np.mean(self.east_m**2 + self.north_m**2)))

    @property
    def bias_m(self) -> tuple[float, float]:
        """Mean displacement to the east and to the north."""
        return float(np.mean(self.east_m)), float(np.mean(self.north_m))


def measure_displacement(
    image: Picture,
    reference: Picture,
    *,
    resolution_m: float,
    valid: NDArray[np.bool_] | None = None,
    patch_px: int = 48,
    search_px: int = 16,
    step_px: int | None = None,
) -> Displacement:
    """Match patches all over two pictures on the same north-up grid.

    Parameters
    ----------
    image, reference
        Shape (rows, columns), the same for both.
    resolution_m
        Size of a pixel on the ground.
    valid
        Where both have data; None: everywhere.
    patch_px
        Rows and columns of a patch.
    search_px
        Largest displacement, pixels, that is looked for.
    step_px
        Distance of the patches' centres; None: twice `patch_px`, less where that gives too few.

    Raises
    ------
    ProcessingError
        The shapes differ, or fewer than `MIN_PATCHES` patches could be matched.
    """
    if image.shape != reference.shape or image.ndim != 2:
        raise ProcessingError(f"displacement: image {image.shape}, reference {reference.shape}; give the same grid")
    seen = np.ones(image.shape, dtype=bool) if valid is None else valid
    half, reach = patch_px // 2, patch_px // 2 + search_px + _MARGIN_PX
    step = step_px or max(half, min(2 * patch_px, (min(image.shape) - 2 * reach) // 4))
    matcher = Matcher(np.asarray(image, float), np.asarray(reference, float), half, search_px)
    centres = product(range(reach, image.shape[0] - reach, step), range(reach, image.shape[1] - reach, step))
    tried = [(r, c) for r, c in centres if seen[r - reach : r + reach, c - reach : c + reach].all()]
    found = [(r, c, *shift) for r, c in tried if (shift := matcher.shift(r, c)) is not None]
    if len(found) < MIN_PATCHES:
        raise ProcessingError(
            f"displacement: {len(found)} of {len(tried)} patches could be matched, {MIN_PATCHES} are needed; "
            "the pictures are too small, without texture, or not of the same ground"
        )
    rows, cols, down, right = np.array(found, dtype=float).T
    return Displacement(
        east_m=right * resolution_m, north_m=-down * resolution_m, row=rows, col=cols, patches=len(tried)
    )


class Matcher:
    """Two pictures made ready for matching: the image as a cubic spline, the reference as it is."""

    def __init__(self, image: _Floats, reference: _Floats, half: int, search_px: int) -> None:
        self.image, self.reference, self.half, self.search_px = image, reference, half, search_px
        self.spline = ndimage.spline_filter(image, order=3)

    def shift(self, row: int, col: int) -> tuple[float, float] | None:
        """Rows down and columns right that the patch around a pixel has moved; None where it cannot be said."""
        patch = self._around(self.reference, row, col, self.half)
        if patch.std() == 0:
            return None
        down, right = self._whole_pixels(row, col)
        y, x = np.mgrid[row - self.half : row + self.half, col - self.half : col + self.half].astype(float)
        for _ in range(_ITERATIONS):
            if max(abs(down), abs(right)) > self.search_px:
                return None
            moved = self._at(y + down, x + right)
            gradients = (
                (self._at(y + down + 0.5, x + right) - self._at(y + down - 0.5, x + right)).ravel(),
                (self._at(y + down, x + right + 0.5) - self._at(y + down, x + right - 0.5)).ravel(),
            )
            # moved + gradient · δ = g · patch + b, for δ, g and b
            design = np.stack([*gradients, -patch.ravel(), -np.ones(patch.size)], axis=1)
            (step_down, step_right, _, _), _, rank, _ = np.linalg.lstsq(design, -moved.ravel(), rcond=1e-10)
            if rank < 4:
                return None
            down, right = down + step_down, right + step_right
            if max(abs(step_down), abs(step_right)) < _CONVERGED_PX:
                alike = np.corrcoef(self._at(y + down, x + right).ravel(), patch.ravel())[0, 1]
                return (float(down), float(right)) if alike >= MIN_CORRELATION else None
        return None

    def _whole_pixels(self, row: int, col: int) -> tuple[float, float]:
        """Where to start: the peak of the phase correlation, windowed against the edges' jump."""
        half = self.half + self.search_px
        window = np.outer(np.hanning(2 * half), np.hanning(2 * half))
        parts = (self._around(picture, row, col, half) for picture in (self.reference, self.image))
        reference, image = ((part - part.mean()) * window for part in parts)
        if reference.std() == 0 or image.std() == 0:
            return 0.0, 0.0
        (down, right), _, _ = phase_cross_correlation(image, reference)  # type: ignore[no-untyped-call]
        return float(down), float(right)

    def _at(self, rows: _Floats, cols: _Floats) -> _Floats:
        values: _Floats = ndimage.map_coordinates(self.spline, [rows, cols], order=3, prefilter=False)
        return values

    @staticmethod
    def _around(picture: _Floats, row: int, col: int, half: int) -> _Floats:
        return picture[row - half : row + half, col - half : col + half]
