"""Orbit Mean-elements Messages (CCSDS 502.0-B-3) as JSON, XML or CSV, beside two-line element sets.

Elements are kept as two lines, whose digits hold a place to some 10 m, far less than an element set is worth. Catalog
numbers up to 339999 fit, the larger ones with a letter in front (Alpha-5).
"""

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

from defusedxml.ElementTree import fromstring
from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_omm, export_tle
from sgp4.omm import initialize

from tasking.errors import ElementSetError
from tasking.satellite import ElementSet, read_element_sets

_USUAL = {
    "CLASSIFICATION_TYPE": "U",
    "OBJECT_ID": "",
    "EPHEMERIS_TYPE": "0",
    "ELEMENT_SET_NO": "999",
    "REV_AT_EPOCH": "0",
    "MEAN_MOTION_DOT": "0",
    "MEAN_MOTION_DDOT": "0",
}
"""Of members that the standard lets a message leave out."""

_ONLY = {
    "CENTER_NAME": ("EARTH",),
    "REF_FRAME": ("TEME",),
    "TIME_SYSTEM": ("UTC",),
    "MEAN_ELEMENT_THEORY": ("SGP4", "SGP/SGP4"),
}
"""What SGP4 can take; elements of another theory or frame look alike and mean another orbit."""


def read_elements(text: str) -> list[tuple[str, ElementSet]]:
    """Read names and element sets from two-line sets or messages, whichever the text begins like.

    Raises
    ------
    ElementSetError
        Damaged, incomplete, or of another theory or frame than SGP4's; the message says which one and where.
    """
    begin = text.lstrip("\ufeff \t\r\n")
    if begin.startswith(("{", "[")):
        return _read_all(_json_messages(begin))
    if begin.startswith("<"):
        return _read_all(_xml_messages(begin))
    if "," in begin.partition("\n")[0]:
        return _read_all(csv.DictReader(io.StringIO(begin)))
    return read_element_sets(text)


def write_omm(name: str, elements: ElementSet) -> dict[str, Any]:
    """Members of a message, for JSON."""
    satellite = Satrec.twoline2rv(elements.line1, elements.line2, WGS72)
    if not satellite.intldesg.strip():
        satellite.intldesg = "00000"
        return {**export_omm(satellite, name), "OBJECT_ID": ""}
    message: dict[str, Any] = export_omm(satellite, name)
    return message


def _json_messages(text: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ElementSetError(f"OMM: no JSON ({error})") from None
    messages = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in messages):
        raise ElementSetError("OMM: JSON must be one object, or a list of them")
    return messages


def _xml_messages(text: str) -> list[Mapping[str, Any]]:
    try:
        root = fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise ElementSetError(f"OMM: no XML ({error})") from None
    parts = ("metadata", "data/meanElements", "data/tleParameters")
    return [
        {one.tag: one.text for part in parts for one in segment.findall(f"{part}/*")}
        for segment in root.iter("segment")
    ]


def _read_all(messages: Iterable[Mapping[str, Any]]) -> list[tuple[str, ElementSet]]:
    return [_read(number, message) for number, message in enumerate(messages, start=1)]


def _read(number: int, message: Mapping[str, Any]) -> tuple[str, ElementSet]:
    """Name and elements of one message."""
    given = {key: str(value).strip() for key, value in message.items() if value not in (None, "")}
    name = given.get("OBJECT_NAME") or given.get("NORAD_CAT_ID", "")
    where = f"OMM {number} ({name[:40]})"
    for key, allowed in _ONLY.items():
        if given.get(key, allowed[0]).upper() not in allowed:
            raise ElementSetError(f"{where}: {key} is {given[key]!r}; SGP4 takes {allowed[0]} only")
    fields = _USUAL | given
    if "EPOCH" in fields:  # of one form, whatever its fraction and zone
        epoch = fields["EPOCH"].removesuffix("Z")
        fields["EPOCH"] = epoch if "." in epoch else f"{epoch}.0"
    satellite = Satrec()
    try:
        initialize(satellite, fields)
        line1, line2 = export_tle(satellite)
    except KeyError as missing:
        raise ElementSetError(f"{where}: {missing.args[0]} is missing") from None
    except ValueError as error:
        raise ElementSetError(f"{where}: {error}") from None
    return name, ElementSet(line1=line1, line2=line2)
