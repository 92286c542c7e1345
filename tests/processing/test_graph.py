import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from pyproj import Transformer
from rasterio.crs import CRS
from scipy import ndimage

from processing import graph
from processing.dem import Dem
from processing.errors import DeliveryError, HeightsError, OutputError, SensorModelError
from processing.graph import RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.ground import choose_grid, outline, utm
from processing.lazy import open_ortho
from processing.rpc import fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw

SHAPE = (2600, 2300)


def mountains(lon, lat):
    return 500 + 300 * np.sin(lon * 300) * np.cos(lat * 420)


def write_scene(folder: Path, *, shape=SHAPE, dem_shape=(110, 140), gsd_m=1.0, bands=2):
    camera = Pushbroom(lon=5.3, lat=44.1, rows=shape[0], cols=shape[1], gsd_m=gsd_m)
    rng = np.random.default_rng(5)
    pixels = ndimage.uniform_filter(rng.uniform(500, 4000, (bands, *shape)), (0, 3, 3)).astype(np.uint16)
    path = write_raw(folder / "scene.tif", pixels, nodata=0, tiled=True, compress="deflate")
    rpc_text.write(fit(**camera.points()).rpc, folder / "scene_RPC.TXT")
    step = 1 / 1200
    west, north = 5.3 - step * dem_shape[1] / 2, 44.1 + step * dem_shape[0] / 2
    lon, lat = np.meshgrid(west + step * np.arange(dem_shape[1]), north - step * np.arange(dem_shape[0]))
    write_heights(folder / "dem.tif", mountains(lon, lat).astype(np.float32), west=west, north=north, step=step)
    return RawRaster.open(path), Dem.open(folder / "dem.tif", vertical_datum="ellipsoid")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def written(scene, tmp_path_factory):
    raster, dem = scene
    seen = []
    path = tmp_path_factory.mktemp("ortho") / "ortho.tif"
    result = orthorectify(
        raster=raster, dem=dem, grid=None, destination=path, threads=2, progress=lambda *what: seen.append(what)
    )
    return result, seen


def test_the_file_is_what_was_asked_for(written):
    result, seen = written
    assert seen == [("orthorectify", done, 4) for done in range(1, 5)]
    with rasterio.open(result.path) as dataset:
        assert dataset.crs == CRS.from_epsg(32631)
        assert tuple(dataset.transform)[:6] == result.grid.transform
        assert dataset.shape == (result.grid.height, result.grid.width)
        assert dataset.count == 2
        assert dataset.nodata == 0
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.read(1) > 0).mean() > 0.6
    assert [path.name for path in result.path.parent.iterdir()] == ["ortho.tif"]


def test_the_grid_holds_all_of_the_ground_and_little_more(scene, written):
    raster, dem = scene
    grid = written[0].grid
    side = grid.transform[0]
    assert grid.transform[2] % side == pytest.approx(0, abs=1e-9)
    assert grid.transform[5] % side == pytest.approx(0, abs=1e-9)
    with rasterio.open(written[0].path) as dataset:
        valid = dataset.read(1) > 0
    rows, cols = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    # No valid pixel at the very edge: none is cut off; and the edge is near.
    assert 0 < rows[0] < 12
    assert 0 < cols[0] < 12
    assert 0 < grid.height - 1 - rows[-1] < 12
    assert 0 < grid.width - 1 - cols[-1] < 12
    # Every place of the outline is where the terrain and the image's edge meet.
    lon, lat = outline(raster.rpc, SHAPE, dem)
    row, col = raster.rpc.project(lon, lat, dem.heights(lon, lat))
    off_rows = np.minimum(np.abs(row + 0.5), np.abs(row - SHAPE[0] + 0.5))
    off_cols = np.minimum(np.abs(col + 0.5), np.abs(col - SHAPE[1] + 0.5))
    assert np.minimum(off_rows, off_cols).max() < 1.0


