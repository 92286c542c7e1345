"""Items in bulk into a catalog: batch by batch, naming every one that does not fit, going on where it was stopped."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Self

import orjson

from catalog.document import CollectionDocument, ItemDocument, read_document
from catalog.errors import InvalidItemError
from catalog.search import Catalog
from catalog.transfer.sources import Entry, Source, open_source

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""

BATCH = 5_000
"""Items of one transaction."""

PARALLEL_BYTES = 2**25
"""A larger source is checked by further processes while this one writes."""

Checked = CollectionDocument | ItemDocument | str
"""A document, or why it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Something that did not get in."""

    place: str
    reason: str


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What became of every entry, this time."""

    imported: int = 0
    """Documents that are in the catalog now; one that came twice counts twice."""

    resumed: int = 0
    """Entries that an earlier call had dealt with."""

    rejected_before: int = 0
    """Of those, how many did not get in."""

    rejected: list[Rejected] = field(default_factory=list)


def import_source(
    catalog: Catalog,
    path: Path,
    *,
    collection: Path | None = None,
    state: Path | None = None,
    rejects: Path | None = None,
    restart: bool = False,
    progress: Progress | None = None,
    batch: int = BATCH,
) -> ImportReport:
    """Put the documents of a source into a catalog; once more does no harm.

    Parameters
    ----------
    collection
        A file with the Collection that the Items belong to: it is put first, an Item that names none joins it, and one
        that names another is rejected.
    state
        Folder in which the call notes how far it is, so that another one goes on there; ``restart`` forgets it.
    rejects
        File that takes every entry that does not get in, with its place and reason; made when there is one.

    Raises
    ------
    InvalidItemError
        The source is of no known format, or the collection's file holds no Collection.
    """
    source = open_source(path)
    name = None if collection is None else _put_collection(catalog, collection)
    note = _Note(state, f"{source.identity}-{name or ''}")
    if restart:
        note.forget()
    report = ImportReport(resumed=note.done, rejected_before=note.rejected)
    if note.done == 0 and rejects is not None:
        rejects.unlink(missing_ok=True)
    with ExitStack() as stack:
        stack.enter_context(getattr(catalog, "bulk", nullcontext)())
        check = stack.enter_context(_Checking(source, name))
        entries = islice(source.entries(), note.done, None)
        while some := check.next(entries, batch):
            report.imported += _put(catalog, some, report.rejected, rejects)
            note.write(note.done + len(some), report.rejected_before + len(report.rejected))
            if progress is not None:
                progress("import", some[-1][0].done, source.total)
    note.forget()
    if progress is not None:
        progress("import", source.total, source.total)
    return report


def _put_collection(catalog: Catalog, path: Path) -> str:
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise InvalidItemError(f"{path.name}: no JSON ({error})") from None
    if not isinstance(document, dict) or document.get("type") != "Collection":
        raise InvalidItemError(f"{path.name}: no STAC Collection; its type must be Collection")
    catalog.put([document])
    return str(document["id"])


class _Note:
    """How many entries of a source are dealt with: they are in the catalog, or among the rejects."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = None if folder is None else folder / f"{name}.json"
        self.done = self.rejected = 0
        if self._path is not None and self._path.is_file():
            try:
                kept = orjson.loads(self._path.read_bytes())
                self.done, self.rejected = int(kept["done"]), int(kept["rejected"])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                self.done = self.rejected = 0  # half a note is none: the whole source is read again, which does no harm

    def write(self, done: int, rejected: int) -> None:
        self.done, self.rejected = done, rejected
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(orjson.dumps({"done": done, "rejected": rejected}))
            temporary.replace(self._path)

    def forget(self) -> None:
        self.done = self.rejected = 0
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Checking:
    """Checks entries, in order; of a large source in other processes, ahead of those who wait for them."""

    def __init__(self, source: Source, collection: str | None) -> None:
        self._collection = collection
        large = source.path.is_file() and source.path.stat().st_size > PARALLEL_BYTES
        self._workers = max(1, (os.cpu_count() or 1) - 1) if large else 0
        self._pool: ProcessPoolExecutor | None = None
        self._ahead: deque[tuple[list[Entry], Future[list[Checked]]]] = deque()

    def __enter__(self) -> Self:
        if self._workers:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=get_context("spawn"), initializer=_end_with_parent
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def next(self, entries: Iterator[Entry], count: int) -> list[tuple[Entry, Checked]]:
        """The next of them, as documents; none at the end."""
        if self._pool is None:
            some = list(islice(entries, count))
            return _with_reasons(some, _checked([one.body for one in some], self._collection))
        while len(self._ahead) < 2 * self._workers + 1 and (some := list(islice(entries, count))):
            bodies = [one.body for one in some]
            self._ahead.append((some, self._pool.submit(_checked, bodies, self._collection)))
        if not self._ahead:
            return []
        some, found = self._ahead.popleft()
        return _with_reasons(some, found.result())


def _with_reasons(some: list[Entry], found: list[Checked]) -> list[tuple[Entry, Checked]]:
    return [(entry, entry.reason or one) for entry, one in zip(some, found, strict=True)]


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for its next piece of work for good."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _checked(bodies: Sequence[bytes], collection: str | None) -> list[Checked]:
    """Read documents; runs in a process of its own too."""
    return [_check(body, collection) for body in bodies]


def _check(body: bytes, collection: str | None) -> Checked:
    try:
        if collection is None:
            return read_document(body)
        item = orjson.loads(body)
        reason = _misfit(item, collection)
        if reason is not None:
            return reason
        return read_document(
            body if item.get("collection") is not None else orjson.dumps({**item, "collection": collection})
        )
    except orjson.JSONDecodeError as error:
        return f"no JSON ({error})"
    except InvalidItemError as error:
        return str(error)


def _misfit(item: Any, collection: str) -> str | None:  # noqa: ANN401 - any JSON
    if not isinstance(item, dict) or item.get("type") != "Feature":
        return "no STAC Item; its type must be Feature"
    named = item.get("collection")
    if named is not None and named != collection:
        return f"its collection is {named!r:.100}, not {collection!r}"
    return None


def _put(
    catalog: Catalog, some: Sequence[tuple[Entry, Checked]], rejected: list[Rejected], rejects: Path | None
) -> int:
    """Put those that are right; where the catalog refuses one, each half by itself, down to the one."""
    right = [(entry, one) for entry, one in some if not isinstance(one, str)]
    wrong = [(entry, one) for entry, one in some if isinstance(one, str)]
    count = _put_right(catalog, right, wrong)
    wrong.sort(key=lambda one: one[0].done)
    rejected += [Rejected(place=entry.place, reason=reason) for entry, reason in wrong]
    if wrong and rejects is not None:
        with rejects.open("ab") as file:
            for entry, reason in wrong:
                text = entry.body.decode("utf-8", "replace").strip()
                file.write(orjson.dumps({"place": entry.place, "reason": reason, "document": text}) + b"\n")
    return count


def _put_right(catalog: Catalog, right: list[tuple[Entry, Any]], wrong: list[tuple[Entry, str]]) -> int:
    if not right:
        return 0
    try:
        return catalog.put([document for _, document in right])
    except InvalidItemError as error:
        if len(right) == 1:
            wrong.append((right[0][0], str(error)))
            return 0
        middle = len(right) // 2
        return _put_right(catalog, right[:middle], wrong) + _put_right(catalog, right[middle:], wrong)
