"""When which satellite can see an area, and how well."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import shapely
from pyproj import Geod

from catalog.extent import Footprint, TimeWindow
from tasking.ageing import Ageing
from tasking.errors import InvalidOrderError
from tasking.orbit import Floats, ecef_state, ecef_to_geodetic, enu_axes, sun_angles
from tasking.passes import Places, Target, find_daylight, find_passes
from tasking.satellite import Satellite
from tasking.strip import TrackPlane
from tasking.weather import Climatology, Forecast

CLIMATOLOGY = Climatology()

_WGS84 = Geod(ellps="WGS84")

_ROUNDING_DEG = 1e-6
"""Interpolation of the orbit moves the end of a pass by a microsecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """A possible acquisition: one satellite's pass over an area.

    Angles are those at the area's centre at the best time; where only another part of the area comes within the limit,
    those at the nearest point to the centre, straight towards the ground track, that does.
    """

    id: str
    """The same for the same pass over the same area."""

    satellite_id: str

    window: TimeWindow
    """While the area's centre, or any part of it if that was asked for, can be seen within all limits."""

    best: datetime
    """When the off-nadir angle is least, UTC."""

    off_nadir_deg: float
    """At the satellite, between the line of sight and the direction to its geodetic nadir."""

    incidence_deg: float
    """On the ground, between the line of sight and the vertical."""

    azimuth_deg: float
    """From the point below the satellite towards the area's centre, clockwise from north (STAC ``view:azimuth``)."""

    satellite_azimuth_deg: float
    """On the ground, from the area's centre towards the satellite, clockwise from north."""

    sun_azimuth_deg: float
    sun_elevation_deg: float

    gsd_m: float
    """Geometric mean of the ground sampling distances along and across the line of sight, sharpest band."""

    swath_m: float
    """Width of a strip over the area's centre: the sensor's swath, widened by the slant range over the height."""

    heading_deg: float
    """Direction in which the image runs over the area's centre, clockwise from north."""

    ground_speed_m_s: float
    """At which the image runs over the area's centre."""

    orbit_state: Literal["ascending", "descending"]

    footprint: Footprint
    """What one strip of this pass would show: a swath wide, over the whole length of the area."""

    covered_share: float
    """Share of the area that lies in the footprint, 0 to 1."""

    clear_sky: float
    """Chance of no clouds over the area's centre, 0 to 1, as the forecast or the climatology has it."""

    ageing: Ageing
    """How old the element set will be, and by how much either end of the window may move for that."""

    @property
    def properties(self) -> dict[str, Any]:
        """What a customer's filter may speak of: the keys of `tasking.order.FILTER_PROPERTIES`."""
        return {
            "view:off_nadir": self.off_nadir_deg,
            "view:incidence_angle": self.incidence_deg,
            "view:azimuth": self.azimuth_deg,
            "view:sun_azimuth": self.sun_azimuth_deg,
            "view:sun_elevation": self.sun_elevation_deg,
            "gsd": self.gsd_m,
            "platform": self.satellite_id,
            "sat:orbit_state": self.orbit_state,
        }

    @property
    def outlook(self) -> dict[str, float]:
        """What else a customer is told: numbers to choose by."""
        return {
            "overflight:satellite_azimuth": self.satellite_azimuth_deg,
            "overflight:covered_share": round(self.covered_share, 4),
            "overflight:clear_sky_probability": round(self.clear_sky, 3),
            "overflight:element_set_age_days": round(self.ageing.age_days, 2),
            "overflight:widening_s": round(self.ageing.widening_s, 2),
        }


