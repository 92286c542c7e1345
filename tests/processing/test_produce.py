"""From a delivery to an item: on a small made-up scene, on the real Pléiades scene, and where something fails."""

import hashlib
import json
import resource
import subprocess
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from PIL import Image
from rio_cogeo import cog_validate

from catalog.assets import AssetFolder
from catalog.extent import Footprint
from catalog.item import OrderReference
from catalog.search import BASE
from processing.delivery import read_delivery
from processing.dem import Dem
from processing.errors import DeliveryError, HeightsError, OutputError
from processing.manifest import MANIFEST
from processing.produce import produce
from tests.processing.delivery import Delivery, write_tif


def box(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return Footprint.from_geojson({"type": "Polygon", "coordinates": [ring]})


@pytest.fixture
def delivery(tmp_path):
    """Clouds over the east half, unknown in the four northernmost rows."""
    made = Delivery(tmp_path / "delivery")
    mask = np.zeros((1, 64, 64), "uint8")
    mask[0, :, 32:] = 1
    mask[0, :4] = 255
    write_tif(made.folder / "clouds.tif", mask)
    write_tif(made.folder / "ms.tif", made.pixels)
    del made.manifest["checksums"]
    return made


@pytest.fixture
def assets(tmp_path):
    return AssetFolder(tmp_path / "assets")


def make(delivery, assets, **more):
    scene = read_delivery(delivery.write())
    return produce(scene, collection="trial", dem=None, assets=assets, threads=2, **more)


def test_everything_of_the_item_is_there(delivery, assets):
    heard = []
    order = OrderReference(id="7f0c", created=datetime(2026, 1, 1, tzinfo=UTC))
    made = make(delivery, assets, order=order, progress=lambda *told: heard.append(told))
    item = made.item.to_dict(include_self_link=False, transform_hrefs=False)
    assert (item["id"], item["collection"]) == ("SBX1_20260101T101112", "trial")
    assert list(item["assets"]) == [
        "multispectral",
        "cloud-mask",
        "quality-mask",
        "accuracy",
        "accuracy-picture",
        "thumbnail",
    ]
    kinds = {"thumbnail": "png", "accuracy": "json", "accuracy-picture": "png"}
    for name, asset in item["assets"].items():
        key = f"trial/SBX1_20260101T101112/{name}.{kinds.get(name, 'tif')}"
        assert asset["href"] == f"{BASE}/files/{key}"
        data = assets.path(key).read_bytes()
        assert asset["file:size"] == len(data)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
    assert item["properties"]["order:id"] == "7f0c"
    assert item["properties"]["sat:orbit_state"] == "descending"
    assert "multispectral 0.01 px rms, 0.05 px at most" in item["properties"]["processing:lineage"]
    assert heard == [("multispectral", 1, 1), ("cloud-mask", 1, 1), ("quality-mask", 1, 1)]
    assert not list(assets.root.rglob("*.part")), "nothing is left over"
    assert not list(assets.root.rglob("*spool*"))


def test_the_files_are_what_the_item_says(delivery, assets):
    item = make(delivery, assets).item
    for name in ("multispectral", "cloud-mask"):
        path = assets.path(f"trial/{item.id}/{name}.tif")
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
        said = item.assets[name].extra_fields
        with rasterio.open(path) as dataset:
            assert list(dataset.shape) == said["proj:shape"]
            assert list(dataset.transform)[:6] == said["proj:transform"]
            assert dataset.crs.to_string() == said["proj:code"] == "EPSG:32631"
            assert list(dataset.bounds) == said["proj:bbox"]
            assert dataset.nodata == said["nodata"]
            assert set(dataset.dtypes) == {said["data_type"]}
            assert dataset.count == len(said["bands"])
    fields = [item.assets[name].extra_fields for name in ("multispectral", "cloud-mask")]
    assert fields[0]["proj:transform"] == fields[1]["proj:transform"], "the mask lies pixel on pixel"
    with rasterio.open(assets.path(f"trial/{item.id}/cloud-mask.tif")) as mask:
        assert set(np.unique(mask.read())) == {0, 1, 255}
    with rasterio.open(assets.path(f"trial/{item.id}/multispectral.tif")) as dataset:
        assert dataset.descriptions == ("B1", "B2")


def test_footprint_and_clouds(delivery, assets):
    """64 × 64 pixels of 0.01° / 32 around lon 5.2, lat 44.2; rows 0 to 3 unknown, columns from 32 cloud."""
    made = make(delivery, assets)
    half, pixel = 0.01, 0.01 / 32
    whole = box(5.2 - half, 44.2 - half, 5.2 + half, 44.2 + half)
    assert made.footprint.area_km2 == pytest.approx(whole.area_km2, rel=0.05)
    assert made.footprint.minus(whole) is None or made.footprint.minus(whole).area_km2 < 0.05 * whole.area_km2
    assert made.cloud_cover_pct == pytest.approx(50, abs=1.5)
    expected = box(5.2 - half, 44.2 - half, 5.2, 44.2 + half - 4 * pixel)
    assert made.clear.intersection(expected).area_km2 > 0.93 * expected.area_km2
    assert made.clear.area_km2 < 1.07 * expected.area_km2
    assert made.item.properties["eo:cloud_cover"] == made.cloud_cover_pct


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        (box(5.193, 44.195, 5.199, 44.2), 0.0),
        (box(5.201, 44.195, 5.207, 44.2), 100.0),
        (box(5.196, 44.195, 5.204, 44.2), 50.0),
        (box(5.19, 44.0, 5.198, 44.2), 0.0),  # most of it is not seen
        (box(9, 44, 10, 45), 50.0),  # none of it is: the whole picture counts
    ],
)
def test_clouds_are_counted_over_the_area_as_far_as_it_is_seen(delivery, assets, area, expected):
    assert make(delivery, assets, area=area).cloud_cover_pct == pytest.approx(expected, abs=3)


