"""What an item says of a scene's finished files."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from catalog.extent import Footprint
from catalog.item import Accuracy, AssetFile, Band, FinishedScene, Grid, OrderReference
from processing.cog import CogProfile
from processing.dem import Dem
from processing.masks import Flag, bitfields
from processing.names import CLOUD_MASK, MULTISPECTRAL, PANCHROMATIC, PANSHARPENED, QUALITY_MASK, REFLECTANCE, THUMBNAIL
from processing.quality import multihash
from processing.rpc import Rpc
from processing.scene import Scene
from processing.statistics import band_statistics

COG: Final = "image/tiff; application=geotiff; profile=cloud-optimized"

_TITLES: Final = {
    MULTISPECTRAL: "Multispectral, orthorectified",
    PANCHROMATIC: "Panchromatic, orthorectified",
    PANSHARPENED: "Pansharpened",
    REFLECTANCE: "Reflectance at the top of the atmosphere",
    CLOUD_MASK: "Cloud mask",
    QUALITY_MASK: "What is wrong with each pixel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One finished raster."""

    name: str
    """Its key among the item's assets."""

    path: Path
    profile: CogProfile
    bands: tuple[Band, ...] = ()
    description: str | None = None
    roles: tuple[str, ...] = ("data",)
    flags: tuple[Flag, ...] = ()
    """Of a quality mask: what was looked for."""


def describe(
    scene: Scene,
    products: Collection[Product],
    thumbnail: tuple[Path, Grid],
    *,
    accuracy: Accuracy,
    reports: Collection[AssetFile],
    heights: Dem,
    collection: str,
    hrefs: Mapping[str, str],
    footprint: Footprint,
    cloud_cover_pct: float | None,
    steps: Collection[str],
    order: OrderReference | None,
) -> FinishedScene:
    """Everything that the item says.

    Parameters
    ----------
    reports
        Assets that tell of the accuracy.
    steps
        What was done beside orthorectifying, for a person.
    """
    return FinishedScene(
        id=scene.id,
        collection=collection,
        footprint=footprint,
        acquired=scene.acquired,
        platform=scene.platform,
        instrument=scene.instrument,
        constellation=scene.constellation,
        gsd_m=scene.gsd_m,
        view=scene.view,
        orbit=scene.orbit,
        cloud_cover_pct=cloud_cover_pct,
        lineage="; ".join([_lineage(scene, heights, footprint), *steps]),
        software={"overflight": _version()},
        order=order,
        license=scene.license,
        attribution=scene.attribution,
        accuracy=accuracy,
        assets=(
            *(_raster(product, hrefs[product.name]) for product in products),
            *reports,
            _thumbnail(*thumbnail, hrefs),
        ),
    )


def _raster(product: Product, href: str) -> AssetFile:
    profile = product.profile
    return AssetFile(
        name=product.name,
        href=href,
        title=_TITLES[product.name],
        description=product.description,
        media_type=COG,
        roles=product.roles,
        size_bytes=product.path.stat().st_size,
        checksum=multihash(product.path),
        grid=Grid(crs=profile.crs, transform=profile.transform, height=profile.height, width=profile.width),
        resolution_m=abs(profile.transform[0]),
        bands=product.bands,
        data_type=profile.data_type,
        nodata=profile.nodata,
        scale=profile.scales[0] if profile.scales else None,
        offset=profile.offsets[0] if profile.offsets else None,
        statistics=band_statistics(product.path) if product.bands and "data" in product.roles else (),
        bitfields=tuple(bitfields(product.flags)["classification:bitfields"]) if product.flags else (),
    )


def _thumbnail(path: Path, grid: Grid, hrefs: Mapping[str, str]) -> AssetFile:
    return AssetFile(
        name=THUMBNAIL,
        href=hrefs[THUMBNAIL],
        title="Thumbnail",
        media_type="image/png",
        roles=("thumbnail", "overview"),
        size_bytes=path.stat().st_size,
        checksum=multihash(path),
        grid=grid,
    )


def _lineage(scene: Scene, heights: Dem, footprint: Footprint) -> str:
    """What was done, with how well the sensor model stood for the rigorous one where the vendor says so."""
    residuals = [
        f"{raster.role} {raster.rpc_rms_px:.3g} px rms"
        + (f", {raster.rpc_max_px:.3g} px at most" if raster.rpc_max_px is not None else "")
        for raster in scene.rasters
        if raster.rpc_rms_px is not None and isinstance(raster.rpc, Rpc)
    ]
    kinds = " and ".join(dict.fromkeys(raster.rpc.kind for raster in scene.rasters))
    fit = f" (fit to the rigorous model: {'; '.join(residuals)})" if residuals else ""
    filled = ""
    if heights.fill_height is not None:
        filled = f": {heights.uncovered_pct(footprint.polygons):.1f} % of this picture"
    return (
        f"Orthorectified by {kinds}{fit} and the DEM {heights.description}{filled}; bilinear, masks nearest neighbour"
    )


def _version() -> str:
    try:
        return version("overflight")
    except PackageNotFoundError:
        return "unknown"
