import pickle
import time
import warnings

import numpy as np
import pytest
import rasterio
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.merge import merge
from rasterio.transform import Affine

from processing import height_files
from processing.dem import Dem
from processing.errors import HeightsError
from processing.height_files import HeightHeader, read_headers
from processing.surface import Surface
from tests.processing.pushbroom import write_heights

RNG = np.random.default_rng(11)
N = 120
"""Cells a degree."""


def tile_name(lat, lon):
    return f"{'NS'[lat < 0]}{abs(lat):02}{'EW'[lon < 0]}{abs(lon):03}"


def write_hgt(folder, lat, lon, cells):
    """SRTM: 1201 rows and columns, one of which each tile shares with its neighbour."""
    path = folder / f"{tile_name(lat, lon)}.hgt"
    path.write_bytes(np.ascontiguousarray(cells, dtype=">i2").tobytes())
    return path


def write_tile(path, lat, lon, cells, **options):
    """Copernicus: cells on whole degrees in the west and north, none shared."""
    rows, cols = cells.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    across, down = 1 / cols, 1 / rows
    with rasterio.open(
        path, "w", driver="GTiff", dtype=cells.dtype, count=1, height=rows, width=cols,
        transform=Affine(across, 0, lon - across / 2, 0, -down, lat + 1 + down / 2), **{"crs": "EPSG:4326"} | options,
    ) as file:  # fmt: skip
        file.write(cells, 1)
    return path


def glo30(lat, lon):
    place = f"{'NS'[lat < 0]}{abs(lat):02}_00_{'EW'[lon < 0]}{abs(lon):03}_00"
    return f"Copernicus_DSM_COG_10_{place}_DEM/Copernicus_DSM_COG_10_{place}_DEM.tif"


def open_dem(source, **options):
    return Dem.open(source, vertical_datum="ellipsoid", **options)


@pytest.fixture(scope="module")
def srtm(tmp_path_factory):
    """Four tiles, and the same cells in one file."""
    folder = tmp_path_factory.mktemp("srtm")
    cells = RNG.integers(-400, 8000, (2401, 2401)).astype("int16")
    cells[400:420, 1190:1210] = -32768
    (folder / "tiles").mkdir()
    tiles = [
        write_hgt(folder / "tiles", 45 - down, 5 + right, cells[1200 * down :, 1200 * right :][:1201, :1201])
        for down in (0, 1)
        for right in (0, 1)
    ]
    with rasterio.open(tiles[0]) as first:
        transform = first.transform
    with rasterio.open(
        folder / "whole.tif", "w", driver="GTiff", dtype="int16", count=1, height=2401, width=2401, crs="EPSG:4326",
        transform=transform, nodata=-32768,
    ) as file:  # fmt: skip
        file.write(cells, 1)
    return open_dem(folder / "tiles"), open_dem(folder / "whole.tif"), cells


