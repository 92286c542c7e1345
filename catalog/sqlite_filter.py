"""How SQLite says what a filter means: expressions over a row of ``items``, and the functions that it lacks."""

import math
import operator
import sqlite3
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.errors import InvalidExtentError
from catalog.extent import microseconds, parse_time
from catalog.filter import CORE, GEOMETRY, Kind, Plain
from catalog.filter_sql import TRUE, Sql, around, joined
from catalog.folding import accenti, casei

_COLUMNS = {"datetime": "moment", "start_datetime": "since", "end_datetime": "until"}
"""Columns of what every item has, where they are called something else."""

_OF_JSON: Mapping[Kind, str] = {
    "number": "CASE WHEN {type} IN ('integer', 'real') THEN CAST({value} AS REAL) END",
    "text": "CASE WHEN {type} = 'text' THEN {value} END",
    "boolean": "CASE {type} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END",
    "instant": "CASE WHEN {type} = 'text' THEN instant({value}) END",
    "any": """CASE WHEN {type} IN ('integer', 'real') THEN CAST({value} AS REAL)
        WHEN {type} IN ('text', 'true', 'false') THEN {value} END""",
}
"""A property as a value of SQL: a number is REAL, true and false are INTEGER, so that they can be told apart."""

_OF_COLUMN: Mapping[Kind, str] = {
    "number": "CASE WHEN {type} = 'real' THEN {value} END",
    "text": "CASE WHEN {type} = 'text' THEN {value} END",
    "boolean": "CASE WHEN {type} = 'integer' THEN {value} END",
    "instant": "CASE WHEN {type} = 'text' THEN instant({value}) END",
    "any": "{value}",
}
"""The same out of a column that holds what "any" is above."""

_SHAPE = "(SELECT shape FROM documents WHERE documents.seq = items.seq)"

_BOXES_TOUCH = """CASE WHEN west <= east THEN west <= ? AND east >= ? ELSE west <= ? OR east >= ? END
    AND south <= ? AND north >= ?"""

_COLLECTION = 7
"""WKB's number for a collection of geometries (OGC 06-103r4, 8.2.3)."""

MAX_PLACES = 64
"""Places that a connection keeps prepared."""


class SqliteDialect:
    """A `catalog.filter_sql.Dialect` for the table ``items`` of `catalog.sqlite_schema`."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        """Take the properties that have a column, see `catalog.sqlite_schema.add_column`, and the names of those."""
        self._columns = columns

    def value(self, value: Plain | int) -> Sql:
        """Bind a literal."""
        return Sql("?", (int(value) if isinstance(value, bool) else value,))

    def property(self, name: str, kind: Kind) -> Sql:
        """A property of that kind; ``any`` is what it is sorted by."""
        if name in CORE:
            return Sql(_COLUMNS.get(name, name))
        if name in self._columns:
            column = self._columns[name]
            return Sql(_OF_COLUMN[kind].format(type=f"typeof({column})", value=column))
        return _of_json(name, _OF_JSON[kind])

    def sort_value(self, name: str) -> Sql:
        """A number, text, or 0 or 1 for false or true; NULL for anything else."""
        return self.property(name, "any")

    def present(self, name: str) -> Sql:
        """Whether it is there and not null."""
        if name == GEOMETRY:
            return Sql("(west IS NOT NULL)")
        if name in CORE:
            return TRUE
        return around("coalesce({}, FALSE)", _of_json(name, "{type} <> 'null'"))

    def member(self, of: Sql, values: tuple[Plain | int, ...], kind: Kind) -> Sql:  # noqa: ARG002 - SQLite needs no kind
        """One of many values, which are one bound value."""
        return around("({} IN (SELECT value FROM json_each({})))", of, Sql("?", (orjson.dumps(values).decode(),)))

    def like(self, of: Sql, pattern: str) -> Sql:
        """By GLOB, as SQLite's LIKE takes A for a."""
        return around("({} GLOB {})", of, Sql("?", (glob(pattern),)))

    def fold(self, fold: str, of: Sql) -> Sql:
        """By a function of `register`."""
        return around(f"{fold}({{}})", of)

    def arithmetic(self, op: str, left: Sql, right: Sql) -> Sql:
        """By a function of `register`: SQLite divides integers, and does not know infinity."""
        return around("arithmetic({}, {}, {})", left, right, Sql("?", (op,)))

    def spatial(self, op: str, place: BaseGeometry) -> Sql:
        """By a function of `register`, where the boxes touch: without that, all but being disjoint is false."""
        if op == "s_disjoint":
            return around("(NOT {})", self.spatial("s_intersects", place))
        globe = op == "s_intersects"
        place = antimeridian.with_seams(place) if globe else place
        boxes = [(e, w, e, w, n, s) for w, s, e, n in antimeridian.boxes(place)]
        touching = joined(" OR ", (Sql(_BOXES_TOUCH, box) for box in boxes))
        outline = shapely.to_wkb(place)
        exact = Sql(f"spatial(?, {_SHAPE}, ?, ?)", (op, blake2b(outline, digest_size=16).digest(), outline))
        apart = "FALSE" if globe else f"CASE WHEN substr({_SHAPE}, 2, 1) <> x'0{_COLLECTION}' THEN FALSE END"
        return around(f"CASE WHEN west IS NULL THEN NULL WHEN {{}} THEN {{}} ELSE {apart} END", touching, exact)

    def array(self, op: str, left: str | tuple[Plain, ...], right: str | tuple[Plain, ...]) -> Sql:
        """By a function of `register`."""
        return around("arrays({}, {}, {})", _array(left), _array(right), Sql("?", (op,)))


