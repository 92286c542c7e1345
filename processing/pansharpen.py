"""A sharp panchromatic picture and coarser bands of the same ground → bands as sharp as the pan.

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

L is the pan as the sensor of the bands would see it, at the middles of the bands' own pixels. What the whole scene has
to say is gathered from pieces of fixed size, put together in a fixed order; all else hangs on the surroundings of each
pixel alone: the same bits in any block, order and number of threads.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

import math
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from processing.blocks import Progress, run, spooled, superblocks
from processing.cog import SUPERBLOCK, CogProfile, assemble
from processing.errors import DeliveryError, NoDetailError, OutputError
from processing.fidelity import NYQUIST_GAIN, REACH, gaussian_sigma, low_pass
from processing.ortho import Block, Part, Pixels
from processing.raster import open_raster
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client

Floats = NDArray[np.float64]

BROVEY, HPM, CBD = 0, 1, 2

METHODS: Final = {"brovey": BROVEY, "glp-hpm": HPM, "glp-cbd": CBD}
"""Ways of sharpening, by name."""

TAPS: Final = {"bilinear": 2, "cubic": 4}
"""Ways of bringing the bands to the pan's pixels, by name: how many neighbours count along each axis."""

CONTEXT: Final = 4
"""Pixels of the bands on each side of a place over which glp-cbd takes its regression: 9 × 9."""

MAX_GAIN: Final = 3.0
"""Largest gain of glp-cbd, in units of the band's standard deviation over the pan's in the whole scene."""

PIECE: Final = 512
"""Rows and columns, in pixels of the bands, of the pieces from which the scene's moments are put together."""

MIN_PIXELS: Final = 16
"""Fewer pixels of the bands than this say nothing of a scene."""

_FLAT: Final = 1e-9
"""Standard deviation of a pan in units of its mean that rounding makes where it is the same everywhere."""

_WHOLE: Final = 0.999
"""Share of the low pass that must have found pixels where the scene's moments are taken."""


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
    """brovey: of each band. glp-hpm: α of each band. glp-cbd: largest gain of each. `fitted` fills them in."""

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


