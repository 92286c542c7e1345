"""Orthoimages of a made-up ground, drawn at any place, on any grid; so every shift between two is known."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from rasterio.transform import Affine

from processing.coregistration import coregister, strays
from processing.errors import DeliveryError

GEOD = Geod(ellps="WGS84")
WAVES = 150
EAST, NORTH = 500_000.0, 4_900_000.0


class Ground:
    """A sum of waves up to 40 m long, on the map of UTM zone 31: known at every point, to the last digit."""

    def __init__(self, seed=0, shortest_m=5.0):
        rng = np.random.default_rng(seed)
        number = 2 * np.pi / rng.uniform(shortest_m, 40.0, WAVES)
        turn = rng.uniform(0, 2 * np.pi, WAVES)
        self.x, self.y, self.phase = number * np.cos(turn), number * np.sin(turn), rng.uniform(0, 2 * np.pi, WAVES)

    def __call__(self, x, y):
        if (x == x[:1]).all() and (y == y[:, :1]).all():
            return self.along_axes(x[0] - EAST, y[:, 0] - NORTH)
        total = np.zeros(x.size)
        for start in range(0, x.size, 4096):
            part = np.s_[start : start + 4096]
            wave = np.outer(x.ravel()[part] - EAST, self.x) + np.outer(y.ravel()[part] - NORTH, self.y)
            total[part] = np.cos(wave + self.phase).sum(axis=1)
        return total.reshape(x.shape) / np.sqrt(WAVES / 2)

    def along_axes(self, x, y):
        """The same on a grid along the axes: a wave is the product of one in x and one in y."""
        rows, cols = np.exp(1j * (np.outer(y, self.y) + self.phase)), np.exp(1j * np.outer(self.x, x))
        return (rows @ cols).real / np.sqrt(WAVES / 2)


def draw(path, ground, transform, shape, *, shift=(0.0, 0.0), noise=0.0, gain=300.0, crs="EPSG:32631", bands=1, seed=0):
    """An orthoimage that shows everything so many metres too far to the east and north of the map."""
    rng = np.random.default_rng(seed)
    col, row = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    a, b, c, d, e, f = transform[:6]
    x, y = a * col + b * row + c, d * col + e * row + f
    if crs != "EPSG:32631":
        x, y = Transformer.from_crs(crs, "EPSG:32631", always_xy=True).transform(x, y)
    pixels = 2000 + gain * (ground(x - shift[0], y - shift[1]) + rng.normal(0, noise, (bands, *shape)))
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=bands, dtype="uint16", crs=crs,
        transform=transform, nodata=0,
    ) as file:  # fmt: skip
        file.write(np.clip(np.rint(pixels), 1, 65535).astype("uint16"))
    return path


def at(side, *, right=0.0, down=0.0):
    return Affine(side, 0, EAST + right, 0, -side, NORTH - down)


@settings(max_examples=5, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6), st.integers(0, 5))
def test_shifts_on_one_grid_come_out(tmp_path_factory, east, north, seed):
    folder, ground = tmp_path_factory.mktemp("pair"), Ground(seed)
    product = draw(folder / "a.tif", ground, at(1.0), (180, 200), shift=(east, north), noise=0.05, gain=500, seed=seed)
    other = draw(folder / "b.tif", ground, at(1.0), (180, 200), noise=0.05, seed=seed + 100)
    found = coregister(product, other, threads=1)
    assert found.errors is not None
    assert found.errors.median_east_m == pytest.approx(east, abs=0.03)
    assert found.errors.median_north_m == pytest.approx(north, abs=0.03)
    assert found.errors.nmad_m < 0.03
    assert found.matched_pct > 90
    assert found.resolution_m == pytest.approx(1.0, abs=1e-3)


OTHERS = {
    "half a pixel beside": (at(1.0, right=10.5, down=7.5), (200, 220), "EPSG:32631"),
    "somewhere beside": (at(1.0, right=-13.37, down=4.21), (230, 250), "EPSG:32631"),
    "coarser": (at(1.7, right=3.3, down=-8.1), (150, 160), "EPSG:32631"),
    "finer": (at(0.4, right=20.2, down=30.6), (420, 420), "EPSG:32631"),
    "turned": (at(1.0, right=60, down=-40) @ Affine.rotation(-25), (260, 260), "EPSG:32631"),
    "in the zone beside": (None, (240, 240), "EPSG:32632"),
    "in degrees": (None, (260, 260), "EPSG:4326"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_grids(tmp_path, name):
    """What lies between the grids moves nothing: 2.4 m east and 1.3 m south come out to some centimetres."""
    ground = Ground()
    transform, shape, crs = OTHERS[name]
    if transform is None:
        x, y = Transformer.from_crs("EPSG:32631", crs, always_xy=True).transform(EAST + 110, NORTH - 110)
        side = 1.0 if crs != "EPSG:4326" else 0.9e-5
        transform = Affine(side, 0, x - side * shape[1] / 2, 0, -side, y + side * shape[0] / 2)
    product = draw(tmp_path / "a.tif", ground, at(1.0), (240, 260), shift=(2.4, -1.3))
    other = draw(tmp_path / "b.tif", ground, transform, shape, crs=crs)
    found = coregister(product, other, window_px=32)
    assert found.errors is not None
    side = max(1.0, abs(transform.a) if crs != "EPSG:4326" else 1.0)
    assert found.resolution_m == pytest.approx(side, rel=0.3)
    assert found.errors.median_east_m == pytest.approx(2.4, abs=0.05 * side)
    assert found.errors.median_north_m == pytest.approx(-1.3, abs=0.05 * side)
    assert found.errors.nmad_m < 0.05 * side
    back = coregister(other, product, window_px=32)
    assert back.errors is not None
    assert back.errors.median_east_m == pytest.approx(-2.4, abs=0.05 * side)


def test_detail_that_the_coarser_image_cannot_show_does_not_disturb(tmp_path):
    """The coarser one shows means of 5 × 5 pixels of the finer one, which is full of detail of a metre and less."""
    ground = Ground(seed=3)
    fine = Ground(seed=4, shortest_m=0.9)
    fine.x, fine.y = (part * 12 for part in (fine.x, fine.y))
    product = draw(tmp_path / "a.tif", lambda x, y: ground(x, y) + 2 * fine(x, y), at(0.4), (600, 600))
    with rasterio.open(product) as file:
        means = file.read().reshape(1, 120, 5, 120, 5).mean(axis=(2, 4))
        profile = file.profile | {"width": 120, "height": 120, "transform": at(2.0)}
    with rasterio.open(tmp_path / "b.tif", "w", **profile) as file:
        file.write(np.rint(means).astype("uint16"))
    found = coregister(product, tmp_path / "b.tif", window_px=24, search_px=8)
    assert found.resolution_m == pytest.approx(2.0, rel=1e-3)
    assert found.matched_pct > 95
    assert found.errors.bias_m < 0.02
    assert found.nmad_px < 0.02


def test_metres_are_those_of_the_ground(tmp_path):
    """Web Mercator's metres are 1.4 times too long at 44° north; those of the report are not."""
    ground = Ground()
    x, y = Transformer.from_crs("EPSG:32631", "EPSG:3857", always_xy=True).transform(EAST + 100, NORTH - 100)
    transform = Affine(1.4, 0, x - 150, 0, -1.4, y + 150)
    other = draw(tmp_path / "b.tif", ground, transform, (230, 230), crs="EPSG:3857")
    product = draw(tmp_path / "a.tif", ground, transform, (230, 230), crs="EPSG:3857", shift=(3.0, 0.0))
    found = coregister(product, other)
    lon, lat = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform(
        [EAST + 100, EAST + 103], [NORTH - 100] * 2
    )
    assert found.errors.median_east_m == pytest.approx(GEOD.line_length(lon, lat), abs=0.03)


