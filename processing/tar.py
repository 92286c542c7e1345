"""The plain files of a tar stream, read once from front to back.

What a delivery needs of the format is little, and Python's own reader follows headers into places that a stranger
should not choose (CVE-2024-6232, CVE-2025-8194). So this one knows files and folders, long names as pax and GNU tar
write them, and nothing else.

Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from gzip import GzipFile
from typing import BinaryIO, Final

from processing.errors import DeliveryError
from processing.limits import damaged

BLOCK: Final = 512

MAX_HEADER_BYTES: Final = 65_536
"""Of an extended header: a name of some thousand letters at most."""

_FILE, _FOLDER, _NEXT, _ALL, _LONG_NAME = b"0\0", b"5", b"x", b"g", b"L"
_KINDS: Final = {
    b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe", b"K": "a link",
    b"S": "a sparse file",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TarEntry:
    """A file or folder; its bytes follow in the stream."""

    name: str
    size: int
    """Bytes."""

    is_folder: bool


class TarStream:
    """The entries of a tar stream and, between two of them, the bytes of the first."""

    def __init__(self, file: BinaryIO | GzipFile, name: str, limit: int) -> None:
        self.file, self.name = file, name
        self.limit = self.left = limit
        """Bytes that the stream may have, and how many of them have not been read."""
        self.rest = 0
        """Bytes of the entry that have not been read, without what fills its last block up."""
        self.fill = 0

    def entries(self) -> Iterator[TarEntry]:
        """In their order.

        Raises
        ------
        DeliveryError
            A header is damaged; an entry is a link, a device, or of a kind that is not known; the stream is too long.
        """
        name: bytes | None = None
        size: int | None = None
        while header := self._header():
            kind = header[156:157]
            length = _number(header[124:136])
            if length is None:
                raise damaged(self.name, "an entry of its tar has no size")
            if kind in (_NEXT, _ALL, _LONG_NAME):
                content = self._extension(length)
                if kind == _LONG_NAME:
                    name = content.rstrip(b"\0")
                elif kind == _NEXT:
                    records = self._records(content)
                    name = records.get(b"path", name)
                    size = int(records[b"size"]) if records.get(b"size", b"").isdigit() else size
                continue
            yield self._entry(header, name, length if size is None else size)
            self._skip()
            name = size = None

    def read(self, most: int) -> bytes:
        """Some bytes of the entry that came last; none at its end."""
        piece = self._take(min(most, self.rest))
        self.rest -= len(piece)
        return piece

    def _entry(self, header: bytes, name: bytes | None, size: int) -> TarEntry:
        kind = header[156:157]
        if name is None:
            prefix = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""
            name = b"/".join(part for part in (prefix, header[:100].split(b"\0")[0]) if part)
        text = name.decode("utf-8", "surrogateescape")
        if kind != _FOLDER and kind not in _FILE:
            what = _KINDS.get(kind, f"of kind {kind!r}")
            raise DeliveryError(f"{self.name}: {text[:200]!r} is {what}; pack plain files and folders only")
        is_folder = kind == _FOLDER or text.endswith("/")
        self.rest = 0 if is_folder else size
        self.fill = -self.rest % BLOCK
        return TarEntry(name=text, size=self.rest, is_folder=is_folder)

    def _header(self) -> bytes | None:
        """The next one that is not empty; None at the end (two empty blocks, or nothing more)."""
        if self.left < BLOCK:
            self._take(self.left + 1)  # says that it is too long where there is more
        block = self._take(BLOCK, whole=False)
        if not block.strip(b"\0"):
            return None
        if len(block) < BLOCK:
            raise damaged(self.name, "its tar ends within a header")
        # The sum of all bytes, those of the sum itself taken for blanks; some old writers took them for signed.
        said, plain = _number(block[148:156]), block[:148] + b" " * 8 + block[156:]
        if said not in (sum(plain), sum(byte - 256 * (byte > 127) for byte in plain)):
            raise damaged(self.name, "a header of its tar has a wrong checksum")
        return block

    def _extension(self, length: int) -> bytes:
        if length > MAX_HEADER_BYTES:
            raise damaged(self.name, f"an extended header of {length} bytes in its tar")
        content = self._take(length)
        self._take(-length % BLOCK)
        return content

    def _records(self, content: bytes) -> dict[bytes, bytes]:
        """Of a pax header: length, blank, key, =, value, line feed; the length that of the whole record in decimal."""
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(content):
            length, _, _ = content[at : at + 8].partition(b" ")
            end = at + int(length) if length.isdigit() else at
            key, equals, value = content[at + len(length) + 1 : end - 1].partition(b"=")
            if not equals or end > len(content) or content[end - 1 : end] != b"\n":
                raise damaged(self.name, "a pax header of its tar has records without an end")
            if key.startswith(b"GNU.sparse."):
                raise DeliveryError(f"{self.name}: a sparse file in it; pack plain files and folders only")
            records[key] = value
            at = end
        return records

    def _skip(self) -> None:
        while self.read(2**16):
            pass
        self._take(self.fill)

    def _take(self, count: int, *, whole: bool = True) -> bytes:
        if count > self.left:
            raise DeliveryError(f"{self.name}: more than {self.limit} bytes in it; deliver it in parts, or unpacked")
        content = self.file.read(count)
        self.left -= len(content)
        if whole and len(content) < count:
            raise damaged(self.name, "its tar ends within a file")
        return content


def _number(field: bytes) -> int | None:
    """Octal digits, or base 256 where the first bit is set (GNU); None for neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    text = field.strip(b"\0 ")
    return int(text or b"0", 8) if not text.strip(b"01234567") else None