def find_opportunities(
    area: Footprint,
    window: TimeWindow,
    satellites: Sequence[Satellite],
    *,
    max_off_nadir_deg: float,
    min_sun_elevation_deg: float,
    any_part: bool = False,
    forecast: Forecast = CLIMATOLOGY,
) -> tuple[Opportunity, ...]:
    """All passes inside the window that see the area within the limits, by best time.

    A satellite's own largest angle holds too. The ground is taken on the ellipsoid: a height of 1 km there turns the
    line of sight by less than 0.1 degrees. The Sun is taken at the area's centre.

    Parameters
    ----------
    any_part
        Count a pass while any part of the area is seen within the limits, not only while its centre is.
    forecast
        Tells the chance of a clear sky.

    Raises
    ------
    InvalidOrderError
        The window is open at an end, or the area reaches too far for one pass.
    ElementSetError
        A satellite's element set cannot be propagated over the window.
    """
    if window.start is None or window.end is None:
        raise InvalidOrderError(f"datetime: {window} is open at an end; passes need both, as in a/b")
    start, end = window.start.timestamp(), window.end.timestamp()
    target = Target(*area.centre)
    limits = np.array([min(max_off_nadir_deg, satellite.agility.max_off_nadir_deg) for satellite in satellites])
    places = Places.areas([area]) if any_part else Places.points(target.lon, target.lat)
    found = find_passes([satellite.elements for satellite in satellites], places, limits, start=start, end=end)
    sunlit = find_daylight(target, start, end, min_sun_elevation_deg) if found.place.size else []
    spans = [
        (i, max(found.first[i], dawn), min(found.last[i], dusk))
        for i in range(found.place.size)
        for dawn, dusk in sunlit
        if max(found.first[i], dawn) < min(found.last[i], dusk)
    ]
    opportunities: list[Opportunity] = []
    for which, satellite in enumerate(satellites):
        own = [(found.best[i], first, last) for i, first, last in spans if found.satellite[i] == which]
        if own:
            passes = np.clip(*np.array(own).T), np.array(own)[:, 1:]
            opportunities += _describe(area, window, satellite, float(limits[which]), forecast, *passes)
    return tuple(sorted(opportunities, key=lambda one: (one.best, one.satellite_id)))


def _describe(  # noqa: PLR0917
    area: Footprint,
    window: TimeWindow,
    satellite: Satellite,
    limit_deg: float,
    forecast: Forecast,
    best: Floats,
    spans: Floats,
) -> Iterator[Opportunity]:
    """Yield an opportunity for each of a satellite's passes: best time (n), first and last (n, 2)."""
    target = Target(*area.centre)
    position, velocity = ecef_state(satellite.elements, best)
    clear = forecast.clear_sky(target.lon, target.lat, best)
    digest = hashlib.sha256(shapely.to_wkb(area.polygons)).hexdigest()[:8]
    for i, posix in enumerate(best):
        aim, moment = _aim(target, position[i], limit_deg), _utc(posix, window)
        look = _look(aim, position[i], velocity[i])
        sun_azimuth, sun_elevation = sun_angles(aim.lon, aim.lat, posix)
        swath_m = look.range_ratio * satellite.sensor.swath_m
        plane = TrackPlane(lon=target.lon, lat=target.lat, heading_deg=look.heading_deg)
        footprint, share = _swath(area, plane, swath_m, aim)
        yield Opportunity(
            id=f"{satellite.id}_{moment:%Y%m%dT%H%M%SZ}_{digest}",
            satellite_id=satellite.id,
            window=TimeWindow(start=_utc(spans[i, 0], window), end=_utc(spans[i, 1], window)),
            best=moment,
            off_nadir_deg=look.off_nadir_deg,
            incidence_deg=look.incidence_deg,
            azimuth_deg=look.azimuth_deg,
            satellite_azimuth_deg=look.satellite_azimuth_deg,
            sun_azimuth_deg=float(sun_azimuth),
            sun_elevation_deg=float(sun_elevation),
            gsd_m=look.gsd_ratio * satellite.sensor.gsd_m,
            swath_m=swath_m,
            heading_deg=look.heading_deg,
            ground_speed_m_s=look.ground_speed_m_s,
            orbit_state="ascending" if look.northward else "descending",
            footprint=footprint,
            covered_share=share,
            clear_sky=float(clear[i]),
            ageing=Ageing.of(satellite.elements, float(posix)),
        )


