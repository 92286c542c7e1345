"""The accuracy report of a product, from what produced it, and the files and assets that show it."""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
from rasterio.errors import RasterioError

from catalog.item import Accuracy, AssetFile
from processing.accuracy import (
    AccuracyReport,
    CheckPoints,
    Coregistration,
    HeightSource,
    RefinementFigures,
    SensorFit,
)
from processing.coregistration import ortho_grid, side_m
from processing.dem import Dem
from processing.errors import DeliveryError
from processing.masks import NODATA, OCCLUDED
from processing.quality import multihash
from processing.raster import open_raster
from processing.refine import Refinement

ACCURACY: Final = "accuracy"
"""Key of the report among an item's assets."""

PICTURE: Final = "accuracy-picture"


def report_of(
    product: str,
    ortho: Path,
    *,
    fits: Sequence[SensorFit] = (),
    refinement: Refinement | None = None,
    dem: Dem | None = None,
    occluded_pct: float | None = None,
    check_points: CheckPoints | None = None,
    coregistrations: Sequence[Coregistration] = (),
    max_nmad_px: float | None = None,
    max_ce90_m: float | None = None,
    software: Mapping[str, str] | None = None,
) -> AccuracyReport:
    """Bring together what is known of an orthoimage.

    Parameters
    ----------
    product
        The item's id, or the file's name.
    ortho
        The finished orthoimage; only its header is read.
    fits
        Of each raster for which the vendor gives residuals.
    max_nmad_px, max_ce90_m
        What is asked of it; a limit for which nothing was measured is left out.

    Raises
    ------
    DeliveryError
        The file is no orthoimage.
    """
    grid = ortho_grid(ortho)
    report = AccuracyReport(
        product=product,
        crs=grid.crs,
        resolution_m=side_m(grid),
        sensor_fits=tuple(fits),
        refinement=RefinementFigures.of(refinement) if refinement else None,
        heights=heights_of(dem) if dem else None,
        occluded_pct=occluded_pct,
        check_points=check_points,
        coregistrations=tuple(coregistrations),
        software=dict(software or {}),
    )
    return report.judged(max_nmad_px=max_nmad_px, max_ce90_m=max_ce90_m)


def heights_of(dem: Dem) -> HeightSource:
    """The names of a DEM and of what its heights stand on."""
    geoid = dem.datum.geoid
    return HeightSource(
        dem=dem.surface.path.name, vertical_datum=dem.datum.name, geoid=geoid.path.name if geoid else None
    )


def occluded_pct(mask: Path) -> float | None:
    """Share of the pixels with data that are hidden, of a mask as `processing.masks` has it; None where none has data.

    Raises
    ------
    DeliveryError
        It cannot be read.
    """
    shown, hidden = 0, 0
    with open_raster(mask) as dataset:
        for _, window in dataset.block_windows(1):
            try:
                bits = dataset.read(1, window=window)
            except RasterioError as error:
                raise DeliveryError(f"{mask.name}: {window} cannot be read ({error})") from None
            shown += int(np.count_nonzero(~bits & NODATA.bit))
            hidden += int(np.count_nonzero(bits & OCCLUDED.bit))
    return 100 * hidden / shown if shown else None


def stac_accuracy(report: AccuracyReport) -> Accuracy:
    """What the item says of it; only errors against the ground are the accuracy extension's."""
    found, refined, heights = report.absolute, report.refinement, report.heights
    return Accuracy(
        x_bias_m=found.mean_east_m if found else None,
        y_bias_m=found.mean_north_m if found else None,
        x_stddev_m=found.stddev_east_m if found else None,
        y_stddev_m=found.stddev_north_m if found else None,
        rmse_m=found.rmse_m if found else refined.rmse_m if refined else None,
        ce90_m=report.ce90_m,
        coregistration_nmad_px=report.nmad_px,
        rpc_rms_px=max((fit.rms_px for fit in report.sensor_fits), default=None),
        dem=heights.dem if heights else None,
        vertical_datum=heights.vertical_datum if heights else None,
        occluded_pct=report.occluded_pct,
    )


def report_asset(path: Path, href: str) -> AssetFile:
    """The asset of a report that was written."""
    return AssetFile(
        name=ACCURACY,
        href=href,
        title="Accuracy report",
        description="What was measured, and against what; its schema is processing/accuracy.schema.json.",
        media_type="application/json",
        roles=("metadata",),
        size_bytes=path.stat().st_size,
        checksum=multihash(path),
    )


def picture_asset(path: Path, href: str) -> AssetFile:
    """The asset of its picture."""
    return AssetFile(
        name=PICTURE,
        href=href,
        title="Accuracy report, one page",
        media_type="image/png",
        roles=("overview",),
        size_bytes=path.stat().st_size,
        checksum=multihash(path),
    )


def software() -> dict[str, str]:
    """Name and version of what measures."""
    try:
        return {"overflight": version("overflight")}
    except PackageNotFoundError:
        return {}
