"""DigitalGlobe's plain text: ``key = value;`` lines in ``BEGIN_GROUP = … END_GROUP = …`` (ISD documentation, 3.1.1).

``.RPB``, ``.IMD`` and ``.TIL`` files are written in it, and the ``.rpb`` of Gaofen, Ziyuan and Jilin-1, which leave out
some semicolons.
"""

from collections.abc import Iterator
from pathlib import Path

from processing.errors import SensorModelError
from processing.vendors.sidecar import read_text, shortened

MAX_BYTES = 2_000_000
"""An IMD file has some 5 kB, a TIL file of a thousand tiles some 600 kB."""

_DEEPEST = 4
"""The vendor's files have one level of groups."""


def read(path: Path) -> dict[str, str]:
    """Every value by its lower-case key, with its group before it: ``image.lineoffset`` → ``812``.

    Quotes and the brackets of lists are taken off.

    Raises
    ------
    SensorModelError
        A key comes twice, a group or a list does not end, or it is no text.
    """
    lines = iter(read_text(path, limit=MAX_BYTES, example="lineOffset = 812;").splitlines())
    values: dict[str, str] = {}
    groups: list[str] = []
    for line in lines:
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            continue
        key = name.lower()
        if key == "begin_group":
            groups.append(value.rstrip("; ").lower())
            if len(groups) > _DEEPEST:
                raise SensorModelError(f"{path.name}: groups inside groups; deliver the vendor's own file")
        elif key == "end_group":
            _leave(path.name, groups, value.rstrip("; ").lower())
        else:
            whole = _to_the_end_of_the_list(value, lines)
            if whole is None:
                raise SensorModelError(f"{path.name}: the list {shortened(name)} does not end; deliver the whole file")
            _keep(path.name, values, ".".join([*groups, key]), whole)
    if groups:
        raise SensorModelError(f"{path.name}: the group {groups[-1]} does not end; deliver the whole file")
    return values


def _to_the_end_of_the_list(value: str, lines: Iterator[str]) -> str | None:
    """The value with the lines that belong to its brackets; None where the file ends before them."""
    parts = [value]
    depth = value.count("(") - value.count(")")
    while depth > 0:
        more = next(lines, None)
        if more is None:
            return None
        parts.append(more.strip())
        depth += more.count("(") - more.count(")")
    return " ".join(parts)


def _leave(file: str, groups: list[str], name: str) -> None:
    if not groups or groups[-1] != name:
        raise SensorModelError(f"{file}: END_GROUP = {shortened(name)} ends no group; deliver the whole file")
    groups.pop()


def _keep(file: str, values: dict[str, str], key: str, value: str) -> None:
    if key in values:
        raise SensorModelError(f"{file}: {shortened(key)} comes twice; give it once")
    values[key] = value.rstrip("; \t").strip('"').replace("(", " ").replace(")", " ").strip()
