"""What the operators of a CQL2 filter are given: scalars, spans of time, arrays and places, out of CQL2 JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from shapely.geometry.base import BaseGeometry

from catalog.errors import InvalidExtentError, InvalidSearchError
from catalog.extent import BBox, microseconds, parse_time
from catalog.filter import (
    ALWAYS,
    ARITHMETIC,
    ARRAYS,
    COMPARISONS,
    DAY_US,
    GEOMETRY,
    LOGIC,
    SPATIAL_CONVERSES,
    TEMPORAL,
    Arithmetic,
    Constant,
    Folded,
    Instant,
    Kind,
    Plain,
    Property,
    Scalar,
    Span,
    canonical,
)
from catalog.folding import FOLDS
from catalog.geometry import read_geometry


def operation(node: Any, wanted: str) -> tuple[str, Sequence[Any]]:  # noqa: ANN401 - any JSON
    """Operator and arguments of a node.

    Raises
    ------
    InvalidSearchError
        It is something else than what is wanted there.
    """
    if not isinstance(node, Mapping) or not isinstance(node.get("op"), str):
        raise InvalidSearchError(f"filter: {shown(node)} where {wanted} is due")
    op = "t_intersects" if node["op"] == "anyinteracts" else node["op"]
    args = node.get("args")
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise InvalidSearchError(f"filter: {op[:40]} has no args")
    return op, args


def only(op: str, args: Sequence[Any], count: int) -> Sequence[Any]:
    """The arguments, which must be so many."""
    if len(args) != count:
        raise InvalidSearchError(f"filter: {op} takes {count} argument{'s' if count > 1 else ''}, not {len(args)}")
    return args


_KNOWN = (*LOGIC, *COMPARISONS, *FOLDS, *ARITHMETIC, *SPATIAL_CONVERSES, *TEMPORAL, *ARRAYS)


def misplaced(op: str, wanted: str) -> InvalidSearchError:
    """What is said of an operator that yields something else, or of a function that is not one of the standard's."""
    if op in _KNOWN:
        return InvalidSearchError(f"filter: {op} where a {wanted} is due")
    return InvalidSearchError(
        f"filter: {op[:60]!r} is no function or operator that is known here; known are {', '.join(_KNOWN)}"
    )


def read_scalar(node: Any) -> Scalar:  # noqa: ANN401 - any JSON
    """A literal, a property, or what is computed from them."""
    if isinstance(node, bool | str | int | float):
        return Constant(read_plain(node))
    if isinstance(node, Mapping):
        if "property" in node:
            return read_property(node)
        if "timestamp" in node or "date" in node:
            return Instant(_moment(node)[0])
    op, args = operation(node, "a value")
    if op in ARITHMETIC:
        left, right = (of_kind(op, "number", read_scalar(arg)) for arg in only(op, args, 2))
        return Arithmetic(op, left, right)
    if op in FOLDS:
        of = of_kind(op, "text", read_scalar(only(op, args, 1)[0]))
        return Constant(FOLDS[op](of.value)) if isinstance(of, Constant) else Folded(op, of)  # type: ignore[arg-type]
    raise misplaced(op, "value")


def of_kind(op: str, kind: Kind, scalar: Scalar) -> Scalar:
    """The scalar, which must be able to be of that kind."""
    if scalar.kind not in (kind, "any"):
        raise InvalidSearchError(f"filter: {op} takes a {kind}, not {described(scalar)}")
    return scalar


def read_property(node: Mapping[str, Any]) -> Property:
    """A property by its name."""
    name = node["property"]
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidSearchError(f"filter: property {shown(name)} is no name")
    name = canonical(name)
    if name == GEOMETRY:
        raise InvalidSearchError("filter: geometry is compared by the spatial operators only, as s_intersects")
    return Property(name)


