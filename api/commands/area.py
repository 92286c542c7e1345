"""The area of interest and the interval, from a command's options."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

Geometry = dict[str, Any]


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --area, --bbox, --point and --size-km."""
    for option in (
        click.option(
            "--size-km", type=float, default=5.0, show_default=True, help="Side of the square around --point."
        ),
        click.option("--point", type=float, nargs=2, metavar="LON LAT", help="Centre of a square of --size-km."),
        click.option("--bbox", type=float, nargs=4, metavar="W S E N", help="Degrees; W > E crosses the antimeridian."),
        click.option(
            "--area",
            type=click.Path(exists=True, path_type=Path),
            metavar="FILE",
            help="Any vector file: GeoJSON, GeoPackage, Shapefile, KML …; its polygons together, in any CRS.",
        ),
    ):
        command = option(command)
    return command


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --start, --end and --within."""
    for option in (
        click.option("--within", metavar="SPAN", help="Instead of --end: 12h, 3d or 2w from the start."),
        click.option("--end", metavar="TIME", help="RFC 3339 with an offset: 2026-07-04T00:00:00Z."),
        click.option("--start", metavar="TIME", help="RFC 3339 with an offset.  [default: now]"),
    ):
        command = option(command)
    return command


def geometry_of(
    area: Path | None,
    bbox: tuple[float, float, float, float] | None,
    point: tuple[float, float] | None,
    size_km: float,
) -> Geometry:
    """GeoJSON of the area that was asked for.

    Raises
    ------
    click.UsageError
        None or more than one of the three was given.
    InvalidExtentError
        It is no area on Earth.
    """
    if sum(given is not None for given in (area, bbox, point)) != 1:
        raise click.UsageError("where? give exactly one of --area FILE, --bbox W S E N, --point LON LAT")
    if area is not None:
        return _read_vector(area)
    if bbox is not None:
        return _box(*bbox)
    assert point is not None
    return _square(*point, size_km)


def interval_of(start: str | None, end: str | None, within: str | None) -> str:
    """RFC 3339 interval of the time that was asked for.

    Raises
    ------
    click.UsageError
        No end, two ends, or a span that is none.
    InvalidExtentError
        A time that is none, or has no offset.
    """
    from catalog.extent import TimeWindow, parse_time

    if (end is None) == (within is None):
        raise click.UsageError("when? give exactly one of --end TIME, --within SPAN (as in --within 3d)")
    first = datetime.now(UTC).replace(microsecond=0) if start is None else parse_time(start)
    last = parse_time(end) if end is not None else first + _span(str(within))
    return str(TimeWindow(start=first, end=last))


def _span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text.strip().lower())
    try:
        span = float(match[1]) * _UNITS[match[2]] if match else timedelta(0)
    except OverflowError:
        span = timedelta(0)
    if not timedelta(0) < span < timedelta(days=36_500):
        raise click.UsageError(f"--within: {text!r} is no span of time; write 12h, 3d or 2w")
    return span


def _box(west: float, south: float, east: float, north: float) -> Geometry:
    from catalog.extent import BBox

    box = BBox.of((west, south, east, north))
    right = box.east + 360 if box.crosses_antimeridian else box.east
    ring = [[west, south], [right, south], [right, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _square(lon: float, lat: float, size_km: float) -> Geometry:
    """Corners at the right distance on the ellipsoid, so that it is a square at the poles and at ±180° too."""
    from pyproj import Geod

    if not (math.isfinite(size_km) and 0 < size_km <= 2000):
        raise click.UsageError(f"--size-km: {size_km:g}; give more than 0 and at most 2000")
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise click.UsageError(f"--point: {lon:g} {lat:g} is not on Earth; the order is LON LAT")
    reach = size_km * 1000 / math.sqrt(2)
    corners = [Geod(ellps="WGS84").fwd(lon, lat, azimuth, reach)[:2] for azimuth in (225, 135, 45, 315)]
    ring = [[round(x, 7), round(y, 7)] for x, y in corners]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _read_vector(path: Path) -> Geometry:
    import geopandas  # type: ignore[import-untyped]
    from shapely import force_2d, get_parts
    from shapely.geometry import mapping

    try:
        frame = geopandas.read_file(path)
        if frame.crs is not None:
            frame = frame.to_crs("EPSG:4326")
        parts = [part for part in get_parts(frame.geometry.dropna().array) if not part.is_empty]
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        raise click.UsageError(f"--area: {path} cannot be read as a vector file ({_first_line(error)})") from None
    polygons = [part for part in parts if part.geom_type == "Polygon"]
    if not polygons or len(polygons) < len(parts):
        found = ", ".join(sorted({part.geom_type for part in parts})) or "nothing"
        raise click.UsageError(f"--area: {path} holds {found}; an area of interest is made of polygons only")
    if len(polygons) == 1:
        return dict(mapping(force_2d(polygons[0])))
    return {"type": "MultiPolygon", "coordinates": [mapping(force_2d(one))["coordinates"] for one in polygons]}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
