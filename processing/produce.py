"""A delivered scene → an orthorectified, described item: the one entry.

    scene ─► heights ─► grid ─► ortho of each raster ─► footprint, clouds ─► thumbnail ─► STAC item

The files appear under their keys all together, at the end; where anything fails, none of them does.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import pystac
from distributed import Client

from catalog.assets import AssetFolder
from catalog.extent import Footprint
from catalog.item import AssetFile, Band, FinishedScene, Grid, OrderReference, to_item
from processing.blocks import Progress
from processing.dem import Dem
from processing.errors import HeightsError, OutputError
from processing.graph import OrthoResult, RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.quality import clear_area, cloud_cover_pct, footprint, multihash
from processing.rpc import Rpc
from processing.scene import Scene, SceneRaster
from processing.thumbnail import write_thumbnail

CLOUD_MASK: Final = "cloud-mask"
THUMBNAIL: Final = "thumbnail"

COG: Final = "image/tiff; application=geotiff; profile=cloud-optimized"

_COLOURS: Final = {"red": "Red", "green": "Green", "blue": "Blue"}
"""GDAL's colour interpretation of a band's common name; all others are Undefined."""

_TITLES: Final = {
    "multispectral": "Multispectral, orthorectified",
    "panchromatic": "Panchromatic, orthorectified",
    CLOUD_MASK: "Cloud mask",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """What became of a scene."""

    item: pystac.Item
    """Ready for the catalog; its files are in place."""

    footprint: Footprint
    """The valid pixels of the picture."""

    clear: Footprint | None
    """What of them is free of clouds; None where nothing is, or where no mask was delivered: see `cloud_cover_pct`."""

    cloud_cover_pct: float | None
    """Over what was asked for, as far as the picture shows it, else over the whole picture; None without a mask."""


def produce(
    scene: Scene,
    *,
    collection: str,
    dem: Dem | None,
    assets: AssetFolder,
    area: Footprint | None = None,
    order: OrderReference | None = None,
    client: Client | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Produced:
    """Make the item of a scene: same scene, same id, same files, however often it is made.

    Parameters
    ----------
    dem
        Heights for scenes that come without their own DEM.
    area
        What was asked for; clouds are counted over it.
    client
        The dask cluster that computes; None: threads of this process, `threads` of them.

    Raises
    ------
    HeightsError
        No DEM, or one that does not cover the scene.
    SensorModelError
        A sensor model that does not see the ground.
    OutputError
        The disk is full; no file of the item has appeared or changed.
    """
    heights = _heights(scene, dem)
    folder = f"{collection}/{scene.id}"
    keys = {raster.role: f"{folder}/{raster.role}.tif" for raster in scene.rasters} | {
        THUMBNAIL: f"{folder}/{THUMBNAIL}.png"
    }
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(assets.writing(key)) for name, key in keys.items()}
            ortho = {
                raster.role: _ortho(
                    raster, grid, heights, files[raster.role], client=client, threads=threads, progress=progress
                )
                for raster, grid in _grids(scene, heights)
            }
            hrefs = {name: assets.href(key) for name, key in keys.items()}
            return _finish(
                scene, heights, ortho, files[THUMBNAIL], collection=collection, hrefs=hrefs, area=area, order=order
            )
    except OSError as error:
        raise OutputError(f"{scene.id}: its files cannot be written ({error.strerror}); none has changed") from error


def _heights(scene: Scene, dem: Dem | None) -> Dem:
    """The scene's own DEM, else the given one."""
    if scene.dem is not None:
        return Dem.open(scene.dem.path, vertical_datum=scene.dem.vertical_datum, geoid=scene.dem.geoid)
    if dem is None:
        raise HeightsError(
            f"{scene.id}: no DEM came with it and none is set; add one to the delivery or to the settings"
        )
    return dem


def _grids(scene: Scene, heights: Dem) -> Iterator[tuple[SceneRaster, OutputGrid]]:
    """One CRS for all; a cloud mask lies on the pixels of the first picture."""
    first: OutputGrid | None = None
    for raster in scene.rasters:
        if first is not None and raster.role == CLOUD_MASK:
            yield raster, first
            continue
        grid = choose_grid(raster.rpc, (raster.height, raster.width), heights, crs=first.crs if first else None)
        first = first or grid
        yield raster, grid


def _ortho(
    raster: SceneRaster,
    grid: OutputGrid,
    heights: Dem,
    destination: Path,
    *,
    client: Client | None,
    threads: int | None,
    progress: Progress | None,
) -> OrthoResult:
    classes = raster.role == CLOUD_MASK

    def report(_: str, done: int, total: int) -> None:
        if progress:
            progress(raster.role, done, total)

    return orthorectify(
        raster=RawRaster(path=raster.path, rpc=raster.rpc, nodata=raster.nodata),
        dem=heights,
        grid=grid,
        destination=destination,
        resampling="nearest" if classes else "bilinear",
        client=client,
        threads=threads,
        progress=report,
        descriptions=tuple(band.name for band in raster.bands),
        colours=tuple(_COLOURS.get(band.common_name or "", "Undefined") for band in raster.bands)
        if len(raster.bands) > 1
        else ("Gray",),
        overviews="nearest" if classes else "average",
    )