def test_nodata_and_bands(tmp_path):
    ground = Ground()
    product = draw(tmp_path / "a.tif", ground, at(1.0), (300, 300), shift=(1.0, 0.5), bands=3, noise=0.2)
    other = draw(tmp_path / "b.tif", ground, at(1.0), (300, 300))
    with rasterio.open(other, "r+") as file:
        pixels = file.read(1)
        pixels[:, 150:] = 0
        file.write(pixels, 1)
    found = coregister(product, other)
    to_the_east = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True)
    x, _ = to_the_east.transform([one.lon for one in found.vectors], [one.lat for one in found.vectors])
    assert max(x) < EAST + 150
    assert found.errors.median_east_m == pytest.approx(1.0, abs=0.03)
    assert coregister(product, other, band=2).errors.nmad_m > found.errors.nmad_m, "a band is noisier than their mean"


def test_without_common_ground_nothing_is_said(tmp_path):
    ground = Ground()
    product = draw(tmp_path / "a.tif", ground, at(1.0), (150, 150))
    far = coregister(product, draw(tmp_path / "b.tif", ground, at(1.0, right=5000), (150, 150)))
    assert (far.windows, far.vectors, far.errors, far.nmad_px) == (0, (), None, None)
    unlike = coregister(product, draw(tmp_path / "c.tif", Ground(77), at(1.0), (150, 150)))
    assert unlike.windows > 0
    assert unlike.errors is None
    small = coregister(product, draw(tmp_path / "d.tif", ground, at(1.0), (40, 40)))
    assert small.windows == 0


