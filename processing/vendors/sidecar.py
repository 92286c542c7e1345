"""A vendor's small file, read whole and within bounds.

Whatever a file holds, reading it ends in its text or in a `SensorModelError`: no more than a bound is read, numbers
have a few dozen characters, and XML comes without entities and with a bounded number of elements.
"""

import math
import re
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from processing.errors import SensorModelError

MAX_XML_BYTES: Final = 20_000_000
"""A DigitalGlobe ISD file with ephemeris and attitudes has up to some MB, a DIMAP RPC file 13 kB."""

MAX_ELEMENTS: Final = 200_000
"""The same ISD file has some thousands; more would only fill the memory."""

MAX_DEPTH: Final = 32
"""Elements inside elements; the vendors' files have up to ten."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", flags=re.ASCII)

_LONGEST_NUMBER = 64

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def read_bytes(path: Path, *, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes.

    Raises
    ------
    SensorModelError
        It is no regular file, cannot be read, or is larger.
    """
    content = read_head(path, count=limit + 1)
    if len(content) > limit:
        raise SensorModelError(f"{path.name}: more than {limit} bytes; a file of this kind has far less")
    return content


def read_head(path: Path, *, count: int) -> bytes:
    """The first bytes of a regular file.

    Raises
    ------
    SensorModelError
        It is no regular file, or cannot be read.
    """
    try:
        if not path.is_file():
            raise SensorModelError(f"{path.name}: there is no such file; name one that lies beside the raster")
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SensorModelError(f"{path.name}: cannot be read ({reason}); give a plain, readable file") from None


def read_text(path: Path, *, limit: int, example: str) -> str:
    """The text of a file, bytes beyond ASCII (a customer's name, a remark) replaced.

    Raises
    ------
    SensorModelError
        As `read_bytes`; or it holds control bytes, as binary files and UTF-16 do.
    """
    content = read_bytes(path, limit=limit)
    if _CONTROL.search(content):
        raise SensorModelError(f"{path.name}: no plain text; give lines such as {example!r}")
    return content.decode("ascii", errors="replace")


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises
    ------
    SensorModelError
        As `read_bytes`; or it is not well-formed, has entities, or is larger or deeper than any vendor's.
    """
    content = read_bytes(path, limit=MAX_XML_BYTES)
    parser = DefusedXMLParser(target=_BoundedTree())
    try:
        parser.feed(content)
        root: Element = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise SensorModelError(
            f"{path.name}: no readable XML ({reason}); give the file as the vendor delivered it"
        ) from None
    return root


def number(text: str | None, *, what: str) -> float:
    """A decimal number as every language writes it; ``what`` names it in the message: ``a.RPB: lineOffset``.

    Raises
    ------
    SensorModelError
        It is none: empty, NaN, a word, too long or too large.
    """
    stripped = (text or "").strip()
    if len(stripped) > _LONGEST_NUMBER or not _NUMBER.fullmatch(stripped) or math.isinf(float(stripped)):
        raise SensorModelError(f"{what} is {shortened(text)}; give a number")
    return float(stripped)


def numbers(text: str | None, *, count: int, what: str) -> list[float]:
    """So many numbers, apart by blanks or commas.

    Raises
    ------
    SensorModelError
        There are more or fewer, or one is none.
    """
    parts = (text or "").replace(",", " ").split()
    if len(parts) != count:
        raise SensorModelError(f"{what} holds {len(parts)} values; give {count} numbers")
    return [number(part, what=what) for part in parts]


def shortened(text: str | None) -> str:
    """What was found, for a message."""
    return repr(text if text is None or len(text) <= 40 else f"{text[:40]}…")


class _BoundedTree(TreeBuilder):
    """Gives up where a small file would become a large tree."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = 0
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        """Count the element."""
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_ELEMENTS} elements, or {MAX_DEPTH} inside each other")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> Element:
        """Leave the element."""
        self._depth -= 1
        return super().end(tag)
