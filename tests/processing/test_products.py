"""What is made of a scene beside its own rasters, and what the item says of it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from pystac.extensions.classification import ClassificationExtension
from scipy import ndimage

from catalog.assets import AssetFolder
from processing.accuracy_document import read_report
from processing.cloud_classes import CLEAR, CLOUD, UNKNOWN
from processing.delivery import read_delivery
from processing.dem import Dem
from processing.graph import RawRaster, orthorectify
from processing.ground import choose_grid, reach
from processing.judge import orthorectify_and_judge, with_clouds
from processing.masks import NODATA, OCCLUDED, SATURATED
from processing.names import DERIVED
from processing.occlusion import ceiling, occluded_block
from processing.ortho import Block, positions
from processing.pansharpen import pansharpen
from processing.produce import produce
from processing.reflectance import earth_sun_distance_au
from processing.vendors import rpc_text
from tests.processing.delivery import Delivery, not_on_the_map, write_rpc, write_tif
from tests.processing.pushbroom import write_raw
from tests.processing.test_occlusion import Site

CALIBRATION = {"gain": 0.02, "offset": -1.5, "solar_irradiance": 1500.0}
BANDS = [
    {"name": f"B{k}", "common_name": name, "calibration": CALIBRATION}
    for k, name in enumerate(("blue", "green", "red", "nir"), start=1)
]


# ── faults, in the pass that makes the pixels ───────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def steep(tmp_path_factory):
    """A scene from 32° off nadir over cliffs, with saturated and missing pixels; larger than one superblock."""
    folder = tmp_path_factory.mktemp("steep")
    site = Site(folder, resolution=6.0)
    rng = np.random.default_rng(3)
    pixels = ndimage.uniform_filter(rng.uniform(500, 3000, (2, 500, 400)), (0, 3, 3)).astype(np.uint16)
    pixels[0, 100:140, 50:90] = 4095
    pixels[1, 300:303, 200:260] = 4095
    pixels[:, 400:420, 100:130] = 0
    path = write_raw(folder / "scene.tif", pixels, nodata=0)
    rpc_text.write(site.rpc, folder / "scene_RPC.TXT")
    raster = RawRaster.open(path)
    grid = choose_grid(raster.rpc, (500, 400), site.dem, resolution=1.0)  # the output is finer, to have superblocks
    assert max(grid.height, grid.width) > 2048
    return site.dem, raster, grid, pixels


def judged(steep, folder, **more):
    dem, raster, grid, _ = steep
    return orthorectify_and_judge(
        raster=raster, dem=dem, grid=grid, destination=folder / "ortho.tif", mask=folder / "mask.tif", saturation=4095,
        **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(steep, tmp_path_factory):
    return judged(steep, tmp_path_factory.mktemp("judged"), threads=2)


def test_the_pixels_are_those_of_the_ortho_alone(steep, result, tmp_path):
    dem, raster, grid, _ = steep
    orthorectify(raster=raster, dem=dem, grid=grid, destination=tmp_path / "alone.tif", threads=2)
    assert (tmp_path / "alone.tif").read_bytes() == result.ortho.path.read_bytes()


def test_each_fault_is_where_it_belongs(steep, result):
    """Against the position of each pixel in the image, looked up one by one, and the rays followed on their own."""
    dem, raster, grid, pixels = steep
    image = raster.image()
    inside = reach(image, grid, dem)
    whole = Block(row=0, col=0, height=grid.height, width=grid.width)
    row, col = positions(whole, grid=grid, image=image, terrain=dem, reach=inside)
    seen = (row >= -0.5) & (row < 499.5) & (col >= -0.5) & (col < 399.5)
    down = np.where(seen, np.floor(np.where(seen, row, 0) + 0.5), 0).astype(int)
    right = np.where(seen, np.floor(np.where(seen, col, 0) + 0.5), 0).astype(int)
    nearest = pixels[:, down, right]
    shown = seen & (nearest > 0).any(axis=0)
    with rasterio.open(result.mask.path) as dataset:
        bits = dataset.read(1)
        assert dataset.nodata == 1
    assert np.array_equal(bits == 1, ~shown)
    bright = shown & (nearest == 4095).any(axis=0)
    assert bright.sum() > 10_000
    assert np.array_equal((bits & SATURATED.bit > 0)[shown], bright[shown])
    hidden = (bits & OCCLUDED.bit > 0)[shown]
    assert 0.2 < hidden.mean() < 0.8
    assert result.occluded_share == pytest.approx(hidden.mean(), abs=1e-12)
    relief = inside.low_m, ceiling(raster.rpc, (500, 400), dem, (inside.low_m, inside.high_m))
    lattices = Site.lattices(type("", (), {"grid": grid, "rpc": raster.rpc, "dem": dem})(), whole)
    expected = occluded_block(
        (grid.height, grid.width), (0, 0), lattices, grid=grid, rpc=raster.rpc, terrain=dem, relief=relief
    )
    assert np.array_equal(hidden, expected[shown])


def test_the_same_bytes_on_other_workers(steep, result, tmp_path):
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        again = judged(steep, tmp_path, client=client)
    assert again.mask.path.read_bytes() == result.mask.path.read_bytes()
    assert again.ortho.path.read_bytes() == result.ortho.path.read_bytes()
    assert again.occluded_share == result.occluded_share


def test_a_coarser_output_keeps_what_is_saturated(steep, tmp_path):
    """A line three pixels wide is not lost between pixels of eight."""
    dem, raster, _, _ = steep
    grid = choose_grid(raster.rpc, (500, 400), dem, resolution=32.0)
    made = orthorectify_and_judge(
        raster=raster, dem=dem, grid=grid, destination=tmp_path / "o.tif", mask=tmp_path / "m.tif", saturation=4095
    )
    with rasterio.open(made.mask.path) as dataset:
        marked = (dataset.read(1) & SATURATED.bit) > 0
    _, count = ndimage.label(marked, structure=np.ones((3, 3)))
    assert count == 2, "the square and the line"


def test_clouds_are_added_to_the_faults(result, tmp_path):
    rng = np.random.default_rng(2)
    with rasterio.open(result.mask.path) as dataset:
        profile, before = dataset.profile, dataset.read(1)
    classes = rng.choice(np.array([0, 1, 2, 255], np.uint8), before.shape)
    with rasterio.open(tmp_path / "clouds.tif", "w", **(profile | {"nodata": 255})) as dataset:
        dataset.write(classes, 1)
    with_clouds(result.mask.path, tmp_path / "clouds.tif", tmp_path / "both.tif")
    with rasterio.open(tmp_path / "both.tif") as dataset:
        after = dataset.read(1)
    expected = before | np.array([0, 8, 16, *[0] * 252, 32], np.uint8)[classes]
    assert np.array_equal(after, np.where(before == NODATA.bit, 1, expected))


# ── alpha and masks of the raw picture ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["alpha band", "mask inside"])
def test_what_is_transparent_is_not_shown(tmp_path, how):
    """Black pixels that show something stay; no value of a byte was left for nodata."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 2, (3, 64, 64)).astype(np.uint8)
    opaque = np.ones((64, 64), bool)
    opaque[20:40, 10:50] = False
    path = tmp_path / "a.tif"
    if how == "alpha band":
        layers = np.concatenate([pixels, 255 * opaque[None].astype(np.uint8)])
        write_tif(tmp_path / "a.tif", layers, photometric="RGB", alpha="yes")
    else:
        write_tif(tmp_path / "a.tif", pixels)
        with (
            not_on_the_map(),
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "r+") as dataset,
        ):
            dataset.write_mask(opaque)
    write_rpc(tmp_path / "a_RPC.TXT")
    write_tif(
        tmp_path / "dem.tif", np.full((1, 50, 50), 500, "float32"), crs="EPSG:4326",
        transform=rasterio.Affine(0.001, 0, 5.175, 0, -0.001, 44.225),
    )  # fmt: skip
    raster = RawRaster.open(tmp_path / "a.tif")
    assert raster.image().bands == 3
    dem = Dem.open(tmp_path / "dem.tif", vertical_datum="ellipsoid")
    made = orthorectify(raster=raster, dem=dem, grid=None, destination=tmp_path / "o.tif", resampling="nearest")
    image, whole = raster.image(), Block(row=0, col=0, height=made.grid.height, width=made.grid.width)
    row, col = positions(whole, grid=made.grid, image=image, terrain=dem, reach=reach(image, made.grid, dem))
    inside = (row >= -0.5) & (row < 63.5) & (col >= -0.5) & (col < 63.5)
    down, right = (np.floor(np.where(inside, part, 0) + 0.5).astype(int) for part in (row, col))
    with rasterio.open(made.path) as dataset:
        shown, nodata = dataset.read(), dataset.nodata
    assert np.array_equal((shown != nodata).all(axis=0), inside & opaque[down, right])
    assert (shown[:, inside & opaque[down, right]] == 1).all(), "0 has become its neighbour"


