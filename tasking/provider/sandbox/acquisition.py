"""Which picture a satellite takes of an area: when, with which roll, and which lines and columns."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import atan2, ceil, degrees, floor
from typing import Self

import numpy as np
import shapely

from catalog.extent import Footprint, TimeWindow
from tasking.errors import ProviderError
from tasking.orbit import Floats, ecef_state, ecef_to_geodetic, enu_axes, geodetic_to_ecef, sun_angles, sun_direction
from tasking.provider.sandbox.camera import TICK_S, Camera, aim
from tasking.provider.sandbox.camera import Path as FlightPath
from tasking.provider.sandbox.earth import terrain_height
from tasking.satellite import Satellite

MARGIN_M = 150.0
"""The picture reaches so far beyond the area."""

_NOMINAL_HEIGHT_M = 600_000.0
"""Flying height for which swath and GSD of the sensor are given."""

MIN_SUN_ELEVATION_DEG = 3.0
"""With a lower sun there is nothing to see."""

_SEARCH_STEP_S = 5.0
_MAX_SEARCH_S = 100 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One picture that a satellite can take of an area: all that its files follow from."""

    satellite: Satellite
    camera: Camera
    """Panchromatic; rows and columns are multiples of the multispectral ratio."""

    centre: tuple[float, float, float]
    """Longitude, latitude in degrees and height in metres of the place it is aimed at."""

    @classmethod
    def plan(cls, satellite: Satellite, area: Footprint, window: TimeWindow) -> Self:
        """The picture of the area at the best pass inside the window; no wider than the swath.

        Raises
        ------
        ProviderError
            The window is open, or the satellite does not see the area's centre in it within its largest angle.
        """
        lon, lat = area.centre
        centre = (lon, lat, float(terrain_height(lon, lat)))
        path = _pass_over(satellite, centre, window)
        seconds, roll_deg = aim(path, *centre)
        path = FlightPath.around(satellite.elements, path.middle + seconds)
        seconds, roll_deg = aim(path, *centre)
        if abs(roll_deg) > satellite.agility.max_off_nadir_deg + 0.5:
            raise ProviderError(
                f"{satellite.id}: sees the area at {abs(roll_deg):.1f}° off nadir at best in {window}; "
                f"it turns to {satellite.agility.max_off_nadir_deg:g}°, so give a window with a nearer pass"
            )
        camera = _centred(_whole_swath(satellite, path, seconds, roll_deg), area)
        return cls(satellite=satellite, camera=_cut(camera, satellite, area), centre=centre)

    @property
    def times(self) -> tuple[datetime, datetime]:
        """First and last line, UTC, in whole microseconds."""
        first, last = (self.camera.posix(row) for row in (0, self.camera.rows - 1))
        return _utc(first), _utc(last)

    @property
    def middle(self) -> float:
        """POSIX seconds of the middle line; sun and clouds stand still for the few seconds around it."""
        return self.camera.posix((self.camera.rows - 1) / 2)

    @property
    def view(self) -> dict[str, float]:
        """Angles at the centre of the picture, as the manifest has them."""
        lon, lat, height = self.centre
        path = self.camera.path
        seconds = np.array(self.middle - path.middle)
        position = path.axes(seconds)[0]
        away = position - geodetic_to_ecef(lon, lat, height)
        up = enu_axes(lon, lat)[2]
        below_lon, below_lat, _ = ecef_to_geodetic(position)
        east, north, _ = enu_axes(below_lon, below_lat) @ -away
        sun_azimuth, sun_elevation = sun_angles(lon, lat, self.middle)
        return {
            "off_nadir_deg": round(abs(self.camera.roll_deg), 3),
            "incidence_deg": round(degrees(np.arccos(away @ up / np.linalg.norm(away))), 3),
            "azimuth_deg": round(degrees(atan2(east, north)) % 360, 3),
            "sun_azimuth_deg": round(float(sun_azimuth), 3),
            "sun_elevation_deg": round(float(sun_elevation), 3),
        }

    @property
    def gsd_m(self) -> float:
        """Geometric mean of the ground distances of neighbouring pixels at the centre."""
        row, col = (self.camera.rows - 1) / 2, (self.camera.columns - 1) / 2
        lon, lat = self.camera.at_height(row + np.array([0, 1, 0]), col + np.array([0, 0, 1]), self.centre[2])
        here, down, right = geodetic_to_ecef(lon, lat, self.centre[2])
        return float(np.sqrt(np.linalg.norm(down - here) * np.linalg.norm(right - here)))

    @property
    def orbit_state(self) -> str:
        """Which way the satellite flies."""
        velocity = self.camera.path.state(np.array(0.0))[1]
        return "ascending" if velocity[2] > 0 else "descending"

    @property
    def sun(self) -> Floats:
        """Earth-fixed unit vector towards the Sun."""
        return sun_direction(self.middle)


