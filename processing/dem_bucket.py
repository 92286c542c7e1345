"""DEM tiles of a bucket, in a folder of this machine that holds only what was needed of them.

    bucket ─► list ─► folder: each tile at its full length, with its first bytes only (a sparse file)
                        └─► first read of a tile ─► the whole of it takes the place of the sparse one

So headers are read, and places found, as if the tiles lay here, and of a planet's tiles only those under the scenes
come over. Beside a tile that is not whole stands ``.NAME.remote`` with an address that is signed for a day: whoever
shares the folder, a worker without keys too, can fetch it.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from processing.bucket import Bucket, get
from processing.errors import DeliveryError, HeightsError, OutputError
from processing.exchange import exchange
from processing.height_files import is_tile
from processing.tiff_layout import read_layout

HEAD_BYTES: Final = 65_536
"""Of a GeoTIFF, at once: its directories, where they stand before the cells, as in every COG."""

MAX_TILES: Final = 100_000
"""More objects under one address are no DEM; Copernicus has 26,000 of 30 m for the whole Earth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Object:
    key: str
    size: int
    tag: str
    """Changes with the content."""


def mirror(bucket: Bucket, prefix: str, folder: Path) -> Path:
    """Bring a folder in line with the tiles under a prefix; gives the folder, or the tile where it is one object.

    Parameters
    ----------
    prefix
        A key, or what keys begin with: ``GLO-30/``.
    folder
        Of this machine, for this prefix alone; workers on other machines must see it under the same path.

    Raises
    ------
    HeightsError
        There is no tile, or the bucket does not let us.
    """
    try:
        objects = [one for one in _listed(bucket, prefix) if one.key == prefix or is_tile(PurePosixPath(one.key).name)]
        if not objects:
            raise HeightsError(
                f"s3://{bucket.name}/{prefix}: no tile there; give the key of one, or what their keys begin with"
            )
        wanted = {folder / one.tag / PurePosixPath(one.key).name: one for one in objects}
        for path, one in wanted.items():
            _place(bucket, one, path)
    except OutputError as error:
        raise HeightsError(f"DEM: {error}") from None
    except OSError as error:
        raise HeightsError(f"{folder.name}: tiles cannot be kept there ({error.strerror})") from None
    for path in folder.glob("*/*"):
        if path not in wanted and not path.name.startswith("."):  # changed or gone in the bucket
            path.unlink(missing_ok=True)
            _note(path).unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
    return next(iter(wanted)) if len(wanted) == 1 else folder


def fetch(path: Path) -> None:
    """Make a tile whole, where it is one of a mirror and is not yet.

    Raises
    ------
    HeightsError
        It cannot be fetched.
    """
    note = _note(path)
    try:
        address = note.read_text()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HeightsError(f"{path.name}: {note.name} cannot be read ({error.strerror})") from None
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        data = exchange("GET", address).body
        expected = path.stat().st_size
        if len(data) != expected:
            raise HeightsError(f"{path.name}: {len(data)} bytes came, not {expected}; it changed, open it again")
        part.write_bytes(data)
        part.replace(path)
        note.unlink(missing_ok=True)
    except OutputError as error:
        raise HeightsError(f"DEM: {error}") from None
    except OSError as error:
        raise HeightsError(f"{path.name}: it cannot be kept ({error.strerror})") from None
    finally:
        part.unlink(missing_ok=True)


def _place(bucket: Bucket, one: _Object, path: Path) -> None:
    """The tile, whole or not, with an address by which it can be fetched from now on."""
    note = _note(path)
    if path.exists() and not note.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_privately(note, bucket.sign("GET", one.key))
    if path.exists():
        return
    alone = path.name.lower().endswith(".hgt")  # its name and size say all of its place
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with part.open("wb") as file:
        if one.size and not alone:
            file.write(get(bucket.sign("GET", one.key), 0, min(HEAD_BYTES, one.size)))
        file.truncate(one.size)
    part.replace(path)
    if not alone and not _has_header(path):
        fetch(path)


def _has_header(path: Path) -> bool:
    """Whether the first bytes of a tile hold all that says where and how its cells lie."""
    try:
        layout = read_layout(path)
    except DeliveryError:
        return False
    if layout is None or not all(layout.directories):
        return False
    entries = [entry for directory in layout.directories for entry in directory.values()]
    return all(
        entry.at + entry.count * np.dtype(f"{layout.order}{entry.kind}").itemsize <= HEAD_BYTES for entry in entries
    )


def _write_privately(path: Path, text: str) -> None:
    """A file that only its owner reads: a signed address is a key for a day."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    part.replace(path)


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.remote")


def _listed(bucket: Bucket, prefix: str) -> Iterator[_Object]:
    """The objects whose keys begin so (ListObjectsV2)."""
    found, more = 0, ""
    while True:
        query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": more} if more else {})
        answer = exchange("GET", bucket.sign("GET", "", query))
        try:
            page = fromstring(answer.body)
        except (ParseError, DefusedXmlException):
            raise HeightsError(f"s3://{bucket.name}: no list of objects came; is its endpoint one of S3?") from None
        for one in page.iterfind("{*}Contents"):
            found += 1
            if found > MAX_TILES:
                raise HeightsError(f"s3://{bucket.name}/{prefix}: more than {MAX_TILES} objects; give a longer prefix")
            tag = "".join(letter for letter in one.findtext("{*}ETag", "") if letter.isalnum())
            yield _Object(key=one.findtext("{*}Key", ""), size=int(one.findtext("{*}Size", "0")), tag=tag or "untagged")
        more = page.findtext("{*}NextContinuationToken", "")
        if not more:
            return
