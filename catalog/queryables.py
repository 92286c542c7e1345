"""Which properties a search may name, and what they are: as JSON Schema, from what the collections hold."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from catalog.errors import InvalidSearchError
from catalog.filter import CORE, GEOMETRY, properties_of
from catalog.search import Search
from catalog.summary import PropertySummary, Summary

STANDARD = frozenset({
    "title", "description", "keywords", "created", "updated", "license", "platform", "instruments", "constellation",
    "mission", "gsd", "eo:cloud_cover", "eo:snow_cover", "view:off_nadir", "view:incidence_angle", "view:azimuth",
    "view:sun_azimuth", "view:sun_elevation", "view:moon_azimuth", "view:moon_elevation", "sat:orbit_state",
    "sat:relative_orbit", "sat:absolute_orbit", "sat:platform_international_designator", "sat:anx_datetime",
    "proj:code", "proj:epsg", "processing:level", "processing:datetime", "order:id", "order:status", "order:date",
    "grid:code", "sar:instrument_mode", "sar:frequency_band", "sar:polarizations", "sar:product_type",
    "sar:observation_direction", "published", "expires", "deprecated", "version",
})  # fmt: skip
"""Common metadata and the extensions that most catalogs use: known also where no item has them yet."""


def known_properties(summaries: Mapping[str, Summary], collections: Iterable[str] | None = None) -> frozenset[str]:
    """What a filter or an order may name: in some collections, or in all of them."""
    names = summaries.keys() if collections is None else collections
    held = (summaries[name].properties for name in names if name in summaries)
    return frozenset((*CORE, GEOMETRY, *STANDARD, *(name for properties in held for name in properties)))


def check_properties(search: Search, summaries: Mapping[str, Summary]) -> None:
    """Refuse a name that nothing has: more likely a typing error than a question.

    Raises
    ------
    InvalidSearchError
        The filter or the order names an unknown property; says which one may have been meant.
    """
    known = known_properties(summaries, search.collections)
    asked = {"filter": properties_of(search.filter), "sortby": (key.property for key in search.sortby)}
    for where, names in asked.items():
        for name in names:
            if name not in known or (where == "sortby" and name == GEOMETRY):
                raise InvalidSearchError(f"{where}: no item here has a property {name[:60]!r}{_meant(name, known)}")


def _meant(name: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1) or [
        one for one in sorted(known) if one.partition(":")[2] == name
    ]
    return f"; did you mean {close[0]}?" if close else "; the queryables list those that there are"


_CORE_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "id": {"title": "Id", "type": "string"},
    "collection": {"title": "Collection", "type": "string"},
    "geometry": {"title": "Footprint", "$ref": "https://geojson.org/schema/Geometry.json"},
    "datetime": {"title": "Moment of acquisition, else its start", "type": "string", "format": "date-time"},
    "start_datetime": {"title": "First moment", "type": "string", "format": "date-time"},
    "end_datetime": {"title": "Last moment", "type": "string", "format": "date-time"},
}

_TYPES = {"text": "string", "instant": "string"}
"""Kinds of `catalog.summary` that JSON Schema calls otherwise."""


def queryables(address: str, title: str, summaries: Iterable[Summary]) -> dict[str, Any]:
    """A JSON Schema of everything that a filter may name (OGC 19-079r2, 7; STAC API – Filter)."""
    merged: dict[str, list[PropertySummary]] = {}
    for summary in summaries:
        for name, one in summary.properties.items():
            merged.setdefault(name, []).append(one)
    properties = {name: _schema(ones) for name, ones in sorted(merged.items()) if name not in CORE}
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": address,
        "type": "object",
        "title": title,
        "properties": {**_CORE_SCHEMAS, **properties},
        "additionalProperties": False,
    }


def sortables(address: str, title: str, summaries: Iterable[Summary]) -> dict[str, Any]:
    """The same for what an order may name: all but the geometry, arrays and objects."""
    schema = queryables(address, title, summaries)
    unordered = ("array", "object")
    kept = {
        name: one for name, one in schema["properties"].items() if name != GEOMETRY and one.get("type") not in unordered
    }
    return {**schema, "properties": kept}


def _schema(ones: list[PropertySummary]) -> dict[str, Any]:
    """One property of several collections."""
    kinds = sorted({kind for one in ones for kind in one.kinds})
    types = sorted({_TYPES.get(kind, kind) for kind in kinds} - ({"integer"} if "number" in kinds else set()))
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    if kinds == ["instant"]:
        schema["format"] = "date-time"
    if set(kinds) <= {"integer", "number"}:
        schema["minimum"] = min(one.low for one in ones if one.low is not None)
        schema["maximum"] = max(one.high for one in ones if one.high is not None)
    if kinds == ["text"] and all(one.values is not None for one in ones):
        schema["enum"] = sorted({value for one in ones for value in one.values or ()})
    return schema
