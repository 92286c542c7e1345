"""Ground control points from files: CSV with a header, or a GeoJSON FeatureCollection of points.

    id,lon,lat,height,row,col,sigma_px
    tower-1,5.193021,44.207114,571.42,381.6,204.25,0.5

In GeoJSON the position is [lon, lat, height], and ``row``, ``col`` and perhaps ``sigma_px`` are properties; so is
``id`` where the feature has none. Columns and properties of other names are left alone. Heights stand on the vertical
datum that the caller declares. **Row 0, column 0 is the centre of the first pixel**; ``origin="corner"`` reads files of
tools that count from the image's corner, where that centre is (0.5, 0.5).
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from processing.datum import VerticalDatum
from processing.errors import DeliveryError, HeightsError
from processing.refine import ControlPoint

Origin = Literal["centre", "corner"]
"""What row 0, column 0 is of the first pixel."""

MAX_BYTES: Final = 20_000_000
"""Some 200,000 points."""

MAX_TOLD: Final = 20
"""Bad lines that an error names one by one; of the others it says how many."""

_REQUIRED: Final = ("lon", "lat", "height", "row", "col")
_OPTIONAL: Final = "sigma_px"
_RANGES: Final = {
    "lon": (-360.0, 360.0, "degrees of longitude, -360 to 360"),
    "lat": (-90.0, 90.0, "degrees of latitude, -90 to 90"),
    "height": (-15_000.0, 15_000.0, "metres, -15000 to 15000"),
    "row": (-1e7, 1e7, "pixels"),
    "col": (-1e7, 1e7, "pixels"),
    "sigma_px": (1e-6, 1e6, "pixels above 0"),
}
"""Lowest and highest value, and what to give instead of another."""

_WGS84: Final = ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "OGC:CRS84")

_Entry = tuple[str, Mapping[str, Any]]
"""Where it stands in the file, and what stands there."""


def read_control(path: Path, *, datum: VerticalDatum, origin: Origin = "centre") -> tuple[ControlPoint, ...]:
    """Read control points; ``.csv`` is read as CSV, ``.json`` and ``.geojson`` as GeoJSON.

    Parameters
    ----------
    datum
        What the file's heights stand on; RFC 7946 says the ellipsoid, surveyors mostly a geoid.
    origin
        What row 0, column 0 of the file is: the first pixel's ``centre``, or its outer ``corner``.

    Returns
    -------
    In the order of the file, heights above the ellipsoid, rows and columns counted from the first pixel's centre.

    Raises
    ------
    DeliveryError
        The file is none of the two, or lines of it are wrong: all are named.
    HeightsError
        The geoid does not cover a point.
    """
    if origin not in ("centre", "corner"):
        raise DeliveryError(f"{path.name}: its origin is {origin!r}; say 'centre' or 'corner' of the first pixel")
    entries = _READERS.get(path.suffix.lower(), _unknown)(path)
    points = _all(path, entries)
    if not points:
        raise DeliveryError(f"{path.name}: no control point in it; give one a line, or one a feature")
    half = 0.5 if origin == "corner" else 0.0
    undulation = _undulation(path, points, datum)
    return tuple(
        ControlPoint(
            id=point.id,
            lon=point.lon,
            lat=point.lat,
            height=point.height + float(above),
            row=point.row - half,
            col=point.col - half,
            sigma_px=point.sigma_px,
        )
        for point, above in zip(points, undulation, strict=True)
    )


def _all(path: Path, entries: Iterator[_Entry]) -> list[ControlPoint]:
    """Every point as it stands in the file; an error that names each bad one."""
    points: dict[str, ControlPoint] = {}
    places: dict[str, str] = {}
    wrong = []
    for where, entry in entries:
        try:
            point = _point(entry)
        except ValueError as error:
            wrong.append(f"{where}: {error}")
            continue
        if point.id in points:
            wrong.append(f"{where}: id {point.id!r} stands in {places[point.id]} too; give each point one of its own")
        points[point.id], places[point.id] = point, where
    if wrong:
        more = [f"and {len(wrong) - MAX_TOLD} more"] if len(wrong) > MAX_TOLD else []
        told = "\n  ".join(wrong[:MAX_TOLD] + more)
        raise DeliveryError(f"{path.name}: {len(wrong)} of its points cannot be used:\n  {told}")
    return list(points.values())


def _csv(path: Path) -> Iterator[_Entry]:
    rows = csv.reader(io.StringIO(_text(path), newline=""), strict=True, skipinitialspace=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        _check_header(path, header)
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            where = f"line {rows.line_num}"
            if len(row) != len(header):
                yield where, {"": f"{len(row)} values under {len(header)} names; give one under each"}
            else:
                yield where, {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}
    except csv.Error as error:
        raise DeliveryError(f"{path.name}: line {rows.line_num}: no CSV ({error})") from None


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in ("id", *_REQUIRED) if name not in header]
    if missing:
        raise DeliveryError(
            f"{path.name}: line 1: no {', '.join(missing)} among the names "
            f"{', '.join(header)[:200] or 'of the header'}; "
            f"begin with a line such as id,{','.join(_REQUIRED)},{_OPTIONAL}, separated by commas"
        )
    twice = next((name for name in ("id", *_REQUIRED, _OPTIONAL) if header.count(name) > 1), None)
    if twice:
        raise DeliveryError(f"{path.name}: line 1: {twice} comes twice; which of the two counts would be a guess")
    _check_sigma(path, "line 1", header)


def _geojson(path: Path) -> Iterator[_Entry]:
    try:
        document = json.loads(_text(path), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DeliveryError(f"{path.name}: no valid JSON ({error})") from None
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise DeliveryError(f"{path.name}: no GeoJSON FeatureCollection; give one whose features are points")
    crs = document.get("crs")
    if crs is not None and (not isinstance(crs, dict) or (crs.get("properties") or {}).get("name") not in _WGS84):
        raise DeliveryError(
            f"{path.name}: its crs is {json.dumps(crs)[:100]}; give longitude and latitude on WGS 84 (RFC 7946, 4)"
        )
    for number, feature in enumerate(features, start=1):
        where = f"feature {number}"
        if isinstance(feature, dict) and isinstance(feature.get("id"), str | int):
            where += f" ({str(feature['id'])[:60]})"
        properties = feature.get("properties") if isinstance(feature, dict) else None
        _check_sigma(path, where, list(properties or {}) if isinstance(properties, dict) else [])
        yield where, _of_feature(feature)


def _of_feature(feature: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever stands in the file
    """What a feature says under the names of the CSV; under no name, what is wrong with it."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return {"": "no Feature"}
    geometry, properties = feature.get("geometry"), feature.get("properties")
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        return {"": "its geometry is no Point"}
    position = geometry.get("coordinates")
    if not isinstance(position, list) or len(position) != 3:
        return {"": "its position is not [lon, lat, height]; a control point needs a height"}
    if not isinstance(properties, dict):
        return {"": "no properties; give row and col there"}
    named = {name: properties[name] for name in ("id", "row", "col", _OPTIONAL) if properties.get(name) is not None}
    given = {"id": feature["id"]} if feature.get("id") is not None else {}
    return named | given | dict(zip(("lon", "lat", "height"), position, strict=True))


