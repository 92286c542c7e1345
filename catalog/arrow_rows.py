"""Items as rows of a table, as the stac-geoparquet specification has them.

The properties are columns beside the Item's own members, the geometry is WKB, the bbox a struct, moments are
timestamps. What has no place in such a row stands in the column `REST`, as a JSON Merge Patch (RFC 7396) that makes
the Item whole again: members that the specification does not know, properties named like a member of the Item, moments
finer than a microsecond, geometries that WKB does not hold.

Items mostly look alike: they are read in the type of those before, and only where that does not hold them are they
looked at one by one, and the type widened.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import shapely

from catalog.arrow_columns import EDGES
from catalog.arrow_layout import MEMBERS, Batch, Layout, Outlines
from catalog.arrow_shape import GEOMETRY, REST, TIMES, Shape
from catalog.errors import InvalidExtentError
from catalog.extent import format_time, parse_time

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

_SUBMICROSECOND = re.compile(r"\.\d{6}0*[1-9]", flags=re.ASCII)


@dataclass(frozen=True, slots=True)
class _Row:
    members: Mapping[str, Any]
    """Of the Item, without its geometry; the rest is one of them."""

    geometry: bytes | None
    """GeoJSON."""


class Rows:
    """Makes record batches of Items; their layout widens as it has to."""

    def __init__(self) -> None:
        self._shape = Shape()
        self._has_heights = False
        self._shape.see(_LEAST)
        self.layout = Layout.of(self._shape.data_type(), has_heights=False)
        """For all Items so far."""

        self.outlines = Outlines()
        """Of all Items so far."""

    def take(self, items: Sequence[bytes], read: Batch | None = None) -> pa.RecordBatch:
        """The rows of some Items, in their order; ``read`` is what a layout of before has made of them."""
        batch = read or self.layout.read_items(items)
        if batch is None:
            documents = [orjson.loads(item) for item in items]
            batch = self._read([self._row(document) for document in documents]) or self._widened(documents)
        self.outlines = self.outlines.joined(batch.outlines)
        return batch.rows

    def _widened(self, documents: Sequence[Mapping[str, Any]]) -> Batch:
        rows = []
        for document in documents:
            row = self._row(document)
            self._shape.see(row.members)
            self._has_heights |= len(row.members.get("bbox") or ()) == 6
            rows.append(row)
        self.layout = Layout.of(self._shape.data_type(), has_heights=self._has_heights)
        batch = self._read(rows)
        assert batch is not None, "the type of these Items does not hold them"
        return batch

    def _read(self, rows: Sequence[_Row]) -> Batch | None:
        return self.layout.read_rows([row.members for row in rows], [row.geometry for row in rows])

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
