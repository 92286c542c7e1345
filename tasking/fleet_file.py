"""Files of a fleet: satellites and stations as JSON, or bare element sets."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tasking.errors import InvalidSatelliteError
from tasking.omm import read_elements, write_omm
from tasking.satellite import ElementSet, Satellite, read_element_sets
from tasking.satellite_document import read_satellite, read_station, satellite_document, station_document
from tasking.station import Station


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFile:
    """What a file holds."""

    satellites: tuple[Satellite, ...] = ()
    stations: tuple[Station, ...] = ()

    sets: tuple[tuple[str, ElementSet], ...] = ()
    """Names and element sets that came without a description."""

    def equipped_like(self, pattern: Satellite, known: Collection[str]) -> tuple[Satellite, ...]:
        """Satellites of the bare element sets whose catalog numbers are not known, equipped like another one."""
        newest: dict[str, tuple[str, ElementSet]] = {}
        for name, elements in sorted(self.sets, key=lambda one: one[1].epoch):
            newest[elements.number] = (name, elements)
        return tuple(
            replace(pattern, id=_id(name, elements), title=name[:200] or elements.number, elements=elements)
            for name, elements in newest.values()
            if elements.number not in known
        )


def _id(name: str, elements: ElementSet) -> str:
    """A short name that stays the same: ``pleiades-1a-38012``."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80]
    return elements.number if word in ("", elements.number.lower()) else f"{word}-{elements.number}"


def read_fleet_file(text: str) -> FleetFile:
    """Read JSON with ``satellites``, ``stations``, or two-line sets as a text ``tle``; or bare element sets (TLE, OMM).

    Raises
    ------
    InvalidSatelliteError, ElementSetError
        Something in it is damaged, missing or unknown; the message says what and where.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() & {"satellites", "stations", "tle"}:
        return FleetFile(sets=tuple(read_elements(text)))
    lines = found.get("tle", "")
    if not isinstance(lines, str):
        raise InvalidSatelliteError("tle must be a text of two-line sets")
    lists = {name: found.get(name, []) for name in ("satellites", "stations")}
    for name, values in lists.items():
        if not isinstance(values, list):
            raise InvalidSatelliteError(f"{name} must be a list")
    return FleetFile(
        satellites=tuple(read_satellite(one) for one in lists["satellites"]),
        stations=tuple(read_station(one) for one in lists["stations"]),
        sets=tuple(read_element_sets(lines)),
    )


def write_fleet_file(satellites: Sequence[Satellite], stations: Sequence[Station]) -> str:
    """What `read_fleet_file` reads."""
    document = {
        "satellites": [satellite_document(one) for one in satellites],
        "stations": [station_document(one) for one in stations],
    }
    return json.dumps(document, indent=2) + "\n"


def write_elements(satellites: Sequence[Satellite], form: str) -> str:
    """Names and newest element sets: ``tle`` with a line for the name, or ``omm`` as a JSON list."""
    if form == "omm":
        return json.dumps([write_omm(one.title, one.elements) for one in satellites], indent=2) + "\n"
    return "".join(f"{one.title}\n{one.elements.line1}\n{one.elements.line2}\n" for one in satellites)