# ── the item ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def delivery(tmp_path):
    """Four calibrated bands, four times as coarse as the pan, a bright cloud in the middle; no cloud mask."""
    made = Delivery(tmp_path / "delivery")
    rng = np.random.default_rng(4)
    ground = ndimage.gaussian_filter(rng.uniform(0, 1, (256, 256)), 3)
    ground = (ground - ground.min()) / np.ptp(ground)
    pan = 900 + 900 * ground
    colours = np.array([0.9, 1.0, 1.1, 2.2])[:, None, None]
    bands = colours * pan.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    bands[:, 20:40, 20:44] = 6500
    pan[80:160, 80:176] = 6500
    write_tif(made.folder / "ms.tif", bands.astype(np.uint16), compress="deflate")
    write_tif(made.folder / "pan.tif", pan[None].astype(np.uint16), compress="deflate")
    text = (made.folder / "ms_RPC.TXT").read_text()
    for line, sharp in (("LINE_OFF: 31.5", "LINE_OFF: 127.5"), ("SAMP_OFF: 31.5", "SAMP_OFF: 127.5")):
        text = text.replace(line, sharp)
    text = text.replace("LINE_SCALE: 32", "LINE_SCALE: 128").replace("SAMP_SCALE: 32", "SAMP_SCALE: 128")
    (made.folder / "pan_RPC.TXT").write_text(text)
    made.manifest["rasters"] = [
        {"role": "multispectral", "path": "ms.tif", "nodata": 0, "bands": BANDS, "saturation": 6500},
        {"role": "panchromatic", "path": "pan.tif", "nodata": 0, "bands": [{"name": "P", "common_name": "pan"}]},
    ]
    del made.manifest["checksums"]
    return made


