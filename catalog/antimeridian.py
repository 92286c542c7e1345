"""Shapes in longitude and latitude as shapes on a globe: cut at ±180°, joined there and at the poles when compared.

A shape as somebody drew it may run over ±180° in three ways: with an edge from 179 to -179, with longitudes beyond
±180, or cut in two. All three come out cut in two, each part inside [-180, 180] (RFC 7946, 3.1.9).
"""

import math
from typing import Any

import shapely
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

MAX_GAP_DEG2 = 1e-14
"""A part of less area is what rounding leaves of an edge: about a square centimetre."""


Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


def unwrap(drawn: BaseGeometry) -> BaseGeometry:
    """The same shape with longitudes continued past ±180°, so that its validity is judged as it was drawn.

    An edge longer than 180° of longitude runs the short way round; one of 360° is meant as it is drawn.
    A ring that goes once around a pole is closed along its first meridian at that pole.
    """
    west, _, east, _ = drawn.bounds
    if east - west <= 180:
        return drawn  # as nearly every shape; no edge of it can be longer
    match drawn.geom_type:
        case "Polygon":
            return _unwrap_polygon(drawn)
        case "LineString":
            return LineString(_unwrap_line(drawn))
        case "MultiPolygon":
            return MultiPolygon([part for polygon in drawn.geoms for part in _polygons(_unwrap_polygon(polygon))])
        case "MultiLineString":
            return MultiLineString([_unwrap_line(line) for line in drawn.geoms])
        case _:
            return drawn


def cut(unwrapped: BaseGeometry) -> BaseGeometry:
    """Cut an unwrapped shape at every odd multiple of 180° and bring the parts back into [-180, 180]."""
    west, _, east, _ = unwrapped.bounds
    if -180 <= west and east <= 180:
        return unwrapped
    parts: list[BaseGeometry] = []
    dimensions = shapely.get_dimensions(unwrapped)
    first, last = math.floor((west + 180) / 360), math.ceil((east + 180) / 360)
    for turn in range(first, max(last, first + 1)):
        strip = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        inside = unwrapped.intersection(strip)
        moved = shapely.transform(inside, lambda xy, back=360 * turn: xy - (back, 0))
        # An area that only touches a strip leaves a line or a point there, which is none of its parts.
        parts += [part for part in leaves([moved]) if shapely.get_dimensions(part) == dimensions]
    return shapely.union_all(parts)


def polygonal(geometry: BaseGeometry) -> MultiPolygon:
    """The parts of a shape that have an area, outer rings counter-clockwise."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.orient_polygons(
        MultiPolygon([part for part in parts if part.geom_type == "Polygon" and part.area > MAX_GAP_DEG2])
    )


def with_seams(geometry: BaseGeometry) -> BaseGeometry:
    """The shape with every other spelling of its points at ±180° and at the poles: neighbours there touch it."""
    west, south, east, north = geometry.bounds
    seams = [geometry]
    for edge, reached in ((180.0, east == 180), (-180.0, west == -180)):
        if reached:
            touched = geometry.intersection(LineString([(edge, -90), (edge, 90)]))
            seams.append(shapely.transform(touched, lambda xy: xy * (-1, 1)))
    for pole, reached in ((90.0, north == 90), (-90.0, south == -90)):
        if reached:
            seams.append(LineString([(-180, pole), (180, pole)]))
    return geometry if len(seams) == 1 else shapely.GeometryCollection(list(leaves(seams)))


def narrowest_box(geometry: BaseGeometry) -> Box:
    """The narrowest box around a shape; west > east where that one crosses the antimeridian."""
    spans = sorted((part.bounds[0], part.bounds[2]) for part in leaves([geometry]))
    _, south, _, north = geometry.bounds
    # The widest stretch of longitude without any part is what the box leaves out.
    reach = max(end for _, end in spans)
    gaps = [(spans[0][0] + 360 - reach, reach, spans[0][0])]
    reach = spans[0][1]
    for start, end in spans[1:]:
        gaps.append((start - reach, reach, start))
        reach = max(reach, end)
    width, east, west = max(gaps)
    return (west, south, east, north) if width > 0 else (-180.0, south, 180.0, north)


def boxes(geometry: BaseGeometry, most: int = 16) -> tuple[Box, ...]:
    """A box around each part of a shape, or one around all of it when it has too many parts."""
    parts = list(leaves([geometry]))
    return tuple(part.bounds for part in parts) if len(parts) <= most else (geometry.bounds,)


def leaves(geometries: list[BaseGeometry]) -> list[BaseGeometry]:
    """Take collections of any depth apart; without their empty parts."""
    parts = shapely.get_parts(geometries)
    while any(shapely.get_type_id(parts) > 3):
        parts = shapely.get_parts(parts)
    return [part for part in parts if not part.is_empty]


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]


def _unwrap_line(line: Any) -> list[tuple[float, float]]:  # noqa: ANN401 - a shapely line or ring
    points: list[tuple[float, float]] = []
    turned, previous = 0.0, line.coords[0][0]
    for lon, lat in line.coords:
        if 180 < abs(lon - previous) < 360:
            turned += math.copysign(360, previous - lon)
        points.append((lon + turned, lat))
        previous = lon
    return points


def _unwrap_ring(ring: Any) -> tuple[list[tuple[float, float]], bool]:  # noqa: ANN401 - a shapely ring
    """The ring, and whether it goes around a pole and was closed there."""
    points = _unwrap_line(ring)
    if points[0] == points[-1]:
        return points, False
    pole = 90.0 if sum(lat for _, lat in points) > 0 else -90.0
    return [*points, (points[-1][0], pole), (points[0][0], pole), points[0]], True


def _unwrap_polygon(polygon: Polygon) -> BaseGeometry:
    """A polygon, or what is left of one whose hole holds the pole."""
    outer, _ = _unwrap_ring(polygon.exterior)
    longitudes = [lon for lon, _ in outer]
    middle = (min(longitudes) + max(longitudes)) / 2
    holes: list[list[tuple[float, float]]] = []
    polar_holes: list[list[tuple[float, float]]] = []
    for ring in polygon.interiors:
        hole, polar = _unwrap_ring(ring)
        (polar_holes if polar else holes).append(hole)
    shape: BaseGeometry = Polygon(outer, [_moved(hole, 360 * round((middle - hole[0][0]) / 360)) for hole in holes])
    for hole in polar_holes if shape.is_valid else ():
        # It shares the meridian where the outer ring was closed, so that it is no hole but the end of the shape.
        for back in (-360, 0, 360):
            shape = shape.difference(Polygon(_moved(hole, back)))
    return shape


def _moved(ring: list[tuple[float, float]], east: float) -> list[tuple[float, float]]:
    return [(lon + east, lat) for lon, lat in ring]
