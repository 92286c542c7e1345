"""`overflight pansharpen` and `overflight mosaic`, whole commands on small orthoimages."""

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from scipy import ndimage

from processing.rpc import fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw


def write(path, pixels, *, side, west=500_000.0):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=pixels.shape[0],
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        crs="EPSG:32631",
        transform=Affine(side, 0, west, 0, -side, 5_000_000.0),
        nodata=0,
    ) as file:
        file.write(pixels)
    return path


@pytest.fixture
def pair(tmp_path):
    """A picture of 4 bands at 2 m, and their mean at 0.5 m: detail that all share, colours that vary slowly."""
    random = np.random.default_rng(4)
    detail = ndimage.gaussian_filter(random.normal(0, 1, (256, 256)), 1.2)
    colours = ndimage.gaussian_filter(random.normal(0, 1, (4, 256, 256)), (0, 20, 20))
    fine = 1500 * (1 + 0.8 * detail) * (1 + 4 * colours)
    coarse = fine.reshape(4, 64, 4, 64, 4).mean(axis=(2, 4))
    pan = write(tmp_path / "pan.tif", fine.mean(axis=0, keepdims=True).round().astype(np.uint16), side=0.5)
    return pan, write(tmp_path / "bands.tif", coarse.round().astype(np.uint16), side=2.0), fine


@pytest.mark.parametrize("options", [(), ("--method", "brovey", "--weights", "0.25,0.25,0.25,0.25")])
def test_a_sharpened_picture_is_nearer_to_the_truth(overflight_here, pair, tmp_path, options):
    pan, bands, fine = pair
    done = overflight_here("pansharpen", pan, bands, *options, "-o", tmp_path / "sharp.tif")
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "sharp.tif") as file:
        sharp = file.read()
    with rasterio.open(bands) as file:
        plain = np.kron(file.read(), np.ones((1, 4, 4)))
    inside = np.s_[:, 16:-16, 16:-16]
    off, before = (np.sqrt(np.mean((found[inside] - fine[inside]) ** 2)) for found in (sharp.astype(float), plain))
    assert sharp.shape == (4, 256, 256)
    assert off < 1.05 * before
    assert (
        abs(sharp[inside].mean(axis=0) - fine[inside].mean(axis=0)).mean()
        < abs(plain[inside].mean(axis=0) - fine[inside].mean(axis=0)).mean()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--weights", "1,1,1,1"), "--weights are for --method brovey"),
        (("--method", "brovey", "--weights", "red"), "'red' are no numbers"),
        (("--method", "brovey", "--weights", "1,1"), "2 weights for 4 bands"),
        (("--dem-datum", "EGM96"), "--dem and --dem-datum belong together"),
        (("--resolution", "0.5"), "--resolution are for raw images"),
    ],
)
def test_what_cannot_be_sharpened(overflight_here, pair, tmp_path, options, message):
    pan, bands, _ = pair
    done = overflight_here("pansharpen", pan, bands, *options, "-o", tmp_path / "sharp.tif")
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "sharp.tif").exists()


def test_raw_images_are_sharpened_onto_the_map(overflight_here, tmp_path):
    random = np.random.default_rng(2)
    for name, size, gsd_m, bands in (("pan", 320, 1.0, 1), ("ms", 80, 4.0, 3)):
        camera = Pushbroom(lon=5.3, lat=44.1, rows=size, cols=size, gsd_m=gsd_m)
        write_raw(tmp_path / f"{name}.tif", random.integers(400, 900, (bands, size, size)).astype(np.uint16))
        rpc_text.write(fit(**camera.points()).rpc, tmp_path / f"{name}_RPC.TXT")
    heights = np.full((20, 20), 300, dtype=np.float32)
    write_heights(tmp_path / "dem.tif", heights, west=5.29, north=44.11, step=0.001)
    options = ("--dem", tmp_path / "dem.tif", "--dem-datum", "ellipsoid", "--resolution", "2")
    done = overflight_here("pansharpen", tmp_path / "pan.tif", tmp_path / "ms.tif", *options, "-o", tmp_path / "o.tif")
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "o.tif") as file:
        assert (file.count, file.res, file.crs.to_string()) == (3, (2.0, 2.0), "EPSG:32631")
        seen = file.read(masked=True)
    assert 0.5 < 1 - seen.mask.mean() < 0.95
    assert 600 < seen.mean() < 700


