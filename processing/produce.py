"""A delivered scene → an orthorectified, described item: the one entry.

    scene ─► heights ─► rasters (`processing.products`) ─► footprint, clouds ─► thumbnail ─► STAC item

The files appear under their keys all together, at the end; where anything fails, none of them does.
"""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

import pystac
from distributed import Client

from catalog.assets import AssetFolder
from catalog.extent import Footprint
from catalog.item import Band, OrderReference, to_item
from processing.blocks import Progress
from processing.dem import Dem
from processing.describe import describe
from processing.errors import HeightsError, OutputError
from processing.graph import OrthoResult
from processing.names import DERIVED, THUMBNAIL
from processing.products import Products
from processing.quality import clear_area, cloud_cover_pct, footprint
from processing.scene import Scene
from processing.thumbnail import write_thumbnail


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
            return _finish(products, collection=collection, area=area, order=order)
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


def _finish(products: Products, *, collection: str, area: Footprint | None, order: OrderReference | None) -> Produced:
    """Judge the files and describe them."""
    scene, picture = products.scene, products.picture
    seen = footprint(picture.path)
    if seen is None:
        raise OutputError(
            f"{scene.id}: no pixel of {scene.rasters[0].path.name} has data on the ground; deliver it again"
        )
    clear, cover = _clouds(products.clouds, seen, area)
    thumbnail = products.begin(THUMBNAIL, "png")
    shown = write_thumbnail(
        picture.path, bands=_shown_bands(scene.rasters[0].bands), footprint=seen, destination=thumbnail
    )
    finished = describe(
        scene,
        products.made,
        (thumbnail, shown),
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
