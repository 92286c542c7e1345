"""Hidden ground against scenes whose shadows are known, against dense sampling, and against a rigorous camera."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from processing.dem import Dem
from processing.ground import choose_grid, reach
from processing.heights import HeightGrid
from processing.lattice import PATCH, make_lattices
from processing.occlusion import Horizon, ceiling, occluded, occluded_block, sight
from processing.ortho import Block, Image, positions
from processing.rpc import fit
from tests.processing.pushbroom import TO_ECEF, TO_GEODETIC, Pushbroom, unit, write_heights

RNG = np.random.default_rng(5)


def hidden(values, row, col, ray, *, first=(0, 0)):
    """Points (in cells of the array) of a DEM, all with the same ray."""
    row, col = np.broadcast_arrays(np.asarray(row, float), np.asarray(col, float))
    along = np.broadcast_to(np.reshape(ray, (2,) + (1,) * row.ndim), (2, *row.shape))
    dem = HeightGrid(values=np.asarray(values, float), row=first[0], col=first[1])
    return occluded(row + first[0], col + first[1], np.array(along, float), dem)


# ── scenes whose shadows are known ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ray", [(0.0, -0.07), (0.05, -0.07), (-0.2, -0.07)])
def test_a_wall_hides_its_height_times_the_tangent_of_the_view(ray):
    """50 m of wall, seen from the west: 50 · 0.07 = 3.5 cells to the east, however far north or south the sensor is."""
    heights = np.zeros((200, 60))
    heights[:, 30] = 50.0
    row, col = RNG.uniform(80, 120, 4000), RNG.uniform(20, 40, 4000)
    assert np.array_equal(hidden(heights, row, col, ray), (col > 30) & (col < 33.5))


def test_both_edges_of_a_shadow_are_sharp():
    heights = np.zeros((5, 60))
    heights[:, 30] = 50.0
    assert hidden(heights, 2.0, [30 + 1e-6, 33.5 - 1e-6], (0.0, -0.07)).all()
    assert not hidden(heights, 2.0, [30 - 1e-6, 30.0, 33.5 + 1e-6], (0.0, -0.07)).any()


def test_a_dome():
    """Behind the line where its slope is that of the rays, a paraboloid hides itself and the plain behind it."""
    size, top, curve, along = 401, 120.0, 120.0 / 60**2, 0.6
    y, x = np.indices((size, size)) - 200.0
    heights = np.maximum(top - curve * (x**2 + y**2), 0.0)
    row, col = RNG.uniform(100, 300, (2, 20_000)) - 200.0
    height = np.maximum(top - curve * (row**2 + col**2), 0.0)
    # Clearance of the ray over the whole paraboloid after a rise s: height + s - top + curve ((col + along·s)² + row²)
    lowest = -(1 + 2 * curve * col * along) / (2 * curve * along**2)
    least = height + lowest - top + curve * ((col + along * lowest) ** 2 + row**2)
    expected = (lowest > 0) & (least < 0)
    found = hidden(heights, row + 200, col + 200, (0.0, along))
    near_the_edge = (np.abs(least) < 0.5) | (np.abs(lowest) < 4)
    assert 0.1 < expected.mean() < 0.5
    assert near_the_edge.mean() < 0.3
    assert np.array_equal(found[~near_the_edge], expected[~near_the_edge])


def test_a_pyramid():
    """80 m over a square of ± 20 cells; its shadow has the apex's tip, 80 · 0.5 = 40 cells behind it."""
    y, x = np.indices((121, 201)) - np.array([60.0, 130.0])[:, None, None]
    heights = np.maximum(80 * (1 - np.maximum(np.abs(x), np.abs(y)) / 20), 0.0)
    offset = RNG.integers(-30, 31, 5000)
    behind = RNG.uniform(-40, 60, 5000)
    edge = np.abs(offset)  # behind it the section along a row falls from its level top
    level = 80 * (1 - edge / 20)
    # Slope 4 m a cell, rays 2 m a cell: all of the back is hidden, and the plain as far as rays meet the top's edge
    expected = (edge < 20) & (behind > edge) & (behind < edge + 0.5 * level)
    found = hidden(heights, 60.0 + offset, 130.0 - behind, (0.0, 0.5))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("slope", "expected"), [(3.0, False), (-1.9, False), (-2.1, True)])
def test_a_plane_is_seen_or_turned_away_as_a_whole(slope, expected):
    """Rays of 2 m a cell towards rising columns; the plane rises or falls against them."""
    heights = np.broadcast_to(-slope * np.arange(80.0), (20, 80))
    row, col = RNG.uniform(0, 19, 500), RNG.uniform(0, 78.5, 500)
    assert (hidden(heights, row, col, (0.0, 0.5)) == expected).all()