@pytest.fixture
def assets(tmp_path):
    return AssetFolder(tmp_path / "assets")


def make(delivery, assets, **more):
    scene = read_delivery(delivery.write())
    return produce(scene, collection="trial", dem=None, assets=assets, threads=2, **more)


def read(assets, item, name):
    with rasterio.open(assets.path(f"trial/{item.id}/{name}.tif")) as dataset:
        said = SimpleNamespace(
            transform=dataset.transform, shape=dataset.shape, scales=dataset.scales, offsets=dataset.offsets,
            nodata=dataset.nodata,
        )  # fmt: skip
        return dataset.read(), said


def test_all_that_can_be_made(delivery, assets):
    made = make(delivery, assets)
    item = made.item
    own = ["multispectral", "panchromatic"]
    made_of_it = ["cloud-mask", "quality-mask", "reflectance", "pansharpened", "accuracy", "accuracy-picture"]
    assert list(item.assets) == [*own, *made_of_it, "thumbnail"]
    numbers, _ = read(assets, item, "multispectral")
    values, stored = read(assets, item, "reflectance")
    said = item.assets["reflectance"].extra_fields
    assert (stored.scales, stored.offsets) == ((said["raster:scale"],) * 4, (said["raster:offset"],) * 4)
    shown = (numbers > 0).all(axis=0)
    distance = earth_sun_distance_au(read_delivery(delivery.folder).acquired.start)
    light = np.pi * distance**2 / (1500 * np.sin(np.radians(42)))
    expected = (0.02 * numbers.astype(float) - 1.5) * light
    found = values * said["raster:scale"] + said["raster:offset"]
    assert np.abs(found - expected)[:, shown].max() <= 0.51 * said["raster:scale"]
    sharp, dataset = read(assets, item, "pansharpened")
    _, pan = read(assets, item, "panchromatic")
    assert (dataset.transform, dataset.shape) == (pan.transform, pan.shape)
    folder = assets.path(f"trial/{item.id}/pansharpened.tif").parent
    pansharpen(folder / "panchromatic.tif", folder / "multispectral.tif", folder / "again.tif")
    with rasterio.open(folder / "again.tif") as again:
        assert np.array_equal(again.read(), sharp)
    lineage = item.properties["processing:lineage"]
    assert "clouds and their shadows found in the picture itself" in lineage
    assert "pansharpened by glp-hpm" in lineage


def test_clouds_that_were_found_are_counted_and_flagged(delivery, assets):
    made = make(delivery, assets)
    classes, _ = read(assets, made.item, "cloud-mask")
    numbers, _ = read(assets, made.item, "multispectral")
    bits, mask = read(assets, made.item, "quality-mask")
    cloud = numbers[0] > 6000
    agree = (classes[0] == CLOUD) & cloud
    assert agree.sum() > 0.75 * cloud.sum()
    assert agree.sum() > 0.75 * (classes[0] == CLOUD).sum()
    known = classes[0] != UNKNOWN
    assert made.cloud_cover_pct == pytest.approx(100 * (classes[0][known] == CLOUD).mean(), abs=2)
    assert made.item.properties["eo:cloud_cover"] == made.cloud_cover_pct
    asset = made.item.assets["quality-mask"]
    fields = {field.name: field for field in ClassificationExtension.ext(asset, add_if_missing=False).bitfields}
    assert list(fields) == ["nodata", "saturated", "occluded", "cloud", "cloud_shadow", "unjudged"]
    shown = bits[0] != 1
    assert np.array_equal(shown, (numbers > 0).any(axis=0))
    for name, expected in (("cloud", classes[0] == CLOUD), ("saturated", (numbers == 6500).any(axis=0))):
        flagged = bits[0] >> fields[name].offset & 1
        differ = (flagged != expected) & shown
        assert differ.sum() <= (0 if name == "cloud" else 0.1 * expected.sum()), name
    assert asset.roles == ["data-mask", "saturation", "cloud", "cloud-shadow"]
    assert mask.nodata == 1


