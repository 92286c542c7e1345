"""What JSON values at one place of many documents have in common: the Arrow type of the column that holds them all.

Values of one kind make a column of that kind; whole numbers beside fractions one of doubles; objects a struct of all
their members; arrays a list. Where kinds are mixed, or an object has too many members for columns, the column holds
each value's JSON text, and its type says so: `arrow.json`, one of Arrow's canonical extensions, JSON in Parquet.
"""

from collections.abc import Callable
from typing import Any

import orjson
import pyarrow as pa

JSON = pa.json_(pa.string())
"""A column of JSON texts."""

TIME = pa.timestamp("us", tz="UTC")

WKB = pa.binary()
"""A column of geometries."""

TIMES = frozenset(
    {"datetime", "start_datetime", "end_datetime", "created", "updated", "expires", "published", "unpublished"}
)
"""Properties that are moments (STAC common metadata and the timestamps extension)."""

GEOMETRY = "proj:geometry"
"""The one property and member of an asset that is a geometry (projection extension)."""

REST = "overflight:rest"
"""Column of what has no column of its own (`catalog.arrow_rows`)."""

MAX_MEMBERS = 200
"""Of an object whose members become columns."""

MAX_SHAPES = 5_000
"""Of all columns, however deep: each costs memory in every batch, whether or not it holds anything."""

MAX_DEPTH = 24

_WIDEST = 2**63

Fitter = Callable[[Any], Any]


class Shape:
    """What has been seen at one place; it widens as more is seen."""

    __slots__ = ("_count", "_element", "_fixed", "_kinds", "_path", "members")

    def __init__(self, path: tuple[str, ...] = (), count: list[int] | None = None) -> None:
        self._path = path
        self._fixed = _fixed(path)
        self._kinds: set[type] = set()
        self._element: Shape | None = None
        self._count = [0] if count is None else count
        self._count[0] += 1
        self.members: dict[str, Shape] = {}
        """Of the objects that were seen."""

    def see(self, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Widen so that the value fits too."""
        if self._fixed is not None:
            return
        kind = type(value)
        if kind not in self._kinds:
            self._admit(kind)
        if kind is dict:
            for name, member in value.items():
                shape = self.members.get(name) or self._grown(name)
                if shape is None:
                    return
                shape.see(member)
        elif kind is list:
            if self._element is None:
                self._element = Shape((*self._path, "*"), self._count)
            for element in value:
                self._element.see(element)
        elif kind is int and not -_WIDEST <= value < _WIDEST:
            self._fix_as_json()

    def data_type(self) -> pa.DataType:
        """Of a column for all that was seen; null where there was nothing, a struct of nothing for empty objects."""
        if self._fixed is not None:
            return self._fixed
        kinds = self._kinds - {type(None)}
        if dict in kinds:
            return pa.struct([(name, member.data_type()) for name, member in self.members.items()])
        if list in kinds:
            return pa.list_(pa.null() if self._element is None else self._element.data_type())
        if kinds == {int, float}:
            return pa.float64()
        return _SCALARS[next(iter(kinds))] if kinds else pa.null()

    def _admit(self, kind: type) -> None:
        self._kinds.add(kind)
        kinds = self._kinds - {type(None)}
        if (len(kinds) > 1 and kinds != {int, float}) or len(self._path) > MAX_DEPTH:
            self._fix_as_json()

    def _grown(self, name: str) -> "Shape | None":
        """A new member; None where there are too many, so that the objects are kept as JSON from now on."""
        is_nested = len(self._path) > 1 or self._path == ("assets",)
        if is_nested and (len(self.members) >= MAX_MEMBERS or self._count[0] >= MAX_SHAPES):
            self._fix_as_json()
            return None
        shape = self.members[name] = Shape((*self._path, name), self._count)
        return shape

    def _fix_as_json(self) -> None:
        self._fixed = JSON
        self._count[0] -= _size(self) - 1
        self.members, self._element = {}, None


_SCALARS = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def _size(shape: Shape) -> int:
    inner = [*shape.members.values(), *([shape._element] if shape._element is not None else [])]  # noqa: SLF001
    return 1 + sum(_size(one) for one in inner)


def _fixed(path: tuple[str, ...]) -> pa.DataType | None:
    if len(path) == 2 and path[0] == "properties" and path[1] in TIMES:
        return TIME
    if path == ("properties", GEOMETRY) or (len(path) == 3 and path[0] == "assets" and path[2] == GEOMETRY):
        return WKB
    return JSON if path == (REST,) else None


def storage(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow's JSON reader reads a column in: JSON and geometries come as texts.

    So do the elements of arrays that hold nothing but null: it makes faulty arrays of the type null.
    """
    if kind in (JSON, WKB):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, storage(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(pa.string() if pa.types.is_null(kind.value_type) else storage(kind.value_type))
    return kind


def fitter(kind: pa.DataType) -> Fitter | None:
    """What makes a value fit `storage` of a type: JSON texts in place of some members; None where nothing is to do."""
    if kind in (JSON, WKB):
        return _text
    if pa.types.is_struct(kind):
        inner = {field.name: fit for field in kind if (fit := fitter(field.type)) is not None}
        return _members_fitter(inner) if inner else None
    if pa.types.is_list(kind) and (fit := fitter(kind.value_type)) is not None:
        return lambda value: [fit(element) for element in value] if isinstance(value, list) else value
    return None


def _members_fitter(inner: dict[str, Fitter]) -> Fitter:
    def fit(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if not isinstance(value, dict):
            return value
        return {**value, **{name: fit(value[name]) for name, fit in inner.items() if name in value}}

    return fit


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    return None if value is None else orjson.dumps(value).decode()
