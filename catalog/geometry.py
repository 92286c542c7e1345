"""Any GeoJSON geometry, read strictly: what is not on Earth, or not a shape, is named."""

import math
from collections.abc import Mapping
from typing import Any

import shapely
from shapely.geometry import GeometryCollection, shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from catalog import antimeridian
from catalog.errors import InvalidExtentError

MAX_VERTICES = 100_000
"""A shape with more vertices is refused: nobody draws one, and every geometric operation on it is a burden."""

MAX_COLLECTION_DEPTH = 5
"""RFC 7946 advises against collections in collections; a few levels do no harm."""

_LEVELS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""Levels of arrays around the positions of each type (RFC 7946, 3.1)."""


def read_geometry(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Read a GeoJSON geometry of any type and cut it at the antimeridian.

    Returns
    -------
    BaseGeometry
        A valid shape of lon, lat degrees inside [-180, 180] × [-90, 90].

    Raises
    ------
    InvalidExtentError
        No geometry, unclosed or self-crossing rings, coordinates off the Earth, too many vertices.
    """
    drawn = parse_geometry(geometry)
    parts = [antimeridian.cut(on_the_globe(leaf)) for leaf in antimeridian.leaves([drawn])]
    return parts[0] if len(parts) == 1 else GeometryCollection(antimeridian.leaves(parts))


def mend_geometry(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Read as `read_geometry` does, but take a self-crossing ring for the areas that it encloses.

    Outlines of delivered scenes cross themselves now and then; a catalog that refused them would lose the scenes.
    """
    drawn = parse_geometry(geometry)
    parts = [antimeridian.cut(shapely.make_valid(_unwrapped(leaf))) for leaf in antimeridian.leaves([drawn])]
    return parts[0] if len(parts) == 1 else GeometryCollection(antimeridian.leaves(parts))


def on_the_globe(drawn: BaseGeometry) -> BaseGeometry:
    """Continue a shape's longitudes past ±180° and check it.

    Raises
    ------
    InvalidExtentError
        It is empty, not valid, has too many vertices, or leaves the Earth.
    """
    whole = _unwrapped(drawn)
    if not whole.is_valid:
        raise InvalidExtentError(f"geometry: not valid ({explain_validity(whole)}); draw it without crossing itself")
    return whole


def _unwrapped(drawn: BaseGeometry) -> BaseGeometry:
    if drawn.is_empty:
        raise InvalidExtentError("geometry: it is empty")
    if shapely.get_num_coordinates(drawn) > MAX_VERTICES:
        raise InvalidExtentError(f"geometry: more than {MAX_VERTICES} vertices; simplify it")
    west, south, east, north = drawn.bounds
    if not all(math.isfinite(edge) for edge in drawn.bounds):
        raise InvalidExtentError("geometry: a coordinate is no number")
    if south < -90 or north > 90:
        raise InvalidExtentError(f"geometry: latitudes {south:g} to {north:g} leave [-90, 90]; the order is lon, lat")
    if west < -360 or east > 360:
        raise InvalidExtentError(f"geometry: longitudes {west:g} to {east:g} are not on Earth")
    return antimeridian.unwrap(drawn)


def parse_geometry(geometry: Mapping[str, Any], depth: int = 0) -> BaseGeometry:
    """Read GeoJSON as it is drawn, heights set aside.

    Raises
    ------
    InvalidExtentError
        It is no GeoJSON geometry.
    """
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind == "GeometryCollection":
        members = geometry.get("geometries")
        if not isinstance(members, list | tuple) or not members:
            raise InvalidExtentError("geometry: a GeometryCollection needs geometries")
        if depth == MAX_COLLECTION_DEPTH:
            raise InvalidExtentError(
                f"geometry: collections nested more than {MAX_COLLECTION_DEPTH} deep; write it flatter"
            )
        return GeometryCollection([parse_geometry(member, depth + 1) for member in members])
    levels = _LEVELS.get(kind) if isinstance(kind, str) else None
    if levels is None:
        raise InvalidExtentError(f"geometry: type {kind!r:.60}; give a GeoJSON geometry ({', '.join(_LEVELS)})")
    if _count(geometry.get("coordinates"), levels) > MAX_VERTICES:  # said before they are all looked at
        raise InvalidExtentError(f"geometry: more than {MAX_VERTICES} vertices; simplify it")
    positions = _positions(geometry.get("coordinates"), levels)
    if levels >= 2 and "Polygon" in str(kind):
        _check_rings(positions if kind == "MultiPolygon" else [positions])
    if "LineString" in str(kind) and any(len(line) < 2 for line in (positions if levels == 2 else [positions])):
        raise InvalidExtentError("geometry: a line has fewer than two positions")
    return shape({"type": kind, "coordinates": positions})


def _count(value: Any, levels: int) -> int:  # noqa: ANN401 - any JSON
    if levels == 0 or not isinstance(value, list | tuple):
        return 1
    return len(value) if levels == 1 else sum(_count(part, levels - 1) for part in value)


def _positions(value: Any, levels: int) -> Any:  # noqa: ANN401 - arrays as deep as the type has them
    if not isinstance(value, list | tuple):
        raise InvalidExtentError(f"geometry: {value!r:.60} where an array of coordinates is due")
    if not value:
        raise InvalidExtentError("geometry: it is empty")
    if levels > 0:
        return [_positions(part, levels - 1) for part in value]
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in value)
    if len(value) < 2 or not numbers or not all(-1e9 < number < 1e9 for number in value[:2]):
        raise InvalidExtentError(f"geometry: {value!r:.60} is no position; write [longitude, latitude]")
    return (float(value[0]), float(value[1]))


def _check_rings(polygons: list[Any]) -> None:
    """Rings are closed and have four positions or more (RFC 7946, 3.1.6), said before shapely mends them silently."""
    for polygon in polygons:
        for ring in polygon:
            if len(ring) < 4:
                raise InvalidExtentError("geometry: a ring has fewer than four positions")
            if ring[0] != ring[-1]:
                raise InvalidExtentError("geometry: a ring is not closed; its last position must repeat its first")
