"""A finished scene → a STAC 1.1 Item with the extensions that apply to it, and the Collections that hold items.

Addresses inside this installation begin with `catalog.search.BASE`; the catalog adds the links of its own tree when it
stores the document.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import pystac

from catalog.errors import InvalidItemError
from catalog.extent import Footprint, TimeWindow, format_time
from catalog.search import BASE

_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
EO, VIEW, SAT = (_EXTENSION.format(name) for name in ("eo/v2.0.0", "view/v1.1.0", "sat/v1.2.0"))
PROJECTION, RASTER = (_EXTENSION.format(name) for name in ("projection/v2.0.0", "raster/v2.0.0"))
ACCURACY = _EXTENSION.format("accuracy/v1.0.0-beta.1")
PROCESSING, FILE, ORDER = (_EXTENSION.format(name) for name in ("processing/v1.2.0", "file/v2.1.0", "order/v1.1.0"))
CLASSIFICATION = _EXTENSION.format("classification/v2.0.0")

COMMON_NAMES = (
    "pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "rededge071", "rededge075", "rededge078",
    "nir", "nir08", "nir09", "cirrus", "swir16", "swir22", "lwir", "lwir11", "lwir12",
)  # fmt: skip
"""What a band can be called in every catalog (STAC eo extension v2.0.0)."""

ITEM_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}", flags=re.ASCII)
"""Ids go into addresses and file names unchanged; no other character, and not only dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One spectral band."""

    name: str
    """As the vendor calls it."""

    common_name: str | None = None
    """One of `COMMON_NAMES`."""

    center_um: float | None = None
    """Centre wavelength in micrometres."""

    width_um: float | None = None
    """Full width at half maximum in micrometres."""

    def __post_init__(self) -> None:
        if self.common_name is not None and self.common_name not in COMMON_NAMES:
            raise InvalidItemError(
                f"band {self.name}: common name {self.common_name!r} is unknown; one of {', '.join(COMMON_NAMES)}"
            )
        for name, value in (("centre", self.center_um), ("width", self.width_um)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidItemError(f"band {self.name}: its {name} {value} µm is no wavelength above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How the sensor looked and where the sun stood, at the scene's centre (STAC view extension); None is unknown."""

    off_nadir_deg: float | None = None
    """Angle at the satellite between the nadir and the line of sight, 0 to 90."""

    incidence_deg: float | None = None
    """Angle at the ground between the vertical and the line of sight, 0 to 90."""

    azimuth_deg: float | None = None
    """Direction from the ground to the satellite, clockwise from north, 0 to 360."""

    sun_azimuth_deg: float | None = None
    """Direction from the ground to the sun, clockwise from north, 0 to 360."""

    sun_elevation_deg: float | None = None
    """Height of the sun above the horizon, -90 to 90."""

    def __post_init__(self) -> None:
        ranges = {"off_nadir": (0, 90), "incidence": (0, 90), "azimuth": (0, 360), "sun_azimuth": (0, 360)}
        for name, (low, high) in (ranges | {"sun_elevation": (-90, 90)}).items():
            value = getattr(self, f"{name}_deg")
            if value is not None and not low <= value <= high:
                raise InvalidItemError(f"view: {name}_deg {value} is out of bounds; give {low} to {high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orbit:
    """Which part of which orbit (STAC sat extension); None is unknown."""

    orbit_state: Literal["ascending", "descending"] | None = None
    absolute_orbit: int | None = None
    """Number of the orbit since launch, from 1."""

    def __post_init__(self) -> None:
        if self.orbit_state not in (None, "ascending", "descending"):
            raise InvalidItemError(f"sat: orbit_state {self.orbit_state!r}; give ascending or descending")
        if self.absolute_orbit is not None and self.absolute_orbit < 1:
            raise InvalidItemError(f"sat: absolute_orbit {self.absolute_orbit}; orbits are counted from 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The pixels of a file on the map."""

    crs: str
    """Authority and code: ``EPSG:32631``."""

    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f: x = a·col + b·row + c and y = d·col + e·row + f of a pixel's outer corner."""

    height: int
    width: int

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """Least x, least y, greatest x, greatest y of the pixels' outer edges, in units of the CRS."""
        a, b, c, d, e, f = self.transform
        xs = [a * col + b * row + c for col in (0, self.width) for row in (0, self.height)]
        ys = [d * col + e * row + f for col in (0, self.width) for row in (0, self.height)]
        return (min(xs), min(ys), max(xs), max(ys))


@dataclass(frozen=True, slots=True, kw_only=True)
class BandStatistics:
    """What the pixels of a band are, those without data left out (STAC 1.1, statistics object)."""

    minimum: float
    maximum: float
    mean: float
    stddev: float
    count: int
    """How many pixels have data."""

    valid_pct: float
    """Their share of all, 0 to 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What an item says of its accuracy; None is unknown. Errors are product − ground, metres."""

    x_bias_m: float | None = None
    """Mean error to the east, against check points; as are the three below."""

    y_bias_m: float | None = None
    """To the north."""

    x_stddev_m: float | None = None
    y_stddev_m: float | None = None
    rmse_m: float | None = None
    """Radial, of points that the sensor model was not fitted to."""

    ce90_m: float | None = None
    """Distance that nine of ten such points keep."""

    coregistration_nmad_px: float | None = None
    """Against overlapping scenes, the worst of them."""

    rpc_rms_px: float | None = None
    """Of the sensor model against the rigorous one, the worst raster."""

    dem: str | None = None
    vertical_datum: str | None = None
    """Of the DEM's heights."""

    occluded_pct: float | None = None
    """Share of the pixels with data that show nearer terrain in place of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFile:
    """One finished file of an item."""

    name: str
    """Key among the item's assets: ``multispectral``."""

    href: str
    title: str
    media_type: str
    roles: tuple[str, ...]
    size_bytes: int

    checksum: str
    """Multihash in hexadecimal: ``1220`` and the SHA-256."""

    description: str | None = None
    grid: Grid | None = None
    """None for a file without map coordinates."""

    resolution_m: float | None = None
    """Size of a pixel on the ground."""

    bands: tuple[Band, ...] = ()
    data_type: str | None = None
    """As numpy calls it: ``uint16``."""

    nodata: float | None = None
    scale: float | None = None
    """With `offset`: value = scale × number + offset; None where the numbers are the values."""

    offset: float | None = None
    bitfields: tuple[Mapping[str, Any], ...] = ()
    """What the bits of a mask mean, as the classification extension has it."""
    statistics: tuple[BandStatistics, ...] = ()
    """One a band, or none."""

    def __post_init__(self) -> None:
        if self.statistics and len(self.statistics) != len(self.bands):
            raise InvalidItemError(
                f"asset {self.name}: statistics of {len(self.statistics)} bands, yet it has {len(self.bands)}; "
                "give one a band, or none"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReference:
    """Which order an item answers."""

    id: str
    created: datetime | None = None
    """When it was received, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedScene:
    """Everything that an Item says of a scene."""

    id: str
    collection: str
    footprint: Footprint
    """The valid pixels."""

    acquired: TimeWindow
    """First and last line; both are known."""

    platform: str
    gsd_m: float
    """Ground sampling distance of the sharpest band."""

    assets: tuple[AssetFile, ...]
    instrument: str | None = None
    constellation: str | None = None
    view: View = field(default_factory=View)
    orbit: Orbit = field(default_factory=Orbit)
    cloud_cover_pct: float | None = None
    """Over what was asked for; None where no cloud mask was delivered."""

    accuracy: Accuracy = field(default_factory=Accuracy)
    lineage: str
    """What was done to the raw scene, for a person."""

    software: Mapping[str, str]
    """Name and version of what did it."""

    order: OrderReference | None = None
    license: str | None = None
    attribution: str | None = None
    """Whom to name when showing the picture."""

    def __post_init__(self) -> None:
        if not ITEM_ID.fullmatch(self.id) or not self.id.strip("."):
            raise InvalidItemError(f"item {self.id[:120]!r}: an id is 1 to 100 of A-Z a-z 0-9 _ . - and not only dots")
        if self.acquired.start is None or self.acquired.end is None:
            raise InvalidItemError(f"item {self.id}: its acquisition {self.acquired} is open; give start and end")
        if not self.assets:
            raise InvalidItemError(f"item {self.id}: it has no assets")

    @property
    def moment(self) -> datetime:
        """The middle of the acquisition."""
        start, end = self.acquired.start, self.acquired.end
        assert start is not None and end is not None  # noqa: PT018 - checked when it was made
        return start + (end - start) / 2


def to_item(scene: FinishedScene) -> pystac.Item:
    """Describe the scene as a STAC 1.1 Item.

    Source: STAC 1.1.0 item-spec and the extensions projection 2.0.0, eo 2.0.0, view 1.1.0, sat 1.2.0, raster 2.0.0,
    processing 1.2.0, file 2.1.0, order 1.1.0, classification 2.0.0, accuracy 1.0.0-beta.1; each is declared only where
    one of its fields is there. What none of them has a field for goes under ``overflight:``.
    """
    properties = _properties(scene)
    assets = {asset.name: _asset(asset) for asset in scene.assets}
    item = pystac.Item(
        id=scene.id,
        collection=scene.collection,
        geometry=scene.footprint.geojson,
        bbox=list(scene.footprint.bbox.as_tuple()),
        datetime=scene.moment,
        start_datetime=scene.acquired.start,
        end_datetime=scene.acquired.end,
        properties=properties,
        stac_extensions=_extensions(properties, assets),
        assets=assets,
    )
    # The schema wants this link beside a collection's id; the catalog adds the other ones.
    address = f"{BASE}/stac/collections/{scene.collection}"
    item.add_link(pystac.Link("collection", address, media_type=pystac.MediaType.JSON))
    return item


def _properties(scene: FinishedScene) -> dict[str, Any]:
    crs = {asset.grid.crs for asset in scene.assets if asset.grid and "data" in asset.roles}
    order = scene.order
    values = {
        "platform": scene.platform,
        "instruments": [scene.instrument] if scene.instrument else None,
        "constellation": scene.constellation,
        "gsd": scene.gsd_m,
        "license": scene.license,
        "providers": [{"name": scene.attribution, "roles": ["licensor", "producer"]}] if scene.attribution else None,
        "eo:cloud_cover": scene.cloud_cover_pct,
        "view:off_nadir": scene.view.off_nadir_deg,
        "view:incidence_angle": scene.view.incidence_deg,
        "view:azimuth": scene.view.azimuth_deg,
        "view:sun_azimuth": scene.view.sun_azimuth_deg,
        "view:sun_elevation": scene.view.sun_elevation_deg,
        "sat:orbit_state": scene.orbit.orbit_state,
        "sat:absolute_orbit": scene.orbit.absolute_orbit,
        "proj:code": crs.pop() if len(crs) == 1 else None,
        **_accuracy(scene.accuracy),
        "processing:lineage": scene.lineage,
        "processing:software": dict(scene.software),
        "order:status": "succeeded" if order else None,
        "order:id": order.id if order else None,
        "order:date": format_time(order.created) if order and order.created else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    return {
        "accuracy:geometric_x_bias": accuracy.x_bias_m,
        "accuracy:geometric_y_bias": accuracy.y_bias_m,
        "accuracy:geometric_x_stddev": accuracy.x_stddev_m,
        "accuracy:geometric_y_stddev": accuracy.y_stddev_m,
        "accuracy:geometric_rmse": accuracy.rmse_m,
        "overflight:ce90_m": accuracy.ce90_m,
        "overflight:coregistration_nmad_px": accuracy.coregistration_nmad_px,
        "overflight:rpc_rms_px": accuracy.rpc_rms_px,
        "overflight:dem": accuracy.dem,
        "overflight:vertical_datum": accuracy.vertical_datum,
        "overflight:occluded_pct": accuracy.occluded_pct,
    }


def _asset(asset: AssetFile) -> pystac.Asset:
    grid = asset.grid
    statistics = asset.statistics or (None,) * len(asset.bands)
    values = {
        "bands": [_band(*pair) for pair in zip(asset.bands, statistics, strict=True)] or None,
        "data_type": asset.data_type,
        "nodata": _nodata(asset.nodata),
        "raster:spatial_resolution": asset.resolution_m,
        "raster:scale": asset.scale,
        "raster:offset": asset.offset,
        "classification:bitfields": [dict(one) for one in asset.bitfields] or None,
        "raster:sampling": "area" if grid and asset.data_type else None,
        "proj:code": grid.crs if grid else None,
        "proj:bbox": list(grid.bbox) if grid else None,
        "proj:shape": [grid.height, grid.width] if grid else None,
        "proj:transform": list(grid.transform) if grid else None,
        "file:size": asset.size_bytes,
        "file:checksum": asset.checksum,
    }
    return pystac.Asset(
        href=asset.href,
        title=asset.title,
        description=asset.description,
        media_type=asset.media_type,
        roles=list(asset.roles),
        extra_fields={name: value for name, value in values.items() if value is not None},
    )


def _nodata(value: float | None) -> float | int | str | None:
    """As STAC 1.1 writes it: NaN is no number of JSON."""
    if value is None or math.isfinite(value):
        return int(value) if value is not None and value == int(value) else value
    return str(value)


def _band(band: Band, statistics: BandStatistics | None) -> dict[str, Any]:
    values = {
        "name": band.name,
        "eo:common_name": band.common_name,
        "eo:center_wavelength": band.center_um,
        "eo:full_width_half_max": band.width_um,
        "statistics": _statistics(statistics) if statistics else None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _statistics(one: BandStatistics) -> dict[str, Any]:
    return {
        "minimum": _nodata(one.minimum),
        "maximum": _nodata(one.maximum),
        "mean": one.mean,
        "stddev": one.stddev,
        "count": one.count,
        "valid_percent": one.valid_pct,
    }


def _extensions(properties: Mapping[str, Any], assets: Mapping[str, pystac.Asset]) -> list[str]:
    """The extensions of which a field is there: an extension that is declared and not used does not validate."""
    used = set(properties)
    for asset in assets.values():
        used |= set(asset.extra_fields)
        used |= {name for band in asset.extra_fields.get("bands", ()) for name in band}
    prefixes = {"eo": EO, "view": VIEW, "sat": SAT, "proj": PROJECTION, "raster": RASTER}
    prefixes |= {"processing": PROCESSING, "file": FILE, "order": ORDER, "classification": CLASSIFICATION}
    prefixes |= {"accuracy": ACCURACY}
    return [url for prefix, url in prefixes.items() if any(name.startswith(prefix + ":") for name in used)]


def to_collection(
    id: str,  # noqa: A002 - STAC's word
    title: str,
    description: str,
    license: str,  # noqa: A002 - STAC's word
    *,
    start: datetime | None = None,
    keywords: tuple[str, ...] = (),
) -> pystac.Collection:
    """Describe a Collection of scenes from anywhere on Earth, from `start` (None: unknown) on."""
    if not ITEM_ID.fullmatch(id) or not id.strip("."):
        raise InvalidItemError(f"collection {id[:120]!r}: an id is 1 to 100 of A-Z a-z 0-9 _ . - and not only dots")
    return pystac.Collection(
        id=id,
        title=title,
        description=description,
        license=license,
        keywords=list(keywords) or None,
        extent=pystac.Extent(
            pystac.SpatialExtent([[-180.0, -90.0, 180.0, 90.0]]), pystac.TemporalExtent([[start, None]])
        ),
    )