def test_what_is_no_orthoimage(tmp_path):
    ground = Ground()
    product = draw(tmp_path / "a.tif", ground, at(1.0), (150, 150))
    with rasterio.open(
        tmp_path / "raw.tif", "w", driver="GTiff", height=9, width=9, count=1, dtype="uint8", transform=at(1.0)
    ) as file:
        file.write(np.ones((1, 9, 9), np.uint8))
    with pytest.raises(DeliveryError, match=r"raw.tif: no CRS"):
        coregister(product, tmp_path / "raw.tif")
    with pytest.raises(DeliveryError, match=r"a.tif: no band 4; it has 1"):
        coregister(product, product, band=4)


def test_a_changed_place_is_an_outlier_and_a_moved_region_is_none(tmp_path):
    """A field of 16 × 16 shifts with a step in the middle, as a mistake of a DEM makes it, and five gross errors."""
    rng = np.random.default_rng(4)
    place = np.stack(np.meshgrid(np.arange(16.0), np.arange(16.0), indexing="ij"), axis=-1).reshape(-1, 2)
    shift = rng.normal(0, 0.1, (256, 2)) + np.where(place[:, :1] < 8, 0.0, 6.0)
    wrong = [17, 60, 100, 170, 230]
    shift[wrong] += rng.choice([-1, 1], (5, 2)) * rng.uniform(4, 12, (5, 2))
    found = np.flatnonzero(strays(place, shift))
    assert set(wrong) <= set(found.tolist())
    assert len(found) <= len(wrong) + 2


@pytest.mark.parametrize("spread", [0.05, 0.3, 3.0])
def test_honest_spread_is_not_trimmed(spread):
    """Under pure noise of any size less than a hundredth is left out."""
    place = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0), indexing="ij"), axis=-1).reshape(-1, 2)
    shift = np.random.default_rng(0).normal(0, spread, (900, 2))
    assert strays(place, shift).mean() < 0.012


def test_lonely_shifts_are_kept():
    assert not strays(np.array([[0.0, 0.0], [9.0, 9.0]]), np.array([[0.0, 0.0], [50.0, 0.0]])).any()
    assert strays(np.empty((0, 2)), np.empty((0, 2))).size == 0
