"""How PostgreSQL says what a filter means: expressions over a row ``i`` of ``pgstac.items``.

Nothing that is in the data makes a statement fail: text is never cast to anything, and numbers are checked first. The
functions are those of ``pgstac_schema.sql``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
import shapely
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.extent import moment_of
from catalog.filter import CORE, GEOMETRY, Kind, Plain
from catalog.filter_sql import TRUE, Sql, around

MOMENT = "overflight.moment(i.datetime, i.end_datetime, i.content, i.private)"
"""As the index ``overflight_moment`` has it."""

COLUMNS: Mapping[str, str] = {
    "id": 'i.id COLLATE "C"',
    "collection": 'i.collection COLLATE "C"',
    "datetime": MOMENT,
    "start_datetime": "i.datetime",
    "end_datetime": "i.end_datetime",
}
"""What every item has, in the order of code points and of time; pgstac's ``datetime`` is the start."""

_OF_JSON: Mapping[Kind, str] = {
    "number": "overflight.number({})",
    "text": '(overflight.text({}) COLLATE "C")',
    "boolean": "overflight.truth({})",
    "instant": "overflight.instant(overflight.text({}))",
}

_TYPES: Mapping[Kind, str] = {"number": "float8", "text": "text", "boolean": "boolean", "instant": "bigint"}

_RELATIONS: Mapping[str, str] = {
    "s_equals": "ST_Equals",
    "s_touches": "ST_Touches",
    "s_crosses": "ST_Crosses",
    "s_overlaps": "ST_Overlaps",
    "s_within": "ST_Within",
    "s_contains": "ST_Contains",
}

_SETS: Mapping[str, str] = {
    "a_contains": "({} @> {})",
    "a_containedBy": "({} <@ {})",
    "a_overlaps": "overflight.overlap({}, {})",
}


