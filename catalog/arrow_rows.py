"""Items as rows of a table, as the stac-geoparquet specification has them.

The properties are columns beside the Item's own members, the geometry is WKB, the bbox a struct, moments are
timestamps. What has no place in such a row stands in the column `REST`, as a JSON Merge Patch (RFC 7396) that makes
the Item whole again: members that the specification does not know, properties named like a member of the Item, moments
finer than a microsecond, geometries that WKB does not hold.

Items mostly look alike. So Arrow's JSON reader, which takes exactly one type, reads them in the type of those before;
only where it refuses are they looked at one by one, and the type widened.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json
import shapely
from numpy.typing import NDArray

from catalog.arrow_columns import EDGES, boxes, cast, view, wkb
from catalog.arrow_shape import GEOMETRY, REST, TIMES, WKB, Shape, fitter, storage
from catalog.errors import InvalidExtentError
from catalog.extent import format_time, parse_time

MEMBERS = ("type", "stac_version", "stac_extensions", "id", "collection", "geometry", "bbox", "links", "assets")
"""Of an Item, beside its properties; in the order of the columns."""

COVER = "overflight:bbox"
"""Column of the boxes of the geometries in the plane, where the bbox of some Item is another one."""

MAX_COLUMNS = 500
"""Properties beyond so many go into the rest."""

_APART = frozenset({*MEMBERS, "properties", REST, COVER})

_LEAST = {
    "type": "",
    "stac_version": "",
    "stac_extensions": [""],
    "id": "",
    "collection": "",
    "geometry": None,
    "bbox": [0.0],
    "links": [{"href": "", "rel": "", "type": "", "title": ""}],
    "assets": {},
    "properties": {"datetime": None},
}
"""What every table has columns for."""

_PARTS = re.compile(
    rb'(\{(?:"(?:type|stac_version|id|collection)":"[^"\\]*",|"bbox":\[[-+0-9.eE,]*\],'
    rb'|"stac_extensions":\[(?:"[^"\\]*",?)*\],)*"geometry":)'
    rb'(null|\{"type":"[A-Za-z]+","coordinates":[-+0-9.eE,\[\]]+\})(?=[,}])'
)
"""An Item as the catalog writes it, up to its geometry, and the geometry."""

_SUBMICROSECOND = re.compile(r"\.\d{6}0*[1-9]", flags=re.ASCII)

_TYPES = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
          "GeometryCollection")  # fmt: skip
"""By shapely's number."""


@dataclass(frozen=True, slots=True)
class _Row:
    members: Mapping[str, Any]
    """Of the Item, without its geometry; the rest is one of them."""

    geometry: bytes | None
    """GeoJSON."""


