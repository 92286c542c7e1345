"""Filters as SQL: one compiler, and what the databases say differently in a `Dialect` for each.

Every value is bound; the text of a statement holds nothing that a client wrote.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from shapely.geometry.base import BaseGeometry

from catalog.filter import (
    And,
    Arithmetic,
    Array,
    Comparison,
    Constant,
    Folded,
    Instant,
    IsNull,
    Kind,
    Like,
    Membership,
    Not,
    Or,
    Plain,
    Predicate,
    Property,
    Scalar,
    Span,
    Spatial,
    Temporal,
    Truth,
)


class Sql(NamedTuple):
    """A piece of a statement and the values bound to it, in order."""

    text: str
    values: tuple[object, ...] = ()


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")


class Dialect(Protocol):
    """How one database says what SQL's standard leaves open. Operands may be unknown: then the result is."""

    def value(self, value: Plain | int) -> Sql:
        """Bind a literal."""
        ...

    def property(self, name: str, kind: Kind) -> Sql:
        """An item's property where it is of that kind, else NULL; an instant as microseconds since 1970."""
        ...

    def present(self, name: str) -> Sql:
        """Whether the property, or the geometry, is there and not null."""
        ...

    def member(self, of: Sql, values: tuple[Plain | int, ...], kind: Kind) -> Sql:
        """Whether it is one of some values of its kind, however many."""
        ...

    def like(self, of: Sql, pattern: str) -> Sql:
        """Whether text matches a pattern, see `catalog.filter.Like`."""
        ...

    def fold(self, fold: str, of: Sql) -> Sql:
        """Text without its case or accents, see `catalog.folding`."""
        ...

    def arithmetic(self, op: str, left: Sql, right: Sql) -> Sql:
        """A number from two, see `catalog.filter.Arithmetic`."""
        ...

    def spatial(self, op: str, place: BaseGeometry) -> Sql:
        """How the item's geometry lies to a place, see `catalog.filter.Spatial`."""
        ...

    def array(self, op: str, left: str | tuple[Plain, ...], right: str | tuple[Plain, ...]) -> Sql:
        """How two arrays, each a property by its name or a literal, lie to each other; see `catalog.filter.Array`."""
        ...


def compile_filter(predicate: Predicate, dialect: Dialect) -> Sql:
    """Make a condition of a filter."""
    match predicate:
        case And(args) | Or(args):
            word = " AND " if isinstance(predicate, And) else " OR "
            return joined(word, (compile_filter(arg, dialect) for arg in args))
        case Not(arg):
            return around("(NOT {})", compile_filter(arg, dialect))
        case Truth(of):
            return _truth(of, dialect)
        case IsNull(of):
            return _is_null(of, dialect)
        case _:
            return _relation(predicate, dialect)


def joined(separator: str, parts: Iterable[Sql]) -> Sql:
    """Put conditions together, in brackets."""
    some = list(parts)
    text = separator.join(part.text for part in some)
    return Sql(f"({text})", tuple(value for part in some for value in part.values))


def around(template: str, *parts: Sql) -> Sql:
    """Fill a template; the values come in the order of the braces."""
    return Sql(template.format(*(part.text for part in parts)), tuple(value for part in parts for value in part.values))


def _truth(of: Property | Constant, dialect: Dialect) -> Sql:
    if isinstance(of, Constant):
        return TRUE if of.value else FALSE
    return around("({} = {})", dialect.property(of.name, "boolean"), dialect.value(True))


def _is_null(of: Scalar, dialect: Dialect) -> Sql:
    if isinstance(of, Property):
        return around("(NOT {})", dialect.present(of.name))
    return around("({} IS NULL)", _scalar(of, of.kind, dialect))