def _pass_over(satellite: Satellite, place: tuple[float, float, float], window: TimeWindow) -> FlightPath:
    """The piece of orbit around the moment of the window at which the place lies nearest to nadir."""
    if window.start is None or window.end is None:
        raise ProviderError(f"{satellite.id}: the window {window} is open at an end; an acquisition needs both")
    start, end = window.start.timestamp(), window.end.timestamp()
    if end - start > _MAX_SEARCH_S:
        raise ProviderError(f"{satellite.id}: the window {window} is longer than 100 days; give a pass, or a few weeks")
    times = np.linspace(start, end, max(2, ceil((end - start) / _SEARCH_STEP_S) + 1))
    position, _ = ecef_state(satellite.elements, times)
    away = geodetic_to_ecef(*place) - position
    lon, lat, _ = ecef_to_geodetic(position)
    down = -enu_axes(lon, lat)[:, 2]
    cosine = np.sum(away * down, axis=1) / np.linalg.norm(away, axis=1)
    beyond = np.sum(away * geodetic_to_ecef(*place), axis=1) > 0  # on the other side of the Earth
    dark = sun_angles(place[0], place[1], times)[1] < MIN_SUN_ELEVATION_DEG
    if np.all(beyond | dark):
        raise ProviderError(f"{satellite.id}: no pass by daylight over {place[0]:.3f}, {place[1]:.3f} in {window}")
    best = np.argmax(np.where(beyond | dark, -1.0, cosine))
    return FlightPath.around(satellite.elements, float(times[best]))


def _whole_swath(satellite: Satellite, path: FlightPath, seconds: float, roll_deg: float) -> Camera:
    """The camera over its whole swath; row 0 at the aim, to be cut to the area."""
    sensor = satellite.sensor
    pixel_tan = sensor.gsd_m / _NOMINAL_HEIGHT_M
    columns = round(sensor.swath_m / sensor.gsd_m)
    # Lines as far apart as columns below the satellite.
    position, velocity = path.state(np.array(seconds))
    _, _, height = ecef_to_geodetic(position)
    radius = float(np.linalg.norm(position))
    speed = float(np.linalg.norm(velocity)) * (radius - float(height)) / radius
    return Camera(
        path=path,
        roll_deg=roll_deg,
        first_s=round(seconds / TICK_S) * TICK_S,
        line_s=round(float(height) * pixel_tan / speed / TICK_S) * TICK_S,
        first_tan=-(columns - 1) / 2 * pixel_tan,
        pixel_tan=pixel_tan,
        rows=1,
        columns=columns,
    )


def _centred(camera: Camera, area: Footprint) -> Camera:
    """Turned so that the area lies in the middle of the line: its centroid, aimed at first, need not be its middle."""
    _, col = _outline(camera, area)
    aside = (col.min() + col.max()) / 2 - (camera.columns - 1) / 2
    return replace(camera, roll_deg=camera.roll_deg + degrees(float(np.arctan(aside * camera.pixel_tan))))


def _outline(camera: Camera, area: Footprint) -> tuple[Floats, Floats]:
    """Rows and columns of the area's outline."""
    step_deg = max(area.polygons.length / 3000, 1e-4)
    rings = shapely.segmentize(shapely.get_rings(shapely.get_parts(area.polygons)), step_deg)
    lon, lat = shapely.get_coordinates(rings).T
    return camera.image(lon, lat, terrain_height(lon, lat))


def _cut(camera: Camera, satellite: Satellite, area: Footprint) -> Camera:
    """The lines and columns that see the area and its margin.

    No ground hides other ground, so the picture of the area's outline is the outline of its picture.
    """
    row, col = _outline(camera, area)
    ratio = satellite.sensor.multispectral_ratio
    margin = MARGIN_M / satellite.sensor.gsd_m
    left = max(floor((col.min() - margin) / ratio), 0) * ratio
    right = min(ceil((col.max() + margin) / ratio), camera.columns // ratio) * ratio
    if left >= right:
        raise ProviderError(f"{satellite.id}: the swath misses the area; this is a fault of the sandbox")
    top = floor(row.min() - margin)
    return replace(
        camera,
        first_s=camera.first_s + top * camera.line_s,
        first_tan=camera.first_tan + left * camera.pixel_tan,
        rows=ceil((row.max() + margin - top) / ratio) * ratio,
        columns=right - left,
    )


def _utc(posix: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=posix)
