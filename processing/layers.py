"""The scenes of a mosaic in their places: on one grid of pixels, in order of preference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from rasterio.io import DatasetReader

from processing.canvas import Canvas
from processing.cloud_classes import CLEAR
from processing.cog import SUPERBLOCK, CogProfile
from processing.errors import DeliveryError, OutputError
from processing.ortho import Part, Pixels
from processing.orthoimage import described, nodata_of, read_part
from processing.quality import Mask, has_data
from processing.raster import open_raster
from processing.seam import Tone
from processing.tile import Compression

ORDERS: Final = ("given", "newest", "clearest", "nadir")
"""Which scene is preferred: as they come, by time, by cloud cover, by off-nadir angle; ties as they come."""

MAX_CELLS: Final = 2048
"""Rows or columns of cells on which seams and tones are decided."""

ALIGNED_PX: Final = 0.01
"""How far two grids may be apart and still be one."""


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
class RasterLayer:
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
        inside = (
            rows[0] - self.place[0],
            rows[1] - self.place[0],
            cols[0] - self.place[2],
            cols[1] - self.place[2],
        )
        found = read_part(self.path, inside)
        values = np.zeros((len(found), part[1] - part[0], part[3] - part[2]), dtype=found.dtype)
        valid = np.zeros(values.shape[1:], dtype=bool)
        here = slice(rows[0] - part[0], rows[1] - part[0]), slice(cols[0] - part[2], cols[1] - part[2])
        values[:, *here] = found
        valid[here] = has_data(found, self.nodata).all(axis=0)
        if self.mask is not None:
            valid[here] &= read_part(self.mask, inside)[0] == CLEAR
        return values, valid

    def seen_from(self, whole: Part) -> Self:
        """The same layer in a mosaic that is this part of it."""
        top, bottom, left, right = self.place
        return replace(self, place=(top - whole[0], bottom - whole[0], left - whole[2], right - whole[2]))

    def touches(self, part: Part) -> bool:
        """Whether it shares pixels with a part of the mosaic."""
        rows = max(part[0], self.place[0]) < min(part[1], self.place[1])
        return rows and max(part[2], self.place[2]) < min(part[3], self.place[3])


def plan(
    scenes: Sequence[MosaicScene],
    *,
    order: str,
    bounds: tuple[float, float, float, float] | None = None,
    compress: Compression = "zstd",
    **profile: Any,  # noqa: ANN401 - further fields of CogProfile
) -> tuple[tuple[RasterLayer, ...], Canvas, CogProfile]:
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
        nodata, bands = nodata_of(first), described(first)
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
        **(bands | profile),
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

    def layer(self, number: int, scene: MosaicScene) -> RasterLayer:
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
            layer = RasterLayer(
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