def _finish(
    scene: Scene,
    heights: Dem,
    ortho: dict[str, OrthoResult],
    thumbnail: Path,
    *,
    collection: str,
    hrefs: dict[str, str],
    area: Footprint | None,
    order: OrderReference | None,
) -> Produced:
    """Judge the files and describe them."""
    picture = scene.rasters[0]
    seen = footprint(ortho[picture.role].path)
    if seen is None:
        raise OutputError(f"{scene.id}: no pixel of {picture.path.name} has data on the ground; deliver it again")
    clear, cover = _clouds(ortho.get(CLOUD_MASK), seen, area)
    shown = write_thumbnail(
        ortho[picture.role].path, bands=_shown_bands(picture.bands), footprint=seen, destination=thumbnail
    )
    finished = FinishedScene(
        id=scene.id,
        collection=collection,
        footprint=seen,
        acquired=scene.acquired,
        platform=scene.platform,
        instrument=scene.instrument,
        constellation=scene.constellation,
        gsd_m=scene.gsd_m,
        view=scene.view,
        orbit=scene.orbit,
        cloud_cover_pct=cover,
        lineage=_lineage(scene, heights),
        software={"overflight": _version()},
        order=order,
        license=scene.license,
        attribution=scene.attribution,
        assets=(
            *(_raster_asset(raster, ortho[raster.role], hrefs[raster.role]) for raster in scene.rasters),
            _thumbnail_asset(thumbnail, shown, hrefs[THUMBNAIL]),
        ),
    )
    return Produced(item=to_item(finished), footprint=seen, clear=clear, cloud_cover_pct=cover)


def _clouds(mask: OrthoResult | None, seen: Footprint, area: Footprint | None) -> tuple[Footprint | None, float | None]:
    """What is clear of what is seen, and the share of clouds over the part of the area that is seen."""
    if mask is None:
        return None, None
    clear = clear_area(mask.path)
    cover = cloud_cover_pct(mask.path, area.intersection(seen) if area else None)
    return clear and clear.intersection(seen), cover


def _shown_bands(bands: tuple[Band, ...]) -> tuple[int, ...]:
    """Red, green and blue where there are such bands, else the first alone; counted from 1."""
    names = [band.common_name for band in bands]
    colours = ("red", "green", "blue")
    return tuple(names.index(colour) + 1 for colour in colours) if set(colours) <= set(names) else (1,)


def _raster_asset(raster: SceneRaster, made: OrthoResult, href: str) -> AssetFile:
    profile = made.profile
    is_mask = raster.role == CLOUD_MASK
    return AssetFile(
        name=raster.role,
        href=href,
        title=_TITLES[raster.role],
        description="0 is clear, 1 is cloud, 255 is unknown." if is_mask else None,
        media_type=COG,
        roles=("cloud", "data-mask") if is_mask else ("data",),
        size_bytes=made.path.stat().st_size,
        checksum=multihash(made.path),
        grid=Grid(crs=profile.crs, transform=profile.transform, height=profile.height, width=profile.width),
        resolution_m=abs(profile.transform[0]),
        bands=raster.bands,
        data_type=profile.data_type,
        nodata=profile.nodata,
    )


def _thumbnail_asset(path: Path, grid: Grid, href: str) -> AssetFile:
    return AssetFile(
        name=THUMBNAIL,
        href=href,
        title="Thumbnail",
        media_type="image/png",
        roles=("thumbnail", "overview"),
        size_bytes=path.stat().st_size,
        checksum=multihash(path),
        grid=grid,
    )


def _lineage(scene: Scene, heights: Dem) -> str:
    """What was done, with how well the sensor model stood for the rigorous one where the vendor says so."""
    residuals = [
        f"{raster.role} {raster.rpc_rms_px:.3g} px rms"
        + (f", {raster.rpc_max_px:.3g} px at most" if raster.rpc_max_px is not None else "")
        for raster in scene.rasters
        if raster.rpc_rms_px is not None and isinstance(raster.rpc, Rpc)
    ]
    kinds = " and ".join(dict.fromkeys(raster.rpc.kind for raster in scene.rasters))
    fit = f" (fit to the rigorous model: {'; '.join(residuals)})" if residuals else ""
    return (
        f"Orthorectified by {kinds}{fit} and the DEM {heights.surface.path.name} "
        f"(vertical datum: {heights.datum.name}); bilinear, masks nearest neighbour"
    )


def _version() -> str:
    try:
        return version("overflight")
    except PackageNotFoundError:
        return "unknown"
