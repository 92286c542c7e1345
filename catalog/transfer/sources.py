"""What an import reads: each Item of a source with the place where it stands, whatever the format.

A source comes in pieces, which know what they hold, or only where it is written: those are read by who checks them.
"""

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from catalog.errors import InvalidItemError


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that should be an Item, or a Collection."""

    place: str
    """Where it stands: ``line 12``, ``row 3``, a path."""

    body: bytes
    """JSON, or what should be."""

    done: int
    """How much of the source is read with it, of `Source.total`."""

    reason: str | None = None
    """Why it cannot be read at all."""


class Piece(Protocol):
    """Some entries that follow each other; can be sent to another process."""

    def entries(self) -> Sequence[Entry]:
        """Read them; the same ones every time."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder of Items."""

    path: Path
    total: int
    """Bytes, rows or files."""

    identity: str
    """Changes with the content, as far as size, time and the first megabyte tell."""

    pieces: Callable[[int, int], Iterator[Piece]]
    """Gives what is left behind so many entries, and so many in a piece; the last one has fewer."""


def open_source(path: Path) -> Source:
    """Find out what a source is by its name and what it begins with.

    Raises
    ------
    InvalidItemError
        It is of no format that is known.
    """
    if path.is_dir() or path.name in ("catalog.json", "collection.json"):
        return _static(path)
    if path.suffix in (".parquet", ".geoparquet"):
        return _geoparquet(path)
    if path.suffix in (".json", ".geojson") and _is_whole(path):
        return _feature_collection(path)
    size, identity = path.stat().st_size, _identity(path)
    if path.suffix == ".gz":
        return Source(path, size, identity, _held(lambda: _compressed_lines(path)))
    return Source(path, size, identity, lambda skip, count: _lines(path, skip, count))


def _identity(path: Path) -> str:
    status = path.stat()
    with path.open("rb") as file:
        head = file.read(2**20)
    return blake2b(f"{status.st_size}:{status.st_mtime_ns}:".encode() + head, digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class _Held:
    """A piece that is in memory."""

    some: Sequence[Entry]

    def entries(self) -> Sequence[Entry]:
        return self.some


def _held(entries: Callable[[], Iterator[Entry]]) -> Callable[[int, int], Iterator[Piece]]:
    """Pieces of what can only be read from the start."""

    def pieces(skip: int, count: int) -> Iterator[Piece]:
        left = islice(entries(), skip, None)
        while some := list(islice(left, count)):
            yield _Held(some)

    return pieces


# --- newline-delimited JSON ---


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines of a file; blank ones are no entries."""

    path: Path
    start: int
    end: int
    number: int
    """Of the first line."""

    def entries(self) -> Sequence[Entry]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            text = file.read(self.end - self.start)
        return list(_entries_of_lines(io.BytesIO(text), self.number, self.start))


def _lines(path: Path, skip: int, count: int) -> Iterator[Piece]:
    with path.open("rb") as file:
        start = end = held = 0
        first = 1
        for number, line in enumerate(file, start=1):
            end += len(line)
            held += not line.isspace()
            if held == skip:
                start, first = end, number + 1
            elif held > skip and (held - skip) % count == 0 and not line.isspace():
                yield _Lines(path, start, end, first)
                start, first = end, number + 1
        if held > skip and start < end:
            yield _Lines(path, start, end, first)


def _entries_of_lines(lines: Iterable[bytes], number: int, end: int) -> Iterator[Entry]:
    for at, line in enumerate(lines, start=number):
        end += len(line)
        if not line.isspace():
            yield Entry(f"line {at}", line, end)


def _compressed_lines(path: Path) -> Iterator[Entry]:
    """They count by what is read of the file."""
    with path.open("rb") as raw:
        for entry in _entries_of_lines(gzip.GzipFile(fileobj=raw), 1, 0):
            yield replace(entry, done=raw.tell())


# --- a FeatureCollection ---


def _is_whole(path: Path) -> bool:
    """Whether a file is one JSON document rather than a line for each."""
    with path.open("rb") as file:
        first = file.readline(2**20)
    try:
        return bool(orjson.loads(first).get("type") == "FeatureCollection")
    except (orjson.JSONDecodeError, AttributeError):
        return True


def _feature_collection(path: Path) -> Source:
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidItemError(f"{path.name}: no JSON ({error}); one Item a line is read from FILE.ndjson") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise InvalidItemError(f"{path.name}: no FeatureCollection; its features must be an array of Items")

    def entries() -> Iterator[Entry]:
        for number, feature in enumerate(features):
            yield Entry(f"features/{number}", orjson.dumps(feature), number + 1)

    return Source(path, len(features), _identity(path), _held(entries))


# --- GeoParquet ---


def _geoparquet(path: Path) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidItemError(f"{path.name}: no Parquet ({error})") from None

    def entries() -> Iterator[Entry]:
        from catalog.arrow_items import items_of

        row = 0
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for item in items_of(batch):
                    row += 1
                    yield Entry(f"row {row}", _dumped(item), row)

    return Source(path, total, _identity(path), _held(entries))


def _dumped(item: dict[str, Any]) -> bytes:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# --- static STAC ---


def _static(path: Path) -> Source:
    """A catalog of files: its Collections, each before its Items; links lead on, but only below its folder."""
    root = path if path.is_file() else next(
        (path / name for name in ("catalog.json", "collection.json") if (path / name).is_file()), None
    )  # fmt: skip
    if root is None:
        raise InvalidItemError(f"{path.name}: no catalog.json and no collection.json in this folder")
    within = root.parent.resolve()
    found = list(_walk(root, within))
    digest = blake2b(digest_size=12)
    for one in found:
        status = one.stat() if one.is_file() else None
        digest.update(f"{one}:{status and (status.st_size, status.st_mtime_ns)};".encode())

    def entries() -> Iterator[Entry]:
        for number, one in enumerate(found, start=1):
            place = os.path.relpath(one, within)
            if not one.is_relative_to(within):
                yield Entry(place, b"", number, "it lies outside of the catalog's folder, where nothing is read")
            elif not one.is_file():
                yield Entry(place, b"", number, "there is no such file, but a link to it")
            else:
                yield Entry(place, one.read_bytes(), number)

    return Source(path, len(found), digest.hexdigest(), _held(entries))


def _walk(root: Path, within: Path) -> Iterator[Path]:
    """Files of Collections and Items, in the order of the links; a file that is linked twice comes once."""
    todo, seen = [root.resolve()], {root.resolve()}
    while todo:
        path = todo.pop()
        if not path.is_relative_to(within) or not path.is_file():
            yield path  # to be told of
            continue
        try:
            document = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            document = {}
            yield path  # as what it is: no JSON
        links = document.get("links") if isinstance(document, dict) else None
        if isinstance(document, dict) and document.get("type") != "Catalog" and document:
            yield path
        children = []
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("rel") in ("child", "item") and isinstance(link.get("href"), str):
                target = (path.parent / link["href"]).resolve()
                if target not in seen:
                    seen.add(target)
                    children.append(target)
        todo += reversed(children)
