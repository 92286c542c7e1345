"""Overlapping orthoimages on one grid → one picture.

scenes ─► layers in order ─► cells of many pixels ─► tones, seams (`processing.seam`) ─┐
└─────────────────────────────────► superblocks (`processing.canvas`) ◄─────────────┘ ─► mosaic, index
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.blocks import Progress, Task, run, spooled
from processing.canvas import Canvas, cell_means, compose_block
from processing.cog import SUPERBLOCK, CogProfile, EncodedSuperblock, assemble, encode_superblock
from processing.errors import OutputError
from processing.layers import MosaicScene, RasterLayer, plan
from processing.ortho import Block, Part, Pixels
from processing.seam import Cells, Tone, balance, preferences
from processing.tile import Compression

if TYPE_CHECKING:  # as in `processing.graph`
    from distributed import Client

MAX_FEATHER_PX: Final = 1024
"""Widest ramp across a seam: its half is read around each block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicJob:
    """All that a task needs to make any superblock; pickled to workers, holds no pixels."""

    layers: tuple[RasterLayer, ...]
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
            cell_means(values, valid, cell, means)
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
