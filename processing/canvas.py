"""A block of a mosaic, put together from the layers that lie over each other there.

Each pixel is shown by the layer that the seams prefer there; where that has no data, by the first one in order that
has. Across seams layers are blended in proportion to how much of the square around a pixel belongs to each, a ramp as
wide as the square. That is counted in whole numbers and summed in the layers' order: the same bits in any block.
"""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from processing.ortho import Block, Part, Pixels
from processing.seam import Mask, Tone
from processing.value_range import value_range

_STRIP: Final = 512
"""Rows that are put together at a time."""


class Layer(Protocol):
    """A picture in its place; `processing.layers.RasterLayer` is one on disk."""

    @property
    def number(self) -> int:
        """By which it is called in the index, from 1."""
        ...

    @property
    def tone(self) -> Tone:
        """What its values are brought to."""
        ...

    def touches(self, part: Part) -> bool:
        """Whether it shares pixels with a part of the mosaic."""
        ...

    def read(self, part: Part) -> tuple[Pixels, Mask]:
        """Values and where there are any, of a part of the mosaic that it may cover in part."""
        ...


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
    _finish(total, weight, value_range(np.dtype(canvas.data_type), canvas.nodata), pixels)
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
def cell_means(values: Pixels, valid: Mask, cell: int, means: NDArray[np.float32]) -> None:
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
