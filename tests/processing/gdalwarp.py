"""The peer: gdalwarp with an RPC and a DEM raised to the ellipsoid, without approximation."""

import subprocess

import numpy as np
import rasterio
from rasterio.transform import Affine

from processing.dem import Dem

NAMES = {"nearest": "near", "bilinear": "bilinear", "cubic": "cubic"}


def ellipsoidal(dem: Dem, folder, *, west, south, east, north):
    """The same heights for gdalwarp, as float64: cells raised to the ellipsoid."""
    grid = dem.window(west, south, east, north)
    lon, lat = dem.surface.lon_lat(np.array([grid.row, grid.row + 1.0]), np.array([grid.col, grid.col + 1.0]))
    dx, dy = lon[1] - lon[0], lat[1] - lat[0]
    with rasterio.open(
        folder / "ellipsoidal.tif",
        "w",
        driver="GTiff",
        dtype="float64",
        count=1,
        height=grid.values.shape[0],
        width=grid.values.shape[1],
        crs="EPSG:4326",
        transform=Affine(dx, 0, lon[0] - dx / 2, 0, dy, lat[0] - dy / 2),
    ) as file:
        file.write(grid.values, 1)
    return folder / "ellipsoidal.tif"


def gdalwarp(source, heights, grid, destination, *, resampling, nodata):
    west, south, east, north = (repr(edge) for edge in grid.bounds)
    size = str(grid.width), str(grid.height)
    command = [
        "gdalwarp",
        "-q",
        "-rpc",
        "-to",
        f"RPC_DEM={heights}",
        "-to",
        "RPC_DEMINTERPOLATION=bilinear",
        "-et",
        "0",
    ]
    command += ["-wo", "XSCALE=1", "-wo", "YSCALE=1", "-r", NAMES[resampling], "-t_srs", grid.crs]
    command += ["-te", west, south, east, north, "-ts", *size, "-dstnodata", str(nodata), str(source), str(destination)]
    subprocess.run(command, check=True, capture_output=True)
    with rasterio.open(destination) as dataset:
        return dataset.read()
