"""An area cut into strips along one pass.

A pushbroom camera sweeps a band of the ground: as wide as its swath, as long as it stays switched on, parallel to the
satellite's track. The work is done in a plane of distance and direction from the area's centre (azimuthal equidistant
on WGS 84) whose first axis runs along the track, so that it is the same at the antimeridian and at the poles.
"""

import math
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


def strips(area: Footprint, *, heading_deg: float, swath_m: float, overlap_m: float) -> tuple[Footprint, ...]:
    """Cut an area into strips parallel to the ground track, from left to right; together they cover it.

    Each is a swath wide and overlaps the next by `overlap_m` or more: the fewest strips that reach across, spread
    evenly. An area no wider than the swath stays whole.

    Parameters
    ----------
    heading_deg
        Direction of flight over the area's centre, clockwise from north.

    Raises
    ------
    InvalidOrderError
        The area reaches too far for one plane.
    """
    if not 0 <= overlap_m < swath_m:
        raise ValueError(f"overlap {overlap_m} m: must be at least 0 and less than the swath, {swath_m} m")
    plane = TrackPlane.over(area, heading_deg)
    first, last, left, right = plane.extent(area)
    if right - left <= swath_m:
        return (area,)
    count = math.ceil((right - left - overlap_m) / (swath_m - overlap_m))
    # The outline is a little longer than the area: the area's own edges bound the strips there.
    along = (first - _EDGE_M, last + _EDGE_M)
    starts = np.linspace(left, right - swath_m, count)
    starts[0], ends = left - _EDGE_M, starts + swath_m
    ends[-1] = right + _EDGE_M
    pieces = (area.intersection(plane.rectangle(along, edges)) for edges in zip(starts, ends, strict=True))
    return tuple(piece for piece in pieces if piece is not None)
