"""A block of a sharp panchromatic picture and coarser bands of the same ground → bands as sharp as the pan.

    bands ───────────► brought to the pan's pixels ─► M ─┐
    pan ─► low pass ─► brought to the pan's pixels ─► L ─┼─► sharpened bands
    pan ─────────────────────────────────────────────► P ─┘

brovey    M · P / (w · M + w₀), the weights given, or fitted to L over the whole scene
          (Gillespie, Kahle & Walker 1987; fitted: Aiazzi, Baronti & Selva, IEEE TGRS 45(10), 2007)
glp-hpm   M · (αP + β) / (αL + β): details modulate the band; α, β from the regression of the whole band on L
          (Vivone, Restaino & Chanussot, IEEE TGRS 56(2), 2018)
glp-cbd   M + g · (P - L): details are added; g from the regression of the band on L around each place
          (context-based decision, Aiazzi, Alparone, Baronti & Garzelli, IEEE TGRS 40(10), 2002)

Both of the latter are generalised Laplacian pyramids with the sensor's MTF (Aiazzi et al., PE&RS 72(5), 2006); all are
compared in Vivone et al., IEEE TGRS 53(5), 2015.

L is the pan as the sensor of the bands would see it, at the middles of the bands' own pixels. All that is not in the
recipe hangs on the surroundings of each pixel alone: the same bits in any block, order and number of threads.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing import sharpen_kernel as kernel
from processing.errors import OutputError
from processing.mtf import NYQUIST_GAIN, gaussian_sigma, low_pass
from processing.ortho import Block, Part, Pixels
from processing.pair import Axis, Pair
from processing.value_range import as_stored, value_range

Floats = NDArray[np.float64]
Channels = NDArray[np.floating[Any]]

METHODS: Final = {"brovey": kernel.BROVEY, "glp-hpm": kernel.HPM, "glp-cbd": kernel.CBD}
"""Ways of sharpening, by name."""

TAPS: Final = {"bilinear": 2, "cubic": 4}
"""Ways of bringing the bands to the pan's pixels, by name: how many neighbours count along each axis."""

CONTEXT: Final = 4
"""Pixels of the bands on each side of a place over which glp-cbd takes its regression: 9 × 9."""

MOST_ALIKE: Final = 16
"""Ratios of pan and bands up to which a kernel looks for columns with the same weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to sharpen."""

    method: str = "glp-hpm"
    """One of `METHODS`."""

    resampling: str = "cubic"
    """One of `TAPS`."""

    nyquist_gain: float = NYQUIST_GAIN
    """MTF of the bands at their Nyquist frequency."""

    weights: tuple[float, ...] = ()
    """brovey: of each band. glp-hpm: α of each band. glp-cbd: largest gain of each. `processing.moments.fitted` fills
    them in."""

    offsets: tuple[float, ...] = ()
    """brovey: w₀ alone. glp-hpm: β of each band."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OutputError(f"pan-sharpening: method {self.method!r} is unknown; give {', '.join(METHODS)}")
        if self.resampling not in TAPS:
            raise OutputError(f"pan-sharpening: resampling {self.resampling!r} is unknown; give {', '.join(TAPS)}")
        gaussian_sigma(1.0, self.nyquist_gain)

    @property
    def context(self) -> int:
        """Pixels of the bands around those that are brought to the pan's."""
        return CONTEXT if self.method == "glp-cbd" else 0


def windows(block: Block, pair: Pair, recipe: Recipe) -> tuple[Part, Part]:
    """The part of the pan and the part of the bands on which a block of the pan's pixels depends."""
    pan: list[int] = []
    bands: list[int] = []
    for axis, first, size in ((pair.rows, block.row, block.height), (pair.cols, block.col, block.width)):
        start, end = axis.under(first, size, recipe.context)
        # brovey looks at no pixel of the pan but its own.
        low, high = (first, first) if recipe.method == "brovey" else axis.around(start, end, recipe.nyquist_gain)
        pan += min(low, first), max(high, first + size)
        start = min(max(start, 0), axis.size)
        bands += start, max(min(end, axis.size), start)
    return (pan[0], pan[1], pan[2], pan[3]), (bands[0], bands[1], bands[2], bands[3])