@pytest.fixture(scope="module")
def copernicus(tmp_path_factory):
    """Six tiles on one grid, none sharing a cell, and the same cells as GDAL merges them."""
    folder = tmp_path_factory.mktemp("copernicus")
    tiles = [
        write_tile(folder / "tiles" / glo30(lat, lon), lat, lon, RNG.uniform(0, 4000, (N, N)).astype("float32"))
        for lat in (9, 10)
        for lon in (-1, 0, 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # rasterio with the newest affine
        values, transform = merge([str(tile) for tile in tiles])
    with rasterio.open(tiles[3]) as upper_left:
        assert transform.almost_equals(upper_left.transform)
        transform = upper_left.transform
    with rasterio.open(
        folder / "whole.tif", "w", driver="GTiff", dtype="float32", count=1, height=2 * N, width=3 * N, crs="EPSG:4326",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(values)
    return open_dem(folder / "tiles"), open_dem(folder / "whole.tif"), values[0]


def near_edges(low, high, step):
    """Points anywhere, most of them within two cells of a whole degree."""
    edges = st.integers(int(np.ceil(low)), int(np.floor(high)))
    close = st.builds(lambda edge, off: edge + off * step, edges, st.floats(-2, 2))
    return st.one_of(close, close, st.floats(low, high)).filter(lambda value: low <= value <= high)


@given(lon=near_edges(5, 7, 1 / 1200), lat=near_edges(44, 46, 1 / 1200))
@settings(max_examples=40)
def test_the_edge_of_an_srtm_tile_is_none(srtm, lon, lat):
    tiles, whole, _ = srtm
    row, col = tiles.position(np.array([lon]), np.array([lat]), middle=6.0)
    assert (row, col) == whole.position(np.array([lon]), np.array([lat]), middle=6.0)
    assert np.array_equal(tiles.cells(row, col).at(row, col), whole.cells(row, col).at(row, col), equal_nan=True)


@given(lon=near_edges(-1, 1.99, 1 / N), lat=near_edges(9.01, 11, 1 / N))
@settings(max_examples=40)
def test_the_edge_of_a_tile_that_shares_nothing_is_none(copernicus, lon, lat):
    tiles, whole, _ = copernicus
    row, col = tiles.position(np.array([lon]), np.array([lat]), middle=0.0)
    assert np.array_equal(tiles.cells(row, col).at(row, col), whole.cells(row, col).at(row, col))
    assert np.isfinite(tiles.heights(lon, lat))


def test_whole_windows_are_those_of_one_raster(srtm, copernicus):
    for tiles, whole, cells in (srtm, copernicus):
        west, south, east, north = whole.surface.bounds()
        assert tiles.surface.bounds() == (west, south, east, north)
        mine, other = tiles.window(west, south, east, north), whole.window(west, south, east, north)
        inner = mine.values[other.row - mine.row :, other.col - mine.col :][: cells.shape[0], : cells.shape[1]]
        assert np.array_equal(inner, other.values, equal_nan=True)
        assert np.array_equal(inner, np.where(cells == -32768, np.nan, cells), equal_nan=True)
        box = tiles.position(np.array([west, east]), np.array([north, south]), middle=(west + east) / 2)
        assert tiles.height_range(*box) == whole.height_range(*box)


def test_blocks_of_any_size_read_the_same_cells(srtm):
    tiles, _, cells = srtm
    for _ in range(40):
        top, left = RNG.integers(0, 2300, 2)
        size = RNG.integers(1, 100, 2)
        grid = tiles.cells(np.array([top, top + size[0]], float), np.array([left, left + size[1]], float))
        for row, col in RNG.integers((top, left), (top + size[0] + 1, left + size[1] + 1), (5, 2)):
            expected = cells[row, col] if row <= 2400 and col <= 2400 and cells[row, col] != -32768 else np.nan
            assert np.array_equal(grid.values[row - grid.row, col - grid.col], expected, equal_nan=True)


def test_where_tiles_overlap_the_first_name_wins_and_the_other_fills_its_voids(tmp_path):
    one, other = np.full((1201, 1201), 100, "int16"), np.full((1201, 1201), 200, "int16")
    one[600:610, 1200] = -32768
    write_hgt(tmp_path, 44, 5, one)
    write_hgt(tmp_path, 44, 6, other)
    dem = open_dem(tmp_path)
    assert dem.heights(6.0, 44.2) == 100
    assert dem.heights(6.0, 45 - 605 / 1200) == pytest.approx(200, abs=1e-6)
    assert dem.heights(6 + 0.5 / 1200, 44.2) == pytest.approx(150, abs=1e-6)
    assert dem.heights(6 - 0.5 / 1200, 45 - 605 / 1200) == pytest.approx(150, abs=1e-6)


def test_a_missing_tile_is_a_gap_and_not_zero(copernicus, tmp_path):
    whole = copernicus[0]
    files = [path for path in whole.surface.path.rglob("*.tif") if "N10_00_E000" not in path.name]
    assert len(files) == 5
    dem = open_dem(files)
    assert dem.heights(0.5, 9.5) == whole.heights(0.5, 9.5)
    for lon, lat in ((0.5, 10.5), (0.5, 10.0 + 0.5 / N), (-0.5 / N, 10.5), (1 - 0.5 / N, 10.5)):
        assert dem.uncovered(lon, lat)
        with pytest.raises(HeightsError, match=r"no height at lon .* or a height for the ground beyond it"):
            dem.heights(lon, lat)
    last = 0 - 1 / N  # the last column before the gap
    assert dem.heights(last, 10.5) == whole.heights(last, 10.5)


def test_tiles_over_the_antimeridian(tmp_path):
    cells = RNG.uniform(0, 900, (N, 3 * N)).astype("float32")
    for index, lon in enumerate((178, 179, -180)):
        write_tile(tmp_path / "tiles" / glo30(-17, lon), -17, lon, cells[:, N * index : N * (index + 1)])
    whole = write_tile(tmp_path / "first.tif", -17, 178, cells[:, :N])
    with rasterio.open(whole) as first:
        transform = first.transform
    with rasterio.open(
        whole,
        "w",
        driver="GTiff",
        dtype="float32",
        count=1,
        height=N,
        width=3 * N,
        crs="EPSG:4326",
        transform=transform,
    ) as file:
        file.write(cells, 1)
    tiles, whole = open_dem(tmp_path / "tiles"), open_dem(whole)
    assert tiles.surface.bounds()[::2] == whole.surface.bounds()[::2] == (178.0, 181 - 1 / N)
    lon, lat = RNG.uniform(179.9, 180.1, 200), RNG.uniform(-16.9, -16.1, 200)
    expected = whole.heights(lon, lat)
    assert np.array_equal(tiles.heights(lon, lat), expected)
    assert np.allclose(tiles.heights(np.where(lon > 180, lon - 360, lon), lat), expected, rtol=0, atol=1e-6)
    assert (
        tiles.window(179.9, -16.5, -179.9, -16.4).values.shape == whole.window(179.9, -16.5, 180.1, -16.4).values.shape
    )


def test_tiles_all_around_the_earth_have_no_seam(tmp_path):
    cells = RNG.uniform(0, 900, (4, 36 * 5))
    for index in range(36):
        part = cells[:, 5 * index : 5 * index + 5]
        write_heights(tmp_path / f"t{index:02}.tif", part, west=-180 + 10 * index, north=3, step=2.0)
    dem = open_dem(tmp_path)
    assert dem.heights(-180, 1.0) == dem.heights(180, 1.0) == cells[1, 0]
    assert dem.heights(179.0, 1.0) == pytest.approx((cells[1, 0] + cells[1, -1]) / 2, abs=1e-6)
    assert dem.window(-180, -2, 180, 3).values.shape[1] >= 180


def varied(lat, lon, cols):
    return RNG.uniform(0, 4000, (N, cols)).astype("float32")


@pytest.fixture(scope="module")
def widening(tmp_path_factory):
    """As Copernicus does at 50°: spacing in longitude 1 below, 1.5 above; at 60° it would be 2."""
    folder = tmp_path_factory.mktemp("widening")
    columns = {49: N, 50: N * 2 // 3, 51: N // 2}
    tiles = {
        (lat, lon): write_tile(folder / glo30(lat, lon), lat, lon, varied(lat, lon, columns[lat]))
        for lat in columns
        for lon in (5, 6)
    }
    return open_dem(folder), tiles


@given(lon=near_edges(5, 6.99, 1 / N), lat=st.floats(49.01, 51.99))
@settings(max_examples=50)
def test_tiles_of_wider_cells_keep_their_own_heights(widening, lon, lat):
    dem, tiles = widening
    belt = int(np.floor(lat))
    if lat < belt + 1 / N:
        return  # between two belts: see below
    alone = open_dem([tiles[belt, 5], tiles[belt, 6]])
    if alone.uncovered(lon, lat):  # east of its last column, which lies the further west the wider its cells are
        assert dem.uncovered(lon, lat)
    else:
        assert dem.heights(lon, lat) == pytest.approx(float(alone.heights(lon, lat)), abs=2e-8)


def test_between_two_belts_the_height_is_linear_from_row_to_row(widening):
    """The northern belt ends a row above the whole degree, the southern one begins on it."""
    dem, tiles = widening
    for belt in (50, 51):
        north, south = (open_dem([tiles[lat, 5], tiles[lat, 6]]) for lat in (belt, belt - 1))
        # At nodes of the common grid, 0.5 of a cell apart, all rows are exact; between them all are linear.
        lon = np.round(RNG.uniform(5.0, 6.9, 50) * 2 * N) / (2 * N)
        upper, lower = north.heights(lon, belt + 1 / N), south.heights(lon, float(belt))
        assert np.allclose(dem.heights(lon, belt + 1 / N), upper, rtol=0, atol=1e-6)
        assert np.allclose(dem.heights(lon, float(belt)), lower, rtol=0, atol=1e-6)
        assert np.allclose(dem.heights(lon, belt + 0.25 / N), 0.25 * upper + 0.75 * lower, rtol=0, atol=1e-6)


def test_the_common_grid_is_the_coarsest_that_holds_all_cells(widening):
    dem, _ = widening
    row, col = dem.position(np.array([5.0, 6.0]), np.array([50.0, 49.0]), middle=5.5)
    assert np.diff(col) == pytest.approx(2 * N)
    assert np.diff(row) == pytest.approx(N)
    assert dem.surface.grid.turn == 360 * 2 * N


def test_a_single_tile_of_wider_cells_is_on_the_common_grid_too(widening):
    _, tiles = widening
    dem = open_dem([tiles[49, 5], tiles[49, 6], tiles[50, 6]])
    row, col = dem.position(np.array([6.0]), np.array([50.5]), middle=5.5)
    assert np.allclose([row, col], np.rint([row, col]), rtol=0, atol=1e-9)
    alone = open_dem(tiles[50, 6])
    lon, lat = RNG.uniform(6.0, 6.9, 100), RNG.uniform(50.02, 50.9, 100)
    assert np.allclose(dem.heights(lon, lat), alone.heights(lon, lat), rtol=0, atol=1e-6)
    assert dem.uncovered(5.5, 50.5)


def test_tiles_half_a_cell_apart(tmp_path):
    lat, lon = np.meshgrid(46 - 0.1 * np.arange(21), 5 + 0.1 * np.arange(21), indexing="ij")
    write_heights(tmp_path / "a.tif", 100 + 10 * lon - 5 * lat, west=5, north=46, step=0.1)
    lat, lon = np.meshgrid(46 - 0.05 - 0.1 * np.arange(20), 7.05 + 0.1 * np.arange(20), indexing="ij")
    write_heights(tmp_path / "b.tif", 100 + 10 * lon - 5 * lat, west=7.05, north=45.95, step=0.1)
    dem = open_dem(tmp_path)
    lon, lat = RNG.uniform(5, 8.9, 100), RNG.uniform(44.1, 45.9, 100)
    assert np.allclose(dem.heights(lon, lat), 100 + 10 * lon - 5 * lat, rtol=0, atol=1e-9)


def test_tiles_of_another_system_are_interpolated_at_the_cells_of_the_finest(tmp_path):
    """Two UTM zones and a coarse raster in degrees; all of one plane in degrees, curved but little in UTM."""

    def height(lon, lat):
        return 500 + 30 * (lon - 6) + 20 * (lat - 45)

    for zone, west in ((31, 5.8), (32, 6.0)):
        crs = f"EPSG:{32600 + zone}"
        to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        x0, y0 = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(west, 45.1)
        x, y = np.meshgrid(np.round(x0) + 90 * np.arange(200), np.round(y0) - 90 * np.arange(240))
        heights = height(*to_degrees.transform(x, y))
        write_heights(tmp_path / f"zone{zone}.tif", heights, west=x[0, 0], north=y[0, 0], step=90, crs=crs)
    lat, lon = np.meshgrid(45.2 - 0.01 * np.arange(41), 5.6 + 0.01 * np.arange(81), indexing="ij")
    write_heights(tmp_path / "coarse.tif", height(lon, lat), west=5.6, north=45.2, step=0.01)
    dem = open_dem(tmp_path)
    lon, lat = RNG.uniform(5.61, 6.39, 300), RNG.uniform(44.81, 45.19, 300)
    assert np.allclose(dem.heights(lon, lat), height(lon, lat), rtol=0, atol=0.01)
    assert dem.uncovered(5.5, 45.0)


def test_the_finest_of_several_wins(tmp_path):
    write_heights(tmp_path / "a-coarse.tif", np.full((31, 31), 1.0), west=5, north=46, step=0.1)
    write_heights(tmp_path / "b-fine.tif", np.full((51, 51), 2.0), west=5.5, north=45.5, step=0.02)
    dem = open_dem(tmp_path)
    assert dem.heights(6.0, 45.0) == 2
    assert dem.heights(5.2, 45.8) == 1
    assert 1 < dem.heights(6.51, 45.0) < 2


def test_a_folder_a_pattern_and_a_list_are_one_dem(copernicus, tmp_path, monkeypatch):
    dem = copernicus[0]
    folder = dem.surface.path
    files = sorted(folder.rglob("*.tif"))
    for source in (f"{folder}/**/*_DEM.tif", str(folder), files, reversed(files), [folder], [folder, files[0]]):
        other = open_dem(source)
        assert other.surface.joined == dem.surface.joined
    monkeypatch.chdir(folder)
    relative = open_dem("*/*.tif")
    assert relative.heights(0.5, 9.5) == dem.heights(0.5, 9.5)
    assert relative.surface.path.name == "*.tif"


def test_what_lies_beside_the_heights_is_left_out(tmp_path):
    write_tile(tmp_path / "a" / glo30(44, 5), 44, 5, np.ones((N, N), "float32"))
    for name in (
        "Copernicus_DSM_COG_10_N44_00_E005_00_EDM.tif", "Copernicus_DSM_10_N44_00_E005_00_WBM.tif", "x_HEM.tif",
        "x_FLM.tif", "ALPSMLC30_N044E005_MSK.tif", "ALPSMLC30_N044E005_STK.tif", "ASTGTMV003_N44E005_num.tif",
        ".hidden.tif", "notes.txt",
    ):  # fmt: skip
        (tmp_path / "a" / name).write_bytes(b"no raster")
    assert open_dem(tmp_path).heights(5.5, 44.5) == 1


def test_tiles_are_values_that_travel(widening):
    dem, _ = widening
    copy = pickle.loads(pickle.dumps(dem))
    assert copy == dem
    assert hash(copy) == hash(dem)
    assert tokenize(copy) == tokenize(dem)
    assert copy.heights(5.5, 50.0) == dem.heights(5.5, 50.0)


def count_opened(monkeypatch):
    opened = []
    real = height_files.open_raster
    monkeypatch.setattr(height_files, "open_raster", lambda path: opened.append(path) or real(path))
    return opened


def test_of_many_tiles_few_are_opened_and_only_once(tmp_path, monkeypatch):
    first = write_tile(tmp_path / "first.tif", 0, 0, np.ones((3, 3), "float32")).read_bytes()
    at = first.index(np.array([0 - 1 / 6, 1 + 1 / 6], "<f8").tobytes())
    (tmp_path / "tiles").mkdir()
    for lat in range(-60, 60):
        for lon in range(-10, 10):
            place = np.array([lon - 1 / 6, lat + 1 + 1 / 6], "<f8").tobytes()
            (tmp_path / "tiles" / f"{tile_name(lat, lon)}.tif").write_bytes(first[:at] + place + first[at + 16 :])
    opened = count_opened(monkeypatch)
    start = time.perf_counter()
    dem = open_dem(tmp_path / "tiles")
    print(f"2,400 tiles: {time.perf_counter() - start:.2f} s")
    assert len(opened) == 1
    assert dem.heights(0.5, 0.5) == 1
    assert len(open_dem(tmp_path / "tiles").surface.joined.layers[0].names) == 2400
    assert len(opened) == 1
    assert len(pickle.dumps(dem)) < 2400 * 40


def test_headers_by_rule_are_those_that_gdal_reads(tmp_path):
    cells = np.ones((4, 6), "float32")
    paths = [
        write_hgt(tmp_path, lat, lon, np.zeros((1201, 1201))) for lat, lon in ((44, 5), (-1, -180), (0, 0), (-56, 179))
    ]
    for index, (lat, lon) in enumerate(((44, 5), (-7, 100), (81, -33))):
        paths.append(write_tile(tmp_path / f"area{index}.tif", lat, lon, cells))
        paths.append(write_tile(tmp_path / f"point{index}.tif", lat, lon, cells))
        with rasterio.open(paths[-1], "r+") as file:
            file.update_tags(AREA_OR_POINT="Point")
        paths.append(write_tile(tmp_path / f"nodata{index}.tif", lat, lon, cells, nodata=-9999 - index))
        paths.append(write_tile(tmp_path / f"etrs{index}.tif", lat, lon, cells, crs="EPSG:4258"))
        paths.append(
            write_heights(tmp_path / f"utm{index}.tif", cells, west=5e5 + lon, north=5e6, step=30, crs="EPSG:32631")
        )
        paths.append(tmp_path / f"turned{index}.tif")
        with rasterio.open(
            paths[-1], "w", driver="GTiff", dtype="float32", count=1, height=4, width=6, crs="EPSG:4326",
            transform=Affine.translation(lon, lat) @ Affine.rotation(20) @ Affine.scale(0.1, -0.1),
        ) as file:  # fmt: skip
            file.write(cells, 1)
    assert read_headers(paths) == [HeightHeader.read(path) for path in paths]


def test_scales_and_units_of_a_tile_are_kept(tmp_path):
    for lat, scale in ((44, 0.5), (45, 2.0)):
        path = write_tile(tmp_path / f"t{lat}.tif", lat, 5, np.full((N, N), 10, "int16"))
        with rasterio.open(path, "r+") as file:
            file.scales, file.offsets = (scale,), (3.0,)
    dem = open_dem(tmp_path)
    assert dem.heights(5.5, 44.5) == 8
    assert dem.heights(5.5, 45.5) == 23


def apply(transform, col, row):
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * col + b * row + c, d * col + e * row + f


def test_a_turned_raster_is_one_tile_among_others(tmp_path):
    transform = Affine.translation(5, 46) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01)
    row, col = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5, indexing="ij")
    lon, lat = apply(transform, col, row)
    with rasterio.open(
        tmp_path / "turned.tif", "w", driver="GTiff", dtype="float64", count=1, height=100, width=100, crs="EPSG:4326",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(100 + 7 * lon - 3 * lat, 1)
    lat, lon = np.meshgrid(47 - 0.02 * np.arange(101), 5 + 0.02 * np.arange(101), indexing="ij")
    write_heights(tmp_path / "upright.tif", 100 + 7 * lon - 3 * lat, west=5, north=47, step=0.02)
    alone, both = open_dem(tmp_path / "turned.tif"), open_dem(tmp_path)
    x, y = apply(transform, RNG.uniform(1, 99, 50), RNG.uniform(1, 99, 50))
    assert np.allclose(alone.heights(x, y), 100 + 7 * x - 3 * y, rtol=0, atol=1e-9)
    assert np.allclose(both.heights(x, y), 100 + 7 * x - 3 * y, rtol=0, atol=1e-9)


def test_a_tile_that_changed_or_went_is_an_error(tmp_path):
    paths = [write_tile(tmp_path / f"t{lon}.tif", 44, lon, np.ones((N, N), "float32")) for lon in (5, 6)]
    dem = open_dem(tmp_path)
    write_tile(paths[0], 44, 5, np.ones((2 * N, 2 * N), "float32"))
    with pytest.raises(HeightsError, match=r"t5.tif: it has changed since its header was read; start again"):
        dem.heights(5.5, 44.5)
    paths[0].unlink()
    with pytest.raises(HeightsError, match=r"t5.tif: rows \d+ to \d+ cannot be read \(t5.tif: there is no such file"):
        dem.heights(5.5, 44.5)
    assert dem.heights(6.5, 44.5) == 1
    write_tile(paths[0], 44, 5, np.full((N, N), 7, "float32"))
    assert open_dem(tmp_path).heights(5.5, 44.5) == 7


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://bucket/dem.tif", "s3://bucket/dem.tif: heights are read from files of this machine"),
        ("https://example.org/dem.tif", "heights are read from files of this machine; copy them, or mount their store"),
        ("/vsicurl/https://example.org/dem.tif", "heights are read from files of this machine"),
        ([], "DEM: an empty list"),
        ("*.hgt", r"\*.hgt: no file is called so"),
        ("none", "none: there is no such file"),
        (".", "no tile in this folder; tiles end in .hgt, .tif"),
    ],
)
def test_sources_that_are_none(source, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HeightsError, match=words):
        open_dem(source)


def test_tiles_that_contradict_each_other(tmp_path):
    write_tile(tmp_path / "a.tif", 44, 5, np.ones((N, N), "float32"), crs="EPSG:4326+5773")
    write_tile(tmp_path / "b.tif", 44, 6, np.ones((N, N), "float32"), crs="EPSG:4326+3855")
    with pytest.raises(HeightsError, match=r"a.tif: its CRS says 'EGM96 height', that of b.tif 'EGM2008 height'"):
        Surface.open(tmp_path)
    write_tile(tmp_path / "b.tif", 44, 6, np.ones((N, N), "float32"), crs=None)
    with pytest.raises(HeightsError, match=r"b.tif: no CRS or no place in it"):
        Surface.open(tmp_path)
    (tmp_path / "b.tif").write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(HeightsError, match=r"b.tif: damaged or cut off"):
        Surface.open(tmp_path)


def test_tiles_on_too_many_grids(tmp_path):
    for index in range(102):
        write_heights(tmp_path / f"t{index:03}.tif", np.ones((3, 3)), west=index, north=3, step=0.01 + 0.0007 * index)
    with pytest.raises(HeightsError, match=r"t100.tif: tiles on more than 100 grids; bring them to one"):
        Surface.open(tmp_path)


def test_the_real_tile_beside_one_that_continues_it(shared, tmp_path):
    """SRTM over Mont Ventoux, cut into four with a shared row and column: the real terrain has no seam."""
    path = shared / "data" / "pleiades-ventoux" / "N44E005.hgt"
    cells = np.fromfile(path, dtype=">i2").reshape(1201, 1201).astype("int16")
    with rasterio.open(path) as file:
        step, _, west, _, _, north = tuple(file.transform)[:6]
    for down in (0, 600):
        for right in (0, 600):
            with rasterio.open(
                tmp_path / f"{down}-{right}.tif", "w", driver="GTiff", dtype="int16", count=1, height=601, width=601,
                crs="EPSG:4326", nodata=-32768,
                transform=Affine(step, 0, west + right * step, 0, -step, north - down * step),
            ) as file:  # fmt: skip
                file.write(cells[down : down + 601, right : right + 601], 1)
    geoid = shared / "data" / "geoid" / "egm96_15.gtx"
    whole = Dem.open(path, vertical_datum="EGM96", geoid=geoid)
    tiles = Dem.open(tmp_path, vertical_datum="EGM96", geoid=geoid)
    lon, lat = RNG.uniform(5.4, 5.6, 2000), RNG.uniform(44.4, 44.6, 2000)
    assert np.array_equal(tiles.heights(lon, lat), whole.heights(lon, lat))