class Rows:
    """Makes record batches of Items; their schema widens as it has to."""

    def __init__(self) -> None:
        self._shape = Shape()
        self._shape.see(_LEAST)
        self._has_heights = False
        self._lay_out()
        self.kinds: set[str] = set()
        """Geometry types, as GeoParquet names them."""

        self.bounds: NDArray[np.float64] = np.full(4, np.nan)
        """Of all geometries in the plane; not a number where there is none."""

        self.is_covered = True
        """Whether every bbox holds its geometry in the plane; not so for one across the antimeridian."""

    def batch(self, items: Sequence[bytes]) -> pa.RecordBatch:
        """The rows of some Items, in their order; of the schema that all Items so far need."""
        parts = [_PARTS.match(item) for item in items] if self._fit is None else [None]
        found = [part for part in parts if part is not None]
        if len(found) == len(items):
            texts = [part[1] + b"null" + item[part.end() :] for part, item in zip(found, items, strict=True)]
            batch = self._read(texts, [None if part[2] == b"null" else part[2] for part in found])
            if batch is not None:
                return batch
        documents = [orjson.loads(item) for item in items]
        batch = self._fitted([self._row(document) for document in documents])
        return self._widened(documents) if batch is None else batch

    def schema(self) -> pa.Schema:
        """For all Items so far."""
        return self._schema

    def _widened(self, documents: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        rows = []
        for document in documents:
            row = self._row(document)
            self._shape.see(row.members)
            self._has_heights |= len(row.members.get("bbox") or ()) == 6
            rows.append(row)
        self._lay_out()
        batch = self._fitted(rows)
        assert batch is not None, "the shape of these Items does not hold them"
        return batch

    def _lay_out(self) -> None:
        kind = self._shape.data_type()
        self._columns = pa.schema([(field.name, storage(field.type)) for field in kind])
        self._fit = fitter(kind)
        box = pa.struct([(edge, pa.float64()) for edge in EDGES[6 if self._has_heights else 4]])
        special = {"geometry": WKB, "bbox": box}
        fields = [pa.field(name, special.get(name, kind.field(name).type)) for name in MEMBERS]
        rest = [kind.field(REST)] if kind.get_field_index(REST) >= 0 else []
        self._schema = pa.schema([*fields, *kind.field("properties").type, *rest])

    # --- one Item as a row ---

    def _row(self, document: Mapping[str, Any]) -> _Row:
        rest = {name: value for name, value in document.items() if name not in _APART}
        members = {name: document[name] for name in MEMBERS if name in document and name != "geometry"}
        geometry = document.get("geometry")
        text = None if geometry is None else orjson.dumps(geometry)
        if text is not None and not _is_exact(text):
            rest["geometry"], text = geometry, None
        box = members.get("bbox")
        if not _is_box(box):
            members.pop("bbox", None)
            rest.update({} if box is None else {"bbox": box})
        members["properties"], aside = self._properties(document.get("properties") or {})
        rest.update({"properties": aside} if aside else {})
        if "assets" in members:
            members["assets"], aside = _assets(members["assets"])
            rest.update({"assets": aside} if aside else {})
        return _Row({**members, **({REST: rest} if rest else {})}, text)

    def _properties(self, properties: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What goes into columns, and what into the rest."""
        known = self._shape.members["properties"].members
        room = MAX_COLUMNS - len(known)
        columns: dict[str, Any] = {}
        aside: dict[str, Any] = {}
        for name, value in properties.items():
            if name not in known and name not in _APART:
                room -= 1
            if name in _APART or (name not in known and room < 0):
                aside[name] = value
            elif name in TIMES and value is not None:
                moment = _moment(value)
                (aside if moment is None else columns)[name] = value if moment is None else moment
            elif name == GEOMETRY and value is not None and not _is_exact(orjson.dumps(value)):
                aside[name] = value
            else:
                columns[name] = value
        return columns, aside

    # --- many rows as a batch ---

    def _fitted(self, rows: Sequence[_Row]) -> pa.RecordBatch | None:
        fit = self._fit or (lambda members: members)
        return self._read([orjson.dumps(fit(row.members)) for row in rows], [row.geometry for row in rows])

    def _read(self, texts: Sequence[bytes], geometries: Sequence[bytes | None]) -> pa.RecordBatch | None:
        """None where a text, or a geometry, is of another type than those before."""
        data = b"\n".join(texts)
        try:
            shapes = shapely.from_geojson(np.array(geometries, dtype=object))
            table = pa.json.read_json(
                pa.BufferReader(data),
                read_options=pa.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
                parse_options=pa.json.ParseOptions(explicit_schema=self._columns, unexpected_field_behavior="error"),
            )
            box = boxes(table["bbox"].chunk(0), self._schema.field("bbox").type)
            if table.num_rows != len(texts) or box is None:
                return None
            batch = self._finished(table, shapes, box)
        except (pa.ArrowInvalid, shapely.GEOSException):
            return None
        self._note(shapes, box)
        return batch

    def _finished(self, table: pa.Table, shapes: NDArray[np.object_], box: pa.StructArray) -> pa.RecordBatch:
        columns = {name: table[name].chunk(0) for name in table.column_names}
        properties = columns.pop("properties")
        columns |= {field.name: properties.field(place) for place, field in enumerate(properties.type)}
        columns |= {"geometry": wkb(shapes), "bbox": box}
        arrays = [cast(columns[field.name], field.type) for field in self._schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _note(self, shapes: NDArray[np.object_], box: pa.StructArray) -> None:
        there = ~shapely.is_missing(shapes)
        if not there.any():
            return
        shapes = shapes[there]
        kinds = np.unique(np.stack([shapely.get_type_id(shapes), shapely.has_z(shapes)]), axis=1).T
        self.kinds |= {_TYPES[kind] + (" Z" if has_z else "") for kind, has_z in kinds}
        bounds = shapely.bounds(shapes)
        self.bounds[:2] = np.fmin(self.bounds[:2], bounds[:, :2].min(axis=0))
        self.bounds[2:] = np.fmax(self.bounds[2:], bounds[:, 2:].max(axis=0))
        edges = {edge: view(box.field(edge), np.float64)[there] for edge in EDGES[4]}
        self.is_covered &= bool(
            np.all(edges["xmin"] <= bounds[:, 0]) & np.all(edges["ymin"] <= bounds[:, 1])
            & np.all(edges["xmax"] >= bounds[:, 2]) & np.all(edges["ymax"] >= bounds[:, 3])
        )  # fmt: skip


def _is_box(box: object) -> bool:
    numbers = box if isinstance(box, list) and len(box) in EDGES else []
    return bool(numbers) and all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in numbers)


def _is_exact(geometry: bytes) -> bool:
    """Whether WKB holds all of it."""
    try:
        return bool(orjson.loads(shapely.to_geojson(shapely.from_geojson(geometry))) == orjson.loads(geometry))
    except shapely.GEOSException:
        return False


def _moment(value: object) -> str | None:
    """A moment as it will be read back; None where that would not be the same one."""
    try:
        if isinstance(value, str) and not _SUBMICROSECOND.search(value):
            return format_time(parse_time(value))
    except InvalidExtentError:
        pass
    return None


def _assets(assets: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What goes into columns, and what into the rest."""
    columns, aside = dict(assets), {}
    for name, asset in assets.items():
        value = asset.get(GEOMETRY) if isinstance(asset, dict) else None
        if value is not None and not _is_exact(orjson.dumps(value)):
            columns[name] = {key: other for key, other in asset.items() if key != GEOMETRY}
            aside[name] = {GEOMETRY: value}
    return columns, aside
