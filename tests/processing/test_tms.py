"""Grids on tiles of a set: held against morecantile's bounds, GDAL's COG driver, and arithmetic."""

import functools
import math

import morecantile
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.transform import Affine
from rio_cogeo import cog_validate

from processing.errors import OutputError
from processing.graph import orthorectify
from processing.tile import TILE
from processing.tms import nearest_zoom, scene_tile_grid, tile_grid
from tests.processing.test_graph import write_scene

SETS = [name for name in morecantile.tms.list() if name not in ("CDB1GlobalGrid", "GNOSISGlobalGrid")]


def edges(transform, row, col, side):
    """Lowest x, lowest y, highest x, highest y of a square of pixels."""
    a, _, c, _, e, f = tuple(transform)[:6]
    return c + col * a, f + (row + side) * e, c + (col + side) * a, f + row * e


known = functools.cache(morecantile.tms.get)


@functools.cache
def to_crs(tms):
    return Transformer.from_crs("OGC:CRS84", morecantile.tms.get(tms).crs.srs, always_xy=True)


def about(tms, lon, lat, half_deg):
    """Bounds around a place in the CRS of a set, easting or longitude first."""
    corners = [(lon - half_deg, lat - half_deg), (lon + half_deg, lat + half_deg)]
    x, y = to_crs(tms).transform(*zip(*corners, strict=True))
    return min(x), min(y), max(x), max(y)


