"""Brute force for filters: what `catalog.filter` and OGC 21-065r2 say, in plain Python and shapely."""

import math
import re
from dataclasses import dataclass

import shapely

from catalog.filter import (
    And,
    Arithmetic,
    Array,
    Comparison,
    Constant,
    Folded,
    Instant,
    IsNull,
    Like,
    Membership,
    Not,
    Or,
    Property,
    Spatial,
    Temporal,
    Truth,
)
from catalog.folding import FOLDS
from tests.catalog.known import CORE, TIMES, microseconds


def evaluate(node, known):
    """Whether a filter is true, false or unknown (None) of an item."""
    return EVALUATE[type(node)](node, known)


def truth(node, known):
    value = scalar(node.of, known)
    return value if isinstance(value, bool) else None


def is_null(node, known):
    match node.of:
        case Property("geometry"):
            return known.drawn is None
        case Property(name) if name not in CORE:
            return known.properties.get(name) is None
    return scalar(node.of, known) is None


def membership(node, known):
    values = [Moment(value) for value in node.values] if node.kind == "instant" else node.values
    return any_of([compare("=", scalar(node.of, known), value, node.kind) for value in values])


def like(node, known):
    text = scalar(node.of, known)
    return bool(expression(node.pattern).fullmatch(text)) if isinstance(text, str) else None


def temporal(node, known):
    ends = (node.left.since, node.left.until, node.right.since, node.right.until)
    return TEMPORAL[node.op](*(End(as_instant(scalar(end, known))) for end in ends))


EVALUATE = {
    And: lambda node, known: all_of([evaluate(arg, known) for arg in node.args]),
    Or: lambda node, known: any_of([evaluate(arg, known) for arg in node.args]),
    Not: lambda node, known: opposite(evaluate(node.arg, known)),
    Truth: truth,
    IsNull: is_null,
    Comparison: lambda node, known: compare(node.op, scalar(node.left, known), scalar(node.right, known), node.kind),
    Membership: membership,
    Like: like,
    Spatial: lambda node, known: spatial(node.op, known, node.place),
    Temporal: temporal,
    Array: lambda node, known: relate(node.op, as_set(node.left, known), as_set(node.right, known)),
}


def all_of(truths):
    if False in truths:
        return False
    return None if None in truths else True


def any_of(truths):
    if True in truths:
        return True
    return None if None in truths else False


def opposite(truth):
    return None if truth is None else not truth


def scalar(node, known):
    match node:
        case Property(name):
            value = known.value(name)
            return Moment(value) if name in TIMES else value
        case Constant(value):
            return value
        case Instant(moment):
            return Moment(moment)
        case Arithmetic(op, left, right):
            return calculate(op, scalar(left, known), scalar(right, known))
        case Folded(fold, of):
            text = scalar(of, known)
            return FOLDS[fold](text) if isinstance(text, str) else None


@dataclass(frozen=True, order=True)
class Moment:
    """Apart from numbers."""

    us: int


def as_instant(value):
    if isinstance(value, str):
        us = microseconds(value)
        return None if us is None else Moment(us)
    return value if isinstance(value, Moment) else None


def as_kind(value, kind):
    """A value of that kind, in a form that Python compares as CQL2 does; else None."""
    if kind == "instant":
        return as_instant(value)
    if kind == "number":
        return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    return value if isinstance(value, {"text": str, "boolean": bool}[kind]) else None


OPERATORS = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def compare(op, left, right, kind):
    kinds = [kind]
    if kind == "any":
        kinds = ["number", "text", *(["boolean"] if op in ("=", "<>") else [])]
    for one in kinds:
        former, latter = as_kind(left, one), as_kind(right, one)
        if former is not None and latter is not None:
            return OPERATORS[op](former, latter)
    return None


def calculate(op, left, right):
    left, right = as_kind(left, "number"), as_kind(right, "number")
    if left is None or right is None:
        return None
    try:
        match op:
            case "+":
                value = left + right
            case "-":
                value = left - right
            case "*":
                value = left * right
            case "/":
                value = left / right
            case "%":
                value = math.fmod(left, right)
            case "div":
                value = float(int(left / right))
            case "^":
                value = math.pow(left, right)
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value) else None


def expression(pattern):
    """A pattern of LIKE as a regular expression."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


PLANE = {
    "s_equals": shapely.equals,
    "s_touches": shapely.touches,
    "s_crosses": shapely.crosses,
    "s_overlaps": shapely.overlaps,
    "s_within": shapely.within,
    "s_contains": shapely.contains,
}


def spatial(op, known, place):
    if op in ("s_intersects", "s_disjoint"):
        touching = known.touches(place)
        return touching if op == "s_intersects" else opposite(touching)
    if known.shape is None or known.shape.geom_type == "GeometryCollection":
        return None
    return bool(PLANE[op](known.shape, place))


class End:
    """An end of a span that may be unknown; comparing it has three values."""

    def __init__(self, moment):
        self.moment = moment

    def _compare(self, op, other):
        if self.moment is None or other.moment is None:
            return None
        return OPERATORS[op](self.moment, other.moment)

    def __lt__(self, other):
        return self._compare("<", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def same(self, other):
        return self._compare("=", other)


# ruff: noqa: ARG005 - every relation is given all four ends
# Allen's relations as OGC 21-065r2 draws them: [a, b] on the left, [c, d] on the right.
TEMPORAL = {
    "t_before": lambda a, b, c, d: b < c,
    "t_after": lambda a, b, c, d: a > d,
    "t_meets": lambda a, b, c, d: b.same(c),
    "t_metBy": lambda a, b, c, d: a.same(d),
    "t_disjoint": lambda a, b, c, d: any_of([b < c, a > d]),
    "t_intersects": lambda a, b, c, d: opposite(any_of([b < c, a > d])),
    "t_equals": lambda a, b, c, d: all_of([a.same(c), b.same(d)]),
    "t_starts": lambda a, b, c, d: all_of([a.same(c), b < d]),
    "t_startedBy": lambda a, b, c, d: all_of([a.same(c), d < b]),
    "t_finishes": lambda a, b, c, d: all_of([c < a, b.same(d)]),
    "t_finishedBy": lambda a, b, c, d: all_of([a < c, b.same(d)]),
    "t_during": lambda a, b, c, d: all_of([c < a, b < d]),
    "t_contains": lambda a, b, c, d: all_of([a < c, d < b]),
    "t_overlaps": lambda a, b, c, d: all_of([a < c, c < b, b < d]),
    "t_overlappedBy": lambda a, b, c, d: all_of([c < a, a < d, d < b]),
}


def as_set(operand, known):
    """The scalars of an array, each with its type; None where it is no array of scalars."""
    values = known.properties.get(operand.name) if isinstance(operand, Property) else list(operand)
    if not isinstance(values, list) or not all(isinstance(value, bool | int | float | str) for value in values):
        return None
    return {(type(value), value) if isinstance(value, bool | str) else (float, float(value)) for value in values}


def relate(op, left, right):
    if left is None or right is None:
        return None
    return {
        "a_contains": right <= left,
        "a_containedBy": left <= right,
        "a_equals": left == right,
        "a_overlaps": bool(left & right),
    }[op]