def test_a_delivered_mask_is_believed(delivery, assets):
    write_tif(delivery.folder / "clouds.tif", np.full((1, 64, 64), CLEAR, "uint8"))
    delivery.manifest["rasters"].append({"role": "cloud-mask", "path": "clouds.tif", "rpc": "ms_RPC.TXT"})
    made = make(delivery, assets)
    assert made.cloud_cover_pct == 0
    assert "found" not in made.item.properties["processing:lineage"]


def test_nothing_but_the_scene_where_nothing_else_is_asked_for(delivery, assets):
    made = make(delivery, assets, derived=())
    assert list(made.item.assets) == ["multispectral", "panchromatic", "thumbnail"]
    assert made.cloud_cover_pct is None


@pytest.mark.parametrize("lacking", ["sun", "calibration", "nir"])
def test_what_a_scene_does_not_have_is_not_made_up(delivery, assets, lacking):
    bands = json.loads(json.dumps(BANDS))
    if lacking == "sun":
        delivery.manifest["view"] = {"off_nadir_deg": 3.0}
    elif lacking == "calibration":
        del bands[2]["calibration"]
    else:
        bands[3]["common_name"] = None
    delivery.manifest["rasters"][0]["bands"] = bands
    made = make(delivery, assets)
    assert "cloud-mask" not in made.item.assets
    assert made.cloud_cover_pct is None
    assert ("reflectance" in made.item.assets) == (lacking == "nir")


def test_a_pan_that_shows_nothing_is_not_an_error(delivery, assets):
    write_tif(delivery.folder / "pan.tif", np.full((1, 256, 256), 700, "uint16"))
    made = make(delivery, assets)
    assert "pansharpened" not in made.item.assets
    assert "not pansharpened" in made.item.properties["processing:lineage"]
    folder = assets.path(f"trial/{made.item.id}/thumbnail.png").parent
    assert sorted(path.stem for path in folder.iterdir()) == sorted(made.item.assets)


def test_all_of_it_again_has_the_same_bytes(delivery, assets, tmp_path):
    def contents(folder):
        return {path.name: path.read_bytes() for path in folder.root.rglob("*.*") if path.is_file()}

    make(delivery, assets)
    elsewhere = AssetFolder(tmp_path / "elsewhere")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        make(delivery, elsewhere, client=client)
    assert contents(assets) == contents(elsewhere)


def test_what_cannot_be_saturated_is_refused(delivery):
    delivery.manifest["rasters"][0]["saturation"] = 70_000
    delivery.refused("70000 cannot be the largest number of a uint16 pixel")


def test_a_scene_is_measured_by_its_neighbours(delivery, assets, tmp_path):
    """One whose sensor model is off by two pixels, to the east, shows it."""
    del delivery.manifest["rasters"][0]
    first = make(delivery, assets)
    picture = assets.path(f"trial/{first.item.id}/panchromatic.tif")
    text = (delivery.folder / "pan_RPC.TXT").read_text()
    (delivery.folder / "pan_RPC.TXT").write_text(text.replace("SAMP_OFF: 127.5", "SAMP_OFF: 125.5"))
    delivery.manifest["id"] = "moved"
    asked = []

    def neighbours(seen):
        asked.append(seen)
        return {first.item.id: picture, "damaged": delivery.folder / "delivery.json"}

    moved = make(delivery, assets, neighbours=neighbours)
    assert asked[0].intersection(moved.footprint).area_km2 == pytest.approx(moved.footprint.area_km2)
    report = read_report(assets.path("trial/moved/accuracy.json"))
    (found,) = report.coregistrations
    assert found.against == first.item.id
    pixel = 0.01 / 128 * 111_320 * np.cos(np.radians(44.2))
    assert found.errors.mean_east_m == pytest.approx(2 * pixel, abs=0.1 * pixel)
    assert moved.item.properties["overflight:coregistration_nmad_px"] == pytest.approx(found.nmad_px, abs=0.01)
    assert moved.item.properties["overflight:vertical_datum"] == "ellipsoid"
    assert first.item.properties["overflight:occluded_pct"] == 0


def test_the_names_of_what_can_be_made():
    assert set(DERIVED) == {"pansharpened", "reflectance", "cloud-mask", "quality-mask", "accuracy"}
