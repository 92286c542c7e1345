"""The order of a search, and the place in it where a page starts, as SQL (keyset paging)."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from catalog.filter import CORE
from catalog.filter_sql import Sql, around, joined
from catalog.search import SortKey
from catalog.sqlite_query import Query
from catalog.token import KeyValue, Position


@dataclass(frozen=True)
class Order:
    """The order of a search, in the direction of reading."""

    keys: tuple[tuple[Sql, bool, bool], ...]
    """Of each sort key: its value, whether downwards, whether it may be missing."""

    backwards: bool

    @cached_property
    def whole(self) -> Sql:
        """For ORDER BY."""
        return self.text()

    def text(self, *, skip: int = 0, known: bool = False) -> Sql:
        """For ORDER BY; ``skip`` leading keys are the same for all rows, or the first is ``known``: not missing."""
        parts = []
        for place, (value, descending, nullable) in enumerate(self.keys[skip:]):
            down = descending != self.backwards
            nulls = f" NULLS {'FIRST' if self.backwards else 'LAST'}" if nullable and not (known and place == 0) else ""
            parts.append(around(f"{{}} {'DESC' if down else 'ASC'}{nulls}", value))
        return Sql(", ".join(part.text for part in parts), tuple(value for part in parts for value in part.values))

    def beyond(self, position: Position, *, skip: int = 0) -> Sql:
        """Rows that come after the position, or are it where it is inclusive."""
        values = (*position.keys, position.collection, position.id)
        if skip == 0 and all(not nullable and down == self.keys[0][1] for _, down, nullable in self.keys):
            return self._beyond_at_once(position.inclusive, values)
        same: list[Sql] = []
        choices: list[Sql] = []
        for (key, descending, nullable), value in list(zip(self.keys, values, strict=True))[skip:]:
            down = descending != self.backwards
            further = _further(key, value, down=down, nullable=nullable, backwards=self.backwards)
            choices.append(joined(" AND ", [*same, further]))
            same.append(around("{} IS ?", key) if value is None else around("{} = ?", key))
            same[-1] = Sql(same[-1].text, (*same[-1].values, value))
        if position.inclusive:
            choices.append(joined(" AND ", same))
        return joined(" OR ", choices)

    def _beyond_at_once(self, inclusive: bool, values: tuple[KeyValue, ...]) -> Sql:
        """The same in one comparison, which an index serves: all keys go one way, and none is ever missing."""
        keys = [key for key, _, _ in self.keys]
        sign = "<" if self.keys[0][1] != self.backwards else ">"
        text = (
            f"(({', '.join(key.text for key in keys)}) {sign}{'=' if inclusive else ''} ({', '.join('?' * len(keys))}))"
        )
        return Sql(text, (*(value for key in keys for value in key.values), *values))


def _further(key: Sql, value: KeyValue, *, down: bool, nullable: bool, backwards: bool) -> Sql:
    """Beyond a value of one key; what is missing is beyond every value, or before it on the way back."""
    if value is None:
        return around("({} IS NOT NULL)", key) if backwards else Sql("FALSE")
    text = f"({{}} {'<' if down else '>'} ?"
    if nullable and not backwards:
        return bound(around(f"{text} OR {{}} IS NULL)", key, key), len(key.values), value)
    return bound(around(f"{text})", key), len(key.values), value)


def bound(sql: Sql, at: int, value: KeyValue) -> Sql:
    """Put a value to its place among the others."""
    return Sql(sql.text, (*sql.values[:at], value, *sql.values[at:]))


def order_of(query: Query, *, backwards: bool) -> Order:
    """Sort keys, then collection and id in the direction of the first of them."""
    return _order(query.search.sortby, query.keys, backwards)


@lru_cache(maxsize=256)
def _order(sortby: tuple[SortKey, ...], values: tuple[Sql, ...], backwards: bool) -> Order:
    keys = [(value, key.descending, key.property not in CORE) for key, value in zip(sortby, values, strict=True)]
    down = sortby[0].descending
    return Order((*keys, (Sql("collection"), down, False), (Sql("id"), down, False)), backwards)
