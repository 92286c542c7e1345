"""CQL2 filters as values: a typed expression that any store compiles (OGC 21-065r2).

What an expression means, whatever the store:

- A property is a member of an item's ``properties``; ``id``, ``collection``, ``geometry``, ``datetime``,
  ``start_datetime`` and ``end_datetime`` are the item's own, the last three always known: an item without a span has
  one of its ``datetime``, one without a ``datetime`` is ordered by its start.
- Logic has three values. What is missing, JSON's null, or of another type than what it is compared with, is unknown;
  only what is true is found.
- Numbers are double precision; a result that is not finite is unknown. Text is compared by code points.
- A date is the moment it begins; in temporal operators it is its day. Moments are microseconds since 1970, further
  digits cut off; a property is one where its text is an RFC 3339 date-time with an offset, and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from shapely.geometry.base import BaseGeometry

Kind = Literal["number", "text", "boolean", "instant", "any"]
"""What a scalar expression yields; only a property can yield anything."""

CORE: Mapping[str, Kind] = {
    "id": "text",
    "collection": "text",
    "datetime": "instant",
    "start_datetime": "instant",
    "end_datetime": "instant",
}
"""Scalars of an item that are not members of its properties, or are more than those."""

GEOMETRY = "geometry"

DAY_US = 86_400_000_000

ALWAYS = 2**62
"""An open end of an interval, microseconds since 1970, and its negative."""

LOGIC = ("and", "or", "not", "between", "in", "like", "isNull")
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
ARITHMETIC = ("+", "-", "*", "/", "%", "div", "^")
SPATIAL_CONVERSES: Mapping[str, str] = {
    "s_intersects": "s_intersects",
    "s_disjoint": "s_disjoint",
    "s_equals": "s_equals",
    "s_touches": "s_touches",
    "s_crosses": "s_crosses",
    "s_overlaps": "s_overlaps",
    "s_within": "s_contains",
    "s_contains": "s_within",
}
"""Each spatial operator, and the one that says the same with its operands swapped."""

TEMPORAL = (
    "t_after", "t_before", "t_contains", "t_disjoint", "t_during", "t_equals", "t_finishedBy", "t_finishes",
    "t_intersects", "t_meets", "t_metBy", "t_overlappedBy", "t_overlaps", "t_startedBy", "t_starts",
)  # fmt: skip
ARRAYS = ("a_contains", "a_containedBy", "a_equals", "a_overlaps")

Plain = str | float | bool
"""A literal."""


@dataclass(frozen=True, slots=True)
class Property:
    """A member of an item's properties, or one of `CORE`."""

    name: str

    @property
    def kind(self) -> Kind:
        """What it yields."""
        return CORE.get(self.name, "any")


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal number, text or boolean."""

    value: Plain

    @property
    def kind(self) -> Kind:
        """What it yields."""
        return _kind_of(self.value)


@dataclass(frozen=True, slots=True)
class Instant:
    """A literal moment."""

    moment: int
    """Microseconds since 1970."""

    kind: Kind = "instant"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A number from two; unknown where it is not finite. ``%`` and ``div`` truncate towards zero."""

    op: str
    left: "Scalar"
    right: "Scalar"
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Folded:
    """Text without its case or its accents; see `catalog.folding`."""

    fold: str
    of: "Scalar"
    kind: Kind = "text"


Scalar = Property | Constant | Instant | Arithmetic | Folded


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scalars of one kind; of kind ``any`` where both are properties: then their values' types must agree."""

    op: str
    left: Scalar
    right: Scalar
    kind: Kind


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether a scalar is one of some values of one kind; moments are `Instant.moment`."""

    of: Scalar
    values: tuple[Plain | int, ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Like:
    """Whether text matches a pattern: ``%`` any characters, ``_`` one, a backslash takes the next one as it is."""

    of: Scalar
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether a scalar is unknown; a property of any type, or the geometry, is known where it is there and not null."""

    of: Scalar


@dataclass(frozen=True, slots=True)
class Truth:
    """A constant, or a property that is itself true or false."""

    of: Property | Constant


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    args: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    args: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    arg: "Predicate"


@dataclass(frozen=True, slots=True)
class Spatial:
    """How an item's geometry lies to a place; unknown for an item that has none.

    Intersecting and being disjoint are judged on the globe. The others are judged on shapes cut at the antimeridian,
    and are unknown for a collection of geometries.
    """

    op: str
    place: BaseGeometry

    def __repr__(self) -> str:
        """All of it, as of the other values here: tokens are signed for it, and shapely cuts long shapes short."""
        return f"Spatial(op={self.op!r}, place={self.place.wkb_hex})"


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time; a moment is one whose ends are the same."""

    since: Property | Instant
    until: Property | Instant


@dataclass(frozen=True, slots=True)
class Temporal:
    """How two spans lie to each other (Allen's relations)."""

    op: str
    left: Span
    right: Span


@dataclass(frozen=True, slots=True)
class Array:
    """How two arrays of scalars, taken as sets, lie to each other; unknown where one is no such array."""

    op: str
    left: Property | tuple[Plain, ...]
    right: Property | tuple[Plain, ...]


Predicate = Comparison | Membership | Like | IsNull | Truth | And | Or | Not | Spatial | Temporal | Array


def conjuncts(predicate: Predicate | None) -> Iterator[Predicate]:
    """Take apart what must all hold."""
    if isinstance(predicate, And):
        for arg in predicate.args:
            yield from conjuncts(arg)
    elif predicate is not None:
        yield predicate


def properties_of(node: object) -> Iterator[str]:
    """Names of all properties that an expression asks for."""
    if isinstance(node, Property):
        yield node.name
    elif isinstance(node, tuple):
        for part in node:
            yield from properties_of(part)
    elif isinstance(node, Spatial):
        yield GEOMETRY
    elif isinstance(node, _NODES):
        for name in node.__slots__:
            yield from properties_of(getattr(node, name))


_NODES = (
    Constant, Instant, Arithmetic, Folded, Comparison, Membership, Like, IsNull, Truth, And, Or, Not, Temporal, Span,
    Array,
)  # fmt: skip


def canonical(name: str) -> str:
    """The name of a property as this catalog has it: ``properties.gsd`` is ``gsd``."""
    return name.removeprefix("properties.")


def _kind_of(value: Plain) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"