def test_without_a_mask_nothing_is_said_of_clouds(delivery, assets):
    del delivery.manifest["rasters"][0]
    made = make(delivery, assets)
    assert (made.clear, made.cloud_cover_pct) == (None, None)
    assert "eo:cloud_cover" not in made.item.properties


def test_all_clouds(delivery, assets):
    write_tif(delivery.folder / "clouds.tif", np.ones((1, 64, 64), "uint8"))
    made = make(delivery, assets)
    assert (made.clear, made.cloud_cover_pct) == (None, 100.0)


def test_the_thumbnail_lies_where_it_says(delivery, assets):
    """A bright square in the raw picture is found at its longitude and latitude."""
    pixels = np.full((2, 64, 64), 1000, "uint16")
    pixels[:, 40:48, 8:16] = 4000
    write_tif(delivery.folder / "ms.tif", pixels)
    made = make(delivery, assets)
    thumbnail = made.item.assets["thumbnail"].extra_fields
    assert thumbnail["proj:code"] == "EPSG:4326"
    west, south, east, north = thumbnail["proj:bbox"]
    with Image.open(assets.path(f"trial/{made.item.id}/thumbnail.png")) as image:
        picture = np.asarray(image)
    assert picture.shape == (*thumbnail["proj:shape"], 4)
    rows, cols = np.nonzero((picture[..., 0] > 200) & (picture[..., 3] > 0))
    lon = west + (cols.mean() + 0.5) / picture.shape[1] * (east - west)
    lat = north - (rows.mean() + 0.5) / picture.shape[0] * (north - south)
    assert lon == pytest.approx(5.2 + 0.01 * (11.5 - 31.5) / 32, abs=0.0002)
    assert lat == pytest.approx(44.2 - 0.01 * (43.5 - 31.5) / 32, abs=0.0002)


def test_the_same_bytes_again_and_on_a_cluster(delivery, assets, tmp_path):
    def bytes_of(folder):
        return {path.name: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}

    first = make(delivery, assets)
    again = make(delivery, assets)
    assert first.item.to_dict() == again.item.to_dict()
    elsewhere = AssetFolder(tmp_path / "elsewhere")
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        make(delivery, elsewhere, client=client)
    assert bytes_of(assets) == bytes_of(elsewhere)


def test_across_the_antimeridian(delivery, assets):
    text = (delivery.folder / "ms_RPC.TXT").read_text().replace("LONG_OFF: 5.2", "LONG_OFF: 180.0")
    (delivery.folder / "ms_RPC.TXT").write_text(text)
    delivery.write_dem(west=179.975)
    made = make(delivery, assets)
    assert made.footprint.bbox.crosses_antimeridian
    assert made.item.bbox[0] > made.item.bbox[2]
    west, _, east, _ = made.item.assets["thumbnail"].extra_fields["proj:bbox"]
    assert west < 180 < east
    assert east - west < 0.03
    assert made.cloud_cover_pct == pytest.approx(50, abs=1.5)
    assert make(delivery, assets, area=box(-179.999, 44.195, -179.99, 44.2)).cloud_cover_pct == pytest.approx(
        100, abs=3
    )


def test_without_heights(delivery, assets):
    delivery.manifest["dem"] = None
    with pytest.raises(HeightsError, match="no DEM came with it"):
        make(delivery, assets)
    assert not assets.root.exists()
    heights = Dem.open(delivery.folder / "heights" / "dem.tif", vertical_datum="ellipsoid")
    scene = read_delivery(delivery.folder)
    assert produce(scene, collection="trial", dem=heights, assets=assets).item.id == scene.id


