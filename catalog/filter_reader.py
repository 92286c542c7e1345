"""CQL2 text or JSON in, a typed filter out (OGC 21-065r2)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cql2

from catalog.errors import InvalidSearchError
from catalog.filter import (
    ARRAYS,
    COMPARISONS,
    GEOMETRY,
    SPATIAL_CONVERSES,
    TEMPORAL,
    And,
    Array,
    Comparison,
    Constant,
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
    Spatial,
    Temporal,
    Truth,
)
from catalog.filter_operand import (
    as_instant,
    described,
    is_geometry,
    misplaced,
    of_kind,
    only,
    operation,
    read_array,
    read_place,
    read_property,
    read_scalar,
    read_span,
    shown,
)
from catalog.geometry import MAX_VERTICES

MAX_TEXT = 20_000

MAX_BRANCHES = 400
"""Operators and brackets of one filter."""

MAX_DEPTH = 12
"""Operators inside each other; SQLite's parser holds 100 open pieces of a statement, a call in a call takes five."""

MAX_VALUES = 10_000
"""Of one array."""

MAX_PARTS = 3 * MAX_VERTICES
"""Values and arrays of a whole filter in JSON: a vertex is three."""

MAX_PATTERN = 1000
MAX_WILDCARDS = 16


def read_filter(given: str | Mapping[str, Any] | bool) -> Predicate:
    """Read a filter: CQL2 text, or CQL2 JSON as it comes out of a JSON parser.

    Raises
    ------
    InvalidSearchError
        It is no CQL2, calls a function, compares what cannot be compared, or is too large; says where.
    """
    if isinstance(given, str):
        _refuse_large_text(given)
        expression = _parsed(lambda: cql2.parse_text(given))
    elif isinstance(given, Mapping | bool):
        _refuse_large_json(given)
        expression = _parsed(lambda: cql2.parse_json(json.dumps(given, default=dict)))
    else:
        raise InvalidSearchError(f"filter: {given!r:.60} is no CQL2 JSON; give an object with op and args")
    _refuse_large(expression)
    return _predicate(expression)


_TEXTS = re.compile(r"'(?:[^']|'')*'")
_SHAPES = re.compile(
    r"\b(?:MULTI)?(?:POINT|LINESTRING|POLYGON)\s*Z?\s*\([-+0-9.eE\s,()]*\)|\bBBOX\s*\([-+0-9.eE\s,]*\)", re.IGNORECASE
)
_BRANCHES = re.compile(r"[-+*/%^(]|\b(?:and|or|not|div)\b", re.IGNORECASE)


def _refuse_large_text(text: str) -> None:
    """Said before it is parsed: the parser descends into itself, and a stack that overflows ends the process."""
    if len(text) > MAX_TEXT:
        raise InvalidSearchError(f"filter: longer than {MAX_TEXT} characters; send it as CQL2 JSON with POST")
    skeleton = _SHAPES.sub("", _TEXTS.sub("", text))
    if len(_BRANCHES.findall(skeleton)) > MAX_BRANCHES:
        raise InvalidSearchError(f"filter: more than {MAX_BRANCHES} operators and brackets; write it shorter")


def _refuse_large_json(given: object) -> None:
    """Said before it is parsed, which takes microseconds a value."""
    parts, left = 0, [given]
    while left:
        node = left.pop()
        if isinstance(node, Mapping):
            left += node.values()
        elif isinstance(node, list | tuple):
            inner = [part for part in node if isinstance(part, list | tuple | Mapping)]
            left += inner
            parts += len(node)
            if len(node) - len(inner) > MAX_VALUES:
                raise InvalidSearchError(f"filter: an array of more than {MAX_VALUES} values; ask in parts")
        if parts > MAX_PARTS:
            raise InvalidSearchError(f"filter: more than {MAX_VERTICES} vertices; simplify its geometry")


def _parsed(parse: Callable[[], Any]) -> Any:  # noqa: ANN401 - any JSON
    try:
        return parse().to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError, RecursionError) as error:
        raise InvalidSearchError(f"filter: no CQL2 ({_reason(str(error))})") from None


def _reason(message: str) -> str:
    """What the parsers say, without the picture that one draws of a text: ``at 1:5, expected Double``."""
    if "untagged enum" in message:  # the other one does not say where
        return "a part of it is no {op, args}, no property, no literal and no geometry with coordinates"
    drawn = re.search(r"--> (\d+:\d+).*= (.*)", message, re.DOTALL)
    return (f"at {drawn[1]}, {drawn[2]}" if drawn else message).strip()[:300]


def _refuse_large(expression: Any) -> None:  # noqa: ANN401 - any JSON
    """Count operators, and how deep they stand in each other: all that follows descends into itself."""
    branches, left = 0, [(expression, 0, "")]
    while left:
        node, depth, within = left.pop()
        if isinstance(node, list):
            left += [(part, depth, within) for part in node]
        elif isinstance(node, Mapping) and "op" in node:
            branches += 1
            depth += node["op"] != within or within not in ("and", "or")
            left.append((node.get("args"), depth, node["op"]))
        if branches > MAX_BRANCHES:
            raise InvalidSearchError(f"filter: more than {MAX_BRANCHES} operators; write it shorter")
        if depth > MAX_DEPTH:
            raise InvalidSearchError(f"filter: more than {MAX_DEPTH} operators inside each other; write it flatter")


def _predicate(node: Any) -> Predicate:  # noqa: ANN401 - any JSON
    if isinstance(node, bool):
        return Truth(Constant(node))
    if isinstance(node, Mapping) and "property" in node:
        return _truth(read_property(node))
    op, args = operation(node, "a condition")
    if op not in _READERS:
        raise misplaced(op, "condition")
    return _READERS[op](op, args)


