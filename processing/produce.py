"""A delivered scene → an orthorectified, described item: the one entry.

    scene ─► heights ─► rasters (`processing.products`) ─► footprint, clouds ─► thumbnail ─► STAC item

The files appear under their keys all together, at the end; where anything fails, none of them does.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pystac
from distributed import Client

from catalog.assets import AssetFolder
from catalog.extent import Footprint
from catalog.item import Accuracy, AssetFile, Band, OrderReference, to_item
from processing.accuracy import SensorFit
from processing.accuracy_document import write_report
from processing.accuracy_files import picture_asset, report_asset, report_of, software, stac_accuracy
from processing.accuracy_picture import write_picture
from processing.blocks import Progress
from processing.coregistration import coregister
from processing.dem import Dem
from processing.describe import describe
from processing.errors import HeightsError, OutputError, ProcessingError
from processing.graph import OrthoResult
from processing.names import ACCURACY, ACCURACY_PICTURE, DERIVED, THUMBNAIL
from processing.products import Products
from processing.quality import clear_area, cloud_cover_pct, footprint
from processing.scene import Scene
from processing.thumbnail import write_thumbnail

log = logging.getLogger("overflight.produce")

Neighbours = Callable[[Footprint], Mapping[str, Path]]
"""Names and files of finished orthoimages that show some of the same ground."""


def _nobody(_: Footprint) -> Mapping[str, Path]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """What became of a scene."""

    item: pystac.Item
    """Ready for the catalog; its files are in place."""

    footprint: Footprint
    """The valid pixels of the picture."""

    clear: Footprint | None
    """What of them is free of clouds; None where nothing is, or where clouds are not known: see `cloud_cover_pct`."""

    cloud_cover_pct: float | None
    """Over what was asked for, as far as the picture shows it, else over the whole picture; None where not known."""


def produce(
    scene: Scene,
    *,
    collection: str,
    dem: Dem | None,
    assets: AssetFolder,
    derived: Collection[str] = DERIVED,
    area: Footprint | None = None,
    neighbours: Neighbours = _nobody,
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
    derived
        What to make beside the scene's own rasters, where it has what is needed: `processing.names.DERIVED`.
    area
        What was asked for; clouds are counted over it.
    neighbours
        Tells finished orthoimages of the ground that the picture shows; the accuracy report measures it by them.
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
    try:
        with ExitStack() as stack:
            products = Products(
                scene=scene,
                heights=heights,
                assets=assets,
                folder=f"{collection}/{scene.id}",
                stack=stack,
                client=client,
                threads=threads,
                progress=progress,
            )
            products.make(derived)
            seen = footprint(products.picture.path)
            if seen is None:
                name = scene.rasters[0].path.name
                raise OutputError(f"{scene.id}: no pixel of {name} has data on the ground; deliver it again")
            reports = _judged(products, neighbours(seen)) if ACCURACY in derived else _NO_REPORT
            return _finish(products, seen, reports, collection=collection, area=area, order=order)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reports:
    """What is said of the accuracy."""

    accuracy: Accuracy
    assets: tuple[AssetFile, ...]


_NO_REPORT = _Reports(accuracy=Accuracy(), assets=())


def _judged(products: Products, neighbours: Mapping[str, Path]) -> _Reports:
    """Measure the picture by its neighbours, and write what is known of it."""
    scene, judged = products.scene, products.judged
    measured = []
    for name, path in neighbours.items():
        try:
            found = coregister(products.picture.path, path, threads=products.threads)
        except ProcessingError as error:  # a neighbour that cannot be used is no fault of this scene
            log.warning("%s is not compared with %s: %s", scene.id, name, error)
            continue
        if found.errors is not None:
            measured.append(replace(found, against=name))
    report = report_of(
        scene.id,
        products.picture.path,
        fits=[
            SensorFit(raster=raster.role, rms_px=raster.rpc_rms_px, max_px=raster.rpc_max_px)
            for raster in scene.rasters
            if raster.rpc_rms_px is not None
        ],
        dem=products.heights,
        occluded_pct=None if judged is None or judged.occluded_share is None else 100 * judged.occluded_share,
        coregistrations=measured,
        software=software(),
    )
    document, picture = products.begin(ACCURACY, "json"), products.begin(ACCURACY_PICTURE, "png")
    write_report(report, document)
    write_picture(report, products.picture.path, picture)
    return _Reports(
        accuracy=stac_accuracy(report),
        assets=(
            report_asset(document, products.hrefs[ACCURACY]),
            picture_asset(picture, products.hrefs[ACCURACY_PICTURE]),
        ),
    )


def _finish(
    products: Products,
    seen: Footprint,
    reports: _Reports,
    *,
    collection: str,
    area: Footprint | None,
    order: OrderReference | None,
) -> Produced:
    """Judge the files and describe them."""
    scene, picture = products.scene, products.picture
    clear, cover = _clouds(products.clouds, seen, area)
    thumbnail = products.begin(THUMBNAIL, "png")
    shown = write_thumbnail(
        picture.path, bands=_shown_bands(scene.rasters[0].bands), footprint=seen, destination=thumbnail
    )
    finished = describe(
        scene,
        products.made,
        (thumbnail, shown),
        accuracy=reports.accuracy,
        reports=reports.assets,
        heights=products.heights,
        collection=collection,
        hrefs=products.hrefs,
        footprint=seen,
        cloud_cover_pct=cover,
        steps=products.steps,
        order=order,
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