def test_a_dem_that_does_not_cover_the_scene(delivery, assets):
    delivery.write_dem(west=6.0)
    with pytest.raises(HeightsError):
        make(delivery, assets)
    assert files(assets) == []


def files(assets):
    return [path for path in assets.root.rglob("*") if path.is_file()] if assets.root.exists() else []


def test_a_dem_without_a_datum_is_refused_with_the_delivery(delivery):
    del delivery.manifest["dem"]["vertical_datum"]
    delivery.refused("'vertical_datum' is a required property")
    delivery.manifest["dem"]["vertical_datum"] = "EGM96"
    delivery.refused("heights above EGM96 need the grid of that geoid")


def test_a_second_raster_that_fails_takes_the_first_with_it(delivery, assets):
    """It was whole when the delivery was read."""
    scene = read_delivery(delivery.write())
    path = delivery.folder / "clouds.tif"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DeliveryError, match=r"clouds\.tif"):
        produce(scene, collection="trial", dem=None, assets=assets)
    assert files(assets) == []


def test_a_picture_without_data(delivery, assets):
    write_tif(delivery.folder / "ms.tif", np.zeros((2, 64, 64), "uint16"))
    with pytest.raises(OutputError, match=r"no pixel of ms\.tif has data"):
        make(delivery, assets)
    assert files(assets) == []


def test_a_failed_repetition_leaves_the_first_result(delivery, assets):
    make(delivery, assets)
    before = {path: path.read_bytes() for path in files(assets)}
    scene = read_delivery(delivery.folder)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))  # the kernel refuses longer files, as a full disk does
    try:
        with pytest.raises(OutputError):
            produce(scene, collection="trial", dem=None, assets=assets)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert {path: path.read_bytes() for path in files(assets)} == before


def test_a_full_disk_leaves_nothing(delivery, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        assets = AssetFolder(disk / "assets")
        scene = read_delivery(delivery.write())
        with pytest.raises(OutputError, match="No space left"):
            produce(scene, collection="trial", dem=None, assets=assets)
        assert files(assets) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture
def ventoux(shared, tmp_path):
    """The real scene as a vendor's delivery."""
    folder = tmp_path / "ventoux"
    folder.mkdir()
    for name in ("left.tif", "left_RPC.TXT", "N44E005.hgt"):
        (folder / name).write_bytes((shared / "data" / "pleiades-ventoux" / name).read_bytes())
    (folder / "egm96_15.gtx").write_bytes((shared / "data" / "geoid" / "egm96_15.gtx").read_bytes())
    manifest = {
        "overflight_delivery": "1.0", "id": "PHR1B_ventoux", "platform": "PHR1B", "gsd_m": 0.5,
        "acquired": {"start": "2013-08-05T10:45:00Z", "end": "2013-08-05T10:45:01Z"},
        "rasters": [{"role": "panchromatic", "path": "left.tif", "bands": [{"name": "P", "common_name": "pan"}]}],
        "dem": {"path": "N44E005.hgt", "vertical_datum": "EGM96", "geoid": "egm96_15.gtx"},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_the_real_scene(ventoux, assets):
    made = produce(read_delivery(ventoux), collection="vendor", dem=None, assets=assets)
    item = made.item
    assert item.assets["panchromatic"].extra_fields["raster:spatial_resolution"] == 0.5
    assert item.properties["proj:code"] == "EPSG:32631"
    assert made.footprint.area_km2 == pytest.approx(0.062, rel=0.03)
    lon, lat = made.footprint.centre
    assert (lon, lat) == pytest.approx((5.195, 44.207), abs=0.002)
    assert cog_validate(assets.path("vendor/PHR1B_ventoux/panchromatic.tif"), strict=True, quiet=True) == (True, [], [])


def test_a_wrong_datum_moves_the_real_scene(ventoux, assets, tmp_path):
    """51 m of geoid, seen some 9° off nadir: what a silent default would do to the picture."""
    right = produce(read_delivery(ventoux), collection="right", dem=None, assets=assets)
    manifest = json.loads((ventoux / MANIFEST).read_text())
    manifest["dem"] = {"path": "N44E005.hgt", "vertical_datum": "ellipsoid"}
    (ventoux / MANIFEST).write_text(json.dumps(manifest))
    wrong = produce(read_delivery(ventoux), collection="wrong", dem=None, assets=assets)
    from pyproj import Geod

    (_, _, moved_m) = Geod(ellps="WGS84").inv(*right.footprint.centre, *wrong.footprint.centre)
    assert 3 < moved_m < 20
