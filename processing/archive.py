"""A delivery that came in one file: ZIP, or tar with or without gzip, unpacked whole or not at all.

    scene.zip ─► .scene-….unpacking/ ─► each member checked, written, flushed ─► renamed to the delivery's folder

An archive may name places outside, links, devices, one file twice, or unpack to a thousand times its size. Names are
taken for what they say and never repaired: whoever sends such an archive is told what is wrong with it.

Sources: PKWARE APPNOTE 6.3.10; D. Fifield, "A better zip bomb" (WOOT 2019), for members that share their bytes.
"""

import gzip
import os
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from processing.errors import DeliveryError
from processing.limits import MAX_BYTES, damaged
from processing.tar import TarStream

MAX_MEMBERS: Final = 100_000
"""Files and folders of an archive."""

MAX_NAME: Final = 1000
"""Letters of a member's name, its folders included."""

MAX_RATIO: Final = 100
"""Unpacked bytes for each byte of the archive; pictures come to ten."""

FREE_BYTES: Final = 2**28
"""What any archive may unpack to: texts shrink further than pictures."""

_CONTENTS_BYTES: Final = 2**25
"""Of a ZIP's table of contents, which is read as a whole."""

_END: Final = struct.Struct("<4s4H2IH")
"""Of a ZIP's last record: signature, disks, members on this disk, members, bytes and place of the contents, comment."""

_CHUNK: Final = 2**20

