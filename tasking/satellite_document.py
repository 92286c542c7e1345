"""Satellites and stations as JSON documents, for files and for the API."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args

from tasking.errors import ElementSetError, InvalidSatelliteError
from tasking.omm import read_elements
from tasking.satellite import Agility, Band, ElementSet, Resources, Satellite, Sensor
from tasking.station import Station

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", flags=re.ASCII)

_Value = TypeVar("_Value", Agility, Resources, Sensor, Band, Station)

Document = Mapping[str, Any]


def satellite_document(satellite: Satellite) -> dict[str, Any]:
    """What `read_satellite` reads."""
    return {
        "id": satellite.id,
        "title": satellite.title,
        "elements": [satellite.elements.line1, satellite.elements.line2],
        **description(satellite),
    }


def description(satellite: Satellite) -> dict[str, Any]:
    """All but its name and where it flies."""
    sensor = _plain(satellite.sensor) | {
        "bands": [_plain(band) for band in satellite.sensor.bands],
        "pan": _plain(satellite.sensor.pan),
    }
    return {"sensor": sensor, "agility": _plain(satellite.agility), "resources": _plain(satellite.resources)}


def read_satellite(document: object) -> Satellite:
    """A satellite of a document.

    Raises
    ------
    InvalidSatelliteError
        A member is missing, unknown, of another kind or out of bounds.
    """
    given = _object(document, "satellite")
    name = given.get("id")
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise InvalidSatelliteError(f"satellite: id {name!r:.80}; give letters, digits, '.', '_' or '-', at most 100")
    title = given.get("title", name)
    if not isinstance(title, str) or not 0 < len(title) <= 200:
        raise InvalidSatelliteError(f"satellite {name}: title must be a text of 1 to 200 characters")
    return Satellite(
        id=name,
        title=title,
        elements=read_set(given.get("elements"), f"satellite {name}"),
        **read_description(given, f"satellite {name}"),
    )


def read_description(given: Document, where: str) -> dict[str, Any]:
    """Sensor, agility and resources of a document."""
    sensor = dict(_object(given.get("sensor"), f"{where}: sensor"))
    bands = sensor.get("bands")
    if not isinstance(bands, list) or not bands:
        raise InvalidSatelliteError(f"{where}: sensor: bands must be a list of at least one")
    sensor["bands"] = tuple(_read(Band, band, f"{where}: band {i}") for i, band in enumerate(bands, start=1))
    sensor["pan"] = _read(Band, sensor.get("pan"), f"{where}: pan")
    return {
        "sensor": _read(Sensor, sensor, f"{where}: sensor"),
        "agility": _read(Agility, given.get("agility"), f"{where}: agility"),
        "resources": _read(Resources, given.get("resources", {}), f"{where}: resources"),
    }


def read_set(given: object, where: str) -> ElementSet:
    """An element set: two lines, or a message's members."""
    try:
        if isinstance(given, list) and len(given) == 2 and all(isinstance(line, str) for line in given):
            return ElementSet(line1=given[0], line2=given[1])
        if isinstance(given, Mapping):
            import json

            return read_elements(json.dumps(given))[0][1]
    except ElementSetError as error:
        raise InvalidSatelliteError(f"{where}: {error}") from None
    raise InvalidSatelliteError(f"{where}: elements must be two lines, or the members of an OMM")


def station_document(station: Station) -> dict[str, Any]:
    """What `read_station` reads."""
    return _plain(station) | {"mask": [list(pair) for pair in station.mask]}


def read_station(document: object) -> Station:
    """A station of a document.

    Raises
    ------
    InvalidSatelliteError
        A member is missing, unknown, of another kind or out of bounds.
    """
    given = dict(_object(document, "station"))
    name = given.get("id")
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise InvalidSatelliteError(f"station: id {name!r:.80}; give letters, digits, '.', '_' or '-', at most 100")
    given.setdefault("title", name)
    if "mask" in given:
        pairs = given["mask"]
        if not isinstance(pairs, list) or not all(
            isinstance(one, list) and len(one) == 2 and all(_number(value) for value in one) for one in pairs
        ):
            raise InvalidSatelliteError(f"station {name}: mask must be a list of [azimuth, elevation] in degrees")
        given["mask"] = tuple((float(azimuth), float(elevation)) for azimuth, elevation in pairs)
    return _read(Station, given, f"station {name}")


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any of our dataclasses
    return {one.name: getattr(value, one.name) for one in fields(value)}


def _object(given: object, where: str) -> Document:
    if not isinstance(given, Mapping):
        raise InvalidSatelliteError(f"{where} must be an object, not {type(given).__name__}")
    return given


def _read(kind: type[_Value], given: object, where: str) -> _Value:
    """A dataclass of members that bear the names of its fields."""
    members = _object(given, where)
    known = {one.name: one for one in fields(kind)}
    unknown = sorted(members.keys() - known.keys())
    if unknown:
        raise InvalidSatelliteError(f"{where}: {unknown[0]!r:.60} is unknown; there are {', '.join(known)}")
    for name, value in members.items():
        _check(known[name].type, value, f"{where}: {name}")
    try:
        return kind(**members)
    except TypeError:
        needed = [one for one in kind.__match_args__ or known if one not in members]
        lacking = [name for name in known if name not in members and name in _needed(kind)]
        raise InvalidSatelliteError(f"{where}: {', '.join(lacking or needed)} missing") from None


def _needed(kind: type[Any]) -> set[str]:
    from dataclasses import MISSING

    return {one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING}


def _check(kind: Any, value: object, where: str) -> None:  # noqa: ANN401 - an annotation
    """Judge a member by its field's annotation."""
    options = get_args(kind)
    if type(None) in options:
        if value is None:
            return
        kind, options = options[0], ()
    if kind in (float, int):
        if not _number(value) or (kind is int and value != int(value)):  # type: ignore[call-overload]
            raise InvalidSatelliteError(f"{where} must be a number, not {value!r:.60}")
        return
    if kind is str and not (isinstance(value, str) and 0 < len(value) <= 200):
        raise InvalidSatelliteError(f"{where} must be a text of 1 to 200 characters")
    if options and isinstance(options[0], str) and value not in options:
        raise InvalidSatelliteError(f"{where}: {value!r:.60}; give one of {', '.join(options)}")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
