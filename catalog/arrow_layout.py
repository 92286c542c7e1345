"""Items of one type as a record batch.

Arrow's JSON reader takes exactly one type and refuses the rest, so that what it takes is whole. Geometries it cannot
read, since their arrays differ in depth: those go to GEOS.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json
import shapely
from numpy.typing import NDArray

from catalog.arrow_columns import EDGES, boxes, cast, view, wkb
from catalog.arrow_shape import REST, WKB, Fitter, fitter, storage

MEMBERS = ("type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox", "links", "assets")
"""Of an Item, beside its properties; in the order of the columns."""

_TYPES = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
          "GeometryCollection")  # fmt: skip
"""By shapely's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """What GeoParquet wants to know of all geometries together."""

    kinds: frozenset[str] = frozenset()
    """Their types."""

    bounds: NDArray[np.float64] = field(default_factory=lambda: np.full(4, np.nan))
    """In the plane; not a number where there is none."""

    is_covered: bool = True
    """Whether every bbox holds its geometry in the plane; not so for one across the antimeridian."""

    @classmethod
    def of(cls, shapes: NDArray[np.object_], box: pa.StructArray) -> "Outlines":
        """Of the geometries of some Items, beside the bboxes of the same."""
        there = ~shapely.is_missing(shapes)
        if not there.any():
            return cls()
        shapes = shapes[there]
        kinds = np.unique(np.stack([shapely.get_type_id(shapes), shapely.has_z(shapes)]), axis=1).T
        west, south, east, north = shapely.bounds(shapes).T
        xmin, ymin, xmax, ymax = (view(box.field(edge), np.float64)[there] for edge in EDGES[4])
        return cls(
            kinds=frozenset(_TYPES[kind] + (" Z" if has_z else "") for kind, has_z in kinds),
            bounds=np.array([west.min(), south.min(), east.max(), north.max()]),
            is_covered=bool(np.all((xmin <= west) & (ymin <= south) & (xmax >= east) & (ymax >= north))),
        )

    def joined(self, other: "Outlines") -> "Outlines":
        """Of both."""
        low, high = np.fmin(self.bounds, other.bounds)[:2], np.fmax(self.bounds, other.bounds)[2:]
        return Outlines(
            kinds=self.kinds | other.kinds,
            bounds=np.concatenate([low, high]),
            is_covered=self.is_covered and other.is_covered,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Some Items as rows."""

    rows: pa.RecordBatch
    outlines: Outlines


@dataclass(frozen=True, slots=True)
class Layout:
    """The type of some Items, and what follows from it."""

    columns: pa.Schema
    """As the JSON reader takes them: properties an object, bbox an array, JSON and geometries texts."""

    schema: pa.Schema
    """Of the rows: properties beside the other members, bbox a struct, the geometry WKB."""

    fit: Fitter | None
    """Makes an Item fit the columns; None where it does as it is."""

    @classmethod
    def of(cls, kind: pa.StructType, *, has_heights: bool) -> "Layout":
        """Of Items of this type; with heights where a bbox has some."""
        box = pa.struct([(edge, pa.float64()) for edge in EDGES[6 if has_heights else 4]])
        special = {"geometry": WKB, "bbox": box}
        fields = [pa.field(name, special.get(name, kind.field(name).type)) for name in MEMBERS]
        rest = [kind.field(REST)] if kind.get_field_index(REST) >= 0 else []
        return cls(
            columns=pa.schema([(member.name, storage(member.type)) for member in kind]),
            schema=pa.schema([*fields, *kind.field("properties").type, *rest]),
            fit=fitter(kind),
        )

    def read_items(self, items: Sequence[bytes]) -> Batch | None:
        """Items as the catalog writes them; None where one is written otherwise, or is of another type."""
        if self.fit is not None:
            return None
        pieces: list[bytes | memoryview] = []
        geometries: list[bytes | None] = []
        for item in items:
            start = item.find(b',"geometry":') + len(b',"geometry":')
            if item.count(b"{", 0, start) != 1:  # it is a member of the Item, not of something in it
                return None
            end = start + 4 if item.startswith(b"null", start) else item.find(b"}", start) + 1
            geometry = None if item.startswith(b"null", start) else item[start:end]
            if geometry is not None and not _is_plain(geometry):
                return None
            geometries.append(geometry)
            text = memoryview(item)
            pieces += (text[:start], b"null", text[end:], b"\n")
        return self._read(b"".join(pieces), geometries)

    def read_rows(self, rows: Sequence[Mapping[str, Any]], geometries: Sequence[bytes | None]) -> Batch | None:
        """Members of Items and their geometries as GeoJSON; None where they are of another type."""
        fit = self.fit or (lambda members: members)
        return self._read(b"\n".join(orjson.dumps(fit(row)) for row in rows), geometries)

    def _read(self, lines: bytes, geometries: Sequence[bytes | None]) -> Batch | None:
        try:
            shapes = shapely.from_geojson(np.array(geometries, dtype=object))
            table = pa.json.read_json(
                pa.BufferReader(lines),
                read_options=pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=pa.json.ParseOptions(explicit_schema=self.columns, unexpected_field_behavior="error"),
            )
            box = boxes(table["bbox"].chunk(0), self.schema.field("bbox").type)
            if table.num_rows != len(geometries) or box is None:
                return None
            return Batch(self._rows(table, shapes, box), Outlines.of(shapes, box))
        except (pa.ArrowInvalid, shapely.GEOSException):
            return None

    def _rows(self, table: pa.Table, shapes: NDArray[np.object_], box: pa.StructArray) -> pa.RecordBatch:
        columns = {name: table[name].chunk(0) for name in table.column_names}
        properties = columns.pop("properties")
        columns |= {member.name: properties.field(place) for place, member in enumerate(properties.type)}
        columns |= {"geometry": wkb(shapes), "bbox": box}
        arrays = [cast(columns[member.name], member.type) for member in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _is_plain(geometry: bytes) -> bool:
    """Whether it has a type and coordinates and nothing else; what is in them is GEOS's business."""
    return geometry.startswith(b'{"type":"') and geometry.count(b'":') == 2 and b'","coordinates":[' in geometry