PLACES = {"CanadianNAD83_LCC": (-100, 55), "NZTM2000Quad": (172, -41), "LINZAntarticaMapTilegrid": (170, -78),
          "UPSAntarcticWGS84Quad": (30, -85), "UPSArcticWGS84Quad": (30, 85)}  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    tms=st.sampled_from(SETS),
    zoom=st.integers(3, 12),
    off=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    levels=st.integers(1, 3),
)
def test_every_tile_of_the_file_is_four_tiles_of_the_set(tms, zoom, off, levels):
    lon, lat = PLACES.get(tms, (5, 44))
    box = about(tms, lon + off[0], lat + off[1], 0.3 * 2.0**-zoom)
    grid = tile_grid(tms, zoom=zoom, bounds=box, aligned_levels=levels)
    west, south, east, north = grid.bounds
    assert west <= box[0] + 1e-3 * grid.transform[0]
    assert north >= box[3] - 1e-3 * grid.transform[0]
    assert east >= box[2] - 1e-3 * grid.transform[0]
    assert south <= box[1] + 1e-3 * grid.transform[0]
    ours = known(tms)
    for level in range(levels):  # of the file: an overview of level n has pixels of 2ⁿ
        side = TILE << level
        assert grid.height % side == grid.width % side == 0
        for row, col in ((0, 0), (grid.height // side - 1, grid.width // side - 1)):
            found = edges(grid.transform, row * side, col * side, side)
            tiles = TILE // 256 << level
            x, y = found[0] + grid.transform[0] / 2, found[3] - grid.transform[0] / 2
            matrix = ours.matrix(zoom)
            first = ours.xy_bounds(morecantile.Tile(0, 0, zoom))
            span = first.right - first.left
            number = math.floor((x - first.left) / span), math.floor((first.top - y) / span)
            assert number[0] % tiles == number[1] % tiles == 0
            upper_left = ours.xy_bounds(morecantile.Tile(*number, zoom))
            lower_right = ours.xy_bounds(morecantile.Tile(number[0] + tiles - 1, number[1] + tiles - 1, zoom))
            expected = upper_left.left, lower_right.bottom, lower_right.right, upper_left.top
            np.testing.assert_allclose(found, expected, atol=1e-4 * grid.transform[0], rtol=0)
            assert matrix.tileWidth == 256


@pytest.mark.parametrize("zoom", [2, 15, 19, 22])
def test_web_mercator_to_the_last_digit(zoom):
    """The world is 2π · 6378137 m wide and 256 · 2ᶻ pixels."""
    side = 2 * math.pi * 6378137 / 256 / 2**zoom
    grid = tile_grid("WebMercatorQuad", zoom=zoom, bounds=about("WebMercatorQuad", 5.3, 44.1, 1e-3))
    assert grid.transform[0] == pytest.approx(side, rel=1e-14)
    offset = (grid.transform[2] + math.pi * 6378137) / side / 512, (math.pi * 6378137 - grid.transform[5]) / side / 512
    assert np.abs(np.array(offset) - np.round(offset)).max() < 1e-7


@pytest.mark.parametrize("levels", [1, 3])
def test_gdals_cog_driver_lays_the_same_pixels(tmp_path, levels):
    """To it, a tile of 512 pixels is one tile of the level above."""
    grid = tile_grid(
        "WebMercatorQuad", zoom=14, bounds=about("WebMercatorQuad", 5.3, 44.1, 5e-3), aligned_levels=levels
    )
    a, _, c, _, e, f = grid.transform
    inside = Affine(a, 0, c + 40 * a, 0, e, f + 30 * e)  # on its pixels, not on its tiles
    pixels = np.random.default_rng(2).integers(1, 255, (1, grid.height - 60, grid.width - 80)).astype("uint8")
    plain = tmp_path / "plain.tif"
    with rasterio.open(
        plain, "w", driver="GTiff", count=1, height=pixels.shape[1], width=pixels.shape[2], dtype="uint8", nodata=0,
        crs="EPSG:3857", transform=inside,
    ) as file:  # fmt: skip
        file.write(pixels)
    rasterio.shutil.copy(
        plain, tmp_path / "gdal.tif", driver="COG", TILING_SCHEME="GoogleMapsCompatible",
        ZOOM_LEVEL="13", BLOCKSIZE="512", ALIGNED_LEVELS=str(levels), RESAMPLING="NEAREST",
    )  # fmt: skip
    with rasterio.open(tmp_path / "gdal.tif") as file:
        assert file.shape == (grid.height, grid.width)
        np.testing.assert_allclose(tuple(file.transform)[:6], grid.transform, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(file.read()[:, 30:-30, 40:-40], pixels)


def test_the_nearest_zoom_level():
    tms = morecantile.tms.get("WebMercatorQuad")
    for zoom in range(1, 24):
        assert nearest_zoom("WebMercatorQuad", tms.matrix(zoom).cellSize * 1.3) == zoom
        assert nearest_zoom("WebMercatorQuad", tms.matrix(zoom).cellSize * 0.75) == zoom


def test_a_scene_on_the_tiles_of_a_web_map(tmp_path):
    raster, dem = write_scene(tmp_path, shape=(900, 700), gsd_m=1.0, bands=1)
    grid, zoom = scene_tile_grid(raster.rpc, (900, 700), dem, tms="WebMercatorQuad")
    assert zoom == 17  # 1.19 m at the equator and 0.86 m here; level 16 has 1.72 m
    result = orthorectify(raster=raster, dem=dem, grid=grid, destination=tmp_path / "tiles.tif", threads=2)
    assert cog_validate(result.path, strict=True, quiet=True) == (True, [], [])
    tms = morecantile.tms.get("WebMercatorQuad")
    with rasterio.open(result.path) as file:
        assert file.block_shapes == [(512, 512)]
        shown = file.read(1) > 0
        assert 0.9 < shown.sum() * 0.858**2 / (900 * 700) < 1.1
        for _, window in file.block_windows():
            west, south, east, north = edges(file.transform, window.row_off, window.col_off, 512)
            tile = tms._tile((west + east) / 2, (south + north) / 2, zoom - 1)
            np.testing.assert_allclose((west, south, east, north), tms.xy_bounds(tile), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("tms", "zoom", "says"),
    [
        ("GoogleMaps", 3, "the set 'GoogleMaps' is unknown; give CDB1GlobalGrid, .*WebMercatorQuad"),
        ("WebMercatorQuad", 99, "WebMercatorQuad has no zoom level 99; give 0 to 24"),
        ("CDB1GlobalGrid", 5, "those of CDB1GlobalGrid are no squares"),
    ],
)
def test_what_cannot_be_tiled(tms, zoom, says):
    with pytest.raises(OutputError, match=says):
        tile_grid(tms, zoom=zoom, bounds=(0, 0, 1, 1))


def test_more_pixels_than_can_be_meant():
    with pytest.raises(OutputError, match="pixels of zoom level 24; give another --zoom or bounds"):
        tile_grid("WebMercatorQuad", zoom=24, bounds=(-2e7, -2e7, 2e7, 2e7))