@pytest.mark.slow
def test_the_same_bytes_on_a_cluster_and_with_one_thread(scene, written, tmp_path):
    raster, dem = scene
    result, _ = written
    orthorectify(raster=raster, dem=dem, grid=result.grid, destination=tmp_path / "one.tif", threads=1)
    assert (tmp_path / "one.tif").read_bytes() == result.path.read_bytes()
    seen = []
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        orthorectify(
            raster=raster,
            dem=dem,
            grid=result.grid,
            destination=tmp_path / "cluster.tif",
            client=client,
            progress=lambda *what: seen.append(what),
        )
    assert (tmp_path / "cluster.tif").read_bytes() == result.path.read_bytes()
    assert seen[-1] == ("orthorectify", 4, 4)


def test_the_lazy_array_equals_the_file(scene, written):
    raster, dem = scene
    result, _ = written
    ortho = open_ortho(raster, dem, result.grid)
    assert ortho.chunks == ((2,), (2048, result.grid.height - 2048), (2048, result.grid.width - 2048))
    assert ortho.data.name == open_ortho(raster, dem, result.grid).data.name
    with rasterio.open(result.path) as dataset:
        part = ortho.isel(y=slice(2000, 2100), x=slice(1500, 2200)).compute(scheduler="threads")
        assert np.array_equal(part.values, dataset.read(window=((2000, 2100), (1500, 2200))))
        assert part.dtype == dataset.dtypes[0]
        assert ortho.attrs["_FillValue"] == dataset.nodata
        assert (float(ortho.x[7]), float(ortho.y[9])) == dataset.xy(9, 7)
        # As rioxarray reads them back.
        assert CRS.from_wkt(ortho.spatial_ref.attrs["crs_wkt"]) == dataset.crs
        numbers = [float(number) for number in ortho.spatial_ref.attrs["GeoTransform"].split()]
        assert tuple(numbers) == dataset.transform.to_gdal()
    assert ortho.encoding["grid_mapping"] == "spatial_ref"


def test_a_lazy_array_has_one_y_a_row(scene):
    raster, dem = scene
    grid = OutputGrid(crs="EPSG:32631", transform=(1, 1, 684_000, -1, 1, 4_880_000), height=10, width=10)
    with pytest.raises(OutputError, match="is rotated"):
        open_ortho(raster, dem, grid)


def test_only_the_pieces_that_are_seen_are_read(scene, tmp_path, monkeypatch):
    raster, dem = scene
    asked = []
    read = graph.OrthoJob._read

    def watched(self, top, bottom, left, right):
        asked.append((bottom - top) * (right - left))
        return read(self, top, bottom, left, right)

    monkeypatch.setattr(graph.OrthoJob, "_read", watched)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(5.3, 44.1)
    box = (x - 100, y - 100, x + 100, y + 100)
    orthorectify(
        raster=raster,
        dem=dem,
        grid=None,
        destination=tmp_path / "part.tif",
        crs="EPSG:32631",
        resolution_m=1,
        bounds=box,
    )
    assert len(asked) == 1
    assert asked[0] < 350**2


def test_bounds_and_resolution_are_kept(scene):
    raster, dem = scene
    grid = choose_grid(
        raster.rpc, SHAPE, dem, crs="EPSG:3857", resolution=3.0, bounds=(590_000.5, 5_480_001, 590_600.5, 5_480_301)
    )
    assert grid == OutputGrid(
        crs="EPSG:3857", transform=(3.0, 0.0, 590_000.5, 0.0, -3.0, 5_480_301), height=100, width=200
    )


def test_metres_become_degrees_in_a_geographic_crs(scene, tmp_path):
    raster, dem = scene
    result = orthorectify(
        raster=raster, dem=dem, grid=None, destination=tmp_path / "deg.tif", crs="EPSG:4326", resolution_m=20.0
    )
    assert result.grid.transform[0] == pytest.approx(20 / 111_319.49, rel=1e-6)
    assert 100 < result.grid.height < 200


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (5.3, 44.1, "EPSG:32631"),
        (180.0, -17, "EPSG:32701"),
        (-180.0, 17, "EPSG:32601"),
        (179.99, 17, "EPSG:32660"),
        (3, 0, "EPSG:32631"),
        (10, 84.5, "EPSG:5041"),
        (10, -80.5, "EPSG:5042"),
    ],
)
def test_the_zone_of_a_place(lon, lat, crs):
    assert utm(lon, lat) == crs


