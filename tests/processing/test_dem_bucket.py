"""A DEM in a bucket: only what is needed of it comes over, and it gives what the same files give here."""

import shutil
import time

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from rasterio.transform import Affine

from processing.bucket import Bucket
from processing.dem import Dem
from processing.dem_bucket import HEAD_BYTES, fetch, mirror
from processing.errors import HeightsError
from tests.s3_server import KEY_ID, SECRET, small_server

SIDE = 400


def write_tile(folder, west, north, *, kind="cog"):
    """A degree of heights that differ everywhere."""
    rng = np.random.default_rng(abs(west * 100 + north))
    step = 1 / SIDE
    heights = (rng.uniform(0, 3000, (SIDE, SIDE))).astype(np.float32)
    path = folder / f"dem_{north:02d}_{west:03d}.tif"
    profile = {"driver": "COG" if kind == "cog" else "GTiff", "height": SIDE, "width": SIDE, "count": 1}
    with rasterio.open(
        path, "w", dtype="float32", crs="EPSG:4326", transform=Affine(step, 0, west, 0, -step, north), **profile
    ) as file:
        file.write(heights, 1)
        if kind == "late":  # GDAL writes the directory of this one again, behind the cells
            file.update_tags(note="x" * 400)
    return path


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "tiles"
    folder.mkdir()
    for west in (5, 6, 7):
        write_tile(folder, west, 45, kind="late" if west == 7 else "cog")
    hgt = np.random.default_rng(1).integers(0, 2000, (1201, 1201)).astype(">i2")
    (folder / "N45E005.hgt").write_bytes(hgt.tobytes())
    (folder / "readme.txt").write_text("no tile")
    return folder


@pytest.fixture
def store():
    with small_server() as (address, store):
        yield address, store


@pytest.fixture
def bucket(store, here):
    address, kept = store
    for path in here.iterdir():
        kept.objects[f"/heights/{'srtm' if path.suffix == '.hgt' else 'glo'}/{path.name}"] = path.read_bytes()
    return Bucket(name="heights", endpoint=address, key_id=KEY_ID, secret=SECRET)


def sizes(folder):
    """Bytes that the tiles take on the disk, by name."""
    tiles = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.name: path.stat().st_blocks * 512 for path in tiles}


def test_only_the_tiles_under_the_scene_come_over(bucket, here, tmp_path):
    folder = mirror(bucket, "glo/", tmp_path / "cache")
    early = ("dem_45_005.tif", "dem_45_006.tif")
    assert set(sizes(folder)) == {*early, "dem_45_007.tif"}
    length = (here / early[0]).stat().st_size
    assert length > 4 * HEAD_BYTES
    assert all(sizes(folder)[name] <= 2 * HEAD_BYTES for name in early)
    dem = Dem.open(folder, vertical_datum="ellipsoid")
    local = Dem.open(here / "dem_45_0*.tif", vertical_datum="ellipsoid")
    lon, lat = np.meshgrid(np.linspace(5.2, 5.9, 40), np.linspace(44.2, 44.9, 30))
    assert np.array_equal(dem.heights(lon, lat), local.heights(lon, lat))
    assert sizes(folder)["dem_45_005.tif"] >= length
    assert sizes(folder)["dem_45_006.tif"] <= 2 * HEAD_BYTES
    both = np.linspace(5.9, 7.9, 200)
    assert np.array_equal(dem.heights(both, 44.5), local.heights(both, 44.5))
    assert not list(folder.rglob(".*.part"))


def test_a_tile_that_is_here_is_not_fetched_again(bucket, store, tmp_path):
    folder = mirror(bucket, "glo/", tmp_path / "cache")
    Dem.open(folder, vertical_datum="ellipsoid").heights(5.5, 44.5)
    del store[1].requests[:]
    again = mirror(bucket, "glo/", tmp_path / "cache")
    Dem.open(again, vertical_datum="ellipsoid").heights(5.5, 44.5)
    assert {target.partition("?")[0] for _, target in store[1].requests} == {"/heights/"}, "the list alone"


def test_a_tile_that_has_changed_there_is_new_here(bucket, store, here, tmp_path):
    before = Dem.open(mirror(bucket, "glo/", tmp_path / "cache"), vertical_datum="ellipsoid").heights(5.5, 44.5)
    with rasterio.open(here / "dem_45_005.tif") as file:
        profile, heights = file.profile, file.read()
    profile.pop("driver")
    with rasterio.open(here / "new.tif", "w", driver="COG", **profile) as file:
        file.write(heights + 10)
    store[1].objects["/heights/glo/dem_45_005.tif"] = (here / "new.tif").read_bytes()
    del store[1].objects["/heights/glo/dem_45_007.tif"]
    folder = mirror(bucket, "glo/", tmp_path / "cache")
    dem = Dem.open(folder, vertical_datum="ellipsoid")
    assert dem.heights(5.5, 44.5) == pytest.approx(before + 10, abs=1e-3)
    assert set(sizes(folder)) == {"dem_45_005.tif", "dem_45_006.tif"}


def test_one_object_is_one_file(bucket, here, tmp_path):
    path = mirror(bucket, "srtm/N45E005.hgt", tmp_path / "cache")
    assert path.name == "N45E005.hgt"
    assert sizes(path.parent)["N45E005.hgt"] == 0, "its name and size say it all"
    dem = Dem.open(path, vertical_datum="ellipsoid")
    assert dem.heights(5.3, 45.3) == Dem.open(here / "N45E005.hgt", vertical_datum="ellipsoid").heights(5.3, 45.3)


def test_workers_fetch_without_keys(bucket, here, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    dem = Dem.open(mirror(bucket, "glo/", tmp_path / "cache"), vertical_datum="ellipsoid")
    lon = np.linspace(5.1, 6.9, 100)
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        found = client.gather([client.submit(dem.heights, lon, 44.3 + k / 10, pure=False) for k in range(4)])
    local = Dem.open(here / "dem_45_0*.tif", vertical_datum="ellipsoid")
    for k, heights in enumerate(found):
        assert np.array_equal(heights, local.heights(lon, 44.3 + k / 10))


def test_what_cannot_be_had(bucket, store, tmp_path):
    with pytest.raises(HeightsError, match="s3://heights/nothing: no tile there"):
        mirror(bucket, "nothing", tmp_path / "a")
    wrong = Bucket(name="heights", endpoint=store[0], key_id=KEY_ID, secret="no")
    with pytest.raises(HeightsError, match="403 SignatureDoesNotMatch"):
        mirror(wrong, "glo/", tmp_path / "b")
    folder = mirror(bucket, "glo/", tmp_path / "c")
    dem = Dem.open(folder, vertical_datum="ellipsoid")
    store[1].objects["/heights/glo/dem_45_005.tif"] = b"shorter"
    with pytest.raises(HeightsError, match=r"dem_45_005.tif: 7 bytes came, not \d+; it changed, open it again"):
        dem.heights(5.5, 44.5)
    assert not list(folder.rglob(".*.part"))


def test_nobody_else_reads_the_addresses(bucket, tmp_path):
    folder = mirror(bucket, "glo/", tmp_path / "cache")
    notes = list(folder.rglob(".*.remote"))
    assert notes
    assert all(note.stat().st_mode & 0o077 == 0 for note in notes)
    shutil.rmtree(folder)


def test_a_file_of_no_mirror_is_left_alone(here):
    path = here / "dem_45_005.tif"
    before = path.stat()
    fetch(path)
    assert path.stat() == before
    assert time.time() > before.st_mtime