class PgstacDialect:
    """A `catalog.filter_sql.Dialect` for ``pgstac.items``; knows which properties its expressions have asked for."""

    def __init__(self, *, mend: bool = False) -> None:
        """Take ``mend`` to compare shapes that other programs have drawn across themselves: it takes long."""
        self._names: dict[str, str] = {}
        self._mend = mend
        self._shape = "ST_MakeValid(i.geometry)" if mend else "i.geometry"

    def sources(self) -> Sql:
        """Behind ``pgstac.items i`` in FROM: the properties, so that a document is unpacked once a row."""
        if not self._names:
            return Sql("")
        chosen = ", ".join(f"all_of.them->%s AS {alias}" for alias in self._names.values())
        text = f"""
            CROSS JOIN LATERAL (SELECT i.content->'properties' AS them OFFSET 0) AS all_of
            CROSS JOIN LATERAL (SELECT {chosen} OFFSET 0) AS p"""
        return Sql(text, tuple(self._names))

    def value(self, value: Plain | int) -> Sql:
        """Bind a literal."""
        kind = "boolean" if isinstance(value, bool) else {str: "text", int: "bigint", float: "float8"}[type(value)]
        return Sql(f"%s::{kind}", (value,))

    def property(self, name: str, kind: Kind) -> Sql:
        """A property where it is of that kind; a moment as microseconds since 1970."""
        if name in CORE:
            column = COLUMNS[name]
            return Sql(f"overflight.micros({column})" if CORE[name] == "instant" else f"({column})")
        return Sql(_OF_JSON[kind].format(self._member(name)))

    def sort_values(self, name: str) -> tuple[str, ...]:
        """What an item is sorted by: one value that is never missing, or a number and a text, at most one of them."""
        if name in CORE:
            return (COLUMNS[name],)
        member = self._member(name)
        number = f"coalesce(overflight.number({member}), overflight.truth({member})::int)"
        return number, _OF_JSON["text"].format(member)

    def present(self, name: str) -> Sql:
        """Whether it is there and not null; an item without a geometry has an empty one, as pgstac wants one."""
        if name == GEOMETRY:
            return Sql("(NOT ST_IsEmpty(i.geometry))")
        if name in CORE:
            return TRUE
        return Sql(f"coalesce(jsonb_typeof({self._member(name)}) <> 'null', FALSE)")

    def member(self, of: Sql, values: tuple[Plain | int, ...], kind: Kind) -> Sql:
        """One of many values, which are one bound value."""
        return around("({} = ANY ({}))", of, Sql(f"%s::{_TYPES[kind]}[]", (list(values),)))

    def like(self, of: Sql, pattern: str) -> Sql:
        """By LIKE, whose patterns are CQL2's."""
        return around("({} LIKE {})", of, Sql("%s::text", (pattern,)))

    def fold(self, fold: str, of: Sql) -> Sql:
        """By a function of our own."""
        return around(f'(overflight.{fold}({{}}) COLLATE "C")', of)

    def arithmetic(self, op: str, left: Sql, right: Sql) -> Sql:
        """By a function of our own: PostgreSQL ends a statement for what is not finite."""
        return around("overflight.arithmetic({}, {}, {})", Sql("%s::text", (op,)), left, right)

    def spatial(self, op: str, place: BaseGeometry) -> Sql:
        """By PostGIS, whose relations know no collections of geometries."""
        if op == "s_disjoint":
            return around("(NOT {})", self.spatial("s_intersects", place))
        if op == "s_intersects":
            touching = self.touching(antimeridian.with_seams(place))
            return around("(CASE WHEN NOT ST_IsEmpty(i.geometry) THEN {} END)", touching)
        condition = "GeometryType(i.geometry) <> 'GEOMETRYCOLLECTION' AND NOT ST_IsEmpty(i.geometry)"
        # What mending leaves of an edge beside an area is no part of it.
        whole = f"ST_CollectionExtract({self._shape})" if self._mend else self._shape
        return around(f"(CASE WHEN {condition} THEN {_RELATIONS[op]}({whole}, {{}}) END)", shape(place))

    def touching(self, outline: BaseGeometry) -> Sql:
        """Whether the item's geometry touches an outline on the map; false where it has none."""
        return around(f"ST_Intersects({self._shape}, {{}})", shape(outline))

    def array(self, op: str, left: str | tuple[Plain, ...], right: str | tuple[Plain, ...]) -> Sql:
        """As JSON, in which a number is a double."""
        former, latter = self._array(left), self._array(right)
        if op == "a_equals":
            return around("({} @> {} AND {} <@ {})", former, latter, former, latter)
        return around(_SETS[op], former, latter)

    def _array(self, operand: str | tuple[Plain, ...]) -> Sql:
        if isinstance(operand, str):
            return Sql(f"overflight.scalars({self._member(operand)})")
        return Sql("%s::jsonb", (orjson.dumps(operand).decode(),))

    def _member(self, name: str) -> str:
        return f"p.{self._names.setdefault(name, f'p{len(self._names)}')}"


def shape(place: BaseGeometry) -> Sql:
    """Bind a shape in degrees."""
    return Sql("ST_GeomFromWKB(%s::bytea, 4326)", (shapely.to_wkb(place),))


def stamp(moment: datetime | int) -> Sql:
    """Bind a moment, perhaps of microseconds since 1970, so that it is compared with pgstac's columns."""
    if isinstance(moment, int) and not EARLIEST <= moment <= LATEST:
        return Sql("%s::timestamptz", ("infinity" if moment > 0 else "-infinity",))
    return Sql("%s::timestamptz", ((moment_of(moment) if isinstance(moment, int) else moment).isoformat(),))


def names(values: Sequence[str]) -> Sql:
    """Bind a list of ids; one that no document can have is left out."""
    return Sql("%s::text[]", ([value for value in values if value.isprintable()],))


EARLIEST = -62_135_596_800_000_000
LATEST = 253_402_300_799_999_999
"""Of the years 1 to 9999, microseconds since 1970."""