def test_a_mosaic_shows_each_place_from_one_scene(overflight_here, tmp_path):
    west = write(tmp_path / "west.tif", np.full((1, 100, 100), 1000, np.uint16), side=1.0)
    east = write(tmp_path / "east.tif", np.full((1, 100, 100), 3000, np.uint16), side=1.0, west=500_060.0)
    done = overflight_here("mosaic", west, east, "--index", tmp_path / "from.tif", "-o", tmp_path / "both.tif")
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "both.tif") as both, rasterio.open(tmp_path / "from.tif") as index:
        pixels, number = both.read(1), index.read(1)
    assert pixels.shape == (100, 160)
    assert np.array_equal(pixels, np.where(number == 1, 1000, 3000))
    assert (number[:, :60] == 1).all()
    assert (number[:, 100:] == 2).all()


def test_scenes_that_do_not_fit(overflight_here, tmp_path):
    one = write(tmp_path / "one.tif", np.full((1, 50, 50), 1000, np.uint16), side=1.0)
    other = write(tmp_path / "other.tif", np.full((1, 50, 50), 1000, np.uint16), side=1.0, west=500_010.3)
    done = overflight_here("mosaic", one, other, "-o", tmp_path / "both.tif")
    assert done.returncode == 1
    assert "other.tif" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "both.tif").exists()


def test_control_points_move_the_model(overflight_here, shared, tmp_path):
    """The real scene with its model shifted by (3, -2) px comes out as with the true one, once points are given."""
    ventoux = shared / "data" / "pleiades-ventoux"
    heights = ("--dem", ventoux / "N44E005.hgt", "--dem-datum", "EGM96", "--geoid", shared / "data/geoid/egm96_15.gtx")
    true = rpc_text.read(ventoux / "left_RPC.TXT")
    rpc_text.write(true.shifted(rows=3, cols=-2), tmp_path / "off_RPC.TXT")
    rows, cols = (part.ravel() for part in np.meshgrid([20, 200, 400], [30, 250, 420], indexing="ij"))
    lons, lats = true.locate(rows, cols, 900.0)
    lines = [f"p{k},{lon!r},{lat!r},900,{row},{col}" for k, (lon, lat, row, col) in
             enumerate(zip(lons.tolist(), lats.tolist(), rows.tolist(), cols.tolist(), strict=True))]  # fmt: skip
    points = tmp_path / "points.csv"
    points.write_text("\n".join(["id,lon,lat,height,row,col", *lines]) + "\n")
    given = (ventoux / "left.tif", *heights, "--crs", "EPSG:32631", "--resolution", "1")
    moved = ("--rpc", tmp_path / "off_RPC.TXT", "--gcps", points, "--gcps-datum", "ellipsoid")
    assert overflight_here("ortho", *given, "-o", tmp_path / "true.tif").returncode == 0
    done = overflight_here("ortho", *given, *moved, "-o", tmp_path / "moved.tif")
    assert done.returncode == 0, done.stderr
    assert "9 control points: 3.61 px off before, 0.00 px after it" in done.stderr
    with rasterio.open(tmp_path / "true.tif") as true_ortho, rasterio.open(tmp_path / "moved.tif") as moved_ortho:
        assert np.array_equal(true_ortho.read(), moved_ortho.read())
        said = json.loads(moved_ortho.tags()["OVERFLIGHT_REFINEMENT"])
        assert "OVERFLIGHT_REFINEMENT" not in true_ortho.tags()
    assert (said["control"], said["model"], said["points"]["fitted"]) == ("points.csv", "shift", 9)
    assert said["rmse_before_px"] == pytest.approx(np.hypot(3, 2), abs=1e-3)
    assert said["rmse_px"] < 1e-3
    alone = overflight_here("ortho", *given, "--gcps", points, "-o", tmp_path / "no.tif")
    assert alone.returncode == 2
    assert "never guessed" in alone.stderr
