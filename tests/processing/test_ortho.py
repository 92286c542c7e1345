"""Blocks of orthoimages against what is computed point by point, without any lattice."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy import ndimage

from processing import ortho
from processing.dem import Dem
from processing.errors import HeightsError, OutputError
from processing.grid import OutputGrid
from processing.ground import choose_grid, outline, reach
from processing.lattice import make_lattices
from processing.ortho import Block, Image, orthorectify_block, positions
from processing.rpc import Rpc, fit
from tests.processing.pushbroom import Pushbroom, write_heights

RNG = np.random.default_rng(11)


def mountains(lon, lat):
    return 600 + 350 * np.sin(lon * 900) * np.cos(lat * 1300) + 80 * np.sin(lon * 5000 + lat * 4000)


@dataclass(frozen=True)
class Site:
    image: Image
    dem: Dem
    grid: OutputGrid
    pixels: np.ndarray

    def read(self, top, bottom, left, right):
        return self.pixels[:, top:bottom, left:right]

    def make(self, block: Block, **changes):
        grid = changes.pop("grid", self.grid)
        inside = reach(changes.get("image", self.image), grid, changes.get("terrain", self.dem))
        given = {"image": self.image, "terrain": self.dem, "read": self.read, "nodata": 0.0} | changes
        return orthorectify_block(block, grid=grid, reach=inside, **given)

    @property
    def whole(self):
        return Block(row=0, col=0, height=self.grid.height, width=self.grid.width)

    @property
    def scale(self):
        return reach(self.image, self.grid, self.dem).scale

    def positions(self, block: Block):
        inside = reach(self.image, self.grid, self.dem)
        return positions(block, grid=self.grid, image=self.image, terrain=self.dem, reach=inside)


def make_site(folder, *, lon=5.3, lat=44.1, crs=None, resolution=2.0, bands=1, dem_crs=None, nodata=None, gsd_m=2.0):
    camera = Pushbroom(lon=lon, lat=lat, gsd_m=gsd_m)
    rpc = fit(**camera.points()).rpc
    step = 1 / 1200
    west, north = lon - 60 * step / np.cos(np.radians(lat)), lat + 40 * step
    if dem_crs is None:
        wide = step / np.cos(np.radians(lat))
        x, y = west + wide * np.arange(121), north - wide * np.arange(81)
        heights = mountains(*np.meshgrid(x, y))
        path = write_heights(folder / "dem.tif", heights, west=west, north=north, step=wide)
    else:
        x, y = Transformer.from_crs("EPSG:4326", dem_crs, always_xy=True).transform(lon, lat)
        x, y = np.meshgrid(x - 4000 + 40.0 * np.arange(201), y + 4000 - 40.0 * np.arange(201))
        heights = mountains(*Transformer.from_crs(dem_crs, "EPSG:4326", always_xy=True).transform(x, y))
        path = write_heights(folder / "dem.tif", heights, west=x[0, 0], north=y[0, 0], step=40, crs=dem_crs)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    image = Image(rpc=rpc, height=camera.rows, width=camera.cols, bands=bands, data_type="uint16", nodata=nodata)
    noise = RNG.uniform(1000, 3000, (bands, camera.rows, camera.cols))
    pixels = ndimage.gaussian_filter(noise, (0, 1.0, 1.0)).round().astype(np.uint16)
    grid = choose_grid(rpc, (camera.rows, camera.cols), dem, crs=crs, resolution=resolution)
    return Site(image=image, dem=dem, grid=grid, pixels=pixels)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return make_site(tmp_path_factory.mktemp("site"), bands=2)


def exact_positions(site: Site, rpc: Rpc):
    """Every pixel by PROJ, the DEM and the model themselves."""
    row, col = np.meshgrid(np.arange(site.grid.height), np.arange(site.grid.width), indexing="ij")
    a, _, c, _, e, f = site.grid.transform
    back = Transformer.from_crs(site.grid.crs, "OGC:CRS84", always_xy=True)
    lon, lat = back.transform(c + a * (col + 0.5), f + e * (row + 0.5))
    return rpc.project(lon, lat, site.dem.heights(lon, lat))


PLACES = {
    "utm": {},
    "projected DEM": {"dem_crs": "EPSG:32631"},
    "degrees": {"crs": "EPSG:4326", "resolution": 2e-5},
    "web mercator": {"crs": "EPSG:3857", "resolution": 3.0},
    "coarse": {"resolution": 13.0},
    "antimeridian in UTM": {"lon": 179.9995, "lat": -17.0},
    "antimeridian in degrees": {"lon": -179.9995, "lat": -17.0, "crs": "EPSG:4326", "resolution": 2e-5},
    "UPS": {"lon": 100.0, "lat": 84.5},
    "south": {"lon": -60.0, "lat": -82.0, "crs": "EPSG:3031"},
}


@pytest.mark.parametrize("place", PLACES)
def test_every_pixel_is_where_the_model_says(tmp_path, place):
    site = make_site(tmp_path, **PLACES[place])
    row, col = site.positions(site.whole)
    known = np.isfinite(row)
    exact = exact_positions(site, site.image.rpc)
    seen = (exact[0] >= 0) & (exact[0] < 400) & (exact[1] >= 0) & (exact[1] < 300)
    assert seen.mean() > 0.3
    assert known[seen].all()
    assert np.abs(row - exact[0])[known].max() < 2e-5
    assert np.abs(col - exact[1])[known].max() < 2e-5


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_pixels_do_not_depend_on_the_block(site, data):
    expected = site.make(site.whole, resampling="cubic")
    row, col = data.draw(st.integers(0, site.grid.height - 1)), data.draw(st.integers(0, site.grid.width - 1))
    height = data.draw(st.integers(1, site.grid.height - row))
    width = data.draw(st.integers(1, site.grid.width - col))
    found = site.make(Block(row=row, col=col, height=height, width=width), resampling="cubic")
    assert np.array_equal(found, expected[:, row : row + height, col : col + width])


def test_a_block_that_sees_too_much_is_made_in_quarters(site, monkeypatch):
    expected = site.make(site.whole)
    asked = []

    def read(top, bottom, left, right):
        asked.append((bottom - top) * (right - left))
        return site.read(top, bottom, left, right)

    monkeypatch.setattr(ortho, "MAX_SOURCE_VALUES", 100_000)
    assert np.array_equal(site.make(site.whole, read=read), expected)
    assert len(asked) > 1
    assert max(asked) < 400 * 300


@pytest.mark.parametrize(("resampling", "order"), [("nearest", 0), ("bilinear", 1)])
def test_resampling_is_that_of_scipy(site, resampling, order):
    row, col = site.positions(site.whole)
    inside = (row >= 0) & (row <= 399) & (col >= 0) & (col <= 299)
    found = site.make(site.whole, resampling=resampling)
    for band in range(2):
        pixels = site.pixels[band].astype(float)
        expected = ndimage.map_coordinates(pixels, [row[inside], col[inside]], order=order)
        # Small whole numbers are weighted in single precision.
        assert np.abs(found[band][inside] - expected).max() <= (0.5 + 1e-3 if order else 0)


def test_cubic_repeats_a_parabola(site):
    # Keys' kernel with a = -1/2 is exact to the second order.
    r, c = np.meshgrid(np.arange(400.0), np.arange(300.0), indexing="ij")
    pixels = np.broadcast_to(3000 + 0.05 * (r - 200) ** 2 - 0.03 * (c - 90) ** 2 + 4 * c, (2, 400, 300)).astype(
        np.float64
    )
    image = Image(rpc=site.image.rpc, height=400, width=300, bands=2, data_type="float64", nodata=None)
    found = site.make(
        site.whole, image=image, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=np.nan, resampling="cubic"
    )
    row, col = site.positions(site.whole)
    inside = (row >= 1) & (row < 398) & (col >= 1) & (col < 298)
    expected = 3000 + 0.05 * (row - 200) ** 2 - 0.03 * (col - 90) ** 2 + 4 * col
    assert np.abs(found[0] - expected)[inside].max() < 1e-8
    outside = ~((row >= -0.5) & (row < 399.5) & (col >= -0.5) & (col < 299.5))
    assert np.isnan(found[:, outside]).all()


def test_nodata_is_no_neighbour(site):
    pixels = np.full_like(site.pixels, 1000)
    pixels[0, 100:200, 50:150] = 7
    image = Image(rpc=site.image.rpc, height=400, width=300, bands=2, data_type="uint16", nodata=7)
    row, col = site.positions(site.whole)
    nearest = np.floor(row + 0.5), np.floor(col + 0.5)
    hole = (nearest[0] >= 100) & (nearest[0] < 200) & (nearest[1] >= 50) & (nearest[1] < 150)
    inside = (row >= -0.5) & (row < 399.5) & (col >= -0.5) & (col < 299.5)
    for resampling in ("nearest", "bilinear", "cubic"):
        found = site.make(
            site.whole, image=image, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=7.0, resampling=resampling
        )
        assert (found[0][hole] == 7).all()
        assert (found[0][inside & ~hole] == 1000).all()
        assert (found[1][inside] == 1000).all()  # the other band has its own nodata
        assert (found[:, ~inside] == 7).all()


@pytest.mark.parametrize(
    ("kind", "value", "nodata", "expected"),
    [("uint8", 0, 0, 1), ("uint8", 255, 255, 254), ("int16", -32768, -32768, -32767), ("float32", 5.0, 5.0, 5.0000005)],
)
def test_a_valid_pixel_never_becomes_nodata(site, kind, value, nodata, expected):
    image = Image(rpc=site.image.rpc, height=400, width=300, bands=1, data_type=kind, nodata=None)
    pixels = np.full((1, 400, 300), value, dtype=kind)
    found = site.make(site.whole, image=image, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=nodata)
    row, col = site.positions(site.whole)
    inside = (row >= -0.5) & (row < 399.5) & (col >= -0.5) & (col < 299.5)
    assert (found[0][inside] == np.dtype(kind).type(expected)).all()
    assert (found[0][~inside] == nodata).all()


def test_cubic_stays_inside_the_range_of_its_type(site):
    image = Image(rpc=site.image.rpc, height=400, width=300, bands=1, data_type="uint8", nodata=None)
    pixels = np.where(np.indices((400, 300)).sum(axis=0) // 5 % 2, 255, 1).astype(np.uint8)[None]
    found = site.make(
        site.whole, image=image, read=lambda a, b, c, d: pixels[:, a:b, c:d], nodata=0.0, resampling="cubic"
    )
    row, col = site.positions(site.whole)
    inside = (row >= 2) & (row < 397) & (col >= 2) & (col < 297)
    assert found[0][inside].min() == 1  # not wrapped to 250 by an undershoot, nor made nodata
    assert np.isin([1, 255], found[0][inside]).all()


def test_a_gap_in_the_heights_is_an_error_only_where_the_image_sees_it(site, tmp_path):
    heights = site.dem.surface
    cells = site.dem.cells(np.array([0.0, heights.height - 1.0]), np.array([0.0, heights.width - 1.0])).values.copy()
    lon, lat = site.dem.surface.lon_lat(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    seen = site.image.rpc.locate(200, 150, 600)
    row, col = (int(part) for part in site.dem.position(*map(np.array, seen), middle=5.3))
    place = {"west": lon[0], "north": lat[0], "step": lon[1] - lon[0]}

    def with_gap_at(i, j):
        holed = cells.copy()
        holed[i, j] = np.nan
        return Dem.open(write_heights(tmp_path / f"{i}-{j}.tif", holed, **place), vertical_datum="ellipsoid")

    expected = site.make(site.whole)
    assert np.array_equal(site.make(site.whole, terrain=with_gap_at(2, 2)), expected)
    with pytest.raises(HeightsError, match=rf"{row}-{col}.tif: no height at lon 5.[23]\d+, lat 44.[01]"):
        site.make(site.whole, terrain=with_gap_at(row, col))


def test_the_dem_may_end_beside_the_scene_but_not_inside(site, tmp_path):
    # 770 m of relief at 18°: a ray moves by 250 m, 2 cells; a DEM that ends with the cell beside what is seen will do.
    lon, lat = outline(site.image.rpc, (400, 300), site.dem)
    row, col = site.dem.position(lon, lat, middle=5.3)

    def cut(margin):
        left, right = int(col.min()) - margin, int(col.max()) + 1 + margin
        cells = site.dem.cells(row, np.array([left, right])[[0] * (row.size - 1) + [1]])
        window = cells.values[:, left - cells.col : right + 1 - cells.col]
        x, y = site.dem.surface.lon_lat(np.array([cells.row, cells.row + 1.0]), np.array([left, left + 1.0]))
        path = write_heights(tmp_path / f"{margin}.tif", window, west=x[0], north=y[0], step=x[1] - x[0])
        return Dem.open(path, vertical_datum="ellipsoid")

    a, _, c, _, e, f = site.grid.transform
    grid = replace(site.grid, transform=(a, 0, c - 100 * a, 0, e, f - 100 * e), height=650, width=650)
    whole = Block(row=0, col=0, height=650, width=650)
    assert np.array_equal(site.make(whole, grid=grid, terrain=cut(0)), site.make(whole, grid=grid))
    with pytest.raises(HeightsError, match=r"-2.tif: no height at"):
        site.make(whole, grid=grid, terrain=cut(-2))


def test_far_from_the_scene_nothing_comes_back(site, tmp_path):
    # A little curvature, and ten scenes to the north the rows of the model come back.
    line_num = site.image.rpc.line_num.copy()
    line_num[8] -= 0.05 * line_num[2]
    image = replace(site.image, rpc=replace(site.image.rpc, line_num=line_num))
    a, _, c, _, e, f = site.grid.transform
    grid = replace(site.grid, transform=(50 * a, 0, c - 60_000, 0, 50 * e, f + 60_000), height=1200, width=1200)
    ghosts = image.rpc.project(*grid.lon_lat(*np.indices((1200, 1200), dtype=float)), 600.0)
    seen = (np.abs(ghosts[0] - 200) < 200) & (np.abs(ghosts[1] - 150) < 150)
    assert seen[:550].any()
    assert seen[590:620].any()
    path = write_heights(tmp_path / "wide.tif", np.full((200, 200), 600.0), west=4.3, north=45.1, step=0.01)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    found = site.make(Block(row=0, col=0, height=1200, width=1200), grid=grid, image=image, terrain=dem)
    assert found[0, 590:620].any()
    assert not found[0, :590].any()


def test_a_grid_elsewhere_is_an_error(site):
    grid = OutputGrid(crs="EPSG:32631", transform=(2, 0, 500_000, 0, -2, 5_000_000), height=100, width=100)
    with pytest.raises(OutputError, match=r"lie outside the image, which shows about lon 5\.[23]"):
        reach(site.image, grid, site.dem)


def test_a_rotated_grid(site):
    # Rows and columns swapped and turned round: the same places, transposed.
    a, _, c, _, e, f = site.grid.transform
    turned = OutputGrid(crs=site.grid.crs, transform=(0, a, c, e, 0, f), height=site.grid.width, width=site.grid.height)
    found = site.make(Block(row=0, col=0, height=turned.height, width=turned.width), grid=turned)
    expected = site.make(site.whole).transpose(0, 2, 1).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert (found == 0).sum() == (expected == 0).sum()


def test_a_lattice_is_as_fine_as_the_projection_bends(site):
    ((fine,), _) = make_lattices(site.grid, site.image.rpc, site.dem, [(0, 0)])
    assert 4 <= fine.step <= 32
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:5041", always_xy=True).transform(5.3, 89.9999)
    polar = OutputGrid(crs="EPSG:5041", transform=(2, 0, x - 200, 0, -2, y + 200), height=256, width=256)
    ((bent,), _) = make_lattices(polar, site.image.rpc, site.dem, [(0, 0)])
    assert bent.step == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crs": "EPSG:1"}, "the CRS 'EPSG:1' is unknown"),
        ({"height": 0}, "0 × 10 pixels"),
        ({"transform": (1, 1, 0, 1, 1, 0)}, "has no inverse"),
        ({"transform": (np.nan, 0, 0, 0, 1, 0)}, "has no inverse"),
    ],
)
def test_a_grid_is_valid_once_it_exists(change, message):
    with pytest.raises(OutputError, match=message):
        OutputGrid(**{"crs": "EPSG:32631", "transform": (1, 0, 0, 0, -1, 0), "height": 10, "width": 10} | change)


@given(
    row=st.floats(-1e4, 1e4), col=st.floats(-1e4, 1e4), crs=st.sampled_from(["EPSG:32660", "EPSG:4326", "EPSG:5041"])
)
@settings(max_examples=50)
def test_pixel_is_the_inverse_of_lon_lat(row, col, crs):
    transform = {
        "EPSG:32660": (0.5, 0, 820_000, 0, -0.5, 1_000_000),
        "EPSG:4326": (1e-5, 0, 179.99, 0, -1e-5, 60),
        "EPSG:5041": (2, 0, 2_100_000, 0, -2, 2_100_000),
    }
    grid = OutputGrid(crs=crs, transform=transform[crs], height=100, width=100)
    lon, lat = grid.lon_lat(np.array(row), np.array(col))
    assert np.allclose(grid.pixel(lon, lat), (row, col), rtol=0, atol=1e-5)


# --- kernels that reach further ---

KERNELS = {
    "bilinear": (1.0, lambda x: max(0.0, 1 - abs(x))),
    "cubic": (
        2.0,
        lambda x: 1 + x * x * (1.5 * abs(x) - 2.5) if abs(x) < 1 else 2 - 4 * abs(x) + 2.5 * x * x - 0.5 * abs(x) ** 3,
    ),
    "lanczos": (3.0, lambda x: float(np.sinc(x) * np.sinc(x / 3))),
}  # fmt: skip


def filtered(pixels, row, col, method, scale):
    """The weighted mean of all pixels that a stretched kernel reaches, each looked at for itself."""
    total, weight = 0.0, 0.0
    reach = 3.5 * max(scale)
    rows = range(max(0, int(row - reach)), min(pixels.shape[0], int(row + reach) + 2))
    cols = range(max(0, int(col - reach)), min(pixels.shape[1], int(col + reach) + 2))
    for i in rows:
        for j in cols:
            if method == "average":  # the share of the pixel inside the box
                down = max(0.0, min(i + 0.5, row + scale[0] / 2) - max(i - 0.5, row - scale[0] / 2))
                right = max(0.0, min(j + 0.5, col + scale[1] / 2) - max(j - 0.5, col - scale[1] / 2))
                share = down * right
            else:
                radius, kernel = KERNELS[method]
                y, x = (i - row) / scale[0], (j - col) / scale[1]
                share = kernel(y) * kernel(x) if max(abs(y), abs(x)) <= radius else 0.0
            total += share * pixels[i, j]
            weight += share
    return total / weight


@pytest.mark.parametrize("method", ["bilinear", "cubic", "lanczos", "average"])
def test_a_coarse_output_leaves_nothing_out(tmp_path, method):
    site = make_site(tmp_path, resolution=13.0)
    assert min(site.scale) > 2
    row, col = site.positions(site.whole)
    found = site.make(site.whole, resampling=method)[0]
    inside = np.argwhere((row > 30) & (row < 370) & (col > 30) & (col < 270))
    for i, j in inside[:: max(1, len(inside) // 40)]:
        expected = filtered(site.pixels[0].astype(float), row[i, j], col[i, j], method, site.scale)
        assert abs(found[i, j] - expected) <= 0.5 + 1e-6


def test_lanczos_where_both_are_as_fine(site):
    row, col = site.positions(site.whole)
    found = site.make(site.whole, resampling="lanczos")
    inside = np.argwhere((row > 4) & (row < 395) & (col > 4) & (col < 295))
    for i, j in inside[:: len(inside) // 40]:
        for band in range(2):
            expected = filtered(site.pixels[band].astype(float), row[i, j], col[i, j], "lanczos", (1.0, 1.0))
            assert abs(found[band, i, j] - expected) <= 0.5 + 1e-6


def test_what_is_missing_has_no_weight_in_an_average(tmp_path):
    site = make_site(tmp_path, resolution=13.0, nodata=0)
    holes = site.pixels.copy()
    holes[:, ::3] = 0
    found = site.make(site.whole, resampling="average", read=lambda a, b, c, d: holes[:, a:b, c:d])
    row, col = site.positions(site.whole)
    inside = (row > 10) & (row < 390) & (col > 10) & (col < 290)
    valid = inside & (found[0] != 0)
    nearest = np.floor(row + 0.5)
    assert np.array_equal(valid, inside & (nearest % 3 != 0))
    assert found[0][valid].min() > 1000  # nothing of the zeros is mixed in


def test_polynomials_hold_over_any_relief(tmp_path):
    """Cells of 200 m that rise and fall by up to 6 km: over one patch a parabola will not do."""
    site = make_site(tmp_path, resolution=13.0)
    lon, lat = site.grid.lon_lat(*np.array([[0.0, site.grid.height], [0.0, site.grid.width]]))
    step, margin = 0.002, 0.2
    west, north = lon[0] - margin, lat[0] + margin
    shape = (int((lat[0] - lat[1] + 2 * margin) / step), int((lon[1] - lon[0] + 2 * margin) / step))
    steep = write_heights(tmp_path / "steep.tif", RNG.uniform(0, 6000, shape), west=west, north=north, step=step)
    site = replace(site, dem=Dem.open(steep, vertical_datum="ellipsoid"))
    ((lattice,), _) = make_lattices(site.grid, site.image.rpc, site.dem, [(0, 0)])
    assert len(lattice.nodes) > 2 + 2 * 3
    row, col = site.positions(site.whole)
    exact = exact_positions(site, site.image.rpc)
    known = np.isfinite(row)
    assert known.any()
    assert np.abs(row - exact[0])[known].max() < 2e-5
    assert np.abs(col - exact[1])[known].max() < 2e-5