# ── properties ──────────────────────────────────────────────────────────────────────────────────────────────────────


def rough(seed, relief, size=48):
    """Hills with some cliffs."""
    chance = np.random.default_rng(seed)
    hills = ndimage.gaussian_filter(chance.normal(size=(size, size)), 3.0) * 9 + 0.15 * chance.normal(size=(size, size))
    cliffs = np.round(hills) if seed % 2 else hills
    return 400 + relief * cliffs


def least_clearance(values, row, col, ray, *, spacing=0.01):
    """The lowest clearance over the terrain of each ray, looked at every hundredth of a cell behind its start."""
    longest = np.ptp(values)
    count = int(np.ceil(longest * max(np.abs(ray)) / spacing))
    rise = (np.arange(count) + 1) * (longest / count)
    height = ndimage.map_coordinates(values, [row, col], order=1)
    places = [start[:, None] + along * rise for start, along in ((row, ray[0]), (col, ray[1]))]
    ground = ndimage.map_coordinates(values, places, order=1, mode="constant", cval=-1e6)
    return (height[:, None] + rise - ground).min(axis=1)


@given(
    seed=st.integers(0, 10_000), relief=st.floats(3, 60), azimuth=st.floats(0, 2 * np.pi), along=st.floats(0.02, 0.2)
)
@settings(max_examples=25, deadline=None)
def test_points_are_hidden_where_dense_sampling_finds_them_so(seed, relief, azimuth, along):
    values = rough(seed, relief)
    ray = along * np.cos(azimuth), along * np.sin(azimuth)
    row, col = np.random.default_rng(seed).uniform(0, values.shape[0] - 1, (2, 60))
    least = least_clearance(values, row, col, ray)
    found = hidden(values, row, col, ray)
    assert found[least < -1e-5].all()
    # Between two samples a ray can dip by what it changes over half their distance.
    assert (least[found] < 0.01 * np.ptp(values) * 0.5).all()


def test_dense_sampling_finds_enough_of_both():
    """So that the property above is none of nothing."""
    shares = []
    for seed in range(20):
        row, col = np.random.default_rng(seed).uniform(0, 47, (2, 200))
        shares.append(hidden(rough(seed, 30.0), row, col, (0.08, -0.1)).mean())
    assert 0.2 < np.mean(shares) < 0.8


@given(seed=st.integers(0, 10_000), relief=st.floats(0, 500))
@settings(max_examples=20, deadline=None)
def test_straight_from_above_nothing_is_hidden(seed, relief):
    row, col = np.random.default_rng(seed).uniform(0, 47, (2, 200))
    assert not hidden(rough(seed, relief), row, col, (0.0, 0.0)).any()


@given(seed=st.integers(0, 10_000), row=st.integers(-3, 9_000), col=st.integers(-40_000, 40_000))
@settings(max_examples=20, deadline=None)
def test_only_the_places_matter_and_not_where_the_window_begins(seed, row, col):
    values, ray = rough(seed, 30.0), (0.11, 0.06)
    places = np.random.default_rng(seed).integers(0, 47 * 64, (2, 200)) / 64  # exact after any shift
    expected = hidden(values, *places, ray)
    assert np.array_equal(hidden(values, *places, ray, first=(row, col)), expected)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_rays_of_many_directions_at_once_are_those_of_each(seed):
    """The bounds hold for all directions of a call; what is found must not depend on them."""
    values, chance = rough(seed, 30.0), np.random.default_rng(seed)
    row, col = chance.uniform(0, 47, (2, 60))
    rays = np.array([0.1, -0.02])[:, None] + chance.uniform(-0.12, 0.12, (2, 60))
    together = occluded(row, col, rays, HeightGrid(values=values, row=0, col=0))
    alone = [hidden(values, row[k], col[k], rays[:, k]) for k in range(60)]
    assert np.array_equal(together, alone)


def test_cells_without_height_hide_nothing_and_are_not_hidden():
    heights = np.zeros((5, 60))
    heights[:, 30] = 50.0
    heights[:, 32] = np.nan
    ray = (0.0, -0.1)
    assert hidden(heights, 2.0, [30.5, 33.5, 34.9], ray).all()  # by the wall, over the gap
    assert not hidden(heights, 2.0, [31.5, 32.0, 32.5, 35.1], ray).any()
    heights[:, 30] = np.nan
    assert not hidden(heights, 2.0, np.arange(0, 59, 0.25), ray).any()
    assert not hidden(np.full((5, 5), np.nan), 2.0, 2.0, ray).any()
    assert not hidden(np.zeros((1, 1)), 0.0, 0.0, ray).any()
    assert not hidden(heights, [np.nan, -1.0, 4.0], [3.0, 3.0, 60.0], ray).any()


