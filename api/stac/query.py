"""The query extension: conditions by property, the way that was written before CQL2 (STAC API – Query 1.0)."""

from collections.abc import Callable, Mapping
from typing import Any

from catalog.errors import InvalidSearchError
from catalog.filter import Predicate
from catalog.filter_reader import read_filter

_ESCAPED = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


def _compare(op: str) -> Callable[[str, Any], dict[str, Any]]:
    return lambda name, value: {"op": op, "args": [{"property": name}, value]}


def _like(before: str, after: str) -> Callable[[str, Any], dict[str, Any]]:
    def like(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        if not isinstance(value, str):
            raise InvalidSearchError(f"query: {name[:60]}: {value!r:.40} is no text")
        return {"op": "like", "args": [{"property": name}, before + value.translate(_ESCAPED) + after]}

    return like


_OPERATORS: Mapping[str, Callable[[str, Any], dict[str, Any]]] = {
    "eq": _compare("="),
    "neq": _compare("<>"),
    "lt": _compare("<"),
    "lte": _compare("<="),
    "gt": _compare(">"),
    "gte": _compare(">="),
    "in": _compare("in"),
    "startsWith": _like("", "%"),
    "endsWith": _like("%", ""),
    "contains": _like("%", "%"),
}


def query_filter(query: Any) -> Predicate:  # noqa: ANN401 - any JSON
    """Read ``{"eo:cloud_cover": {"lt": 10}}`` as a filter.

    Raises
    ------
    InvalidSearchError
        It is no such object, or an operator is unknown; names it.
    """
    if not isinstance(query, dict) or not query:
        raise InvalidSearchError('query: write {"eo:cloud_cover": {"lt": 10}}')
    conditions = []
    for name, wanted in query.items():
        if not isinstance(wanted, dict) or not wanted:
            raise InvalidSearchError(f'query: {name[:60]}: an object of operators is due, as {{"lt": 10}}')
        for op, value in wanted.items():
            if op not in _OPERATORS:
                raise InvalidSearchError(f"query: {op[:40]!r} is no operator; known are {', '.join(_OPERATORS)}")
            conditions.append(_OPERATORS[op](name, value))
    return read_filter(conditions[0] if len(conditions) == 1 else {"op": "and", "args": conditions})
