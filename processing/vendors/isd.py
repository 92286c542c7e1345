"""DigitalGlobe's XML (``<isd>``), which holds what the ``.IMD`` and ``.RPB`` files hold, tags in capitals.

Lists stand one element deeper (``LINENUMCOEFList/LINENUMCOEF``). ISD documentation, 3.1.2; GDAL
(reader_digital_globe.cpp) reads ``RPB`` and ``IMD`` from it where there are no such files.
"""

from pathlib import Path
from xml.etree.ElementTree import Element

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpb
from processing.vendors.sidecar import read_xml

ROOT = "isd"


def read(path: Path) -> Rpc:
    """The sensor model of an ISD file; pixel (0, 0) is the centre of the first pixel.

    Raises
    ------
    SensorModelError
        It is no such file, has no RPB, or a value is missing, given twice or no number.
    """
    return from_root(path.name, read_xml(path))


def from_root(file: str, root: Element) -> Rpc:
    """The model below the root of an ISD file.

    Raises
    ------
    SensorModelError
        As `read`.
    """
    found = root.findall("RPB")
    if len(found) != 1:
        raise SensorModelError(f"{file}: {len(found)} elements RPB below {root.tag[:40]}; give an ISD file with one")
    return rpb.from_fields(file, fields(file, found[0]))


def fields(file: str, group: Element) -> dict[str, str]:
    """The leaves of a group by lower-case key, as `pvl.read` gives those of the plain file.

    The elements of a list, one or many, are one value.

    Raises
    ------
    SensorModelError
        An element that is no list comes twice.
    """
    values: dict[str, str] = {}
    todo = [(element, element.tag.lower()) for element in reversed(group)]
    while todo:
        element, key = todo.pop()
        listed = key.endswith("list")
        if len(element) and not listed:
            todo += [(child, f"{key}.{child.tag.lower()}") for child in reversed(element)]
            continue
        key = key.removesuffix("list")
        if key in values:
            raise SensorModelError(f"{file}: {key[:40]!r} comes twice; give it once")
        values[key] = " ".join(part.text or "" for part in (element if listed else [element])).strip()
    return values
