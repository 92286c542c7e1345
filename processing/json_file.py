"""A small JSON file that says exactly what its schema allows, or is refused with the place and the reason."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from processing.errors import ProcessingError


def closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Schema of an object with these properties and no others: a mistyped name is an error, not something left out."""
    properties = required | (optional or {})
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def read_json(path: Path, schema: dict[str, Any], *, limit: int, error: type[ProcessingError]) -> dict[str, Any]:
    """Read an object of at most `limit` bytes and check it against a schema.

    Raises
    ------
    ProcessingError
        Of the given type: it is larger, no JSON, or breaks the schema.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as failed:
        raise error(f"{path.name}: cannot be read ({failed.strerror}); give a plain, readable file") from None
    if len(content) > limit:
        raise error(f"{path.name}: larger than {limit} bytes; such a file has far less")
    try:
        document = json.loads(content, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as failed:
        raise error(f"{path.name}: no valid JSON ({failed})") from None
    if broken := best_match(Draft202012Validator(schema).iter_errors(document)):
        raise error(f"{path.name}: {_place(broken.absolute_path)}{broken.message[:300]}")
    return dict(document)


def _place(path: Any) -> str:  # noqa: ANN401 - a deque of names and numbers
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{text.removeprefix('.')}: " if text else ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: which of the two counts would be a guess (RFC 8259, 4)."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} comes twice in one object")
    return dict(pairs)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
