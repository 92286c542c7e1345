import pickle

import numpy as np
import pytest
import rasterio.shutil
from dask.base import tokenize
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import MultiPolygon, Polygon, box

from processing.dem import Dem
from processing.errors import HeightsError
from tests.processing.pushbroom import write_heights

RNG = np.random.default_rng(3)


def plane(lon, lat):
    """Heights that bilinear interpolation repeats exactly."""
    return 100 + 40 * (lon - 10) - 70 * (lat - 50) + 25 * (lon - 10) * (lat - 50)


def write_plane(path, *, west=9.0, north=51.0, step=0.25, shape=(9, 9), **options):
    lat, lon = np.meshgrid(north - step * np.arange(shape[0]), west + step * np.arange(shape[1]), indexing="ij")
    return write_heights(path, plane(lon, lat), west=west, north=north, step=step, **options)


@pytest.fixture(scope="module")
def dem(tmp_path_factory):
    return Dem.open(write_plane(tmp_path_factory.mktemp("dem") / "plane.tif"), vertical_datum="ellipsoid")


@given(lon=st.floats(9, 11), lat=st.floats(49, 51), turn=st.sampled_from([-360, 0, 360]))
@settings(max_examples=50)
def test_heights_are_bilinear_between_the_centres_of_cells(dem, lon, lat, turn):
    assert dem.heights(lon + turn, lat) == pytest.approx(plane(lon, lat), abs=1e-9)


def test_heights_keep_the_shape_of_their_points(dem):
    assert dem.heights(10.0, 50.0).shape == ()
    assert dem.heights([[9.5], [10.5]], [49.5, 50.0, 50.5]).shape == (2, 3)
    assert dem.heights([], []).shape == (0,)


@pytest.mark.parametrize(
    ("lon", "lat"), [(8.999, 50), (11.001, 50), (10, 48.99), (10, 51.001), (-170, 50), (np.nan, 50)]
)
def test_ground_that_is_not_covered_is_an_error(dem, lon, lat):
    message = rf"plane.tif: no height at lon {lon:.6f}, lat {lat:.6f}; it covers about lon 9.0000 to 11.0000"
    with pytest.raises(HeightsError, match=message):
        dem.heights([10.0, lon], [50.0, lat])


def test_a_cell_without_height_is_an_error_and_never_zero(tmp_path):
    heights = np.full((9, 9), 5.0, dtype=np.float32)
    heights[4, 4] = -9999
    path = write_heights(tmp_path / "hole.tif", heights, west=9, north=51, step=0.25, nodata=-9999)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    assert dem.heights(9.75, 50.25) == 5.0
    assert dem.heights(10.25, 50.0) == 5.0  # a cell without weight is not asked
    for lon, lat in ((10.0, 50.0), (10.2, 50.1), (9.8, 49.8)):
        with pytest.raises(HeightsError, match="no height at"):
            dem.heights(lon, lat)


def test_files_that_hold_no_heights(tmp_path):
    with pytest.raises(HeightsError, match=r"none.tif: there is no such file"):
        Dem.open(tmp_path / "none.tif", vertical_datum="ellipsoid")
    (tmp_path / "text.tif").write_text("heights")
    with pytest.raises(HeightsError, match=r"text.tif: no readable raster"):
        Dem.open(tmp_path / "text.tif", vertical_datum="ellipsoid")
    nowhere = write_plane(tmp_path / "nowhere.tif", crs=None)
    with pytest.raises(HeightsError, match=r"nowhere.tif: no CRS"):
        Dem.open(nowhere, vertical_datum="ellipsoid")


def test_a_dem_that_is_cut_off_is_an_error_before_it_is_read(tmp_path):
    path = write_heights(tmp_path / "cut.tif", RNG.uniform(0, 9, (500, 500)), west=9, north=51, step=0.001)
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000])
    with pytest.raises(HeightsError, match=r"cut.tif: damaged or cut off, .* ends beyond the file's 100000 bytes"):
        Dem.open(path, vertical_datum="ellipsoid")