def read_plain(value: Any) -> Plain:  # noqa: ANN401 - any JSON
    """A literal number, as a double, text or boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _finite(value)
    raise InvalidSearchError(f"filter: {shown(value)} is no number, text, true or false")


def as_instant(scalar: Scalar) -> Scalar:
    """Text beside a moment, read as one."""
    if isinstance(scalar, Constant) and isinstance(scalar.value, str):
        return Instant(_moment(_dated(scalar.value))[0])
    if scalar.kind == "instant":
        return scalar
    raise InvalidSearchError(f"filter: {described(scalar)} is no moment")


def read_span(node: Any) -> Span:  # noqa: ANN401 - any JSON
    """An interval, a moment, a day, or a property that holds a moment."""
    if isinstance(node, Mapping) and "interval" in node:
        ends = node["interval"]
        if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
            raise InvalidSearchError("filter: an interval has two ends; .. leaves one open")
        since, until = _end(ends[0], first=True), _end(ends[1], first=False)
        if isinstance(since, Instant) and isinstance(until, Instant) and since.moment > until.moment:
            raise InvalidSearchError(f"filter: the interval {shown(ends)} ends before it begins")
        return Span(since, until)
    if isinstance(node, Mapping) and "property" in node:
        found = read_property(node)
        if found.kind not in ("instant", "any"):
            raise InvalidSearchError(f"filter: {found.name} is no moment")
        return Span(found, found)
    if isinstance(node, Mapping) and ("date" in node or "timestamp" in node):
        return Span(*(Instant(moment) for moment in _moment(node)))
    raise InvalidSearchError(f"filter: {shown(node)} is no moment or interval")


def read_array(op: str, node: Any) -> Property | tuple[Plain, ...]:  # noqa: ANN401 - any JSON
    """An array of literals, or a property that holds an array."""
    if isinstance(node, Mapping) and "property" in node:
        found = read_property(node)
        if found.kind != "any":
            raise InvalidSearchError(f"filter: {op}: {found.name} is no array")
        return found
    if not isinstance(node, Sequence) or isinstance(node, str):
        raise InvalidSearchError(f"filter: {op} takes arrays, not {shown(node)}")
    return tuple(read_plain(value) for value in node)


def read_place(op: str, node: Any) -> BaseGeometry:  # noqa: ANN401 - any JSON
    """A GeoJSON geometry or a box, cut at the antimeridian."""
    if not isinstance(node, Mapping):
        raise InvalidSearchError(f"filter: {op} takes a GeoJSON geometry, not {shown(node)}")
    try:
        return BBox.of(node["bbox"]).geometry() if "bbox" in node else read_geometry(node)
    except (InvalidExtentError, TypeError) as error:
        raise InvalidSearchError(f"filter: {error}") from None


def is_geometry(node: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether it is the item's own geometry."""
    return isinstance(node, Mapping) and node.get("property") in (GEOMETRY, f"properties.{GEOMETRY}")


def described(scalar: Scalar) -> str:
    """A scalar for a person."""
    match scalar:
        case Property(name):
            return name[:60]
        case Constant(value):
            return shown(value)
        case Instant(moment):
            return f"moment {moment}"
        case Folded(fold, of):
            return f"{fold}({described(of)})"
        case Arithmetic(op):
            return f"a result of {op}"


def shown(node: Any) -> str:  # noqa: ANN401 - any JSON
    """The beginning of any JSON for a person."""
    return json.dumps(node, ensure_ascii=False)[:80]


def _end(node: Any, *, first: bool) -> Property | Instant:  # noqa: ANN401 - any JSON
    if node == "..":
        return Instant(-ALWAYS if first else ALWAYS)
    span = read_span(_dated(node) if isinstance(node, str) else node)
    return span.since if first else span.until


def _dated(text: str) -> Mapping[str, str]:
    """Text as CQL2 JSON writes moments."""
    return {"timestamp" if "T" in text.upper() else "date": text}


def _moment(node: Mapping[str, Any]) -> tuple[int, int]:
    """First and last moment of a literal timestamp or date, microseconds since 1970."""
    text = node.get("timestamp", node.get("date"))
    if not isinstance(text, str):
        raise InvalidSearchError(f"filter: {shown(text)} is no RFC 3339 date or time")
    is_date = "timestamp" not in node
    try:
        moment = microseconds(parse_time(f"{text}T00:00:00Z" if is_date else text))
    except InvalidExtentError as error:
        raise InvalidSearchError(f"filter: {error}") from None
    return moment, moment + (DAY_US - 1 if is_date else 0)


def _text(value: str) -> str:
    """Text that a database can hold: half a character is none to any of them, U+0000 is none to PostgreSQL."""
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidSearchError(f"filter: text {value!r:.60} holds what is no character")
    return value


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidSearchError(f"filter: {value!r:.60} is no number that a double can hold")
    return number
