"""The order of a search in a pgstac database, and the place in it where a page starts (keyset paging)."""

from collections.abc import Sequence
from typing import Any

from catalog.filter import CORE
from catalog.filter_sql import FALSE, Sql, around, joined
from catalog.pgstac_filter import COLUMNS, PgstacDialect, stamp
from catalog.pgstac_items import Row
from catalog.search import Search
from catalog.token import KeyValue, Position

Found = tuple[Row, tuple[KeyValue, ...]]
"""An item, for `catalog.pgstac_items.Shelf`, and a value for each sort key."""


class Order:
    """The order of a search, in the direction of reading, and the place in it where a page starts.

    A property is sorted by two values, its number and its text, one of which is missing, or both. What is missing comes
    last, so that numbers come before text upwards, and text before numbers downwards.
    """

    def __init__(self, search: Search, dialect: PgstacDialect, *, backwards: bool) -> None:
        self._sortby = search.sortby
        self._backwards = backwards
        parts: list[tuple[str, bool, bool]] = []
        self._spans: list[slice] = []
        for key in search.sortby:
            values = dialect.sort_values(key.property)
            ordered = values[::-1] if key.descending else values
            self._spans.append(slice(len(parts), len(parts) + len(values)))
            parts += [(value, key.descending, len(values) > 1) for value in ordered]
        self.width = len(parts)
        down = search.sortby[0].descending
        self._parts = [*parts, (COLUMNS["collection"], down, False), (COLUMNS["id"], down, False)]

    def text(self) -> str:
        """For ORDER BY."""
        listed = []
        for value, descending, nullable in self._parts:
            down = descending != self._backwards
            nulls_first = self._backwards if nullable else down  # as the index has it where nothing is missing
            listed.append(f"{value} {'DESC' if down else 'ASC'} NULLS {'FIRST' if nulls_first else 'LAST'}")
        return ", ".join(listed)

    def selected(self) -> list[str]:
        """The values of the sort keys, for the rows of a page."""
        return [f"{value} AS k{n}" for n, (value, _, _) in enumerate(self._parts[: self.width])]

    def values(self) -> list[str]:
        """The same outside of the page's statement, moments as microseconds since 1970."""
        moments = {COLUMNS[name] for name, kind in CORE.items() if kind == "instant"}
        return [
            f"overflight.micros(k{n})" if value in moments else f"k{n}"
            for n, (value, _, _) in enumerate(self._parts[: self.width])
        ]

    def keys(self, values: Sequence[Any]) -> tuple[KeyValue, ...]:
        """A value for each sort key out of those of a row."""
        return tuple(next((value for value in values[span] if value is not None), None) for span in self._spans)

    def beyond(self, position: Position) -> Sql:
        """Rows that come after the position, or are it where it is inclusive."""
        bounds = [
            *self._bounds(position.keys),
            Sql("%s::text", (position.collection,)),
            Sql("%s::text", (position.id,)),
        ]
        if all(not nullable and down == self._parts[0][1] for _, down, nullable in self._parts):
            return self._beyond_at_once(bounds, inclusive=position.inclusive)
        same: list[Sql] = []
        choices: list[Sql] = []
        for (value, descending, nullable), bound in zip(self._parts, bounds, strict=True):
            further = self._further(value, bound, down=descending != self._backwards, nullable=nullable)
            choices.append(joined(" AND ", [*same, further]))
            same.append(Sql(f"({value}) IS NULL") if bound is None else around(f"({value}) = {{}}", bound))
        if position.inclusive:
            choices.append(joined(" AND ", same))
        return joined(" OR ", choices)

    def _bounds(self, keys: Sequence[KeyValue]) -> list[Sql | None]:
        """The position's values, one for each part of the sort keys; None is a missing one."""
        bounds: list[Sql | None] = []
        for key, span, value in zip(self._sortby, self._spans, keys, strict=True):
            kind = CORE.get(key.property)
            if kind == "instant":
                assert isinstance(value, int)
                bounds.append(stamp(value))
            elif kind == "text":
                bounds.append(Sql("%s::text", (value,)))
            else:
                number = Sql("%s::float8", (float(value),)) if isinstance(value, int | float) else None
                text = Sql("%s::text", (value,)) if isinstance(value, str) else None
                bounds += [text, number] if key.descending else [number, text]
            assert len(bounds) == span.stop
        return bounds

    def _beyond_at_once(self, bounds: Sequence[Sql | None], *, inclusive: bool) -> Sql:
        """The same in one comparison, which an index serves: all keys go one way, and none is ever missing."""
        sign = "<" if self._parts[0][1] != self._backwards else ">"
        values = ", ".join(value for value, _, _ in self._parts)
        some = [bound for bound in bounds if bound is not None]
        return around(f"(({values}) {sign}{'=' if inclusive else ''} ({', '.join('{}' for _ in some)}))", *some)

    def _further(self, value: str, bound: Sql | None, *, down: bool, nullable: bool) -> Sql:
        """Beyond a value of one part; what is missing is beyond every value, or before it on the way back."""
        if bound is None:
            return Sql(f"({value}) IS NOT NULL") if self._backwards else FALSE
        further = around(f"({value}) {'<' if down else '>'} {{}}", bound)
        if nullable and not self._backwards:
            return joined(" OR ", [further, Sql(f"({value}) IS NULL")])
        return further


def ends(rows: Sequence[Found], position: Position | None) -> tuple[Position | None, Position | None]:
    """Where to go on, and where to go back from."""
    if not rows:  # the items went away while somebody paged here; the way back is still there
        if position is None:
            return None, None
        turned = position.turned()
        return (turned, None) if position.backwards else (None, turned)
    return _position_at(rows[-1], backwards=False), _position_at(rows[0], backwards=True)


def _position_at(found: Found, *, backwards: bool) -> Position:
    row, keys = found
    return Position(backwards=backwards, keys=keys, id=row[0], collection=row[1])
