"""Rows of a stac-geoparquet table as Items again.

Any table that keeps to the specification will do, whoever wrote it. What Arrow has no word for is settled here: a null
is a member that is not there, but for `datetime` and `geometry`, which an Item must have.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from catalog.arrow_layout import MEMBERS
from catalog.arrow_rows import COVER
from catalog.arrow_shape import JSON, REST
from catalog.errors import InvalidItemError


def items_of(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Every row as an Item.

    Raises
    ------
    InvalidItemError
        A column holds what JSON has no word for.
    """
    columns = {name: _column(name, batch.column(place)) for place, name in enumerate(batch.schema.names)}
    rest = columns.pop(REST, [None] * batch.num_rows)
    columns.pop(COVER, None)
    own = {name: columns.pop(name) for name in MEMBERS if name in columns}
    names = list(columns)
    for row in range(batch.num_rows):
        item = {name: value for name, values in own.items() if (value := values[row]) is not None}
        item["properties"] = {name: value for name in names if (value := columns[name][row]) is not None}
        whole = {"type": "Feature", "geometry": None, "links": [], "assets": {}, **item}
        whole["properties"].setdefault("datetime", None)
        yield whole if rest[row] is None else merged(whole, rest[row])


def values(array: pa.Array) -> list[Any]:
    """JSON values; members that are null are left out of objects.

    Raises
    ------
    InvalidItemError
        JSON has no word for this type, or bytes are no WKB.
    """
    kind = array.type
    if kind == JSON:
        return [None if text is None else orjson.loads(text) for text in _scalars(array.storage)]
    for is_kind, read in _READERS:
        if is_kind(kind):
            return read(array)
    raise InvalidItemError(f"JSON has no word for {kind}")


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """Apply a JSON Merge Patch without deletions (RFC 7396, 2)."""
    if not isinstance(patch, Mapping) or not isinstance(target, Mapping):
        return patch
    return {**target, **{name: merged(target.get(name), value) for name, value in patch.items()}}


def _column(name: str, array: pa.Array) -> list[Any]:
    try:
        found = values(array)
    except InvalidItemError as error:
        raise InvalidItemError(f"column {name!r:.100}: {error}") from None
    if name == "bbox" and pa.types.is_struct(array.type):
        return [None if box is None else _box(box) for box in found]
    return found


def _box(edges: Mapping[str, float]) -> list[float]:
    """The numbers of a bbox in their order; one without heights has no zmin and zmax."""
    return [edges[edge] for edge in ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax") if edge in edges]


def _objects(array: pa.StructArray) -> list[Any]:
    names = [field.name for field in array.type]
    there = array.is_valid().to_pylist()
    if not names:
        return [{} if valid else None for valid in there]
    members = zip(*(values(array.field(place)) for place in range(len(names))), strict=True)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} if valid else None
        for valid, row in zip(there, members, strict=True)
    ]


def _arrays(array: pa.ListArray) -> list[Any]:
    elements = iter(values(array.flatten()))
    lengths = pc.list_value_length(array).to_pylist()
    return [None if length is None else list(islice(elements, length)) for length in lengths]


def _maps(array: pa.MapArray) -> list[Any]:
    """Null values stay out, as of any object."""
    pairs = zip(values(array.keys), values(array.items), strict=True)
    lengths = pc.list_value_length(array).to_pylist()
    return [
        None if length is None else {key: value for key, value in islice(pairs, length) if value is not None}
        for length in lengths
    ]


def _scalars(array: pa.Array) -> list[Any]:
    if array.null_count == 0:
        return list(array.to_numpy(zero_copy_only=False).tolist())
    return list(array.to_pylist())


def _numbers(array: pa.Array) -> list[Any]:
    """JSON knows neither NaN nor infinity; pandas writes NaN for what is missing."""
    return [None if number is None or not isfinite(number) else number for number in _scalars(array)]


def _moments(array: pa.TimestampArray) -> list[str | None]:
    """RFC 3339 in UTC with as many decimals as need be: none, three or six; a time without a zone is taken for UTC."""
    moments = array.cast(pa.timestamp("us", tz="UTC"), safe=False)
    texts = pc.strftime(moments, format="%Y-%m-%dT%H:%M:%S").to_pylist()
    return [None if text is None else f"{text.removesuffix('000').removesuffix('.000')}Z" for text in texts]


def _geometries(array: pa.Array) -> list[Any]:
    try:
        texts = shapely.to_geojson(shapely.from_wkb(array.to_numpy(zero_copy_only=False)))
    except shapely.GEOSException as error:
        raise InvalidItemError(f"no WKB ({error})") from None
    return [None if text is None else orjson.loads(text) for text in texts.tolist()]


def _days(array: pa.Array) -> list[str | None]:
    return [None if day is None else day.isoformat() for day in array.to_pylist()]


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], list[Any]]], ...] = (
    (pa.types.is_struct, _objects),
    (pa.types.is_map, _maps),
    (pa.types.is_list, _arrays),
    (pa.types.is_large_list, _arrays),
    (pa.types.is_fixed_size_list, _arrays),
    (pa.types.is_dictionary, lambda array: values(array.dictionary_decode())),
    (pa.types.is_timestamp, _moments),
    (pa.types.is_floating, _numbers),
    (pa.types.is_integer, _scalars),
    (pa.types.is_boolean, _scalars),
    (pa.types.is_string, _scalars),
    (pa.types.is_large_string, _scalars),
    (pa.types.is_null, _scalars),
    (pa.types.is_binary, _geometries),
    (pa.types.is_large_binary, _geometries),
    (pa.types.is_date, _days),
)