def _relation(predicate: Comparison | Membership | Like | Spatial | Temporal | Array, dialect: Dialect) -> Sql:
    match predicate:
        case Comparison():
            return _comparison(predicate, dialect)
        case Membership(of, values, kind):
            return dialect.member(_scalar(of, kind, dialect), values, kind)
        case Like(of, pattern):
            return dialect.like(_scalar(of, "text", dialect), pattern)
        case Spatial(op, place):
            return dialect.spatial(op, place)
        case Temporal(op, left, right):
            return _temporal(op, left, right, dialect)
        case Array(op, former, latter):
            return dialect.array(op, _operand(former), _operand(latter))


def _comparison(comparison: Comparison, dialect: Dialect) -> Sql:
    def as_kind(kind: Kind) -> Sql:
        left, right = (_scalar(side, kind, dialect) for side in (comparison.left, comparison.right))
        return around(f"({{}} {comparison.op} {{}})", left, right)

    if comparison.kind != "any":
        return as_kind(comparison.kind)
    # Two properties: at most one of these is known, since a value has one type.
    kinds: list[Kind] = ["number", "text"]
    if comparison.op in ("=", "<>"):
        kinds.append("boolean")
    return around("coalesce({})", Sql(*_listed(as_kind(kind) for kind in kinds)))


def _listed(parts: Iterable[Sql]) -> tuple[str, tuple[object, ...]]:
    some = list(parts)
    return ", ".join(part.text for part in some), tuple(value for part in some for value in part.values)


def _scalar(scalar: Scalar, kind: Kind, dialect: Dialect) -> Sql:
    match scalar:
        case Property(name):
            return dialect.property(name, kind)
        case Constant(value):
            return dialect.value(value)
        case Instant(moment):
            return dialect.value(moment)
        case Arithmetic(op, left, right):
            return dialect.arithmetic(op, _scalar(left, "number", dialect), _scalar(right, "number", dialect))
        case Folded(fold, of):
            return dialect.fold(fold, _scalar(of, "text", dialect))


def _operand(array: Property | tuple[Plain, ...]) -> str | tuple[Plain, ...]:
    return array.name if isinstance(array, Property) else array


_RELATIONS: Mapping[str, str] = {
    "t_after": "{a0} > {b1}",
    "t_before": "{a1} < {b0}",
    "t_contains": "{a0} < {b0} AND {a1} > {b1}",
    "t_disjoint": "{a1} < {b0} OR {a0} > {b1}",
    "t_during": "{a0} > {b0} AND {a1} < {b1}",
    "t_equals": "{a0} = {b0} AND {a1} = {b1}",
    "t_finishedBy": "{a0} < {b0} AND {a1} = {b1}",
    "t_finishes": "{a0} > {b0} AND {a1} = {b1}",
    "t_intersects": "{a0} <= {b1} AND {a1} >= {b0}",
    "t_meets": "{a1} = {b0}",
    "t_metBy": "{a0} = {b1}",
    "t_overlappedBy": "{a0} > {b0} AND {a0} < {b1} AND {a1} > {b1}",
    "t_overlaps": "{a0} < {b0} AND {a1} > {b0} AND {a1} < {b1}",
    "t_startedBy": "{a0} = {b0} AND {a1} > {b1}",
    "t_starts": "{a0} = {b0} AND {a1} < {b1}",
}
"""Allen's relations of [a0, a1] to [b0, b1] (OGC 21-065r2, table 7)."""


def _temporal(op: str, left: Span, right: Span, dialect: Dialect) -> Sql:
    ends: Mapping[str, Callable[[], Sql]] = {
        "{a0}": lambda: _scalar(left.since, "instant", dialect),
        "{a1}": lambda: _scalar(left.until, "instant", dialect),
        "{b0}": lambda: _scalar(right.since, "instant", dialect),
        "{b1}": lambda: _scalar(right.until, "instant", dialect),
    }
    words = _RELATIONS[op].split(" ")
    parts = [ends[word]() if word in ends else Sql(word) for word in words]
    text = " ".join(part.text for part in parts)
    return Sql(f"({text})", tuple(value for part in parts for value in part.values))