def windows(block: Block, pair: Pair, recipe: Recipe) -> tuple[Part, Part]:
    """The part of the pan and the part of the bands on which a block of the pan's pixels depends."""
    pan: list[int] = []
    bands: list[int] = []
    for axis, first, size in ((pair.rows, block.row, block.height), (pair.cols, block.col, block.width)):
        start, end = axis.under(first, size, recipe.context)
        low, high = axis.around(start, end, recipe.nyquist_gain)
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
        As `fitted` returns it, or with the weights of brovey given.
    nodata
        Of the result; a valid pixel that would come out as this becomes its neighbour. None: 0, for all values.

    Returns
    -------
    Shape (bands, block.height, block.width), of the bands' data type: rounded half up and limited to it.
    """
    seen, (top, _, left, _) = windows(block, pair, recipe)
    kind = np.dtype(pair.data_type)
    result = np.full((pair.bands, block.height, block.width), 0 if nodata is None else nodata, dtype=kind)
    rows = pair.rows.under(block.row, block.height, recipe.context)
    cols = pair.cols.under(block.col, block.width, recipe.context)
    channels, _ = _channels(pan, (seen[0], seen[2]), bands, (top, left), (*rows, *cols), pair, recipe)
    if recipe.method == "brovey":
        channels = channels[:-1]
    elif recipe.method == "glp-cbd":
        channels = np.concatenate([channels, _gains(channels, CONTEXT, np.array(recipe.weights))])
    down, right = block.row - seen[0], block.col - seen[2]
    _sharpen(
        pan[down : down + block.height, right : right + block.width],
        np.nan if pair.pan_nodata is None else pair.pan_nodata,
        channels,
        *_places(pair.rows, block.row, block.height, rows[0]),
        *_places(pair.cols, block.col, block.width, cols[0]),
        TAPS[recipe.resampling],
        METHODS[recipe.method],
        np.array(recipe.weights),
        np.array(recipe.offsets or (0.0,)),
        _limits(kind, nodata),
        result,
    )
    return result


def _channels(
    pan: Pixels,
    pan_first: tuple[int, int],
    bands: Pixels,
    first: tuple[int, int],
    part: Part,
    pair: Pair,
    recipe: Recipe,
) -> tuple[Floats, Floats]:
    """Bands and behind them L over a part that may reach beyond the bands, and how much of the pan L has seen.

    Shapes (bands + 1, rows, columns) and (rows, columns); NaN where any band is missing.
    """
    channels = np.full((pair.bands + 1, part[1] - part[0], part[3] - part[2]), np.nan)
    down, right = first[0] - part[0], first[1] - part[2]
    known = channels[:-1, down : down + bands.shape[1], right : right + bands.shape[2]]
    known[:] = bands
    if pair.nodata is not None:
        known[bands == np.dtype(pair.data_type).type(pair.nodata)] = np.nan
    places = [
        (line - axis.origin) / axis.scale
        for axis, line in ((pair.rows, np.arange(*part[:2])), (pair.cols, np.arange(*part[2:])))
    ]
    sigma = [gaussian_sigma(1 / axis.scale, recipe.nyquist_gain) for axis in (pair.rows, pair.cols)]
    missing = np.nan if pair.pan_nodata is None else pair.pan_nodata
    channels[-1], share = low_pass(pan, pan_first, missing, places[0], places[1], (sigma[0], sigma[1]))
    channels[:, np.isnan(channels[:-1]).any(axis=0)] = np.nan
    return channels, share


def _places(axis: Axis, first: int, size: int, start: int) -> tuple[NDArray[np.int64], Floats]:
    """Which row, or column, of the bands counted from `start` lies before each one of the pan, and how far."""
    line = axis.origin + axis.scale * np.arange(first, first + size)
    before = np.floor(line)
    return before.astype(np.int64) - start, line - before


def _limits(kind: np.dtype[Any], nodata: float | None) -> tuple[float, float, float, float]:
    """Lowest and highest value (NaN: floats, neither rounded nor limited), nodata, and what stands beside it."""
    fill = np.nan if nodata is None else float(kind.type(nodata))
    if kind.kind not in "iu":
        return np.nan, np.nan, fill, float(np.nextafter(np.float32(fill), np.float32(np.inf)))
    low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    return low, high, fill, fill + 1.0 if fill < high else fill - 1.0


def measure(pan: Pixels, bands: Pixels, part: Part, *, pair: Pair, recipe: Recipe) -> Moments:
    """The moments of a part of the bands; `pan` is the part of the pan that `measured` gives."""
    seen = measured(part, pair, recipe)
    channels, share = _channels(pan, (seen[0], seen[2]), bands, (part[0], part[2]), part, pair, recipe)
    channels[:, share < _WHOLE] = np.nan
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PansharpenJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    pan: Path
    bands: Path
    pair: Pair
    recipe: Recipe
    nodata: float | None

    def block(self, row: int, col: int) -> Pixels:
        """The pixels of a superblock, counted in superblocks."""
        block = Block(
            row=row * SUPERBLOCK,
            col=col * SUPERBLOCK,
            height=min(SUPERBLOCK, self.pair.rows.pan_size - row * SUPERBLOCK),
            width=min(SUPERBLOCK, self.pair.cols.pan_size - col * SUPERBLOCK),
        )
        pan, bands = windows(block, self.pair, self.recipe)
        return sharpen_block(
            _read(self.pan, pan)[0],
            _read(self.bands, bands),
            block,
            pair=self.pair,
            recipe=self.recipe,
            nodata=self.nodata,
        )

    def moments(self, row: int, col: int) -> tuple[int, int, Moments]:
        """The moments of a piece of the bands, counted in pieces, with its place."""
        top, left = row * PIECE, col * PIECE
        part = (top, min(top + PIECE, self.pair.rows.size), left, min(left + PIECE, self.pair.cols.size))
        seen = measured(part, self.pair, self.recipe)
        if seen[0] >= seen[1] or seen[2] >= seen[3]:
            bands = self.pair.bands + 1
            return row, col, Moments(count=0, mean=np.zeros(bands), scatter=np.zeros((bands, bands)))
        found = measure(_read(self.pan, seen)[0], _read(self.bands, part), part, pair=self.pair, recipe=self.recipe)
        return row, col, found


@dataclass(frozen=True, slots=True, kw_only=True)
class PansharpenResult:
    """What was written."""

    path: Path
    profile: CogProfile
    recipe: Recipe
    """With the weights that were used."""


def pansharpen(
    pan: Path,
    bands: Path,
    destination: Path,
    *,
    recipe: Recipe | None = None,
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> PansharpenResult:
    """Write bands on the pixels of a pan as a Cloud-Optimized GeoTIFF; the same bytes however the work is divided.

    Parameters
    ----------
    pan, bands
        Rasters on the map, of one CRS and both with north up; each pixel is where its file says, to its fractions.
    recipe
        Where it has no weights, they are taken from the whole scene first.
    client, threads, profile
        As for `processing.graph.orthorectify`. Names, colours and nodata are those of the bands; where these have no
        nodata, 0 for whole numbers and NaN for others.

    Raises
    ------
    DeliveryError, OutputError
        The files do not belong together or cannot be read; nothing is at the destination then that was not there.
    """
    job, output = plan(pan, bands, recipe or Recipe(), compress=compress, **profile)

    if not job.recipe.weights:
        pieces = product(range(-(-job.pair.rows.size // PIECE)), range(-(-job.pair.cols.size // PIECE)))
        tasks = [(_measure, job, row, col) for row, col in pieces]
        moments = run("measure", tasks, client=client, threads=threads, progress=progress)
        job = replace(job, recipe=fitted(job.recipe, sum(moments[1:], start=moments[0])))
    with spooled(destination) as spool:
        tasks = superblocks(job, output, spool)
        blocks = run("pansharpen", tasks, client=client, threads=threads, progress=progress)
        assemble(blocks, output, spool=spool, destination=destination)
    return PansharpenResult(path=destination, profile=output, recipe=job.recipe)


def _measure(job: PansharpenJob, row: int, col: int) -> Moments:
    return job.moments(row, col)[2]


def plan(
    pan: Path,
    bands: Path,
    recipe: Recipe,
    *,
    compress: Compression = "zstd",
    **profile: Any,  # noqa: ANN401 - as above
) -> tuple[PansharpenJob, CogProfile]:
    """What has to be done and what file it makes, checked as far as it can be before pixels are read.

    Raises
    ------
    DeliveryError, OutputError
        Another CRS, another place, rotated grids, a pan that is not sharper, or a weight too many or too few.
    """
    with open_raster(pan) as sharp, open_raster(bands) as coarse:
        pair = _pair(sharp, coarse, pan.name, bands.name)
        if recipe.weights and len(recipe.weights) != pair.bands:
            raise OutputError(f"pan-sharpening: {len(recipe.weights)} weights for {pair.bands} bands; give one a band")
        nodata = coarse.nodata
        if nodata is None:
            nodata = 0.0 if np.dtype(pair.data_type).kind in "iu" else np.nan
        output = CogProfile(
            crs=sharp.crs.to_string(),
            transform=tuple(sharp.transform)[:6],
            height=sharp.height,
            width=sharp.width,
            bands=pair.bands,
            data_type=pair.data_type,
            nodata=nodata,
            compress=compress,
            **(_names(coarse) | profile),
        )
    return PansharpenJob(pan=pan.resolve(), bands=bands.resolve(), pair=pair, recipe=recipe, nodata=nodata), output


def _pair(sharp: DatasetReader, coarse: DatasetReader, pan: str, bands: str) -> Pair:
    """How two files lie on each other; `pan` and `bands` are their names."""
    if sharp.count != 1:
        raise DeliveryError(f"{pan}: {sharp.count} bands; a panchromatic raster has one")
    if sharp.crs is None or sharp.crs != coarse.crs:
        raise DeliveryError(f"{bands}: its CRS is {coarse.crs}, that of {pan} {sharp.crs}; orthorectify both into one")
    fine, wide = sharp.transform, coarse.transform
    if fine.b or fine.d or wide.b or wide.d:
        raise DeliveryError(f"{bands}, {pan}: a grid is rotated; orthorectify both with north up")
    rows = Axis(
        pan_size=sharp.height,
        size=coarse.height,
        scale=fine.e / wide.e,
        origin=(fine.f + fine.e / 2 - wide.f) / wide.e - 0.5,
    )
    cols = Axis(
        pan_size=sharp.width,
        size=coarse.width,
        scale=fine.a / wide.a,
        origin=(fine.c + fine.a / 2 - wide.c) / wide.a - 0.5,
    )
    for axis in (rows, cols):
        if axis.origin + axis.scale * axis.pan_size < 0 or axis.origin > axis.size:
            raise DeliveryError(f"{bands}: {tuple(coarse.bounds)} shows none of {pan}, {tuple(sharp.bounds)}")
    return Pair(
        rows=rows,
        cols=cols,
        bands=coarse.count,
        data_type=coarse.dtypes[0],
        pan_nodata=sharp.nodata,
        nodata=coarse.nodata,
    )


def _names(coarse: DatasetReader) -> dict[str, tuple[str, ...]]:
    """Names and colours of the bands, as `CogProfile` takes them."""
    names = {"descriptions": coarse.descriptions} if all(coarse.descriptions) else {}
    colours = tuple("Undefined" if c == ColorInterp.undefined else c.name.capitalize() for c in coarse.colorinterp)
    return names | {"colours": colours}


def _read(path: Path, part: Part) -> Pixels:
    with open_raster(path) as dataset:
        try:
            pixels: Pixels = dataset.read(window=Window(part[2], part[0], part[3] - part[2], part[1] - part[0]))
        except RasterioError as error:
            raise DeliveryError(
                f"{path.name}: rows {part[0]} to {part[1]} cannot be read ({error}); deliver it again"
            ) from None
    return pixels


# Compiled code. Each value depends on its own inputs alone, in one order.


@njit(cache=True, nogil=True)
def _sharpen(
    pan: Pixels,
    pan_nodata: float,
    channels: Floats,
    row_at: NDArray[np.int64],
    row_off: Floats,
    col_at: NDArray[np.int64],
    col_off: Floats,
    taps: int,
    method: int,
    weights: Floats,
    offsets: Floats,
    limits: tuple[float, float, float, float],
    result: Pixels,
) -> None:
    """Fill in the valid pixels; the others stay as they are.

    `channels` holds bands, L and gains as the method needs them, NaN where they are missing; a pixel of the pan lies
    `row_off` behind row `row_at` of them, which has one row before and two behind it, and likewise for columns.
    """
    lines, values = np.empty((channels.shape[0], channels.shape[2])), np.empty((channels.shape[0], col_at.size))
    weights_row, weights_col = np.empty(taps), np.empty((taps, col_at.size))
    for j in range(col_at.size):
        _tap_weights(col_off[j], weights_row)
        weights_col[:, j] = weights_row
    for i in range(row_at.size):
        _tap_weights(row_off[i], weights_row)
        _between_rows(channels, row_at[i] - taps // 2 + 1, weights_row, lines)
        _between_cols(lines, col_at - (taps // 2 - 1), weights_col, values)
        for c in range(values.shape[0]):
            for j in range(values.shape[1]):
                if np.isnan(values[c, j]):
                    values[c, j] = _among_known(channels[c], row_at[i], col_at[j], row_off[i], col_off[j])
        _add_detail(pan[i], values, result.shape[0], method, weights, offsets)
        _store(pan[i], pan_nodata, values, limits, result[:, i])


@njit(cache=True, nogil=True)
def _between_rows(channels: Floats, first: int, weights: Floats, lines: Floats) -> None:
    for c in range(channels.shape[0]):
        lines[c] = 0.0
        for k in range(weights.size):
            for j in range(channels.shape[2]):
                lines[c, j] += weights[k] * channels[c, first + k, j]


@njit(cache=True, nogil=True)
def _between_cols(lines: Floats, first: NDArray[np.int64], weights: Floats, values: Floats) -> None:
    for c in range(lines.shape[0]):
        if weights.shape[0] == 2:
            for j in range(first.size):
                at = first[j]
                values[c, j] = weights[0, j] * lines[c, at] + weights[1, j] * lines[c, at + 1]
            continue
        for j in range(first.size):
            at = first[j]
            before = weights[0, j] * lines[c, at] + weights[1, j] * lines[c, at + 1]
            values[c, j] = before + weights[2, j] * lines[c, at + 2] + weights[3, j] * lines[c, at + 3]


@njit(cache=True, nogil=True)
def _add_detail(pan: Pixels, values: Floats, bands: int, method: int, weights: Floats, offsets: Floats) -> None:
    """Sharpen the bands of a row, which come first among its values."""
    if method == BROVEY:
        for j in range(pan.size):
            level = offsets[0]
            for band in range(bands):
                level += weights[band] * values[band, j]
            ratio = float(pan[j]) / level if level > 0.0 else 1.0
            for band in range(bands):
                values[band, j] *= ratio
    elif method == HPM:
        for band in range(bands):
            for j in range(pan.size):
                level = weights[band] * values[bands, j] + offsets[band]
                wanted = weights[band] * float(pan[j]) + offsets[band]
                values[band, j] *= wanted / level if level > 0.0 else 1.0
    else:
        for band in range(bands):
            for j in range(pan.size):
                values[band, j] += values[bands + 1 + band, j] * (float(pan[j]) - values[bands, j])


@njit(cache=True, nogil=True)
def _store(
    pan: Pixels, pan_nodata: float, values: Floats, limits: tuple[float, float, float, float], result: Pixels
) -> None:
    """Fill in the valid pixels of a row; bands are missing together, and make what is made of them missing too."""
    low, high, fill, instead = limits
    whole = not np.isnan(low)
    for band in range(result.shape[0]):
        for j in range(pan.size):
            sharp, value = float(pan[j]), values[band, j]
            if sharp == pan_nodata or np.isnan(sharp) or np.isnan(value):
                continue
            if whole:
                value = min(max(np.floor(value + 0.5), low), high)
            result[band, j] = value
            if float(result[band, j]) == fill:  # compared as stored: float32 rounds
                result[band, j] = instead


@njit(cache=True, nogil=True)
def _tap_weights(t: float, weights: Floats) -> None:
    """Linear; or cubic convolution with a = -1/2 (Keys, IEEE ASSP 29(6), 1981), as `processing.kernel` has it."""
    if weights.size == 2:
        weights[0], weights[1] = 1.0 - t, t
        return
    weights[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    weights[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    weights[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    weights[3] = t * t * (-0.5 + 0.5 * t)


@njit(cache=True, nogil=True)
def _among_known(channel: Floats, row: int, col: int, down: float, right: float) -> float:
    """Bilinear mean of those of four pixels that are known; NaN where the nearest one is not."""
    if np.isnan(channel[row + (down >= 0.5), col + (right >= 0.5)]):
        return np.nan
    total, weight = 0.0, 0.0
    for i in range(2):
        for j in range(2):
            value = channel[row + i, col + j]
            if not np.isnan(value):
                share = (down if i else 1.0 - down) * (right if j else 1.0 - right)
                total += share * value
                weight += share
    return total / weight


@njit(cache=True, nogil=True)
def _gains(channels: Floats, around: int, largest: Floats) -> Floats:
    """Slope of the regression of each band on L over the known pixels around, from 0 to the largest; 0 over flat ones.

    Shape (bands, rows, columns); NaN where the pixel itself is missing. Those at the edges, whose surroundings are cut
    off, are margin.
    """
    bands, height, width = channels.shape[0] - 1, channels.shape[1], channels.shape[2]
    gains = np.full((bands, height, width), np.nan)
    mean, both = np.empty(bands + 1), np.empty(bands + 1)
    for row in range(height):
        for col in range(width):
            if np.isnan(channels[bands, row, col]):
                continue
            top, bottom = max(row - around, 0), min(row + around + 1, height)
            left, right = max(col - around, 0), min(col + around + 1, width)
            _products(channels[:, top:bottom, left:right], mean, both)
            for band in range(bands):
                slope = both[band] / both[bands] if both[bands] > 0.0 else 0.0
                gains[band, row, col] = min(max(slope, 0.0), largest[band])
    return gains


@njit(cache=True, nogil=True)
def _products(channels: Floats, mean: Floats, both: Floats) -> None:
    """Sums over the known pixels of the products of each channel's deviation with that of the last one."""
    last, count = channels.shape[0] - 1, 0
    mean[:], both[:] = 0.0, 0.0
    for i in range(channels.shape[1]):
        for j in range(channels.shape[2]):
            if not np.isnan(channels[last, i, j]):
                count += 1
                for c in range(last + 1):
                    mean[c] += channels[c, i, j]
    for c in range(last + 1):
        mean[c] /= count
    for i in range(channels.shape[1]):
        for j in range(channels.shape[2]):
            off = channels[last, i, j] - mean[last]
            if not np.isnan(off):
                for c in range(last + 1):
                    both[c] += off * (channels[c, i, j] - mean[c])


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
