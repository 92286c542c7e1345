"""Columns from what Arrow's JSON reader gives and from shapely.

They are put together from buffers: Arrow's own ways from and to numpy load pandas, which takes a second and 60 MB.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from catalog.arrow_shape import WKB

EDGES = {4: ("xmin", "ymin", "xmax", "ymax"), 6: ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")}
"""Names of the members of a bbox that has so many."""


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """What was read as `catalog.arrow_shape.storage` of a type becomes that type.

    Raises
    ------
    ArrowInvalid
        There is something where the type has null.
    """
    if array.type == kind:
        return array
    if kind == WKB:
        return wkb(shapely.from_geojson(np.array(array.to_pylist(), dtype=object)))
    if pa.types.is_struct(kind):
        inner = [cast(array.field(place), field.type) for place, field in enumerate(kind)]
        return pa.StructArray.from_arrays(inner, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        elements = cast(array.values, kind.value_type)
        return pa.ListArray.from_arrays(array.offsets, elements, kind, mask=array.is_null())
    if pa.types.is_null(kind):
        if array.null_count < len(array):
            raise pa.ArrowInvalid("a text where there was none before")
        return pa.nulls(len(array))
    return array.cast(kind)


def boxes(arrays: pa.ListArray, kind: pa.StructType) -> pa.StructArray | None:
    """Boxes of four or six numbers as a struct; None where there are others, or heights that it has no room for."""
    numbers, offsets = view(arrays.values, np.float64), view(arrays.offsets, np.int32)
    starts, is_null = offsets[:-1], _flags(arrays.is_null())
    lengths = np.where(is_null, -1, np.diff(offsets))
    deep = lengths == 6
    if not np.isin(lengths, (-1, 4, 6)).all() or (deep.any() and kind.num_fields == 4) or arrays.values.null_count:
        return None
    places = {"xmin": (0, 0), "ymin": (1, 1), "zmin": (None, 2), "xmax": (2, 3), "ymax": (3, 4), "zmax": (None, 5)}
    edges = []
    for edge in (field.name for field in kind):
        flat, high = places[edge]
        missing = is_null if flat is not None else ~deep
        at = np.where(deep, starts + high, starts + (flat or 0))
        values = np.zeros(len(lengths))
        values[~missing] = numbers[at[~missing]]
        edges.append(doubles(values, missing))
    return pa.StructArray.from_arrays(edges, fields=list(kind), mask=_bits(is_null))


def view(array: pa.Array, kind: type[np.generic]) -> NDArray[Any]:
    """The values of a fixed width that nobody has cut a piece of; anything where they are null."""
    return np.frombuffer(array.buffers()[1], kind, len(array)) if len(array) else np.empty(0, kind)


def _flags(array: pa.BooleanArray) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], np.uint8), count=len(array), bitorder="little")
    return bits.astype(np.bool_)


def _bits(flags: NDArray[np.bool_]) -> pa.BooleanArray:
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, _bitmap(flags)])


def _bitmap(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def doubles(values: NDArray[np.float64], missing: NDArray[np.bool_]) -> pa.DoubleArray:
    """A column of numbers."""
    return pa.Array.from_buffers(pa.float64(), len(values), [_bitmap(~missing), pa.py_buffer(values)])


def wkb(shapes: NDArray[np.object_]) -> pa.BinaryArray:
    """A column of geometries; null where there is none."""
    pieces = [piece or b"" for piece in shapely.to_wkb(shapes, flavor="iso")]
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int32)
    data = [_bitmap(~shapely.is_missing(shapes)), pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))]
    return pa.Array.from_buffers(WKB, len(pieces), data)