def sharpen_block(
    pan: Pixels, bands: Pixels, block: Block, *, pair: Pair, recipe: Recipe, nodata: float | None
) -> Pixels:
    """The sharpened pixels of a block of the pan's.

    A pixel is valid where that of the pan is, and the nearest one of every band. Neighbours that are missing have no
    weight; cubic needs all sixteen and is bilinear where one is missing, as in `processing.kernel`. Where the divisor
    of a ratio is not positive, no detail is added.

    Parameters
    ----------
    pan, bands
        Shapes (rows, columns) and (bands, rows, columns): the parts that `windows` gives.
    recipe
        As `processing.moments.fitted` returns it, or with the weights of brovey given.
    nodata
        Of the result; a valid pixel that would come out as this becomes its neighbour. None: 0, for all values.

    Returns
    -------
    Shape (bands, block.height, block.width), of the bands' data type: rounded half up and limited to it.
    """
    seen, (top, _, left, _) = windows(block, pair, recipe)
    kind = np.dtype(pair.data_type)
    # The bands of a pixel together, as a file holds them.
    shape = (block.height, block.width, pair.bands)
    result = np.full(shape, 0 if nodata is None else nodata, dtype=kind)
    rows = pair.rows.under(block.row, block.height, recipe.context)
    cols = pair.cols.under(block.col, block.width, recipe.context)
    channels = known_bands(bands, (top, left), (*rows, *cols), pair)
    if recipe.method != "brovey":
        low, _ = coarse_pan(pan, (seen[0], seen[2]), (*rows, *cols), pair, recipe)
        channels = np.concatenate([channels, np.where(np.isnan(channels[0]), np.nan, low)[None]])
    if recipe.method == "glp-cbd":
        channels = np.concatenate([channels, kernel.gains(channels, CONTEXT, np.array(recipe.weights))])
    down, right = block.row - seen[0], block.col - seen[2]
    precise = _precision(pan.dtype, kind)
    row_at, row_off, row_weights = _taps(pair.rows, block.row, block.height, rows[0], TAPS[recipe.resampling])
    col_at, col_off, col_weights = _taps(pair.cols, block.col, block.width, cols[0], TAPS[recipe.resampling])
    col_weights = col_weights.astype(precise)
    kernel.sharpen(
        pan[down : down + block.height, right : right + block.width],
        as_stored(pair.pan_nodata, pan.dtype),
        channels.astype(precise, copy=False),
        row_at,
        row_off,
        row_weights.astype(precise),
        col_at,
        col_off,
        col_weights,
        _alike(col_at, col_weights),
        METHODS[recipe.method],
        np.array(recipe.weights, dtype=precise),
        np.array(recipe.offsets or (0.0,), dtype=precise),
        value_range(kind, nodata),
        result,
    )
    return result.transpose(2, 0, 1)


def known_bands(bands: Pixels, first: tuple[int, int], part: Part, pair: Pair) -> Floats:
    """The bands over a part that may reach beyond them, NaN where any is missing; `first` is their first row, column.

    Shape (bands, rows, columns).
    """
    known = np.full((pair.bands, part[1] - part[0], part[3] - part[2]), np.nan)
    down, right = first[0] - part[0], first[1] - part[2]
    inside = known[:, down : down + bands.shape[1], right : right + bands.shape[2]]
    inside[:] = bands
    gone = (bands == as_stored(pair.nodata, bands.dtype)).any(axis=0)
    if bands.dtype.kind == "f":
        gone |= np.isnan(bands).any(axis=0)
    if gone.any():
        inside[:, gone] = np.nan
    return known


def coarse_pan(pan: Pixels, first: tuple[int, int], part: Part, pair: Pair, recipe: Recipe) -> tuple[Floats, Floats]:
    """L over a part of the bands' pixels, NaN without any pan, and how much of the pan it has seen, 0 to 1."""
    places = [
        (line - axis.origin) / axis.scale
        for axis, line in ((pair.rows, np.arange(*part[:2])), (pair.cols, np.arange(*part[2:])))
    ]
    sigma = [gaussian_sigma(1 / axis.scale, recipe.nyquist_gain) for axis in (pair.rows, pair.cols)]
    missing = as_stored(pair.pan_nodata, pan.dtype)
    low, share = low_pass(pan, first, missing, places[0], places[1], (sigma[0], sigma[1]))
    return low, share


def _precision(pan: "np.dtype[Any]", bands: "np.dtype[Any]") -> type[np.floating[Any]]:
    """Single where both are whole numbers of up to 16 bits: its error is some hundredths of one at most."""
    return np.float32 if all(kind.kind in "iu" and kind.itemsize <= 2 for kind in (pan, bands)) else np.float64


def _taps(axis: Axis, first: int, size: int, start: int, taps: int) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Which row, or column, of the bands counted from `start` lies before each one of the pan, how far, and weights.

    Shapes (size), (size) and (taps, size). Linear; or cubic convolution with a = -1/2 (Keys, IEEE ASSP 29(6), 1981), as
    `processing.kernel` has it.
    """
    line = axis.origin + axis.scale * np.arange(first, first + size)
    before = np.floor(line)
    t = line - before
    if taps == 2:
        weights = [1.0 - t, t]
    else:
        weights = [
            t * (-0.5 + t * (1.0 - 0.5 * t)),
            1.0 + t * t * (-2.5 + 1.5 * t),
            t * (0.5 + t * (2.0 - 1.5 * t)),
            t * t * (-0.5 + 0.5 * t),
        ]
    return before.astype(np.int64) - start, t, np.stack(weights)


def _alike(at: NDArray[np.int64], weights: Channels) -> int:
    """After so many columns of the pan the weights come again, one column of the bands further; 0 for never."""
    for step in range(2, MOST_ALIKE + 1):
        if np.array_equal(at[step:], at[:-step] + 1) and np.array_equal(weights[:, step:], weights[:, :-step]):
            return step
    return 0