_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_BROKEN: Final = (
    zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError,
)  # fmt: skip
"""What Python's readers raise where an archive is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A file or folder of an archive."""

    name: str
    is_folder: bool
    read: Callable[[int], bytes]
    """Gives at most so many further bytes, none at the end."""


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive that can be unpacked."""
    with path.open("rb") as file:
        return _kind(file) is not None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a new folder, which is there with everything in it or not at all.

    Where everything lies in one folder, as archives often have it, that folder is left out: what it holds is what the
    new folder holds.

    Parameters
    ----------
    folder
        Does not exist; the folder that it will lie in does.

    Returns
    -------
    The new folder.

    Raises
    ------
    DeliveryError
        It is no archive, is damaged or encrypted, unpacks to too much, or has a member that is no plain file inside it.
        Nothing remains.
    """
    if not archive.is_file():
        raise DeliveryError(f"{archive.name}: there is no such file")
    if folder.exists():
        raise DeliveryError(f"{archive.name}: {folder.name} is there already; move it away or give another name")
    limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * archive.stat().st_size))
    temporary: Path | None = None
    try:
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-", suffix=".unpacking"))
        content = temporary / "content"
        content.mkdir()
        with archive.open("rb") as file:
            _write(_members(file, archive.name, limit), content, archive.name, limit)
        _inner(content).rename(folder)
        _flush(folder.parent)
    except _BROKEN as error:
        raise damaged(archive.name, f"no archive that can be read ({error})") from None
    except OSError as error:
        raise DeliveryError(f"{archive.name}: cannot be unpacked beside {folder.name} ({error.strerror})") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _kind(file: BinaryIO) -> str | None:
    start = file.read(512)
    file.seek(0)
    if start[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    if start[:3] == b"\x1f\x8b\x08":
        return "gzip"
    return "tar" if start[257:262] == b"ustar" else None


def _members(file: BinaryIO, name: str, limit: int) -> Iterator[_Member]:
    match _kind(file):
        case "zip":
            return _zip_members(file, name, limit)
        case "gzip":
            return _tar_members(TarStream(gzip.GzipFile(fileobj=file), name, limit))
        case "tar":
            return _tar_members(TarStream(file, name, limit))
        case _:
            raise DeliveryError(f"{name}: no archive that is known; give ZIP, tar or tar.gz")


def _tar_members(stream: TarStream) -> Iterator[_Member]:
    for entry in stream.entries():
        yield _Member(name=entry.name, is_folder=entry.is_folder, read=stream.read)


def _zip_members(file: BinaryIO, name: str, limit: int) -> Iterator[_Member]:
    _check_contents(file, name)
    with zipfile.ZipFile(file) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        for one, other in pairwise(infos):
            if one.header_offset + one.compress_size >= other.header_offset:
                raise damaged(name, f"{_shown(one.orig_filename)} and {_shown(other.orig_filename)} share their bytes")
        if sum(info.file_size for info in infos) > limit:
            raise _too_much(name, limit)
        for info in infos:
            _check_info(name, info)
            with archive.open(info) as opened:
                # `zipfile` ends its own name at a zero byte, and turns separators.
                yield _Member(name=info.orig_filename, is_folder=info.is_dir(), read=opened.read)


def _check_contents(file: BinaryIO, name: str) -> None:
    """Bound the table of contents before it is read: it is found from the end, as `zipfile` does (APPNOTE, 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _END.size - 2**16, 0))
    end = file.read()
    file.seek(0)
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) - at < _END.size:
        raise damaged(name, "a ZIP without a table of contents")
    _, _, _, _, members, length, _, _ = _END.unpack_from(end, at)
    locator = end[max(at - 20, 0) : at]
    if locator[:4] == b"PK\6\7":  # 64 bit (4.3.15): the numbers stand in a record of their own
        file.seek(min(int.from_bytes(locator[8:16], "little"), size))
        record = file.read(56)
        file.seek(0)
        members, length = (int.from_bytes(record[start : start + 8], "little") for start in (32, 40))
    if members > MAX_MEMBERS or length > _CONTENTS_BYTES:
        raise _too_many(name)


def _check_info(name: str, info: zipfile.ZipInfo) -> None:
    """Refuse a member that is encrypted, no plain file or folder, or compressed in a rare way."""
    shown, kind = _shown(info.orig_filename), stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x2041:  # encrypted, strongly, with its header hidden (4.4.4)
        raise DeliveryError(f"{name}: {shown} is encrypted; pack it without a password")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > info.is_dir():
        raise DeliveryError(f"{name}: {shown} is a link or a special file; pack plain files and folders only")
    if info.compress_type not in _METHODS:
        raise DeliveryError(f"{name}: {shown} is compressed by method {info.compress_type}; pack it with deflate")


def _write(members: Iterator[_Member], folder: Path, name: str, limit: int) -> None:
    """Write files and folders whose names are all different and lie in the folder."""
    spelled: dict[str, tuple[tuple[str, ...], bool]] = {}
    left = limit
    for count, member in enumerate(members):
        if count == MAX_MEMBERS:
            raise _too_many(name)
        parts = _parts(name, member.name)
        for depth in range(1, len(parts) + 1):
            _claim(name, spelled, parts[:depth], is_folder=depth < len(parts) or member.is_folder)
        path = folder.joinpath(*parts)
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        if not parts:
            raise DeliveryError(f"{name}: a file without a name in it; pack it anew")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while piece := member.read(_CHUNK):
                left -= len(piece)
                if left < 0:
                    raise _too_much(name, limit)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())


def _claim(
    name: str, spelled: dict[str, tuple[tuple[str, ...], bool]], parts: tuple[str, ...], *, is_folder: bool
) -> None:
    """Note a path; refuse one that is there already, also where only case or accents are written otherwise."""
    key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
    known = spelled.get(key)
    spelled[key] = (parts, is_folder)
    if known is not None and (not is_folder or known != (parts, True)):
        raise DeliveryError(f"{name}: {_shown('/'.join(parts))} comes twice; pack each file once")


def _parts(name: str, member: str) -> tuple[str, ...]:
    """The folders and the file of a member's name, which lead nowhere else."""
    parts = tuple(part for part in member.split("/") if part not in ("", "."))
    if member.startswith("/") or ".." in parts or "\\" in member or member[1:2] == ":":
        raise DeliveryError(f"{name}: {_shown(member)} leads out of its folder; pack names inside it, divided by /")
    printable = all(unicodedata.category(letter)[0] != "C" for letter in member)
    if not member or not printable or len(member) > MAX_NAME or any(len(part.encode()) > 255 for part in parts):
        raise DeliveryError(f"{name}: {_shown(member)} is no usable name; give short ones of letters and digits")
    return parts


def _inner(content: Path) -> Path:
    """The one folder that holds everything, if there is one."""
    inside = list(content.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else content


def _flush(folder: Path) -> None:
    """Make a folder's entries last (fsync(2): they need a flush of their own)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _too_much(name: str, limit: int) -> DeliveryError:
    return DeliveryError(
        f"{name}: it unpacks to more than {limit} bytes, {MAX_RATIO} times its size; deliver it in parts, or unpacked"
    )


def _too_many(name: str) -> DeliveryError:
    return DeliveryError(f"{name}: more than {MAX_MEMBERS} files in it; deliver it in parts, or unpacked")


def _shown(member: str) -> str:
    return repr(member if len(member) <= 200 else f"{member[:200]}…")
