"""Any GeoJSON geometry, read strictly: what is not on Earth, or not a shape, is named."""

import math
import struct
from collections.abc import Mapping
from typing import Any

import shapely
from shapely.geometry import GeometryCollection, shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from catalog import antimeridian
from catalog.antimeridian import Box
from catalog.errors import InvalidExtentError

MAX_VERTICES = 100_000
"""A shape with more vertices is refused: nobody draws one, and every geometric operation on it is a burden."""

MAX_COLLECTION_DEPTH = 5
"""RFC 7946 advises against collections in collections; a few levels do no harm."""

MIN_TURN_DEG2 = 1e-9
"""A corner that turns by less is not told from a straight one by rounded arithmetic."""

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
    return _together(drawn, [antimeridian.cut(on_the_globe(leaf)) for leaf in antimeridian.leaves([drawn])])


def mend_geometry(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Read as `read_geometry` does, but take a self-crossing ring for the areas that it encloses.

    Outlines of delivered scenes cross themselves now and then; a catalog that refused them would lose the scenes.
    """
    drawn = parse_geometry(geometry)
    leaves = antimeridian.leaves([drawn])
    return _together(drawn, [antimeridian.cut(shapely.make_valid(_unwrapped(leaf))) for leaf in leaves])


def _together(drawn: BaseGeometry, parts: list[BaseGeometry]) -> BaseGeometry:
    """The parts of a shape as one again: a collection stays one, everything else is what its points make."""
    if len(parts) == 1:
        return parts[0]
    if drawn.geom_type == "GeometryCollection":
        return GeometryCollection(antimeridian.leaves(parts))
    return shapely.union_all(parts)


_QUADRILATERAL = struct.Struct("<BIII10d")
"""Well-known binary of a polygon of one ring of five positions (OGC 06-103r4, 8.2)."""


def plain_quadrilateral(geometry: Mapping[str, Any]) -> tuple[bytes, Box] | None:
    """WKB and bounds of a convex quadrilateral away from ±180° and the poles; None for every other geometry.

    One whose four corners all turn the same way does not cross itself, so that it is valid without a closer look.
    """
    rings = geometry.get("coordinates") if isinstance(geometry, Mapping) and geometry.get("type") == "Polygon" else None
    if not isinstance(rings, list) or len(rings) != 1 or not isinstance(rings[0], list) or len(rings[0]) != 5:
        return None
    try:
        (ax, ay), (bx, by), (cx, cy), (dx, dy), (ex, ey) = rings[0]
        outline = _QUADRILATERAL.pack(1, 3, 1, 5, ax, ay, bx, by, cx, cy, dx, dy, ex, ey)
    except (TypeError, ValueError, struct.error):
        return None
    if ax != ex or ay != ey:
        return None
    west, east, south, north = min(ax, bx, cx, dx), max(ax, bx, cx, dx), min(ay, by, cy, dy), max(ay, by, cy, dy)
    if not (-180 < west and east < 180 and east - west < 180 and -90 < south and north < 90):
        return None
    turn = _turn(ax, ay, bx, by, cx, cy, dx, dy)
    return (outline, (west, south, east, north)) if turn != 0 else None


def _turn(  # noqa: PLR0917 - four points
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> int:
    """1 for a quadrilateral whose corners all turn left, -1 if all turn right, 0 for every other one."""
    turns = (
        (bx - ax) * (cy - by) - (by - ay) * (cx - bx),
        (cx - bx) * (dy - cy) - (cy - by) * (dx - cx),
        (dx - cx) * (ay - dy) - (dy - cy) * (ax - dx),
        (ax - dx) * (by - ay) - (ay - dy) * (bx - ax),
    )
    return int(min(turns) > MIN_TURN_DEG2) - int(max(turns) < -MIN_TURN_DEG2)


def convex_touches(outline: bytes, box: Box) -> bool | None:
    """Whether a convex quadrilateral, as WKB, shares a point with a box; None for other outlines and close calls.

    Two convex shapes are apart exactly where an edge of one of them parts them (separating axis theorem).
    """
    if len(outline) != _QUADRILATERAL.size:
        return None
    _, kind, rings, count, ax, ay, bx, by, cx, cy, dx, dy, _, _ = _QUADRILATERAL.unpack(outline)
    turn = _turn(ax, ay, bx, by, cx, cy, dx, dy) if (kind, rings, count) == (3, 1, 5) else 0
    if turn == 0:
        return None
    west, south, east, north = box
    if (
        min(ax, bx, cx, dx) > east
        or max(ax, bx, cx, dx) < west
        or min(ay, by, cy, dy) > north
        or max(ay, by, cy, dy) < south
    ):
        return False
    for px, py, qx, qy in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, dx, dy), (dx, dy, ax, ay)):
        right, up = turn * (qx - px), turn * (qy - py)
        # The corner of the box that lies furthest to the inner side of this edge.
        inside = right * ((north if right > 0 else south) - py) - up * ((west if up > 0 else east) - px)
        if inside < MIN_TURN_DEG2:
            return False if inside < -MIN_TURN_DEG2 else None
    return True


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
