"""An area cut into strips along one pass.

A pushbroom camera sweeps a band of the ground: as wide as its swath, as long as it stays switched on, parallel to the
satellite's track. The work is done in a plane of distance and direction from the area's centre (azimuthal equidistant
on WGS 84) whose first axis runs along the track, so that it is the same at the antimeridian and at the poles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod
from shapely.geometry import Polygon

from catalog.extent import Footprint
from tasking.errors import InvalidOrderError

Floats = npt.NDArray[np.float64]

MAX_REACH_M = 1_000_000.0
"""No part of an area lies farther from its centre: one pass could not see both, and a plane would not do."""

_WGS84 = Geod(ellps="WGS84")

_EDGE_M = 2_000.0
"""Longest edge of a strip's outline, so that straight in lon, lat is straight on the ground to a metre."""

_POLAR_EDGE_M = 250.0
"""The same beyond 85 degrees. At the very pole an edge that should run over it may pass 125 m beside it."""

_TURN_DEG = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPlane:
    """Metres along and across a pass, from a centre."""

    lon: float
    lat: float
    heading_deg: float
    """Direction of flight at the centre, clockwise from north; across grows to the right of it."""

    @classmethod
    def over(cls, area: Footprint, heading_deg: float) -> Self:
        """The plane for an area, around its centre."""
        lon, lat = area.centre
        return cls(lon=lon, lat=lat, heading_deg=heading_deg)

    def project(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Along and across in metres."""
        azimuth, _, distance = _WGS84.inv(np.full_like(lon, self.lon), np.full_like(lat, self.lat), lon, lat)
        bearing = np.radians(azimuth - self.heading_deg)
        return distance * np.cos(bearing), distance * np.sin(bearing)

    def locate(self, along: Floats, across: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude in degrees; the inverse of `project`."""
        azimuth = self.heading_deg + np.degrees(np.arctan2(across, along))
        lon, lat, _ = _WGS84.fwd(
            np.full_like(along, self.lon), np.full_like(along, self.lat), azimuth, np.hypot(along, across)
        )
        return lon, lat

    def extent(self, area: Footprint) -> tuple[float, float, float, float]:
        """Least and greatest along, least and greatest across of an area, in metres.

        Raises
        ------
        InvalidOrderError
            A part lies farther than `MAX_REACH_M` from the centre.
        """
        box = area.bbox
        width = (box.east - box.west) % 360 or 360.0
        # Ring by ring: GEOS "mends" a densified polygon whose spike has become a line, sometimes to nothing.
        rings = shapely.get_rings(shapely.get_parts(area.polygons))
        dense = shapely.segmentize(rings, max(width, box.north - box.south) / 200)
        along, across = self.project(*shapely.get_coordinates(dense).T)
        reach = float(np.hypot(along, across).max())
        if reach > MAX_REACH_M:
            raise InvalidOrderError(
                f"geometry: it reaches {reach / 1e3:,.0f} km from its centre; one order spans at most "
                f"{MAX_REACH_M / 1e3:,.0f} km. Order the parts one by one"
            )
        return float(along.min()), float(along.max()), float(across.min()), float(across.max())

    def rectangle(self, along: tuple[float, float], across: tuple[float, float]) -> Footprint:
        """The part of the ground between two distances along the track and two across it."""
        outline = Polygon([(along[i], across[j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))])
        edge_m = _POLAR_EDGE_M if abs(self.lat) > 85 else _EDGE_M
        corners = shapely.get_coordinates(shapely.segmentize(outline, edge_m))
        return Footprint.of(Polygon(np.stack(self.locate(*corners.T), axis=1)))


def strips(
    area: Footprint, *, heading_deg: float, swath_m: float, overlap_m: float, max_length_m: float = math.inf
) -> tuple[Footprint, ...]:
    """Cut an area into strips of one direction, from left to right and from first line to last; together they cover it.

    Each is a swath wide and overlaps the next by `overlap_m` or more: the fewest strips that reach across, spread
    evenly. One that is too long is cut into pieces by the same rule. An area no larger than one piece stays whole.
    Where a cut by length runs over a pole itself, a part of the area beside it may be left out: `coverage` tells.

    Parameters
    ----------
    heading_deg
        Direction of the lines' succession over the area's centre, clockwise from north: that of flight, or for an agile
        satellite, which turns while it looks, any; see `free_heading_deg`.
    max_length_m
        Longest piece, by on-time or storage.

    Raises
    ------
    InvalidOrderError
        The area reaches too far for one plane.
    """
    if not 0 <= overlap_m < swath_m:
        raise ValueError(f"overlap {overlap_m} m: must be at least 0 and less than the swath, {swath_m} m")
    if max_length_m <= overlap_m:
        raise ValueError(f"longest piece {max_length_m} m: must be more than the overlap, {overlap_m} m")
    plane = TrackPlane.over(area, heading_deg)
    first, last, left, right = plane.extent(area)
    if right - left <= swath_m and last - first <= max_length_m:
        return (area,)
    pieces = (
        area.intersection(plane.rectangle(along, across))
        for across in _cuts(left, right, swath_m, overlap_m)
        for along in _cuts(first, last, max_length_m, overlap_m)
    )
    return tuple(piece for piece in pieces if piece is not None)


def _cuts(low: float, high: float, most: float, overlap_m: float) -> list[tuple[float, float]]:
    """Cut a span evenly into the fewest spans of that length; the outer ones reach a little beyond its ends.

    The area's own edges bound the pieces there.
    """
    if high - low <= most:
        return [(low - _EDGE_M, high + _EDGE_M)]
    count = math.ceil((high - low - overlap_m) / (most - overlap_m))
    starts = np.linspace(low, high - most, count)
    ends = starts + most
    starts[0], ends[-1] = low - _EDGE_M, high + _EDGE_M
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def free_heading_deg(
    area: Footprint, *, track_deg: float, swath_m: float, overlap_m: float, turn_deg: float = 90.0
) -> float:
    """The direction in which the fewest strips reach across an area, and of those the one nearest to the ground track.

    For agile satellites, which may scan at an angle to their track. Directions are looked at every 2 degrees.

    Parameters
    ----------
    track_deg
        Direction of flight over the area's centre, clockwise from north.
    turn_deg
        Most that the scan may turn off the track, to either side.

    Raises
    ------
    InvalidOrderError
        The area reaches too far for one plane.
    """
    turns = np.arange(0.0, turn_deg + 1e-9, _TURN_DEG)
    best, fewest = track_deg, math.inf
    for turn in sorted({*turns, *-turns}, key=lambda one: (abs(one), one)):
        _, _, left, right = TrackPlane.over(area, track_deg + turn).extent(area)
        count = max(1, math.ceil((right - left - overlap_m) / (swath_m - overlap_m)))
        if count < fewest:
            best, fewest = (track_deg + turn) % 360, count
    return float(best)


def coverage(area: Footprint, pieces: Sequence[Footprint]) -> tuple[Footprint | None, Footprint | None]:
    """What of an area the pieces show together, and what they leave; None for nothing."""
    shown: Footprint | None = None
    left: Footprint | None = area
    for piece in pieces:
        part = area.intersection(piece)
        if part is not None:
            shown = part if shown is None else shown.union(part)
            left = left.minus(part) if left is not None else None
    return shown, left