def _aim(target: Target, position_m: Floats, limit_deg: float) -> Target:
    """The area's centre, or where that is out of reach, the point towards the satellite's nadir that just is not."""
    if float(target.off_nadir_deg(position_m)) <= limit_deg + _ROUNDING_DEG:
        return target
    lon, lat, _ = ecef_to_geodetic(position_m)
    azimuth, _, distance = _WGS84.inv(target.lon, target.lat, lon, lat)
    low, high = 0.0, distance
    while high - low > 1.0:
        middle = (low + high) / 2
        there = Target(*_WGS84.fwd(target.lon, target.lat, azimuth, middle)[:2])
        low, high = (low, middle) if float(there.off_nadir_deg(position_m)) <= limit_deg else (middle, high)
    return Target(*_WGS84.fwd(target.lon, target.lat, azimuth, high)[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a satellite sees a point."""

    off_nadir_deg: float
    incidence_deg: float
    azimuth_deg: float
    satellite_azimuth_deg: float
    range_ratio: float
    """Slant range over the satellite's height: how much wider a pixel is across the line of sight."""

    gsd_ratio: float
    """Geometric mean of a pixel's growth along and across the line of sight; along it the slope of the ground adds."""

    heading_deg: float
    ground_speed_m_s: float
    northward: bool


def _look(aim: Target, position_m: Floats, velocity_m_s: Floats) -> _Look:
    """Angles of the line of sight, and how the image moves over the ground when the satellite keeps its attitude."""
    lon, lat, height = ecef_to_geodetic(position_m)
    axes = enu_axes(lon, lat)
    sight = aim.position_m - position_m
    east, north, _ = axes @ sight
    back_east, back_north, _ = aim.axes @ -sight
    incidence = 90.0 - float(aim.elevation_deg(position_m))
    range_ratio = float(np.linalg.norm(sight) / height)
    # The satellite turns about the Earth's centre, and the image with it.
    turn = np.cross(position_m, velocity_m_s) / np.sum(position_m**2)
    run_east, run_north, _ = aim.axes @ np.cross(turn, aim.position_m)
    return _Look(
        off_nadir_deg=float(aim.off_nadir_deg(position_m)),
        incidence_deg=incidence,
        azimuth_deg=_bearing(east, north),
        satellite_azimuth_deg=_bearing(back_east, back_north),
        range_ratio=range_ratio,
        gsd_ratio=range_ratio / math.sqrt(max(math.cos(math.radians(incidence)), 1e-9)),
        heading_deg=_bearing(run_east, run_north),
        ground_speed_m_s=math.hypot(run_east, run_north),
        northward=bool(axes[1] @ velocity_m_s > 0),
    )


def _bearing(east: float, north: float) -> float:
    return math.degrees(math.atan2(east, north)) % 360


def _swath(area: Footprint, plane: TrackPlane, swath_m: float, aim: Target) -> tuple[Footprint, float]:
    """What one strip shows, from the area's first line to its last, and the share of the area in it.

    It runs down the middle of the area, or where that is out of reach, through what is aimed at.
    """
    first, last, left, right = plane.extent(area)
    middle = (left + right) / 2
    if (aim.lon, aim.lat) != (plane.lon, plane.lat):
        middle = float(plane.project(np.array([aim.lon]), np.array([aim.lat]))[1][0])
    strip = plane.rectangle((first, last), (middle - swath_m / 2, middle + swath_m / 2))
    if middle - swath_m / 2 <= left and right <= middle + swath_m / 2:
        return strip, 1.0
    seen = area.intersection(strip)
    return strip, 0.0 if seen is None else min(1.0, seen.area_km2 / area.area_km2)


def _utc(posix: float, window: TimeWindow) -> datetime:
    """As a datetime, whose microseconds may not round out of the window."""
    assert window.start is not None
    assert window.end is not None
    return min(max(datetime.fromtimestamp(float(posix), UTC), window.start.astimezone(UTC)), window.end.astimezone(UTC))
