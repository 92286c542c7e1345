"""Where and when: the value types that every room shares.

Longitudes and latitudes are WGS 84 degrees, in the order lon, lat (RFC 7946). A footprint that crosses the antimeridian
is cut there into parts, each inside [-180, 180]; one that holds a pole runs along the ±180° meridians to ±90°.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry

from catalog import antimeridian
from catalog.errors import InvalidExtentError
from catalog.geometry import on_the_globe, parse_geometry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

WGS84_A_M = 6378137.0
"""Semi-major axis of the WGS 84 ellipsoid."""

WGS84_E2 = 0.00669437999014
"""Square of its first eccentricity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """A span of time, closed at both ends; an end that is None is open."""

    start: datetime | None
    """First moment, UTC."""

    end: datetime | None
    """Last moment, UTC."""

    def __post_init__(self) -> None:
        if self.start is None and self.end is None:
            raise InvalidExtentError("datetime: both ends are open; give at least one, as in 2026-01-01T00:00:00Z/..")
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidExtentError(f"datetime: the {name} {moment.isoformat()} has no UTC offset; write ...Z")
        if self.start and self.end and self.start > self.end:
            raise InvalidExtentError(
                f"datetime: the start {format_time(self.start)} lies after the end {format_time(self.end)}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an RFC 3339 moment or interval: ``a``, ``a/b``, ``a/..``, ``../b``, ``/b``, ``a/``.

        Raises
        ------
        InvalidExtentError
            The text is no such interval, has no offset, is reversed, or is open at both ends.
        """
        parts = text.split("/")
        if len(parts) == 1:
            moment = parse_time(parts[0])
            return cls(start=moment, end=moment)
        if len(parts) != 2:
            raise InvalidExtentError(f"datetime: {text!r} has {len(parts)} parts; an interval is start/end")
        start, end = (None if part in ("", "..") else parse_time(part) for part in parts)
        return cls(start=start, end=end)

    def __str__(self) -> str:
        return "/".join(".." if moment is None else format_time(moment) for moment in (self.start, self.end))

    def contains(self, moment: datetime) -> bool:
        """Whether the moment lies inside, ends included."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment <= self.end)

    def overlaps(self, other: Self) -> bool:
        """Whether the two windows share a moment."""
        before = self.end is not None and other.start is not None and self.end < other.start
        after = self.start is not None and other.end is not None and other.end < self.start
        return not before and not after


_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:)(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:[0-5]\d)?", flags=re.ASCII)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 date-time with an offset, as UTC; a leap second becomes the next second, as POSIX has it.

    Raises
    ------
    InvalidExtentError
        The text is no RFC 3339 date-time, or lacks its offset.
    """
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise InvalidExtentError(f"datetime: {text[:60]!r} is no RFC 3339 date-time; write 2026-01-31T12:00:00Z")
    date, minutes, seconds, fraction, offset = match.groups()
    if offset is None:
        raise InvalidExtentError(f"datetime: {text!r} has no UTC offset; write {text}Z if it is UTC")
    leap = seconds == "60"
    if fraction is None and offset == "Z" and not leap:  # as nearly every one is written
        return _of_calendar(f"{date}T{minutes}{seconds}+00:00", text)
    micro = f".{(fraction or '.0')[1:7]:0<6}"
    plain = f"{date}T{minutes}{'59' if leap else seconds}{micro}{offset.upper().replace('Z', '+00:00')}"
    moment = _of_calendar(plain, text)
    try:
        return moment.astimezone(UTC) + timedelta(seconds=1 if leap else 0)
    except OverflowError as error:
        raise InvalidExtentError(f"datetime: {text!r} is no moment of the calendar ({error})") from None


def _of_calendar(plain: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(plain)
    except ValueError as error:
        raise InvalidExtentError(f"datetime: {text!r} is no moment of the calendar ({error})") from None


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z``; microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exact for every year of the calendar."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class BBox:
    """A box in degrees; ``west > east`` means that it crosses the antimeridian (RFC 7946, 5.2)."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(edge) for edge in self.as_tuple()):
            raise InvalidExtentError(f"bbox: {self.as_tuple()} holds a value that is no number")
        if self.south > self.north:
            raise InvalidExtentError(
                f"bbox: south {self.south} lies above north {self.north}; give west, south, east, north"
            )
        if not (-90 <= self.south and self.north <= 90):
            raise InvalidExtentError(f"bbox: latitudes {self.south} and {self.north} leave [-90, 90]")
        if not (-180 <= self.west <= 180 and -180 <= self.east <= 180):
            raise InvalidExtentError(f"bbox: longitudes {self.west} and {self.east} leave [-180, 180]")

    @classmethod
    def of(cls, values: "list[float] | tuple[float, ...]") -> Self:
        """From four numbers, or six of which the heights are set aside (OGC API – Features, 7.15.3)."""
        if len(values) == 6:
            values = (values[0], values[1], values[3], values[4])
        if len(values) != 4:
            raise InvalidExtentError(f"bbox: {len(values)} numbers; give west, south, east, north")
        try:
            west, south, east, north = (float(value) for value in values)
        except (TypeError, ValueError, OverflowError):
            raise InvalidExtentError(f"bbox: {values!r:.80} holds a value that is no number") from None
        return cls(west=west, south=south, east=east, north=north)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return (self.west, self.south, self.east, self.north)

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether the box runs over 180°."""
        return self.west > self.east

    def parts(self) -> tuple["BBox", ...]:
        """The box as one or two boxes that do not cross the antimeridian."""
        if not self.crosses_antimeridian:
            return (self,)
        parts = (
            BBox(west=self.west, south=self.south, east=180.0, north=self.north),
            BBox(west=-180.0, south=self.south, east=self.east, north=self.north),
        )
        # One that only begins or ends at the antimeridian has nothing on the other side of it.
        return tuple(part for part in parts if part.west < part.east) or parts[:1]

    def geometry(self) -> BaseGeometry:
        """The box as polygons cut at the antimeridian; as a line or a point where it has no width or height."""
        parts = [_rectangle(part) for part in self.parts()]
        return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _rectangle(box: BBox) -> BaseGeometry:
    if box.west < box.east and box.south < box.north:
        return shapely.box(*box.as_tuple())
    corners = [(box.west, box.south), (box.east, box.north)]
    return shapely.Point(corners[0]) if corners[0] == corners[1] else shapely.LineString(corners)


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """An area on the ground: polygons cut at the antimeridian, valid, not empty."""

    polygons: MultiPolygon = field(repr=False)
    """Counter-clockwise outer rings in lon, lat degrees, each polygon inside [-180, 180] × [-90, 90]."""

    @classmethod
    def from_geojson(cls, geometry: Mapping[str, Any]) -> Self:
        """Read a GeoJSON Polygon or MultiPolygon and cut it at the antimeridian.

        An edge longer than 180° of longitude runs the short way round, over the antimeridian; longitudes may also go on
        beyond ±180°.

        Raises
        ------
        InvalidExtentError
            Another type, unclosed or self-crossing rings, no area, coordinates off the Earth, too many vertices.
        """
        kind = geometry.get("type") if isinstance(geometry, Mapping) else None
        if kind not in ("Polygon", "MultiPolygon"):
            raise InvalidExtentError(f"geometry: type {kind!r:.60}; give a GeoJSON Polygon or MultiPolygon")
        return cls.of(parse_geometry(geometry))

    @classmethod
    def of(cls, drawn: Polygon | MultiPolygon) -> Self:
        """From a shapely polygon in lon, lat degrees; see `from_geojson`."""
        parts = antimeridian.polygonal(antimeridian.cut(on_the_globe(shapely.transform(drawn, _without_dust))))
        if parts.is_empty:
            raise InvalidExtentError("geometry: it has no area")
        return cls(polygons=parts)

    @cached_property
    def area_km2(self) -> float:
        """Area on the WGS 84 ellipsoid; edges are straight in lon, lat, as GeoJSON has them.

        Green's theorem: the integral along each ring of the area between equator and edge, by Gauss and Legendre.
        """
        nodes, weights = np.polynomial.legendre.leggauss(6)
        total = 0.0
        for ring in self._dense_rings(5.0):
            lon, lat = np.radians(shapely.get_coordinates(ring)).T
            middle, half = (lat[1:] + lat[:-1]) / 2, np.diff(lat) / 2
            edge_mean = _km2_to_equator(middle[:, None] + half[:, None] * nodes) @ weights / 2
            total -= float(np.sum(np.diff(lon) * edge_mean))
        return total

    @cached_property
    def bbox(self) -> BBox:
        """The narrowest box; west > east where the footprint crosses the antimeridian."""
        return BBox.of(antimeridian.narrowest_box(self.polygons))

    @cached_property
    def geojson(self) -> dict[str, Any]:
        """GeoJSON Polygon where one will do, else MultiPolygon."""
        simple = self.polygons.geoms[0] if len(self.polygons.geoms) == 1 else self.polygons
        plain: dict[str, Any] = json.loads(json.dumps(mapping(simple)))
        return plain

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the centroid on the sphere; right across ±180° and at the poles.

        The vector area of a spherical polygon, half the sum of its edges' normals times their arcs, points there.
        """
        total = np.zeros(3)
        for ring in self._dense_rings(1.0):
            lon, lat = np.radians(shapely.get_coordinates(ring)).T
            points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
            normals = np.cross(points[:-1], points[1:])
            sines = np.linalg.norm(normals, axis=1)
            arcs = np.arctan2(sines, np.sum(points[:-1] * points[1:], axis=1))
            bulge = np.divide(arcs, sines, out=np.ones_like(arcs), where=sines > 0) - 1
            # The normals of a closed ring add up to the same from any origin; from one nearby without cancellation.
            near = points - points[0]
            total += np.cross(near[:-1], near[1:]).sum(axis=0) + (normals * bulge[:, None]).sum(axis=0)
        x, y, z = total
        return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))

    def _dense_rings(self, step_deg: float) -> Any:  # noqa: ANN401 - an array of shapely rings
        """All rings, no edge longer than the step. Not as polygons: GEOS empties one whose spike has become a line."""
        return shapely.segmentize(shapely.get_rings(shapely.get_parts(self.polygons)), step_deg)

    def minus(self, other: Self) -> Self | None:
        """What of this footprint the other does not cover; None when nothing is left."""
        return self._from_parts(_overlaid(shapely.difference, self.polygons, other.polygons))

    def intersection(self, other: Self) -> Self | None:
        """What the two share; None when that has no area."""
        return self._from_parts(_overlaid(shapely.intersection, self.polygons, other.polygons))

    def union(self, other: Self) -> Self:
        """Both together."""
        return type(self)(polygons=antimeridian.polygonal(_overlaid(shapely.union, self.polygons, other.polygons)))

    def _from_parts(self, parts: Any) -> Self | None:  # noqa: ANN401 - any shapely geometry
        left = antimeridian.polygonal(parts)
        return None if left.is_empty else type(self)(polygons=left)


def _km2_to_equator(lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area in km² between the equator and a latitude, for one radian of longitude (Snyder 1987, eq. 3-12)."""
    e, sine = math.sqrt(WGS84_E2), np.sin(lat)
    q = (1 - WGS84_E2) * (sine / (1 - WGS84_E2 * sine**2) + np.arctanh(e * sine) / e)
    return np.asarray(WGS84_A_M**2 * q / 2e6)


_SNAP_DEG = 1e-11
"""About a micrometre on the ground."""


def _without_dust(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates without digits below a micrometre beside zero: GEOS loses its way between 160 and 5e-324 degrees."""
    return np.where(np.abs(points) < _SNAP_DEG, 0.0, points)


def _overlaid(operation: Callable[..., BaseGeometry], one: BaseGeometry, other: BaseGeometry) -> BaseGeometry:
    """Two shapes combined. Edges that cross closer together than doubles can tell are snapped to a grid first."""
    try:
        return operation(one, other)
    except shapely.GEOSException:
        return operation(one, other, grid_size=_SNAP_DEG)
