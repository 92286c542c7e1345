"""An orthoimage that is computed only where it is looked at."""

from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from pyproj import CRS

from processing.blocks import plainly
from processing.cog import SUPERBLOCK
from processing.dem import Dem
from processing.errors import OutputError
from processing.graph import OrthoJob, RawRaster, plan
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.ortho import Pixels


def open_ortho(
    raster: RawRaster, dem: Dem, grid: OutputGrid | None = None, *, resampling: str = "bilinear"
) -> xr.DataArray:
    """The pixels that `orthorectify` would write, as a dask array of superblocks on the map.

    Parameters
    ----------
    grid
        North up: its rows are one y each and its columns one x. The scene's own, as `choose_grid` makes it, where None.

    Returns
    -------
    Dimensions band, y, x. Coordinates are the centres of the pixels; CRS and transform stand at ``spatial_ref`` and
    nodata in the attribute ``_FillValue``, where rioxarray and GDAL look for them (CF conventions, grid mappings).

    Raises
    ------
    OutputError, HeightsError, SensorModelError, DeliveryError
        At once for what can be known from the headers; ground without a height when it is computed.
    """
    if grid is None:
        image = raster.image()
        grid = choose_grid(raster.rpc, (image.height, image.width), dem)
    a, b, c, d, e, f = grid.transform
    if b or d:
        raise OutputError(
            f"output grid: the transform {grid.transform} is rotated; give one whose rows have one y each"
        )
    job = plan(raster=raster, dem=dem, grid=grid, resampling=resampling)
    pixels = da.map_blocks(  # type: ignore[no-untyped-call]
        _superblock,
        job=job,
        chunks=((job.image.bands,), _chunks(grid.height), _chunks(grid.width)),
        dtype=job.image.data_type,
        meta=np.empty((0, 0, 0), dtype=job.image.data_type),
        name=None,
    )
    reference = {
        **CRS.from_user_input(grid.crs).to_cf(),
        "spatial_ref": CRS.from_user_input(grid.crs).to_wkt(),
        "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}",
    }
    ortho = xr.DataArray(
        pixels,
        dims=("band", "y", "x"),
        coords={
            "band": np.arange(1, job.image.bands + 1),
            "y": f + e * (np.arange(grid.height) + 0.5),
            "x": c + a * (np.arange(grid.width) + 0.5),
            "spatial_ref": xr.Variable((), 0, reference),
        },
        attrs={"_FillValue": np.dtype(job.image.data_type).type(job.nodata)},
        name="ortho",
    )
    ortho.encoding["grid_mapping"] = "spatial_ref"
    return ortho


def _superblock(*, job: OrthoJob, block_info: Any = None) -> Pixels:  # noqa: ANN401 - dask's own mapping
    _, row, col = block_info[None]["chunk-location"]
    pixels: Pixels = plainly(job.block, row, col)
    return pixels


def _chunks(size: int) -> tuple[int, ...]:
    whole, rest = divmod(size, SUPERBLOCK)
    return (SUPERBLOCK,) * whole + ((rest,) if rest else ())