def test_the_last_row_and_column_of_a_dem_can_be_hidden():
    heights = np.zeros((5, 33))
    heights[:, 30] = 50.0
    assert hidden(heights, [0.0, 4.0, 2.0], 32.0, (0.0, -0.1)).all()


# ── through a sensor model ──────────────────────────────────────────────────────────────────────────────────────────


def cliffs(lon, lat):
    """Ridges some 45° steep and more."""
    ridges = 1 - np.abs(np.sin(lon * 700 + lat * 250))
    return 500 + 420 * ridges**2 + 60 * np.sin(lon * 2500) * np.cos(lat * 3100)


class Site:
    def __init__(self, folder, *, roll_deg=32.0, lon=5.3, lat=44.1, crs=None, resolution=6.0):
        self.camera = Pushbroom(lon=lon, lat=lat, gsd_m=4.0, rows=500, cols=400, roll_deg=roll_deg)
        self.rpc = fit(**self.camera.points()).rpc
        step = 1 / 3600
        west, north = lon - 120 * step, lat + 90 * step
        x, y = west + step * np.arange(241), north - step * np.arange(181)
        path = write_heights(folder / "dem.tif", cliffs(*np.meshgrid(x, y)), west=west, north=north, step=step)
        self.dem = Dem.open(path, vertical_datum="ellipsoid")
        self.image = Image(
            rpc=self.rpc, height=self.camera.rows, width=self.camera.cols, bands=1, data_type="uint16", nodata=None
        )
        shape = (self.camera.rows, self.camera.cols)
        self.grid = choose_grid(self.rpc, shape, self.dem, crs=crs, resolution=resolution)
        self.reach = reach(self.image, self.grid, self.dem)
        relief = (self.reach.low_m, self.reach.high_m)
        self.relief = self.reach.low_m, ceiling(self.rpc, shape, self.dem, relief)

    @property
    def whole(self):
        return Block(row=0, col=0, height=self.grid.height, width=self.grid.width)

    def lattices(self, block):
        """The patches that share pixels with a block."""
        rows, cols = (
            range(first // PATCH * PATCH, first + size, PATCH)
            for first, size in ((block.row, block.height), (block.col, block.width))
        )
        corners = [(row, col) for row in rows for col in cols]
        made, _ = make_lattices(self.grid, self.rpc, self.dem, corners)
        bottom, right = block.row + block.height, block.col + block.width
        return [
            (
                one,
                (
                    *(max(block.row - row, 0), min(bottom - row, PATCH)),
                    *(max(block.col - col, 0), min(right - col, PATCH)),
                ),
            )
            for one, (row, col) in zip(made, corners, strict=True)
        ]

    def hidden(self, block):
        return occluded_block(
            (block.height, block.width),
            (block.row, block.col),
            self.lattices(block),
            grid=self.grid,
            rpc=self.rpc,
            terrain=self.dem,
            relief=self.relief,
        )


@pytest.fixture(scope="module")
def whole(site):
    """All hidden pixels."""
    return site.hidden(site.whole)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def test_rays_go_as_the_sensor_model_locates(site):
    lon, lat = site.grid.lon_lat(*RNG.uniform(0, 300, (2, 40)))
    height, rise = 700.0, 50.0
    seen = site.rpc.project(lon, lat, height)
    (above, below) = (
        np.stack(site.dem.position(*site.rpc.locate(*seen, height + move), middle=5.3)) for move in (rise, -rise)
    )
    found = sight(lon, lat, site.rpc, site.dem, height)
    assert np.abs(found - (above - below) / (2 * rise)).max() < 1e-7
    off_nadir = np.hypot(found[0], found[1] * 0.7201) * 30.88
    assert np.allclose(off_nadir, np.tan(np.radians(32)), atol=0.003)


def test_a_rigorous_camera_is_hidden_from_the_same_ground(site, whole):
    """Straight lines in space from the ground to where the camera was, and the DEM below them."""
    row, col = positions(site.whole, grid=site.grid, image=site.image, terrain=site.dem, reach=site.reach)
    inside = (row > 5) & (row < 495) & (col > 5) & (col < 395)
    some = RNG.choice(np.flatnonzero(inside), 1500, replace=False)
    lon, lat = site.grid.lon_lat(*(part.astype(float) for part in np.unravel_index(some, row.shape)))
    height = site.dem.heights(lon, lat)
    place = site.camera.rays(row.flat[some], col.flat[some])[0]
    ground = np.stack(TO_ECEF.transform(lon, lat, height), axis=-1)
    ahead = unit(place - ground)
    far = np.linspace(0.02, 1000, 2500)
    points = ground[:, None] + far[:, None] * ahead[:, None, :]
    along_lon, along_lat, along_height = TO_GEODETIC.transform(points[..., 0], points[..., 1], points[..., 2])
    cells = site.dem.cells(*site.dem.position(along_lon, along_lat, middle=5.3))
    least = (along_height - cells.at(*site.dem.position(along_lon, along_lat, middle=5.3))).min(axis=1)
    found = whole.flat[some]
    assert 0.3 < found.mean() < 0.7
    assert found[least < -0.1].all()
    assert (least[found] < -0.1).mean() > 0.9
    assert (found != (least < 0)).mean() < 0.002


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_pixels_do_not_depend_on_the_block(site, whole, data):
    row, col = data.draw(st.integers(0, site.grid.height - 1)), data.draw(st.integers(0, site.grid.width - 1))
    height = data.draw(st.integers(1, site.grid.height - row))
    width = data.draw(st.integers(1, site.grid.width - col))
    found = site.hidden(Block(row=row, col=col, height=height, width=width))
    assert np.array_equal(found, whole[row : row + height, col : col + width])


def test_a_block_out_of_reach_has_nothing_hidden(site):
    found = occluded_block((3, 4), (-5000, 0), [], grid=site.grid, rpc=site.rpc, terrain=site.dem, relief=site.relief)
    assert found.shape == (3, 4)
    assert not found.any()


def test_from_nearly_above_nothing_is_hidden(tmp_path):
    site = Site(tmp_path, roll_deg=0.5)
    assert not site.hidden(site.whole).any()


def test_over_the_antimeridian_the_same_ground_is_hidden(tmp_path):
    site = Site(tmp_path, lon=180.0, lat=-17.0)
    found = site.hidden(site.whole)
    row, col = np.indices(found.shape).astype(float)
    lon, _ = site.grid.lon_lat(row, col)
    east, west = found[(lon < 0) & (lon > -179.998)], found[(lon > 0) & (lon < 179.998)]
    assert 0.1 < east.mean() < 0.9
    assert 0.1 < west.mean() < 0.9
    assert found[np.abs(lon) > 179.998].any()


def test_a_mountain_beside_the_image_hides_ground_as_far_as_rays_go_below_its_top(site, tmp_path):
    """Level ground at 500 m; beyond the image towards the sensor a mountain of 1500 m, or one too far away."""
    shape, level, top = (site.camera.rows, site.camera.cols), 500.0, 1500.0
    row, col = np.meshgrid(np.linspace(0, shape[0] - 1, 5), np.linspace(0, shape[1] - 1, 5))
    place = np.stack(site.dem.position(*site.rpc.locate(row.ravel(), col.ravel(), level), middle=5.3))
    ray = sight(*site.rpc.locate(250.0, 200.0, np.array([level])), site.rpc, site.dem, level)
    axis = int(np.argmax(np.abs(ray)))
    way, beyond = np.sign(ray[axis, 0]), np.max(place[axis] * np.sign(ray[axis, 0]))
    last = beyond + abs(ray[axis, 0]) * (top - level)
    surface = site.dem.surface
    lon, lat = surface.lon_lat(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    cells = np.indices((surface.height, surface.width))[axis] * way

    def dem(first, end):
        heights = np.where((cells > first) & (cells < end), top, level)
        path = write_heights(tmp_path / "beside.tif", heights, west=lon[0], north=lat[0], step=lon[1] - lon[0])
        return Dem.open(path, vertical_datum="ellipsoid")

    def hidden(terrain, highest):
        return occluded_block(
            (site.grid.height, site.grid.width), (0, 0), site.lattices(site.whole),
            grid=site.grid, rpc=site.rpc, terrain=terrain, relief=(level, highest),
        )  # fmt: skip

    near = dem(beyond + 4, beyond + 8)
    assert ceiling(site.rpc, shape, near, (level, level)) == top
    assert hidden(near, top).any()
    far = dem(last + 4, last + 8)
    assert ceiling(site.rpc, shape, far, (level, level)) == level


def test_a_gentle_piece_of_a_dem_is_open():
    gentle = HeightGrid(values=np.arange(400.0).reshape(20, 20) % 7, row=0, col=0)
    assert Horizon.of(gentle, np.full((2, 3, 3), 0.05)).is_open
    assert not Horizon.of(gentle, np.full((2, 3, 3), 0.5)).is_open
