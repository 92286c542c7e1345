"""Coverage and clouds of rasters whose shape is known."""

import hashlib

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from catalog.extent import Footprint
from processing.cog import SUPERBLOCK, CogProfile, assemble, encode_superblock
from processing.quality import clear_area, cloud_cover_pct, footprint, has_data, multihash

UTM31 = "EPSG:32631"


def write(path, pixels, *, crs=UTM31, resolution=2.0, corner=(600000.0, 5000000.0), nodata=0, overviews="average"):
    """A finished raster, as production writes it."""
    bands, height, width = pixels.shape
    transform = (resolution, 0.0, corner[0], 0.0, -resolution, corner[1])
    profile = CogProfile(
        crs=crs, transform=transform, height=height, width=width, bands=bands, data_type=pixels.dtype.name,
        nodata=nodata, overviews=overviews,
    )  # fmt: skip
    spool = path.with_suffix(".spool")
    spool.mkdir()
    blocks = [
        encode_superblock(
            pixels[:, r * SUPERBLOCK : (r + 1) * SUPERBLOCK, c * SUPERBLOCK : (c + 1) * SUPERBLOCK],
            profile, row=r, col=c, spool=spool,
        )
        for r in range(profile.superblocks[0])
        for c in range(profile.superblocks[1])
    ]  # fmt: skip
    assemble(blocks, profile, spool=spool, destination=path)
    return path


def on_map(area, crs=UTM31):
    """The footprint in coordinates of the map, with points enough that its straight edges stay where they are."""
    to_map = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    dense = area.polygons.segmentize(0.001)
    moved = shapely.transform(dense, lambda lonlat: np.stack(to_map.transform(*lonlat.T), axis=1))
    return shapely.union_all(shapely.get_parts(moved))


