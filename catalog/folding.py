"""Text without its case or its accents, the same in every store (CQL2's CASEI and ACCENTI)."""

import re
import unicodedata
from collections.abc import Callable, Mapping

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
"""Unicode's blocks of combining marks."""


def casei(text: str) -> str:
    """Unicode's full case folding: ``Straße`` and ``STRASSE`` are one (The Unicode Standard, 3.13)."""
    return text.casefold()


def accenti(text: str) -> str:
    """The text without combining marks, after canonical decomposition: ``é`` is ``e``."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))


FOLDS: Mapping[str, Callable[[str], str]] = {"casei": casei, "accenti": accenti}


def words(text: str) -> str:
    """The words of a text, case folded, each between spaces: ``" mont ventoux "``; empty where there are none."""
    found = "".join(char if char.isalnum() else " " for char in text.casefold()).split()
    return f" {' '.join(found)} " if found else ""
