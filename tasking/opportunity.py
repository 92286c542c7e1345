"""When which satellite can see an area, and how well."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import shapely

from catalog.extent import Footprint, TimeWindow
from tasking.errors import InvalidOrderError
from tasking.orbit import Ephemeris, Floats, ecef_to_geodetic, enu_axes, sun_angles
from tasking.passes import Target, find_daylight, find_passes, highest
from tasking.satellite import Satellite
from tasking.strip import TrackPlane


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """A possible acquisition: one satellite's pass over an area. Angles are those at its centre at the best time."""

    id: str
    """The same for the same pass over the same area."""

    satellite_id: str

    window: TimeWindow
    """While the area's centre can be seen within all limits."""

    best: datetime
    """When the off-nadir angle is least, UTC."""

    off_nadir_deg: float
    """At the satellite, between the line of sight and the direction to its geodetic nadir."""

    incidence_deg: float
    """On the ground, between the line of sight and the vertical."""

    azimuth_deg: float
    """From the point below the satellite towards the area's centre, clockwise from north (STAC ``view:azimuth``)."""

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


def find_opportunities(
    area: Footprint,
    window: TimeWindow,
    satellites: Sequence[Satellite],
    *,
    max_off_nadir_deg: float,
    min_sun_elevation_deg: float,
) -> tuple[Opportunity, ...]:
    """All passes inside the window that see the area's centre within the limits, by best time.

    A satellite's own largest angle holds too. The centre is taken on the ellipsoid: a height of 1 km there turns the
    line of sight by less than 0.1 degrees.

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
    if start == end or not satellites:
        return ()
    ephemeris = Ephemeris.of([satellite.elements for satellite in satellites], start=start, end=end)
    target = Target(*area.centre)
    limits = np.array([min(max_off_nadir_deg, satellite.agility.max_off_nadir_deg) for satellite in satellites])
    sunlit = find_daylight(target, ephemeris.times, min_sun_elevation_deg)
    passes = [
        (which, max(first, dawn), min(last, dusk))
        for which, first, last in find_passes(ephemeris, target, limits)
        for dawn, dusk in sunlit
        if max(first, dawn) < min(last, dusk)
    ]
    found = _describe(area, window, satellites=satellites, ephemeris=ephemeris, target=target, passes=passes)
    return tuple(sorted(found, key=lambda one: (one.best, one.satellite_id)))


def _describe(
    area: Footprint,
    window: TimeWindow,
    *,
    satellites: Sequence[Satellite],
    ephemeris: Ephemeris,
    target: Target,
    passes: Sequence[tuple[int, float, float]],
) -> Iterator[Opportunity]:
    """Yield an opportunity for each pass: satellite index, first and last time."""
    if not passes:
        return
    which = np.array([one[0] for one in passes])
    first, last = (np.array([one[i] for one in passes]) for i in (1, 2))
    best = highest(
        lambda satellite, posix: -target.off_nadir_deg(ephemeris.state(satellite, posix)[0]), which, first, last
    )
    looks = _looks(target, *ephemeris.state(which, best))
    sun_azimuth, sun_elevation = sun_angles(target.lon, target.lat, best)
    digest = hashlib.sha256(shapely.to_wkb(area.polygons)).hexdigest()[:8]
    for i, index in enumerate(which):
        satellite, moment = satellites[index], _utc(best[i], window)
        swath_m = float(looks.range_ratio[i]) * satellite.sensor.swath_m
        plane = TrackPlane(lon=target.lon, lat=target.lat, heading_deg=float(looks.heading_deg[i]))
        yield Opportunity(
            id=f"{satellite.id}_{moment:%Y%m%dT%H%M%SZ}_{digest}",
            satellite_id=satellite.id,
            window=TimeWindow(start=_utc(first[i], window), end=_utc(last[i], window)),
            best=moment,
            off_nadir_deg=float(looks.off_nadir_deg[i]),
            incidence_deg=float(looks.incidence_deg[i]),
            azimuth_deg=float(looks.azimuth_deg[i]),
            sun_azimuth_deg=float(sun_azimuth[i]),
            sun_elevation_deg=float(sun_elevation[i]),
            gsd_m=float(looks.gsd_ratio[i]) * satellite.sensor.gsd_m,
            swath_m=swath_m,
            heading_deg=plane.heading_deg,
            ground_speed_m_s=float(looks.ground_speed_m_s[i]),
            orbit_state="ascending" if looks.northward[i] else "descending",
            footprint=_swath(area, plane, swath_m),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """How n satellites see the target; arrays of n."""

    off_nadir_deg: Floats
    incidence_deg: Floats
    azimuth_deg: Floats
    range_ratio: Floats
    """Slant range over the satellite's height: how much wider a pixel is across the line of sight."""

    gsd_ratio: Floats
    """Geometric mean of a pixel's growth along and across the line of sight; along it the slope of the ground adds."""

    heading_deg: Floats
    ground_speed_m_s: Floats
    northward: Floats


def _looks(target: Target, position_m: Floats, velocity_m_s: Floats) -> _Looks:
    """Angles of the line of sight, and how the image moves over the target when the satellite keeps its attitude."""
    lon, lat, height = ecef_to_geodetic(position_m)
    axes = enu_axes(lon, lat)
    sight = target.position_m - position_m
    east, north, _ = np.einsum("nij,nj->in", axes, sight)
    incidence = 90.0 - target.elevation_deg(position_m)
    range_ratio = np.linalg.norm(sight, axis=-1) / height
    # The satellite turns about the Earth's centre, and the image with it.
    turn = np.cross(position_m, velocity_m_s) / np.sum(position_m**2, axis=-1)[:, None]
    run = np.cross(turn, target.position_m) @ target.axes.T
    return _Looks(
        off_nadir_deg=target.off_nadir_deg(position_m),
        incidence_deg=incidence,
        azimuth_deg=np.degrees(np.arctan2(east, north)) % 360,
        range_ratio=range_ratio,
        gsd_ratio=range_ratio / np.sqrt(np.cos(np.radians(incidence))),
        heading_deg=np.degrees(np.arctan2(run[:, 0], run[:, 1])) % 360,
        ground_speed_m_s=np.hypot(run[:, 0], run[:, 1]),
        northward=np.sum(axes[:, 1] * velocity_m_s, axis=-1) > 0,
    )


def _swath(area: Footprint, plane: TrackPlane, swath_m: float) -> Footprint:
    first, last, left, right = plane.extent(area)
    middle = (left + right) / 2
    return plane.rectangle((first, last), (middle - swath_m / 2, middle + swath_m / 2))


def _utc(posix: float, window: TimeWindow) -> datetime:
    """As a datetime, whose microseconds may not round out of the window."""
    assert window.start is not None
    assert window.end is not None
    return min(max(datetime.fromtimestamp(float(posix), UTC), window.start.astimezone(UTC)), window.end.astimezone(UTC))
