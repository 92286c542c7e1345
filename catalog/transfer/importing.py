"""Items in bulk into a catalog: batch by batch, naming every one that does not fit, going on where it was stopped."""

import gc
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple, Self

import orjson

from catalog.document import CollectionDocument, ItemDocument, read_document
from catalog.errors import InvalidItemError
from catalog.search import Catalog
from catalog.transfer.sources import Piece, Source, open_source

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""

BATCH = 10_000
"""Items of one transaction. In a small one each index is written nearly as a whole for a few Items of each page."""

PIECE = 1_000
"""Items that are checked in one go."""

AHEAD = 3 * BATCH // PIECE
"""Pieces that are checked, or wait for it, while others are written."""

PARALLEL_BYTES = 2**25
"""A larger source is checked by further processes while this one writes."""

Checked = CollectionDocument | ItemDocument | str
"""A document, or why it is none."""


class _Found(NamedTuple):
    """An entry of a source, checked."""

    place: str
    done: int
    checked: Checked


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pieces of a source, checked; the text of an entry is read again where it is asked for."""

    pieces: Sequence[tuple[Piece, Sequence[_Found]]]

    def found(self) -> list[_Found]:
        return [one for _, found in self.pieces for one in found]

    def texts(self, places: set[str]) -> dict[str, bytes]:
        return {
            entry.place: entry.body
            for piece, found in self.pieces
            if any(one.place in places for one in found)
            for entry in piece.entries()
        }


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
        stack.enter_context(_uncollected())
        stack.enter_context(getattr(catalog, "bulk", nullcontext)())
        checking = stack.enter_context(_Checking(source, name))
        size = min(batch, PIECE)
        pieces = checking.pieces(source.pieces(note.done, size))
        while some := list(islice(pieces, batch // size)):
            found = [one for _, part in some for one in part]
            report.imported += _put(catalog, _Batch(some), report.rejected, rejects)
            note.write(note.done + len(found), report.rejected_before + len(report.rejected))
            if progress is not None:
                progress("import", found[-1].done, source.total)
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
    """Checks pieces, in order; of a large source in other processes too, ahead of who waits for them."""

    def __init__(self, source: Source, collection: str | None) -> None:
        self._collection = collection
        large = source.path.is_file() and source.path.stat().st_size > PARALLEL_BYTES
        self._workers = max(1, (os.cpu_count() or 1) - 1) if large else 0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._workers:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=get_context("spawn"), initializer=_start_checking
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def pieces(self, pieces: Iterator[Piece]) -> Iterator[tuple[Piece, list[_Found]]]:
        """Each with what is found in it."""
        if self._pool is None:
            yield from ((piece, _check_piece(piece, self._collection)) for piece in pieces)
            return
        ahead: deque[tuple[Piece, Future[list[_Found]]]] = deque()
        while True:
            for piece in islice(pieces, AHEAD - len(ahead)):
                ahead.append((piece, self._pool.submit(_check_piece, piece, self._collection)))
            if not ahead:
                return
            piece, future = ahead.popleft()
            if not future.done():
                self._help(ahead)
            yield piece, future.result()

    def _help(self, ahead: deque[tuple[Piece, Future[list[_Found]]]]) -> None:
        """Rather than wait, check what is furthest from its turn."""
        for place in range(len(ahead) - 1, -1, -1):
            piece, future = ahead[place]
            if future.cancel():
                mine: Future[list[_Found]] = Future()
                mine.set_result(_check_piece(piece, self._collection))
                ahead[place] = piece, mine
                return


@contextmanager
def _uncollected() -> Iterator[None]:
    """Documents hold no cycles; to look for some among so many objects is a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _start_checking() -> None:
    """A process whose parent was killed would wait for its next piece of work for good."""
    gc.disable()

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _check_piece(piece: Piece, collection: str | None) -> list[_Found]:
    """Read a piece; runs in a process of its own too."""
    return [_Found(one.place, one.done, one.reason or _check(one.body, collection)) for one in piece.entries()]


def _check(body: bytes, collection: str | None) -> Checked:
    try:
        return read_document(body, collection=collection)
    except InvalidItemError as error:
        return str(error)


def _put(catalog: Catalog, batch: _Batch, rejected: list[Rejected], rejects: Path | None) -> int:
    """Put those that are right; where the catalog refuses one, each half by itself, down to the one."""
    found = batch.found()
    wrong = [one for one in found if isinstance(one.checked, str)]
    count = _put_right(catalog, [one for one in found if not isinstance(one.checked, str)], wrong)
    if not wrong:
        return count
    wrong.sort(key=lambda one: one.done)
    rejected += [Rejected(place=one.place, reason=str(one.checked)) for one in wrong]
    if rejects is not None:
        texts = batch.texts({one.place for one in wrong})
        with rejects.open("ab") as file:
            for one in wrong:
                text = texts[one.place].decode("utf-8", "replace").strip()
                file.write(orjson.dumps({"place": one.place, "reason": one.checked, "document": text}) + b"\n")
    return count


def _put_right(catalog: Catalog, right: list[_Found], wrong: list[_Found]) -> int:
    if not right:
        return 0
    try:
        return catalog.put([one.checked for one in right])
    except InvalidItemError as error:
        if len(right) == 1:
            wrong.append(right[0]._replace(checked=str(error)))
            return 0
        middle = len(right) // 2
        return _put_right(catalog, right[:middle], wrong) + _put_right(catalog, right[middle:], wrong)