def _truth(found: Property) -> Predicate:
    if found.kind != "any":
        raise InvalidSearchError(f"filter: {found.name} is neither true nor false")
    return Truth(found)


def _all_or_any(op: str, args: Sequence[Any]) -> Predicate:
    parts = tuple(_predicate(arg) for arg in _flattened(op, args))
    if not parts:
        raise InvalidSearchError(f"filter: {op} without conditions")
    return And(parts) if op == "and" else Or(parts)


def _flattened(op: str, args: Sequence[Any]) -> Iterator[Any]:
    """Conditions that are joined by this operator, however they were put into brackets."""
    left = [*reversed(args)]
    while left:
        node = left.pop()
        if isinstance(node, Mapping) and node.get("op") == op and isinstance(node.get("args"), list):
            left += reversed(node["args"])
        else:
            yield node


def _not(op: str, args: Sequence[Any]) -> Predicate:
    return Not(_predicate(only(op, args, 1)[0]))


def _between(op: str, args: Sequence[Any]) -> Predicate:
    if len(args) == 2 and isinstance(args[1], list):  # as earlier drafts of CQL2 wrote it
        args = [args[0], *args[1]]
    of, low, high = (read_scalar(arg) for arg in only(op, args, 3))
    return And((_comparison(">=", of, low), _comparison("<=", of, high)))


def _compare(op: str, args: Sequence[Any]) -> Predicate:
    left, right = (read_scalar(arg) for arg in only(op, args, 2))
    return _comparison(op, left, right)


def _comparison(op: str, left: Scalar, right: Scalar) -> Comparison:
    """Agree on a kind; text beside a moment is read as one."""
    kinds = {left.kind, right.kind}
    if kinds == {"text", "instant"}:
        left, right = as_instant(left), as_instant(right)
        kinds = {"instant"}
    if len(kinds) == 2 and "any" not in kinds:
        raise InvalidSearchError(
            f"filter: {described(left)} {op} {described(right)} compares a {left.kind} with a {right.kind}"
        )
    kind = left.kind if right.kind == "any" else right.kind
    if kind == "boolean" and op not in ("=", "<>"):
        raise InvalidSearchError(f"filter: {op} does not compare true and false")
    return Comparison(op, left, right, kind)


def _in(op: str, args: Sequence[Any]) -> Predicate:
    of, values = only(op, args, 2)
    scalar = read_scalar(of)
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise InvalidSearchError(f"filter: {op} takes an array of values")
    by_kind: dict[tuple[Scalar, Kind], list[Plain | int]] = {}
    for value in values:
        literal = read_scalar(value)
        if not isinstance(literal, Constant | Instant):
            raise InvalidSearchError(f"filter: {op} takes an array of literal values, not {described(literal)}")
        agreed = _comparison("=", scalar, literal)
        by_kind.setdefault((agreed.left, agreed.kind), []).append(_value(agreed.right))
    parts = tuple(Membership(left, tuple(dict.fromkeys(some)), kind) for (left, kind), some in by_kind.items())
    return parts[0] if len(parts) == 1 else Or(parts)


def _value(scalar: Scalar) -> Plain | int:
    return scalar.moment if isinstance(scalar, Instant) else scalar.value  # type: ignore[union-attr]


def _like(op: str, args: Sequence[Any]) -> Predicate:
    of, pattern = (read_scalar(arg) for arg in only(op, args, 2))
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        raise InvalidSearchError(f"filter: {op} takes a literal pattern, as in title LIKE 'S2%'")
    if (len(pattern.value) - len(pattern.value.rstrip("\\"))) % 2:
        raise InvalidSearchError(f"filter: the pattern {shown(pattern.value)} ends in a backslash; write two for one")
    if len(pattern.value) > MAX_PATTERN or pattern.value.count("%") > MAX_WILDCARDS:
        raise InvalidSearchError(f"filter: a pattern has up to {MAX_PATTERN} characters and {MAX_WILDCARDS} %")
    return Like(of_kind(op, "text", of), pattern.value)


def _is_null(op: str, args: Sequence[Any]) -> Predicate:
    (of,) = only(op, args, 1)
    return IsNull(Property(GEOMETRY) if is_geometry(of) else read_scalar(of))


def _spatial(op: str, args: Sequence[Any]) -> Predicate:
    left, right = only(op, args, 2)
    if is_geometry(right) and not is_geometry(left):
        op, left, right = SPATIAL_CONVERSES[op], right, left
    if not is_geometry(left) or is_geometry(right):
        raise InvalidSearchError(f"filter: {op} compares the property geometry with a literal geometry")
    place = read_place(op, right)
    if place.geom_type == "GeometryCollection" and op not in ("s_intersects", "s_disjoint"):
        raise InvalidSearchError(f"filter: {op} takes no collection of geometries, as {shown(right)}; ask for each")
    return Spatial(op, place)


def _temporal(op: str, args: Sequence[Any]) -> Predicate:
    left, right = (read_span(arg) for arg in only(op, args, 2))
    return Temporal(op, left, right)


def _array(op: str, args: Sequence[Any]) -> Predicate:
    left, right = (read_array(op, arg) for arg in only(op, args, 2))
    return Array(op, left, right)


_READERS: Mapping[str, Callable[[str, Sequence[Any]], Predicate]] = {
    "and": _all_or_any,
    "or": _all_or_any,
    "not": _not,
    "between": _between,
    "in": _in,
    "like": _like,
    "isNull": _is_null,
    **dict.fromkeys(COMPARISONS, _compare),
    **dict.fromkeys(SPATIAL_CONVERSES, _spatial),
    **dict.fromkeys(TEMPORAL, _temporal),
    **dict.fromkeys(ARRAYS, _array),
}
