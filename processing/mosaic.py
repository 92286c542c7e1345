"""Overlapping orthoimages on one grid → one picture.

    scenes ─► order ─► cells of many pixels ─► tones, seams (`processing.seam`) ─┐
       └──────────────────────────────────────────────────────► superblocks ◄────┘ ─► mosaic, index

Each pixel is shown by the scene that the seams prefer there; where that has no data, by the first one in order that
has. Across seams scenes are blended in proportion to how much of the square around a pixel belongs to each, a ramp as
wide as the square. That is counted in whole numbers and summed in the scenes' order: the same bits in any block.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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

from processing.blocks import Progress, Task, run, spooled
from processing.cloud_classes import CLEAR
from processing.cog import SUPERBLOCK, CogProfile, EncodedSuperblock, assemble, encode_superblock
from processing.errors import DeliveryError, OutputError
from processing.ortho import Block, Part, Pixels
from processing.quality import Mask, has_data
from processing.raster import open_raster
from processing.seam import Cells, Tone, balance, preferences
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client

ORDERS: Final = ("given", "newest", "clearest", "nadir")
"""Which scene is preferred: as they come, by time, by cloud cover, by off-nadir angle; ties as they come."""

MAX_CELLS: Final = 2048
"""Rows or columns of cells on which seams and tones are decided."""

ALIGNED_PX: Final = 0.01
"""How far two grids may be apart and still be one."""

MAX_FEATHER_PX: Final = 1024
"""Widest ramp across a seam: its half is read around each block."""

_STRIP: Final = 512
"""Rows that are put together at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicScene:
    """An orthoimage, and what it may be ordered by."""

    path: Path
    acquired: datetime | None = None
    """UTC-aware."""

    cloud_cover_pct: float | None = None
    off_nadir_deg: float | None = None
    mask: Path | None = None
    """Cloud mask on the pixels of the scene: only what it calls `CLEAR` is shown."""

    def __post_init__(self) -> None:
        if self.acquired is not None and self.acquired.tzinfo is None:
            raise OutputError(f"{self.path.name}: {self.acquired.isoformat()} has no time zone; give it in UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A scene in its place."""

    number: int
    """In the order in which the scenes were given, from 1."""

    path: Path
    mask: Path | None
    place: Part
    """First and last + 1 row, likewise column, in the mosaic; may lie beyond it."""

    nodata: float | None
    tone: Tone

    def read(self, part: Part) -> tuple[Pixels, Mask]:
        """Values and where there are any, of a part of the mosaic that the scene may cover in part."""
        rows = max(part[0], self.place[0]), min(part[1], self.place[1])
        cols = max(part[2], self.place[2]), min(part[3], self.place[3])
        window = Window(cols[0] - self.place[2], rows[0] - self.place[0], cols[1] - cols[0], rows[1] - rows[0])
        found = _read(self.path, window)
        values = np.zeros((len(found), part[1] - part[0], part[3] - part[2]), dtype=found.dtype)
        valid = np.zeros(values.shape[1:], dtype=bool)
        here = slice(rows[0] - part[0], rows[1] - part[0]), slice(cols[0] - part[2], cols[1] - part[2])
        values[:, *here] = found
        valid[here] = has_data(found, self.nodata).all(axis=0)
        if self.mask is not None:
            valid[here] &= _read(self.mask, window)[0] == CLEAR
        return values, valid

    def seen_from(self, whole: Part) -> Self:
        """The same layer in a mosaic that is this part of it."""
        top, bottom, left, right = self.place
        return replace(self, place=(top - whole[0], bottom - whole[0], left - whole[2], right - whole[2]))

    def touches(self, part: Part) -> bool:
        """Whether it shares pixels with a part of the mosaic."""
        rows = max(part[0], self.place[0]) < min(part[1], self.place[1])
        return rows and max(part[2], self.place[2]) < min(part[3], self.place[3])


def _read(path: Path, window: Window) -> Pixels:
    with open_raster(path) as dataset:
        try:
            pixels: Pixels = dataset.read(window=window)
        except RasterioError as error:
            raise DeliveryError(
                f"{path.name}: rows from {window.row_off} on cannot be read ({error}); deliver it again"
            ) from None
    return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """What is put together."""

    shape: tuple[int, int]
    """Rows and columns."""

    bands: int
    data_type: str
    """As numpy calls it."""

    nodata: float
    cell: int = 1
    """Rows and columns of pixels of a cell."""

    radius: int = 0
    """Pixels on each side of a seam that are blended."""


def compose_block(
    block: Block, layers: Sequence[Layer], canvas: Canvas, preferred: NDArray[np.int16] | None
) -> tuple[Pixels, NDArray[np.uint16]]:
    """The pixels of a block of the mosaic, and the number of the layer that each comes from; 0 for none.

    Parameters
    ----------
    layers
        In order of preference.
    preferred
        Which of them, from 0, is to be shown in each cell, -1 for any; None: the first one that shows something.

    Returns
    -------
    Shapes (bands, block.height, block.width) and (block.height, block.width). Whole numbers are rounded half up and
    limited to what they can hold; a valid pixel that would come out as nodata becomes its neighbour.
    """
    pixels = np.full((canvas.bands, block.height, block.width), canvas.nodata, dtype=canvas.data_type)
    source = np.zeros((block.height, block.width), dtype=np.uint16)
    numbers = np.array([0, *(layer.number for layer in layers)], dtype=np.uint16)
    for top in range(0, block.height, _STRIP):
        bottom = min(top + _STRIP, block.height)
        owner = _compose_strip(
            (block.row + top, block.row + bottom, block.col, block.col + block.width),
            layers,
            canvas,
            preferred,
            pixels[:, top:bottom],
        )
        source[top:bottom] = numbers[owner + 1]
    return pixels, source


def _compose_strip(
    part: Part, layers: Sequence[Layer], canvas: Canvas, preferred: NDArray[np.int16] | None, pixels: Pixels
) -> NDArray[np.int16]:
    """Fill in the pixels of a part; says which layer owns each, from 0, -1 for none."""
    radius = canvas.radius
    wide = (
        max(part[0] - radius, 0),
        min(part[1] + radius, canvas.shape[0]),
        max(part[2] - radius, 0),
        min(part[3] + radius, canvas.shape[1]),
    )
    own = slice(part[0] - wide[0], part[1] - wide[0]), slice(part[2] - wide[2], part[3] - wide[2])
    wanted = None
    if preferred is not None:
        rows, cols = np.arange(wide[0], wide[1]) // canvas.cell, np.arange(wide[2], wide[3]) // canvas.cell
        wanted = preferred[np.ix_(rows, cols)]
    owner, seen = _owners(wide, layers, wanted)
    total = np.zeros((canvas.bands, part[1] - part[0], part[3] - part[2]))
    weight = np.zeros(total.shape[1:], dtype=np.int64)
    for number, (values, valid) in sorted(seen.items()):
        share = _around(owner == number, own, radius)
        tone = layers[number].tone
        _add(values[:, *own], valid[own], share, np.array(tone.gains), np.array(tone.offsets), total, weight)
    _finish(total, weight, _limits(np.dtype(canvas.data_type), canvas.nodata), pixels)
    return owner[own]


def _owners(
    part: Part, layers: Sequence[Layer], wanted: NDArray[np.int16] | None
) -> tuple[NDArray[np.int16], dict[int, tuple[Pixels, Mask]]]:
    """Which layer owns each pixel of a part, and what those that own some show there; no others are kept."""
    owner = np.full((part[1] - part[0], part[3] - part[2]), -1, dtype=np.int16)
    seen: dict[int, tuple[Pixels, Mask]] = {}

    def claim(number: int, where: Mask) -> None:
        if number not in seen:
            seen[number] = layers[number].read(part)
        owner[where & seen[number][1]] = number
        if not (owner == number).any():
            del seen[number]

    if wanted is not None:
        for number in np.unique(wanted[wanted >= 0]):
            claim(int(number), wanted == number)
    for number, layer in enumerate(layers):
        if (owner >= 0).all():
            break
        if layer.touches(part):
            claim(number, owner < 0)
    return owner, seen


def _around(mine: Mask, own: tuple[slice, slice], radius: int) -> NDArray[np.int32]:
    """How many pixels of the square around each pixel are set; without a radius, the pixel itself."""
    if not radius:
        return mine[own].astype(np.int32)
    height, width = mine.shape
    summed = np.zeros((height + 1, width + 1), dtype=np.int32)
    np.cumsum(np.cumsum(mine, axis=0, dtype=np.int32), axis=1, out=summed[1:, 1:])
    rows, cols = np.arange(own[0].start, own[0].stop), np.arange(own[1].start, own[1].stop)
    top, bottom = np.maximum(rows - radius, 0), np.minimum(rows + radius + 1, height)
    left, right = np.maximum(cols - radius, 0), np.minimum(cols + radius + 1, width)
    return (
        summed[np.ix_(bottom, right)]
        - summed[np.ix_(top, right)]
        - summed[np.ix_(bottom, left)]
        + summed[np.ix_(top, left)]
    )


def _limits(kind: np.dtype[Any], nodata: float) -> tuple[float, float, float, float]:
    """Lowest and highest value (NaN: floats, neither rounded nor limited), nodata, and what stands beside it."""
    fill = float(kind.type(nodata))
    if kind.kind not in "iu":
        return np.nan, np.nan, fill, float(np.nextafter(np.float32(fill), np.float32(np.inf)))
    low, high = float(np.iinfo(kind).min), float(np.iinfo(kind).max)
    return low, high, fill, fill + 1.0 if fill < high else fill - 1.0


@njit(cache=True, nogil=True)
def _add(
    values: Pixels,
    valid: Mask,
    share: NDArray[np.int32],
    gains: NDArray[np.float64],
    offsets: NDArray[np.float64],
    total: NDArray[np.float64],
    weight: NDArray[np.int64],
) -> None:
    """Add what a layer shows, as often as its share says."""
    for row in range(share.shape[0]):
        for col in range(share.shape[1]):
            if share[row, col] > 0 and valid[row, col]:
                weight[row, col] += share[row, col]
                for band in range(values.shape[0]):
                    value = gains[band] * float(values[band, row, col]) + offsets[band]
                    total[band, row, col] += share[row, col] * value


@njit(cache=True, nogil=True)
def _finish(
    total: NDArray[np.float64],
    weight: NDArray[np.int64],
    limits: tuple[float, float, float, float],
    result: Pixels,
) -> None:
    """Fill in the pixels that have weight; the others stay as they are."""
    low, high, fill, instead = limits
    for band in range(result.shape[0]):
        for row in range(result.shape[1]):
            for col in range(result.shape[2]):
                if weight[row, col] == 0:
                    continue
                value = total[band, row, col] / weight[row, col]
                if not np.isnan(low):
                    value = min(max(np.floor(value + 0.5), low), high)
                result[band, row, col] = value
                if float(result[band, row, col]) == fill:  # compared as stored: float32 rounds
                    result[band, row, col] = instead


@njit(cache=True, nogil=True)
def _means(values: Pixels, valid: Mask, cell: int, means: NDArray[np.float32]) -> None:
    """Mean of the valid pixels of each cell; NaN where less than half of them are."""
    height, width = valid.shape
    for row in range(means.shape[1]):
        for col in range(means.shape[2]):
            bottom, right = min((row + 1) * cell, height), min((col + 1) * cell, width)
            count = 0
            for i in range(row * cell, bottom):
                for j in range(col * cell, right):
                    count += valid[i, j]
            enough = 2 * count >= (bottom - row * cell) * (right - col * cell)
            for band in range(means.shape[0]):
                total = 0.0
                for i in range(row * cell, bottom):
                    for j in range(col * cell, right):
                        total += float(values[band, i, j]) if valid[i, j] else 0.0
                means[band, row, col] = total / count if enough else np.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    layers: tuple[Layer, ...]
    """In order of preference."""

    canvas: Canvas
    spool: Path
    seams: bool

    def block(self, row: int, col: int) -> tuple[Pixels, NDArray[np.uint16]]:
        """The pixels of a superblock, counted in superblocks, and where they come from."""
        top, bottom, left, right = self._superblock(row, col)
        block = Block(row=top, col=left, height=bottom - top, width=right - left)
        preferred = np.load(self.spool / _PREFERRED, mmap_mode="r") if self.seams else None
        return compose_block(block, self.layers, self.canvas, preferred)

    def measure(self, number: int, row: int, col: int) -> tuple[int, int, int]:
        """Write what a layer, counted from 0, shows of the cells of a superblock; gives back its arguments."""
        part, layer, cell = self._superblock(row, col), self.layers[number], self.canvas.cell
        if layer.touches(part):
            place = _on_cells(layer.place, cell)
            part = (
                max(part[0], place[0] * cell),
                min(part[1], place[1] * cell),
                max(part[2], place[2] * cell),
                min(part[3], place[3] * cell),
            )
            values, valid = layer.read(part)
            cells = _on_cells(part, cell)
            means = np.empty((len(values), cells[1] - cells[0], cells[3] - cells[2]), dtype=np.float32)
            _means(values, valid, cell, means)
            np.save(self.spool / f"cells-{number}-{row}-{col}.npy", means)
        return number, row, col

    def cells(self, number: int) -> Cells:
        """What a layer shows of all cells, from what `measure` has written; opened, not read."""
        place, (height, width) = self.layers[number].place, self.canvas.shape
        seen = max(place[0], 0), min(place[1], height), max(place[2], 0), min(place[3], width)
        first, last, left, right = _on_cells(seen, self.canvas.cell)
        path, shape = self.spool / f"layer-{number}.npy", (self.canvas.bands, last - first, right - left)
        if not path.exists():
            means = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            for piece in self.spool.glob(f"cells-{number}-*-*.npy"):
                row, col = (int(part) * SUPERBLOCK // self.canvas.cell for part in piece.stem.split("-")[2:])
                found, down, over = np.load(piece), max(row - first, 0), max(col - left, 0)
                means[:, down : down + found.shape[1], over : over + found.shape[2]] = found
        return Cells(row=first, col=left, means=np.load(path, mmap_mode="r"))

    def _superblock(self, row: int, col: int) -> Part:
        top, left = row * SUPERBLOCK, col * SUPERBLOCK
        return top, min(top + SUPERBLOCK, self.canvas.shape[0]), left, min(left + SUPERBLOCK, self.canvas.shape[1])


_PREFERRED: Final = "preferred.npy"
"""Which layer the seams prefer in each cell, in the spool folder."""


def _on_cells(part: Part, cell: int) -> Part:
    """The cells that a part of the mosaic touches."""
    return part[0] // cell, -(-part[1] // cell), part[2] // cell, -(-part[3] // cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicResult:
    """What was written."""

    path: Path
    profile: CogProfile
    index: Path | None
    """Number of the scene that shows each pixel, in the order in which they were given, from 1; 0 is none."""

    order: tuple[int, ...]
    """The same numbers in order of preference; scenes beside the bounds are left out."""

    tones: tuple[Tone, ...]
    """Of these scenes, in the same order."""


def mosaic(
    scenes: Sequence[MosaicScene],
    destination: Path,
    *,
    order: str = "given",
    bounds: tuple[float, float, float, float] | None = None,
    seams: bool = True,
    feather_px: int = 0,
    balanced: bool = False,
    index: Path | None = None,
    compress: Compression = "zstd",
    client: "Client | None" = None,
    threads: int | None = None,
    progress: Progress | None = None,
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> MosaicResult:
    """Write orthoimages as one Cloud-Optimized GeoTIFF; the same bytes however the work is divided.

    Parameters
    ----------
    scenes
        Of one CRS, one grid of pixels, and the same bands. A pixel is valid where all bands are.
    order
        Which scenes are preferred, one of `ORDERS`.
    bounds
        Lowest x, lowest y, highest x, highest y of the mosaic, on the scenes' pixels; None: of all scenes together.
    seams
        Whether overlaps are divided along the least difference; else the preferred scene shows all that it has.
    feather_px
        Width of the ramp that blends the scenes on both sides of a seam; 0: none.
    balanced
        Whether gains and offsets bring the scenes' tones together first.
    index
        Where to write, on the same pixels, the number of the scene that shows each, as uint8 (more scenes: uint16).
        It appears just before the mosaic.
    client, threads, profile
        As for `processing.graph.orthorectify`. Names, colours and nodata are those of the first scene given; where that
        has no nodata, 0 for whole numbers and NaN for others.

    Raises
    ------
    DeliveryError, OutputError
        The scenes do not lie on one grid or cannot be read; nothing is at the destination then that was not there.
    """
    if feather_px and not (seams and 1 < feather_px <= MAX_FEATHER_PX):
        raise OutputError(
            f"mosaic: feather of {feather_px} px with{'' if seams else 'out'} seams; "
            f"give 2 to {MAX_FEATHER_PX} px, with seams"
        )
    layers, canvas, output = plan(scenes, order=order, bounds=bounds, compress=compress, **profile)
    canvas = replace(canvas, radius=feather_px // 2)

    with spooled(destination) as spool:
        job = MosaicJob(layers=layers, canvas=canvas, spool=spool, seams=seams)
        blocks = list(product(*map(range, output.superblocks)))
        if seams or balanced:
            pieces = product(range(len(layers)), blocks)
            tasks: list[Task] = [(_measure, job, number, row, col) for number, (row, col) in pieces]
            run("measure", tasks, client=client, threads=threads, progress=progress)
            job = _decided(job, balanced=balanced)
        numbers = _index_profile(output, len(scenes)) if index else None
        (spool / _INDEX).mkdir()
        tasks = [(_make_superblock, job, output, numbers, row, col) for row, col in blocks]
        made = run("mosaic", tasks, client=client, threads=threads, progress=progress)
        if index and numbers:
            assemble([source for _, source in made], numbers, spool=spool / _INDEX, destination=index)
        assemble([pixels for pixels, _ in made], output, spool=spool, destination=destination)
    return MosaicResult(
        path=destination,
        profile=output,
        index=index,
        order=tuple(layer.number for layer in job.layers),
        tones=tuple(layer.tone for layer in job.layers),
    )


_INDEX: Final = "index"
"""Folder inside the spool for the tiles of the index."""


def _decided(job: MosaicJob, *, balanced: bool) -> MosaicJob:
    """With tones and seams, from the cells that are measured."""
    if balanced:
        tones = balance(len(job.layers), job.cells)
        layers = tuple(replace(layer, tone=tone) for layer, tone in zip(job.layers, tones, strict=True))
        job = replace(job, layers=layers)

    def toned(number: int) -> Cells:
        cells, tone = job.cells(number), job.layers[number].tone
        gains, offsets = (np.array(values)[:, None, None] for values in (tone.gains, tone.offsets))
        return replace(cells, means=(gains * cells.means + offsets).astype(np.float32))

    if job.seams:
        height, width = job.canvas.shape
        shape = -(-height // job.canvas.cell), -(-width // job.canvas.cell)
        margin = -(-job.canvas.radius // job.canvas.cell)
        np.save(job.spool / _PREFERRED, preferences(len(job.layers), toned, shape, margin=margin))
    return job


def _measure(job: MosaicJob, number: int, row: int, col: int) -> tuple[int, int, int]:
    return job.measure(number, row, col)


def _make_superblock(
    job: MosaicJob, output: CogProfile, numbers: CogProfile | None, row: int, col: int
) -> tuple[EncodedSuperblock, EncodedSuperblock | None]:
    pixels, source = job.block(row, col)
    encoded = encode_superblock(pixels, output, row=row, col=col, spool=job.spool)
    if numbers is None:
        return encoded, None
    source_of = source[None].astype(numbers.data_type)
    return encoded, encode_superblock(source_of, numbers, row=row, col=col, spool=job.spool / _INDEX)


def _index_profile(output: CogProfile, scenes: int) -> CogProfile:
    return replace(
        output,
        bands=1,
        data_type="uint8" if scenes < 256 else "uint16",
        nodata=0,
        overviews="nearest",
        descriptions=("scene",),
        colours=("Gray",),
    )


def plan(
    scenes: Sequence[MosaicScene],
    *,
    order: str,
    bounds: tuple[float, float, float, float] | None = None,
    compress: Compression = "zstd",
    **profile: Any,  # noqa: ANN401 - as above
) -> tuple[tuple[Layer, ...], Canvas, CogProfile]:
    """What lies where, and what file it makes, checked as far as it can be before pixels are read.

    Raises
    ------
    DeliveryError, OutputError
        Scenes that do not lie on one grid, or know too little to be ordered; bounds beside the grid.
    """
    if not scenes:
        raise OutputError("mosaic: no scenes; give at least one")
    ranks = ranked(scenes, order)
    with open_raster(scenes[0].path) as first:
        grid = Grid.of(first, scenes[0].path.name)
        nodata = first.nodata
        if nodata is None:
            nodata = 0.0 if np.dtype(grid.data_type).kind in "iu" else np.nan
        names = {"descriptions": first.descriptions} if all(first.descriptions) else {}
        colours = ["Undefined" if c == ColorInterp.undefined else c.name.capitalize() for c in first.colorinterp]
    placed = [grid.layer(number, scenes[number - 1]) for number in ranks]
    if bounds is None:
        edges = np.array([layer.place for layer in placed])
        (top, _, left, _), (_, bottom, _, right) = edges.min(axis=0).tolist(), edges.max(axis=0).tolist()
        whole = (top, bottom, left, right)
    else:
        whole = grid.part(bounds)
    layers = tuple(layer.seen_from(whole) for layer in placed if layer.touches(whole))
    if not layers:
        raise OutputError(f"mosaic: no scene shows anything within {bounds}; give bounds in {grid.crs} over the scenes")
    shape = whole[1] - whole[0], whole[3] - whole[2]
    cell = 1
    while max(shape) > cell * MAX_CELLS and cell < SUPERBLOCK:
        cell *= 2
    a, _, c, _, e, f = grid.transform
    output = CogProfile(
        crs=grid.crs,
        transform=(a, 0.0, c + a * whole[2], 0.0, e, f + e * whole[0]),
        height=shape[0],
        width=shape[1],
        bands=grid.bands,
        data_type=grid.data_type,
        nodata=nodata,
        compress=compress,
        **({"colours": tuple(colours)} | names | profile),
    )
    return layers, Canvas(shape=shape, bands=grid.bands, data_type=grid.data_type, nodata=nodata, cell=cell), output


def ranked(scenes: Sequence[MosaicScene], order: str) -> list[int]:
    """Numbers of the scenes, from 1, in order of preference.

    Raises
    ------
    OutputError
        An order that there is not, or a scene that does not know what it goes by.
    """
    if order not in ORDERS:
        raise OutputError(f"mosaic: order {order!r} is unknown; give {', '.join(ORDERS)}")
    ranks: list[tuple[float, int]] = []
    for number, scene in enumerate(scenes, start=1):
        key = _key(scene, order)
        if key is None:
            raise OutputError(
                f"{scene.path.name}: its {_NEEDED[order]} is unknown; say it, or give the scenes in order of preference"
            )
        ranks.append((key, number))
    return [number for _, number in sorted(ranks)]


def _key(scene: MosaicScene, order: str) -> float | None:
    if order == "newest":
        return None if scene.acquired is None else -scene.acquired.timestamp()
    if order == "nadir":
        return None if scene.off_nadir_deg is None else abs(scene.off_nadir_deg)
    return scene.cloud_cover_pct if order == "clearest" else 0.0


_NEEDED: Final = {"newest": "acquisition time", "clearest": "cloud cover", "nadir": "off-nadir angle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The pixels on which all scenes must lie: those of the first one, going on without end."""

    name: str
    """Of the first scene's file."""

    crs: str
    transform: tuple[float, float, float, float, float, float]
    bands: int
    data_type: str

    @classmethod
    def of(cls, dataset: DatasetReader, name: str) -> Self:
        """The grid of a raster with north up.

        Raises
        ------
        DeliveryError
            It is not on the map, or rotated.
        """
        if dataset.crs is None or dataset.transform.b or dataset.transform.d:
            raise DeliveryError(f"{name}: not on the map with north up; orthorectify it first")
        return cls(
            name=name,
            crs=dataset.crs.to_string(),
            transform=tuple(dataset.transform)[:6],
            bands=dataset.count,
            data_type=dataset.dtypes[0],
        )

    def layer(self, number: int, scene: MosaicScene) -> Layer:
        """A scene in its place.

        Raises
        ------
        DeliveryError
            Other pixels, bands or data type; a mask that does not lie on the scene.
        """
        name = scene.path.name
        with open_raster(scene.path) as dataset:
            other = Grid.of(dataset, name)
            self._check(other, dataset.height, dataset.width)
            row, col = self._place(other)
            layer = Layer(
                number=number,
                path=scene.path.resolve(),
                mask=scene.mask and scene.mask.resolve(),
                place=(row, row + dataset.height, col, col + dataset.width),
                nodata=dataset.nodata,
                tone=Tone(gains=(1.0,) * self.bands, offsets=(0.0,) * self.bands),
            )
            if scene.mask is not None:
                with open_raster(scene.mask) as mask:
                    if mask.shape != dataset.shape or mask.transform != dataset.transform or mask.crs != dataset.crs:
                        raise DeliveryError(f"{scene.mask.name}: not on the pixels of {name}; give its own cloud mask")
        return layer

    def _check(self, other: Self, height: int, width: int) -> None:
        a, _, _, _, e, _ = self.transform
        if other.crs != self.crs:
            raise DeliveryError(
                f"{other.name}: its CRS is {other.crs}, that of {self.name} {self.crs}; "
                f"orthorectify it again with --crs {self.crs}"
            )
        if (other.bands, other.data_type) != (self.bands, self.data_type):
            raise DeliveryError(
                f"{other.name}: {other.bands} bands of {other.data_type}, but {self.bands} of {self.data_type} in "
                f"{self.name}; give scenes of one kind"
            )
        if max(abs(other.transform[0] - a) * width / a, abs(other.transform[4] - e) * height / abs(e)) > ALIGNED_PX:
            raise DeliveryError(
                f"{other.name}: pixels of {other.transform[0]:.9g} × {-other.transform[4]:.9g}, but of {a:.9g} × "
                f"{-e:.9g} in {self.name}; orthorectify it again with --resolution {a:.9g}"
            )

    def _place(self, other: Self) -> tuple[int, int]:
        """Row and column of another grid's first pixel."""
        a, _, c, _, e, f = self.transform
        row, col = (other.transform[5] - f) / e, (other.transform[2] - c) / a
        down, right = abs(row - round(row)), abs(col - round(col))
        if max(down, right) > ALIGNED_PX:
            raise DeliveryError(
                f"{other.name}: its pixels lie {down:.2f} rows and {right:.2f} columns beside those of {self.name}; "
                f"orthorectify it again with --resolution {a:.9g} and with --bounds that are whole pixels away from "
                f"x {c!r}, y {f!r}"
            )
        return round(row), round(col)

    def part(self, bounds: tuple[float, float, float, float]) -> Part:
        """Rows and columns within bounds, counted from the first scene's first.

        Raises
        ------
        OutputError
            They hold nothing, or cut pixels.
        """
        a, _, c, _, e, f = self.transform
        edges = [(bounds[3] - f) / e, (bounds[1] - f) / e, (bounds[0] - c) / a, (bounds[2] - c) / a]
        top, bottom, left, right = map(round, edges)
        if top >= bottom or left >= right or max(abs(edge - round(edge)) for edge in edges) > ALIGNED_PX:
            raise OutputError(
                f"mosaic: bounds {bounds}; give xmin ymin xmax ymax, whole pixels of {a:.9g} × {-e:.9g} away from "
                f"x {c!r}, y {f!r}"
            )
        return top, bottom, left, right
