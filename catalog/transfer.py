"""Documents in bulk: newline-delimited JSON into a catalog, naming every line that does not fit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from catalog.errors import InvalidItemError
from catalog.search import Catalog

Progress = Callable[[str, int, int], None]
"""What is being done, how many bytes are read, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of every line."""

    imported: int
    """Items that are in the catalog now; one that came twice counts twice."""

    rejected: tuple[tuple[int, str], ...]
    """Line number, from 1, and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    item: dict[str, Any]
    end: int
    """Bytes of the file up to the end of the line."""


def import_ndjson(
    catalog: Catalog, items: Path, collection: Path, *, progress: Progress | None = None, batch: int = 1000
) -> ImportReport:
    """Put a Collection and Items, one a line, into a catalog; once more does no harm, and goes on where it was stopped.

    Every batch is one transaction. A line that is no Item of the collection is reported and left out; an Item that
    names no collection joins this one.

    Raises
    ------
    InvalidItemError
        The collection's document is no STAC Collection.
    """
    name = _put_collection(catalog, collection)
    total = items.stat().st_size
    rejected: list[tuple[int, str]] = []
    imported = 0
    lines = _lines(items, name, rejected)
    while some := list(islice(lines, batch)):
        imported += _put(catalog, some, rejected)
        if progress is not None:
            progress("import", some[-1].end, total)
    if progress is not None:
        progress("import", total, total)
    return ImportReport(imported=imported, rejected=tuple(sorted(rejected)))


def _put_collection(catalog: Catalog, path: Path) -> str:
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidItemError(f"{path.name}: no JSON ({error})") from None
    if not isinstance(document, dict) or document.get("type") != "Collection":
        raise InvalidItemError(f"{path.name}: no STAC Collection; its type must be Collection")
    catalog.put([document])
    return str(document["id"])


def _lines(path: Path, collection: str, rejected: list[tuple[int, str]]) -> Iterator[_Line]:
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            end += len(line)
            if not line.strip():
                continue
            try:
                item = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                rejected.append((number, f"no JSON ({error})"))
                continue
            reason = _misfit(item, collection)
            if reason is not None:
                rejected.append((number, reason))
                continue
            yield _Line(number=number, item={**item, "collection": collection}, end=end)


def _misfit(item: object, collection: str) -> str | None:
    if not isinstance(item, dict) or item.get("type") != "Feature":
        return "no STAC Item; its type must be Feature"
    named = item.get("collection")
    if named is not None and named != collection:
        return f"its collection is {named!r:.100}, not {collection!r}"
    return None


def _put(catalog: Catalog, lines: list[_Line], rejected: list[tuple[int, str]]) -> int:
    """Put all or none; where one spoils it, each half by itself, down to the line."""
    try:
        return catalog.put([line.item for line in lines])
    except InvalidItemError as error:
        if len(lines) == 1:
            rejected.append((lines[0].number, str(error)))
            return 0
        middle = len(lines) // 2
        return _put(catalog, lines[:middle], rejected) + _put(catalog, lines[middle:], rejected)
