"""Files and folders that are whole and survive a power cut, or are not there at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote


def name_of(identifier: str) -> str:
    """A file name that belongs to this identifier alone."""
    return quote(identifier, safe="").replace(".", "%2E")


def flush(path: Path) -> None:
    """Put a file's bytes or a folder's entries onto the disk (fsync(2): a new entry needs its folder's own flush)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document whole: into a neighbour, flushed, renamed into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}")
    with neighbour.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    neighbour.replace(path)
    flush(path.parent)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder on the same file system, and see that it stays so.

    Raises
    ------
    OSError
        The target exists and is not empty, or lies on another file system.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    flush(target.parent)
    flush(source.parent)