def glob(pattern: str) -> str:
    """A pattern of CQL2 as one of SQLite's GLOB, which minds case."""
    made, taken = [], False
    for char in pattern:
        if char == "\\" and not taken:
            taken = True
            continue
        if char in "%_" and not taken:
            made.append("*" if char == "%" else "?")
        else:
            made.append(f"[{char}]" if char in "*?[" else char)
        taken = False
    return "".join(made)


def _of_json(name: str, template: str) -> Sql:
    """Fill in where a property's type and value are found."""
    if _is_beyond_paths(name):
        text = template.format(type="type", value="value")
        return Sql(f"(SELECT {text} FROM json_each(properties) WHERE key = ?)", (name,))  # noqa: S608 - our own text
    # json_each would do for every name, but parses the properties again for each one.
    text = template.format(type="json_type(properties, ?)", value="json_extract(properties, ?)")
    return Sql(text, (_path(name),) * text.count("?"))


def _is_beyond_paths(name: str) -> bool:
    return '"' in name or "\\" in name


def _path(name: str) -> str:
    return f'$."{name}"'


def _array(operand: str | tuple[Plain, ...]) -> Sql:
    if isinstance(operand, str):
        return _of_json(operand, "CASE WHEN {type} = 'array' THEN {value} END")
    return Sql("?", (orjson.dumps(operand).decode(),))


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that expressions of `SqliteDialect` call."""
    functions: tuple[tuple[str, int, Callable[..., str | int | float | None]], ...] = (
        ("instant", 1, instant),
        ("casei", 1, lambda text: None if text is None else casei(text)),
        ("accenti", 1, lambda text: None if text is None else accenti(text)),
        ("arithmetic", 3, arithmetic),
        ("arrays", 3, arrays),
        ("spatial", 4, _spatial()),
    )
    for name, count, function in functions:
        connection.create_function(name, count, function, deterministic=True)


def instant(text: str | None) -> int | None:
    """Microseconds since 1970 of an RFC 3339 date-time; None for other text."""
    if text is None or text != text.strip():
        return None
    try:
        return microseconds(parse_time(text))
    except InvalidExtentError:
        return None


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "div": lambda left, right: float(math.trunc(left / right)),
    "^": math.pow,
}


def arithmetic(left: float | None, right: float | None, op: str) -> float | None:
    """A number from two; None where one is missing, or it would not be finite."""
    if left is None or right is None:
        return None
    try:
        result = _ARITHMETIC[op](left, right)
    except (ArithmeticError, ValueError):
        return None
    return result if math.isfinite(result) else None


_SETS: Mapping[str, Callable[[frozenset[object], frozenset[object]], bool]] = {
    "a_contains": operator.ge,
    "a_containedBy": operator.le,
    "a_equals": operator.eq,
    "a_overlaps": lambda left, right: not left.isdisjoint(right),
}


def arrays(left: str | None, right: str | None, op: str) -> bool | None:
    """How two JSON arrays, taken as sets, lie to each other; None where one is missing or holds more than scalars."""
    if left is None or right is None:
        return None
    former, latter = _scalars(left), _scalars(right)
    return None if former is None or latter is None else _SETS[op](former, latter)


@lru_cache(maxsize=256)
def _scalars(text: str) -> frozenset[object] | None:
    """What an array holds; true is not the number 1, but 1 is 1.0."""
    values = orjson.loads(text)
    if not all(isinstance(value, str | int | float) for value in values):
        return None
    return frozenset((bool, value) if isinstance(value, bool) else _double(value) for value in values)


def _double(value: str | float) -> str | float:
    return value if isinstance(value, str) else float(value)


_RELATIONS: Mapping[str, Callable[[BaseGeometry, BaseGeometry], bool]] = {
    "s_intersects": shapely.intersects,
    "s_equals": shapely.equals,
    "s_touches": shapely.touches,
    "s_crosses": shapely.crosses,
    "s_overlaps": shapely.overlaps,
    "s_within": shapely.contains,
    "s_contains": shapely.within,
}
"""Each operator with the place first: that is the prepared one."""


def _spatial() -> Callable[[str, bytes, bytes, bytes], bool | None]:
    """A function with its own places: they are prepared for one thread."""
    places: dict[bytes, BaseGeometry] = {}

    def spatial(op: str, shape: bytes, digest: bytes, outline: bytes) -> bool | None:
        place = places.get(digest)
        if place is None:
            if len(places) >= MAX_PLACES:
                places.clear()
            place = places[digest] = shapely.from_wkb(outline)
            shapely.prepare(place)
        item = shapely.from_wkb(shape)
        if op != "s_intersects" and shapely.get_type_id(item) == _COLLECTION:
            return None
        return bool(_RELATIONS[op](place, item))

    return spatial