def test_the_footprint_is_where_data_is(tmp_path):
    """A parallelogram with a hole, as an orthoimage and a lake of nodata make them."""
    height, width = 3000, 2500
    rows, cols = np.indices((height, width))
    inside = (cols > 200 + rows // 10) & (cols < 1900 + rows // 10) & (rows > 100) & (rows < 2800)
    inside &= ~((rows > 1000) & (rows < 1400) & (cols > 1000) & (cols < 1500))
    pixels = np.where(inside, 500, 0).astype("uint16")[None]
    seen = footprint(write(tmp_path / "a.tif", pixels))
    drawn = on_map(seen)
    expected = shapely.Polygon(
        [(600422, 4999798), (603820, 4999798), (604360, 4994400), (600962, 4994400)],
        [[(602002, 4997998), (603000, 4997998), (603000, 4997200), (602002, 4997200)]],
    )
    assert drawn.symmetric_difference(expected).area < 0.01 * expected.area
    assert drawn.hausdorff_distance(expected) < 2 * 2.0 * 4, "two pixels of the overview that it was drawn on"
    assert shapely.get_num_coordinates(seen.polygons) < 60
    assert seen.area_km2 == pytest.approx(expected.area / 1e6, rel=0.01)


def test_any_band_counts_and_specks_do_not(tmp_path):
    pixels = np.full((2, 500, 500), 7, "uint8")
    pixels[0] = 0
    pixels[1, 200:202, 200:202] = 0
    pixels[1, :, 250:] = 0
    pixels[1, 100, 400] = 9
    drawn = on_map(footprint(write(tmp_path / "a.tif", pixels)))
    assert drawn.symmetric_difference(shapely.box(600000, 4999000, 600500, 5000000)).area < 0.005 * drawn.area


def test_nothing_has_no_footprint(tmp_path):
    assert footprint(write(tmp_path / "a.tif", np.zeros((1, 40, 40), "uint8"))) is None


def test_one_pixel_has_one(tmp_path):
    pixels = np.zeros((1, 40, 40), "uint8")
    pixels[0, 20, 20] = 1
    assert 1e-6 < footprint(write(tmp_path / "a.tif", pixels)).area_km2 < 5e-6


def test_across_the_antimeridian(tmp_path):
    """UTM zone 60 goes on beyond 180°."""
    to_map = Transformer.from_crs("OGC:CRS84", "EPSG:32660", always_xy=True)
    x, y = to_map.transform(180.0, 10.0)
    pixels = np.ones((1, 1000, 1000), "uint8")
    seen = footprint(write(tmp_path / "a.tif", pixels, crs="EPSG:32660", resolution=10.0, corner=(x - 5000, y + 5000)))
    assert seen.bbox.crosses_antimeridian
    assert len(seen.polygons.geoms) == 2
    # A map of scale k shows k² of the ground: 1.0009 some 330 km off the central meridian.
    assert seen.area_km2 == pytest.approx(100, rel=0.003)


@pytest.mark.parametrize(("crs", "sign"), [("EPSG:5041", 1), ("EPSG:5042", -1)])
def test_around_a_pole(tmp_path, crs, sign):
    pixels = np.ones((1, 1000, 1000), "uint8")
    seen = footprint(write(tmp_path / "a.tif", pixels, crs=crs, resolution=10.0, corner=(1995000.0, 2005000.0)))
    assert seen.centre[1] * sign == pytest.approx(90, abs=0.01)
    # UPS shrinks by 0.994 at the pole.
    assert seen.area_km2 == pytest.approx(100 / 0.994**2, rel=0.01)


def a_mask():
    """Left half clear, right half cloud, a stripe unknown on top."""
    mask = np.zeros((1, 2300, 1200), "uint8")
    mask[0, :, 600:] = 1
    mask[0, :300] = 255
    return mask


def test_clouds_of_the_whole_mask_are_counted_exactly(tmp_path):
    path = write(tmp_path / "mask.tif", a_mask(), nodata=255, overviews="nearest")
    assert cloud_cover_pct(path) == 50.0
    drawn = on_map(clear_area(path))
    assert drawn.symmetric_difference(shapely.box(600000, 4995400, 601200, 4999400)).area < 0.01 * drawn.area


def area_of(west, south, east, north):
    to_globe = Transformer.from_crs(UTM31, "OGC:CRS84", always_xy=True)
    box = shapely.box(west, south, east, north).segmentize(50)
    return Footprint.of(shapely.transform(box, lambda xy: np.stack(to_globe.transform(*xy.T), axis=1)))


@pytest.mark.parametrize(
    ("cols", "rows", "expected"),
    [
        ((300, 900), (400, 2200), 50.0),
        ((0, 600), (400, 500), 0.0),
        ((500, 700), (100, 800), 50.0),
        ((550, 800), (2000, 2300), 80.0),
    ],
)
def test_clouds_over_an_area(tmp_path, cols, rows, expected):
    path = write(tmp_path / "mask.tif", a_mask(), nodata=255, overviews="nearest")
    area = area_of(600000 + 2 * cols[0], 5000000 - 2 * rows[1], 600000 + 2 * cols[1], 5000000 - 2 * rows[0])
    assert cloud_cover_pct(path, area) == pytest.approx(expected, abs=0.3)


def test_clouds_over_an_area_that_the_mask_does_not_know(tmp_path):
    path = write(tmp_path / "mask.tif", a_mask(), nodata=255, overviews="nearest")
    assert cloud_cover_pct(path, area_of(600100, 4999500, 600500, 4999900)) is None
    everything = write(tmp_path / "all.tif", np.ones((1, 60, 60), "uint8"), nodata=255, overviews="nearest")
    assert clear_area(everything) is None
    assert cloud_cover_pct(everything) == 100.0


def test_has_data():
    assert has_data(np.array([0, 1, 2]), 1).tolist() == [True, False, True]
    assert has_data(np.array([0.0, np.nan]), None).tolist() == [True, False]
    assert has_data(np.array([0.0, np.nan]), float("nan")).tolist() == [True, False]
    assert has_data(np.array([0, 1]), None).all()


def test_multihash(tmp_path):
    """0x12 is SHA-256, 0x20 its 32 bytes (multiformats)."""
    (tmp_path / "a").write_bytes(b"abc")
    assert multihash(tmp_path / "a") == "1220" + hashlib.sha256(b"abc").hexdigest()
    assert multihash(tmp_path / "a").endswith("f20015ad")