def _unknown(path: Path) -> Iterator[_Entry]:
    raise DeliveryError(f"{path.name}: unknown kind of file; give control points as .csv, .json or .geojson")


_READERS: Final = {".csv": _csv, ".json": _geojson, ".geojson": _geojson}


def _point(entry: Mapping[str, Any]) -> ControlPoint:
    """The point as it stands in the file.

    Raises
    ------
    ValueError
        What is wrong with it.
    """
    if "" in entry:
        raise ValueError(entry[""])
    missing = [name for name in ("id", *_REQUIRED) if name not in entry]
    if missing:
        raise ValueError(f"no {', '.join(missing)}")
    name = entry["id"]
    if not isinstance(name, str | int) or isinstance(name, bool) or not str(name).strip():
        raise ValueError(f"id is {name!r}; give a name or a whole number")
    given = [*_REQUIRED, _OPTIONAL] if _OPTIONAL in entry else _REQUIRED
    return ControlPoint(id=str(name).strip(), **{name: _number(name, entry[name]) for name in given})


def _number(name: str, value: object) -> float:
    low, high, instead = _RANGES[name]
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise ValueError(f"{name} is {str(value)[:40]!r}; give {instead}")
    return number


def _undulation(path: Path, points: list[ControlPoint], datum: VerticalDatum) -> NDArray[np.float64]:
    """Height of the datum above the ellipsoid at each point, m."""
    if datum.geoid is None:
        return np.zeros(len(points))
    lon, lat = np.array([point.lon for point in points]), np.array([point.lat for point in points])
    row, col = datum.geoid.position(lon, lat, middle=float(lon[0]))
    above: NDArray[np.float64] = datum.geoid.cells(row, col).at(row, col)
    unknown = np.flatnonzero(~np.isfinite(above))
    if unknown.size:
        raise HeightsError(
            f"{path.name}: the grid {datum.geoid.path.name} of {datum.name} knows nothing of the control point "
            f"{points[unknown[0]].id} at lon {lon[unknown[0]]:.5f}, lat {lat[unknown[0]]:.5f}; give one that covers it"
        )
    return above


def _check_sigma(path: Path, where: str, names: list[str]) -> None:
    """A name that is almost that of the one number that may be missing would be overlooked."""
    strange = next((name for name in names if name.lower().startswith("sigma") and name != _OPTIONAL), None)
    if strange:
        raise DeliveryError(f"{path.name}: {where}: {strange!r} is not known; say {_OPTIONAL}, in pixels")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DeliveryError(f"{path.name}: more than {MAX_BYTES} bytes; give the points of one scene")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DeliveryError(f"{path.name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DeliveryError(f"{path.name}: no UTF-8 text") from None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")
