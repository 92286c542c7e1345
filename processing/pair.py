"""How a sharp panchromatic picture and coarser bands of the same ground lie on each other."""

import math
from dataclasses import dataclass
from typing import Final

from processing.errors import OutputError
from processing.grid import OutputGrid
from processing.mtf import REACH, gaussian_sigma

AROUND: Final = 7
"""Pixels of the bands beyond the edges of the pan that count there, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How rows, or columns, of the pan lie on those of the bands."""

    pan_size: int
    """How many the pan has."""

    size: int
    """How many the bands have."""

    scale: float
    """How many of the bands one of the pan makes: 0.25."""

    origin: float
    """Which of the bands lies under the centre of the pan's first."""

    def __post_init__(self) -> None:
        if not 0 < self.scale < 1:
            raise OutputError(
                f"pan-sharpening: a pixel of the pan is {self.scale:.4g} of one of the bands; "
                "give a pan that is sharper than the bands, both with north up"
            )

    def under(self, first: int, size: int, margin: int = 0) -> tuple[int, int]:
        """First and last + 1 of the bands on which some of the pan depend; they may lie outside the bands."""
        last = first + size - 1
        return (
            math.floor(self.origin + self.scale * first) - 1 - margin,
            math.floor(self.origin + self.scale * last) + 3 + margin,
        )

    def around(self, first: int, last: int, nyquist_gain: float) -> tuple[int, int]:
        """First and last + 1 of the pan that count in the low pass at some of the bands; as far as there are any."""
        reach = math.ceil(REACH * gaussian_sigma(1 / self.scale, nyquist_gain)) + 1
        start, end = (first - self.origin) / self.scale, (last - 1 - self.origin) / self.scale
        return max(math.floor(start) - reach, 0), min(math.ceil(end) + reach + 1, self.pan_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pan and bands of the same ground, but for their pixels."""

    rows: Axis
    cols: Axis
    bands: int
    data_type: str
    """Of the bands, and of what becomes of them; as numpy calls it."""

    pan_nodata: float | None
    """Value of pixels of the pan that show nothing."""

    nodata: float | None
    """Value of pixels of the bands that show nothing, each band by itself."""


def axes(fine: OutputGrid, wide: OutputGrid) -> dict[str, Axis]:
    """Rows and columns of two grids with north up."""
    (a, _, c, _, e, f), (wide_a, _, wide_c, _, wide_e, wide_f) = fine.transform, wide.transform
    return {
        "rows": Axis(
            pan_size=fine.height,
            size=wide.height,
            scale=e / wide_e,
            origin=(f + e / 2 - wide_f) / wide_e - 0.5,
        ),
        "cols": Axis(
            pan_size=fine.width,
            size=wide.width,
            scale=a / wide_a,
            origin=(c + a / 2 - wide_c) / wide_a - 0.5,
        ),
    }


def coarser(grid: OutputGrid, ratio: int) -> OutputGrid:
    """Pixels of ratio × ratio of a grid's, over all of it and `AROUND` further ones on each side.

    Raises
    ------
    OutputError
        A ratio below 2: the pan is not sharper; a rotated grid.
    """
    a, b, c, d, e, f = grid.transform
    if b or d:
        raise OutputError("pan-sharpening: a rotated output grid; give one with north up")
    if ratio < 2:
        raise OutputError(
            f"pan-sharpening: pixels of {a:.4g} are not sharper than the bands' own; give a finer --resolution, or a "
            "pan that is sharper than the bands"
        )
    return OutputGrid(
        crs=grid.crs,
        transform=(a * ratio, 0.0, c - AROUND * ratio * a, 0.0, e * ratio, f - AROUND * ratio * e),
        height=-(-grid.height // ratio) + 2 * AROUND,
        width=-(-grid.width // ratio) + 2 * AROUND,
    )
