"""Bytes by key: the files that items point at, in one folder.

A key is ``collection/item/name.tif``. A file appears under its key whole or not at all, and stays after a power
failure: it is written under a temporary name on the same file system, flushed, renamed, and its folder flushed.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from catalog.errors import CatalogError, NotFoundError
from catalog.search import BASE

UNFINISHED = ".unfinished"
"""Folder under the root for files that are being written; no key can name it."""

_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.+=,@~ -]{1,200}")
"""One part of a key; one or two dots alone would climb out of the folder."""

_MAX_SEGMENTS = 8


@dataclass(frozen=True, slots=True)
class AssetFolder:
    """The files of all items under one root folder."""

    root: Path
    """Made on the first write; everything below it belongs to the catalog."""

    def path(self, key: str) -> Path:
        """Where the file of a key lies.

        Raises
        ------
        NotFoundError
            There is no such file, the key is none, or a symbolic link stands in the way.
        """
        missing = NotFoundError(f"asset: there is no {key[:200]!r}; the items list what there is")
        if not _is_key(key):
            raise missing
        path = self.root.resolve()
        for segment in key.split("/"):
            path /= segment
            if path.is_symlink():  # it could lead out of the folder
                raise missing
        if not path.is_file():
            raise missing
        return path

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Give a temporary path to write to; on a clean exit it becomes the file of the key, durably.

        Nothing remains of it, nor of any file beside it, where the block raises.

        Raises
        ------
        CatalogError
            The key is none, or the block wrote nothing.
        """
        if not _is_key(key):
            raise CatalogError(f"asset: {key[:200]!r} is no key; write collection/item/name.tif")
        target = self.root.resolve() / key
        folder = self.root.resolve() / UNFINISHED / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            temporary = folder / target.name
            yield temporary
            if not temporary.is_file():
                raise CatalogError(f"asset: nothing was written for {key!r}")
            _flush(temporary)
            _make_folders(target.parent)
            temporary.replace(target)
            _flush(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def href(self, key: str) -> str:
        """Address of the file as documents hold it."""
        return f"{BASE}/files/{quote(key)}"

    def sweep(self, older_than_s: float) -> int:
        """Remove what writers that died left behind and nobody touched for so many seconds; say how many."""
        swept = 0
        latest = time.time() - older_than_s
        for folder in (self.root / UNFINISHED).glob("*"):
            if _last_touched(folder) <= latest:
                shutil.rmtree(folder, ignore_errors=True)
                swept += not folder.exists()
        return swept


def _is_key(key: str) -> bool:
    segments = key.split("/")
    known = all(_SEGMENT.fullmatch(segment) for segment in segments)
    return known and len(segments) <= _MAX_SEGMENTS and segments[0] != UNFINISHED


def _last_touched(folder: Path) -> float:
    """When anything in a folder last changed, POSIX seconds; its writer may finish while we look."""
    touched = 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            touched = max(touched, path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return touched


def _make_folders(folder: Path) -> None:
    """Make a folder and its parents, each entry durable (fsync(2): a new file's folder needs its own flush)."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush(folder.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