def test_a_dem_that_does_not_cover_the_scene(tmp_path):
    raster, dem = write_scene(tmp_path, shape=(500, 400), dem_shape=(110, 8))
    with pytest.raises(HeightsError, match=r"dem.tif: no height at lon 5.3\d+, lat 44.\d+; it covers about lon 5.29"):
        orthorectify(raster=raster, dem=dem, grid=None, destination=tmp_path / "out.tif")
    # So too where the grid is given: the error comes from the pixels.
    grid = OutputGrid(crs="EPSG:32631", transform=(2, 0, 683_800, 0, -2, 4_886_000), height=500, width=500)
    with pytest.raises(HeightsError, match=r"dem.tif: no height at"):
        orthorectify(raster=raster, dem=dem, grid=grid, destination=tmp_path / "out.tif")
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "scene_RPC.TXT", "dem.tif"}


def test_bounds_need_heights_inside_them_only(tmp_path):
    raster, dem = write_scene(tmp_path, shape=(500, 400))
    (tmp_path / "narrow").mkdir()
    _, narrow = write_scene(tmp_path / "narrow", shape=(500, 400), dem_shape=(110, 8))
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(5.3, 44.1)
    made = [
        orthorectify(
            raster=raster,
            dem=heights,
            grid=None,
            destination=tmp_path / f"{name}.tif",
            resolution_m=1.0,
            bounds=(x - 60, y - 60, x + 60, y + 60),
        ).path.read_bytes()
        for name, heights in (("narrow", narrow), ("wide", dem))
    ]
    assert made[0] == made[1]


def test_a_dem_of_another_place(scene, tmp_path):
    raster, _ = scene
    path = write_heights(tmp_path / "far.tif", np.ones((9, 9)), west=100, north=10, step=0.1)
    with pytest.raises(HeightsError, match=r"far.tif: no height at lon 5.3.*it covers about lon 100.0000 to 100.8000"):
        orthorectify(
            raster=raster,
            dem=Dem.open(path, vertical_datum="ellipsoid"),
            grid=None,
            destination=tmp_path / "out.tif",
        )


def test_an_image_that_is_cut_off_leaves_nothing(scene, tmp_path):
    raster, dem = scene
    cut = tmp_path / "cut.tif"
    shutil.copy(raster.path, cut)
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size // 2)
    with pytest.raises(DeliveryError, match=r"cut.tif"):
        orthorectify(
            raster=RawRaster(path=cut, rpc=raster.rpc, nodata=0), dem=dem, grid=None, destination=tmp_path / "out.tif"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["cut.tif"]


def test_a_folder_that_is_not_there(scene, tmp_path):
    raster, dem = scene
    with pytest.raises(OutputError, match=r"out.tif: its folder cannot be written .No such file"):
        orthorectify(raster=raster, dem=dem, grid=None, destination=tmp_path / "no" / "out.tif")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"resampling": "gauss"}, OutputError, "'gauss' is unknown; give nearest, bilinear, cubic, lanczos, average"),
        ({"crs": "EPSG:1"}, OutputError, "CRS 'EPSG:1' is unknown"),
        ({"crs": "EPSG:5041", "bounds": (0, 0, 100, 100), "resolution_m": 1}, OutputError, "lie outside the image"),
        ({"resolution_m": -1}, OutputError, "resolution -1"),
        ({"resolution_m": 1e-5}, OutputError, "in units of the CRS"),
        ({"bounds": (10, 10, 0, 0)}, OutputError, "give bounds as xmin ymin xmax ymax"),
    ],
)
def test_what_cannot_be_written(scene, tmp_path, change, error, message):
    raster, dem = scene
    with pytest.raises(error, match=message):
        orthorectify(raster=raster, dem=dem, grid=None, destination=tmp_path / "out.tif", **change)
    assert not list(tmp_path.iterdir())


def test_a_device_is_not_replaced(scene, tmp_path):
    """Whoever works as root and names /dev/null would take it away from the whole machine."""
    raster, dem = scene
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="no plain file; name another output"):
        orthorectify(raster=raster, dem=dem, grid=None, destination=tmp_path / "pipe", resolution_m=50.0)
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


def test_a_raster_without_a_model(tmp_path):
    path = write_raw(tmp_path / "scene.tif", np.zeros((1, 4, 4), dtype=np.uint8))
    with pytest.raises(SensorModelError, match="no RPC"):
        RawRaster.open(path)