def test_a_dem_that_is_damaged_is_an_error_where_it_is_read(tmp_path):
    heights = RNG.uniform(0, 9, (500, 500))
    path = tmp_path / "bad.tif"
    source = write_heights(tmp_path / "good.tif", heights, west=9, north=51, step=0.001)
    rasterio.shutil.copy(source, path, driver="GTiff", compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :: 997] = bytes(len(content[len(content) // 2 :: 997]))
    path.write_bytes(content)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    assert dem.heights(9.0, 51.0) == pytest.approx(heights[0, 0])
    with pytest.raises(HeightsError, match=r"bad.tif: rows 4\d\d to 4\d\d cannot be read"):
        dem.heights(9.2, 50.55)


def test_a_dem_in_a_projected_crs(tmp_path):
    rows, cols = np.meshgrid(np.arange(60), np.arange(50), indexing="ij")
    heights = 300 + 1.5 * cols - 2.5 * rows
    path = write_heights(tmp_path / "utm.tif", heights, west=500_000, north=5_500_000, step=30, crs="EPSG:32632")
    dem = Dem.open(path, vertical_datum="ellipsoid")
    x, y = RNG.uniform(500_000, 501_470, 100), RNG.uniform(5_498_230, 5_500_000, 100)
    lon, lat = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform(x, y)
    expected = 300 + 1.5 * (x - 500_000) / 30 - 2.5 * (5_500_000 - y) / 30
    assert np.allclose(dem.heights(lon, lat), expected, rtol=0, atol=1e-6)


def test_a_geoid_is_added_in_the_cells(tmp_path):
    geoid = write_plane(tmp_path / "geoid.tif", west=8.0, north=52.0, step=0.5)
    heights = RNG.uniform(0, 1000, (30, 30))
    path = write_heights(tmp_path / "dem.tif", heights, west=9.5, north=50.5, step=0.01)
    dem = Dem.open(path, vertical_datum="EGM2008", geoid=geoid)
    lon, lat = 9.5 + 0.01 * 7, 50.5 - 0.01 * 11
    assert dem.heights(lon, lat) == pytest.approx(heights[11, 7] + plane(lon, lat), abs=1e-8)
    above = dem.heights(lon + 0.004, lat) - Dem.open(path, vertical_datum="ellipsoid").heights(lon + 0.004, lat)
    assert above == pytest.approx(plane(lon + 0.004, lat), abs=1e-8)


@given(lon=st.floats(7, 13), lat=st.floats(47, 53), height=st.sampled_from([0.0, -12.5, 48.0]))
@settings(max_examples=60)
def test_ground_beyond_gets_the_fill_height_that_was_asked_for(dem, lon, lat, height):
    """The oracle: the raster with a wide edge of that height."""
    filled = Dem(surface=dem.surface, datum=dem.datum, fill_height=height)
    cells = dem.window(9, 49, 11, 51).values
    wide = np.full((41, 41), height)
    wide[16:25, 16:25] = cells
    row, col = (55 - lat) / 0.25, (lon - 5) / 0.25
    i, j = int(row), int(col)
    right, down = col - j, row - i
    expected = (wide[i, j] * (1 - right) + wide[i, j + 1] * right) * (1 - down)
    expected += (wide[i + 1, j] * (1 - right) + wide[i + 1, j + 1] * right) * down
    assert filled.heights(lon, lat) == pytest.approx(expected, abs=1e-9)
    inside = 9 <= lon <= 11 and 49 <= lat <= 51
    assert filled.uncovered(lon, lat) == dem.uncovered(lon, lat) == (not inside)


def test_what_a_fill_height_was_used_for_can_be_counted(tmp_path):
    heights = np.full((9, 9), 5.0)
    heights[4, 4] = -9999
    path = write_heights(tmp_path / "hole.tif", heights, west=9, north=51, step=0.25, nodata=-9999)
    dem = Dem.open(path, vertical_datum="ellipsoid", fill_height=-3)
    assert dem.fill_height == -3
    assert dem.heights(10.0, 50.0) == -3
    assert dem.heights(10.125, 50.0) == 1
    assert dem.heights(30.0, 10.0) == -3
    lon, lat = np.meshgrid(np.linspace(9, 12, 13), np.linspace(49, 51, 9))
    assert np.count_nonzero(dem.uncovered(lon, lat)) == 4 * 9 + 1
    assert dem.height_range(*dem.position(lon, lat, middle=10)) == (-3, 5)
    assert dem.description == (
        "hole.tif (vertical datum: ellipsoid; ground without a height is taken at -3 m above the ellipsoid)"
    )
    assert Dem.open(path, vertical_datum="ellipsoid").description == "hole.tif (vertical datum: ellipsoid)"
    with pytest.raises(HeightsError, match="a fill height of nan; give metres above the datum"):
        Dem.open(path, vertical_datum="ellipsoid", fill_height=np.nan)


def test_the_fill_height_stands_on_the_datum_of_the_dem(tmp_path):
    """The sea around an island: 0 m above the geoid, as far as that is known."""
    lat, lon = np.meshgrid(52 - 0.25 * np.arange(17), 8 + 0.25 * np.arange(17), indexing="ij")
    geoid = write_heights(tmp_path / "geoid.tif", 40 + lon - lat / 2, west=8, north=52, step=0.25)
    dem = Dem.open(write_plane(tmp_path / "dem.tif"), vertical_datum="mine", geoid=geoid, fill_height=0)
    assert dem.heights(9.5, 50.0) == pytest.approx(plane(9.5, 50.0) + 40 + 9.5 - 25)
    assert dem.heights(11.5, 49.6) == pytest.approx(40 + 11.5 - 24.8)
    assert dem.description == "dem.tif (vertical datum: mine; ground without a height is taken at 0 m above mine)"
    with pytest.raises(HeightsError, match=r"geoid.tif: no geoid at lon 12.500000, lat 50.000000"):
        dem.heights(12.5, 50.0)


@pytest.mark.parametrize(
    ("ground", "expected"),
    [
        (box(9.2, 49.2, 10.8, 50.8), 0),
        (box(10, 49.5, 12, 50.5), 50),
        (box(20, 10, 21, 11), 100),
        (Polygon([(9.2, 49.2), (10.8, 49.2), (10.8, 50.8)]), 0),
        (MultiPolygon([box(9.2, 49.2, 10.2, 50.2), box(20, 10, 23, 11)]), 75),
    ],
)
def test_how_much_of_some_ground_the_dem_does_not_know(dem, ground, expected):
    assert dem.uncovered_pct(ground) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_a_raster_round_the_earth_has_no_seam(tmp_path, west):
    lon = west + 0.5 * np.arange(720)
    heights = np.broadcast_to(np.where(np.abs(lon) > 180, lon - 360, lon), (81, 720)).copy()
    heights = np.abs((heights + 540) % 360 - 180)  # distance from Greenwich: smooth over ±180°
    dem = Dem.open(
        write_heights(tmp_path / "all.tif", heights, west=west, north=20, step=0.5), vertical_datum="ellipsoid"
    )
    points = np.array([179.5, 179.75, 179.9, 180.0, -180.0, -179.9, -179.6, 180.2])
    expected = [179.5, 179.75, 179.9, 180.0, 180.0, 179.9, 179.6, 179.8]
    # A tent is bilinear but at its top.
    assert np.allclose(dem.heights(points, 3.0), expected, rtol=0, atol=1e-9)
    assert np.allclose(dem.heights([-0.25, 0.0, 0.25, 359.9], 3.0), [0.25, 0.0, 0.25, 0.1], rtol=0, atol=1e-9)


def test_a_dem_over_the_antimeridian(tmp_path):
    rows, cols = np.meshgrid(np.arange(11), np.arange(21), indexing="ij")
    path = write_heights(tmp_path / "fiji.tif", cols * 10.0 + rows, west=179.0, north=-16.5, step=0.1)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    assert np.allclose(dem.heights([179.95, -179.95, 180.05], -17.0), [95 + 5, 105 + 5, 105 + 5])
    assert dem.window(179.9, -17.2, -179.9, -16.9).values.shape == (6, 5)
    assert dem.window(179.9, -17.2, 180.1, -16.9).values.shape == (6, 5)


def test_lowest_and_highest_over_many_strips(dem, monkeypatch):
    row, col = dem.position(np.array([9.1, 10.9]), np.array([50.9, 49.1]), middle=10.0)
    expected = dem.cells(row, col).values
    monkeypatch.setattr("processing.dem._STRIP_CELLS", 20)
    assert dem.height_range(row, col) == (expected.min(), expected.max())
    far = dem.position(np.array([20.0, 21.0]), np.array([50.9, 49.1]), middle=20.0)
    with pytest.raises(HeightsError, match=r"no height at lon 20.5"):
        dem.height_range(*far)


@pytest.mark.parametrize("value", [1e35, -32768.0, np.inf])
def test_heights_that_the_earth_does_not_have(value, tmp_path):
    """Found by damaged files: every ray went down some 1e35 m, in steps of 15."""
    heights = np.full((9, 9), 5.0, dtype=np.float32)
    heights[4, 4] = value
    dem = Dem.open(write_heights(tmp_path / "a.tif", heights, west=9, north=51, step=0.25), vertical_datum="ellipsoid")
    with pytest.raises(HeightsError, match=r"a.tif: heights from .* the Earth does not have; give metres, and let"):
        dem.height_range(np.array([0.0, 8.0]), np.array([0.0, 8.0]))


def test_the_range_of_ground_that_lies_nowhere_or_everywhere(dem):
    """Found by damaged sensor models: rows without a number, or with one that no array can have."""
    with pytest.raises(HeightsError, match=r"plane.tif: no place in it for the scene's ground"):
        dem.height_range(np.array([np.nan, np.inf]), np.array([1.0, 1.0]))
    whole = dem.height_range(np.array([0.0, 8.0]), np.array([0.0, 8.0]))
    assert dem.height_range(np.array([-1e300, 1e300, np.nan]), np.array([-1e300, 1e300, 0.0])) == whole
    with pytest.raises(HeightsError, match=r"plane.tif: no height at"):
        dem.height_range(np.array([1e6, 1e300]), np.array([0.0, 8.0]))


def test_dems_are_values_that_travel(dem):
    copy = pickle.loads(pickle.dumps(dem))
    assert copy == dem
    assert tokenize(copy) == tokenize(dem)
    assert copy.heights(10.0, 50.0) == dem.heights(10.0, 50.0)


def test_real_heights_stand_on_the_ellipsoid(shared):
    path = shared / "data" / "pleiades-ventoux" / "N44E005.hgt"
    dem = Dem.open(path, vertical_datum="EGM96", geoid=shared / "data" / "geoid" / "egm96_15.gtx")
    cells = np.fromfile(path, dtype=">i2").reshape(1201, 1201)  # the format's own description: north to south, 3″
    assert dem.heights(5 + 334 / 1200, 45 - 991 / 1200) == pytest.approx(cells[991, 334] + 50.870, abs=0.001)
    # The summit of Mont Ventoux, 1,909 m above the sea, rounded off by 90 m cells.
    assert dem.window(5.27, 44.16, 5.29, 44.18).values.max() == pytest.approx(1909 + 50.9, abs=25)
    with pytest.raises(HeightsError, match=r"N44E005.hgt: no height at lon 4.9"):
        dem.heights(4.9, 44.5)
