"""How good a product is: where it has data, how cloudy it is, and its checksum; see `displacement` for its accuracy."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask, shapes
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.windows import Window
from shapely.geometry import MultiPolygon, Polygon, shape

from catalog.extent import Footprint
from processing.cloud_classes import CLEAR, CLOUD
from processing.projection import from_lon_lat, is_geographic, to_lon_lat
from processing.raster import open_raster, sha256

Mask = NDArray[np.bool_]
"""Shape (rows, columns)."""

OUTLINE_PX: Final = 1024
"""Outlines are drawn on the sharpest overview that has at most so many rows and columns."""

SPECK_PX: Final = 16
"""Holes and islands of fewer pixels of that overview are noise, not coverage."""


PRECISION_DEG: Final = 1e-7
"""Last digit of a footprint's coordinates: a centimetre."""

METRES_PER_DEGREE: Final = 111_320.0
"""Of latitude, about; for tolerances."""


def multihash(path: Path) -> str:
    """SHA-256 of a file as the STAC file extension has it: multihash in hexadecimal, code 0x12, length 0x20."""
    return f"1220{sha256(path)}"


def footprint(raster: Path) -> Footprint | None:
    """Where any band of a finished raster has data, to about one pixel of an overview; None where none has.

    An overview's pixel has data where one of the pixels below it has, so that the outline is never too small by more
    than its simplification.
    """
    with open_raster(raster) as dataset:
        size, transform = overview(dataset)
        valid = np.zeros(size, dtype=bool)
        for band in dataset.indexes:
            valid |= has_data(dataset.read(band, out_shape=size), dataset.nodata)
        return outline(valid, transform, dataset.crs.to_wkt())


def clear_area(cloud_mask: Path) -> Footprint | None:
    """Where the cloud mask is clear, to about one pixel of an overview; None where nothing is."""
    with open_raster(cloud_mask) as dataset:
        size, transform = overview(dataset)
        return outline(dataset.read(1, out_shape=size) == CLEAR, transform, dataset.crs.to_wkt())


def has_data(values: NDArray[Any], nodata: float | None) -> Mask:
    """Which pixels differ from nodata; NaN never is data."""
    valid = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    return valid if nodata is None or math.isnan(nodata) else valid & (values != nodata)


def cloud_cover_pct(cloud_mask: Path, area: Footprint | None = None) -> float | None:
    """Share of clouds among the pixels that the mask knows, at full resolution.

    Parameters
    ----------
    area
        Inside the mask's footprint; None: the whole mask.

    Returns
    -------
    float | None
        0 to 100; None where the mask knows no pixel of the area.
    """
    clouds, known = 0, 0
    with open_raster(cloud_mask) as dataset:
        inside = None if area is None else _on_map(area, dataset.crs.to_wkt())
        for window in _windows(dataset):
            values = dataset.read(1, window=window)
            if inside is not None:
                here = _from(dataset.transform, row=window.row_off, col=window.col_off)
                if not inside.intersects(_extent(here, *values.shape)):
                    continue
                values = values[geometry_mask([inside], values.shape, here, invert=True)]
            clouds += int(np.count_nonzero(values == CLOUD))
            known += int(np.count_nonzero((values == CLOUD) | (values == CLEAR)))
    return 100 * clouds / known if known else None


def outline(inside: Mask, transform: Affine, crs: str) -> Footprint | None:
    """Vectorise a mask on the map into a footprint with few vertices; None where nothing of it is left.

    Parameters
    ----------
    inside
        Shape (rows, columns), on a regular grid.
    transform
        From the outer corner of a pixel to coordinates of `crs`.
    """
    smallest = SPECK_PX * abs(transform.determinant)
    rings = [shape(geometry) for geometry, _ in shapes(inside.astype("uint8"), mask=inside, transform=transform)]
    parts = [_without_specks(part, smallest) for part in rings if part.area >= smallest or len(rings) == 1]
    pixel = math.sqrt(abs(transform.determinant))
    simple = shapely.union_all(parts).simplify(pixel) if parts else Polygon()
    drawn = [part for part in shapely.get_parts(simple) if part.geom_type == "Polygon" and part.area > 0]
    if not drawn:
        return None
    # Straight lines of the map bend in lon, lat: many points first, then those that a straight line will do without.
    west, south, east, north = simple.bounds
    dense = _dense(drawn, max(east - west, north - south) / 64)
    whole = Footprint.of(_on_globe(dense, crs))
    tolerance_deg = pixel / 2 / (1 if is_geographic(crs) else METRES_PER_DEGREE)
    return Footprint.of(shapely.set_precision(whole.polygons.simplify(tolerance_deg), PRECISION_DEG))


def _without_specks(polygon: Polygon, smallest: float) -> Polygon:
    return Polygon(polygon.exterior, [ring for ring in polygon.interiors if Polygon(ring).area >= smallest])


def _dense(polygons: Iterable[Polygon], step: float) -> MultiPolygon:
    """The same polygons with a point at least every `step`, ring by ring: GEOS 3.14 empties some whole ones."""
    return MultiPolygon(
        [
            Polygon(shapely.segmentize(one.exterior, step), [shapely.segmentize(ring, step) for ring in one.interiors])
            for one in polygons
        ]
    )


def _on_globe(polygons: MultiPolygon, crs: str) -> MultiPolygon:
    """The polygons in degrees."""
    return shapely.transform(polygons, lambda xy: np.stack(to_lon_lat(crs, *xy.T), axis=1))


def _on_map(area: Footprint, crs: str) -> Any:  # noqa: ANN401 - a shapely geometry
    """The area, which lies near the raster, in coordinates of its map."""
    dense = _dense(area.polygons.geoms, 0.02)
    moved = shapely.transform(dense, lambda lonlat: np.stack(from_lon_lat(crs, *lonlat.T), axis=1))
    return shapely.union_all(shapely.make_valid(shapely.get_parts(moved)))


def overview(dataset: DatasetReader) -> tuple[tuple[int, int], Affine]:
    """Shape and transform of the sharpest overview that is small enough, as `processing.cog` makes them."""
    height, width, factor = dataset.height, dataset.width, 1
    while max(height, width) > OUTLINE_PX:
        height, width, factor = (height + 1) // 2, (width + 1) // 2, 2 * factor
    return (height, width), _from(dataset.transform, scale=factor)


def _windows(dataset: DatasetReader, size: int = 2048) -> Iterator[Window]:
    for row in range(0, dataset.height, size):
        for col in range(0, dataset.width, size):
            yield Window(col, row, min(size, dataset.width - col), min(size, dataset.height - row))


def _from(transform: Affine, *, row: int = 0, col: int = 0, scale: int = 1) -> Affine:
    """The transform of pixels so many times as large, counted from another pixel."""
    a, b, c, d, e, f = transform[:6]
    return Affine(a * scale, b * scale, a * col + b * row + c, d * scale, e * scale, d * col + e * row + f)


def _extent(transform: Affine, height: int, width: int) -> Polygon:
    corners = [_from(transform, row=row, col=col) for row, col in ((0, 0), (0, width), (height, width), (height, 0))]
    return Polygon([(corner.c, corner.f) for corner in corners])
