"""Many scenes at once: the bytes of each are those of `orthorectify`, whatever happens to the others and to workers."""

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from distributed import Client, LocalCluster

from processing import batch
from processing.batch import BatchOptions, BatchScene, orthorectify_many
from processing.dem import Dem
from processing.errors import DeliveryError, OutputError
from processing.graph import RawRaster, orthorectify
from processing.rpc import fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw

LARGE = "large"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Six small scenes and a larger one beside each other, over one DEM; and the bytes of their orthoimages."""
    folder = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(8)
    heights = 500 + 40 * random.normal(0, 1, (90, 190))
    write_heights(folder / "dem.tif", heights.astype(np.float32), west=5.26, north=44.14, step=0.001)
    options = BatchOptions(dem=Dem.open(folder / "dem.tif", vertical_datum="ellipsoid"))
    scenes, expected = [], {}
    for number in range(7):
        name = LARGE if number == 3 else f"small{number}"
        shape = (280, 2200) if name == LARGE else (140 + 10 * number, 160)
        camera = Pushbroom(lon=5.30 + 0.015 * number, lat=44.1, rows=shape[0], cols=shape[1], gsd_m=1.0)
        pixels = random.integers(1, 4000, (1, *shape)).astype(np.uint16)
        path = write_raw(folder / f"{name}.tif", pixels, nodata=0, tiled=True, compress="deflate")
        rpc_text.write(fit(**camera.points()).rpc, folder / f"{name}_RPC.TXT")
        alone = orthorectify(
            raster=RawRaster.open(path), dem=options.dem, grid=None, destination=folder / "alone.out", threads=1
        )
        expected[f"{name}.tif"] = alone.path.read_bytes()
        scenes.append(BatchScene(path=path, name=f"{name}.tif"))
    return scenes, options, expected


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as one,
    ):
        yield one


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_threads_make_the_same_files(many, tmp_path):
    scenes, options, expected = many
    seen = []
    outcomes = list(
        orthorectify_many(scenes, options, folder=tmp_path / "out", threads=2, progress=lambda *what: seen.append(what))
    )
    assert [one.error for one in outcomes] == [None] * 7
    assert {one.scene.name: one.result.path for one in outcomes} == {name: tmp_path / "out" / name for name in expected}
    assert written(tmp_path / "out") == expected
    assert seen == [("scenes", done, 7) for done in range(1, 8)]


@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_scene_that_is_divided_makes_the_same_file(many, compress, tmp_path):
    scenes, options, _ = many
    chosen = [one for one in scenes if one.name.startswith(LARGE)]
    options = BatchOptions(dem=options.dem, compress=compress, crs="EPSG:32631", resolution=0.9, resampling="nearest")
    [made] = orthorectify_many(chosen, options, folder=tmp_path / "out", threads=2)  # alone, it is worth dividing
    assert np.prod(made.result.profile.superblocks) > 1
    alone = orthorectify(
        raster=RawRaster.open(chosen[0].path), dem=options.dem, grid=made.result.grid, compress=compress,
        destination=tmp_path / "alone.tif", resampling="nearest",
    )  # fmt: skip
    assert written(tmp_path / "out") == {chosen[0].name: alone.path.read_bytes()}


@pytest.mark.slow
def test_a_cluster_makes_the_same_files_and_tells_of_the_bad_ones(many, client, tmp_path):
    scenes, options, expected = many
    (tmp_path / "text.tif").write_text("no raster")
    shutil.copy(scenes[0].path, tmp_path / "bare.tif")
    cut = scenes[3].path.read_bytes()
    (tmp_path / "cut.tif").write_bytes(cut[: len(cut) // 2])
    shutil.copy(scenes[3].path.with_name(f"{LARGE}_RPC.TXT"), tmp_path / "cut_RPC.TXT")
    bad = [BatchScene(path=tmp_path / name, name=name) for name in ("text.tif", "bare.tif", "cut.tif", "none.tif")]
    mixed = [*scenes[:3], *bad, *scenes[3:]]
    outcomes = list(orthorectify_many(mixed, options, folder=tmp_path / "out", client=client))
    said = {one.scene.name: one.error for one in outcomes if one.error is not None}
    assert said.keys() == {"text.tif", "bare.tif", "cut.tif", "none.tif"}
    assert said["text.tif"].startswith("text.tif: no readable raster")
    assert said["bare.tif"].startswith("bare.tif: no RPC")
    assert said["cut.tif"].startswith("cut.tif: ")
    assert said["none.tif"] == "none.tif: there is no such file"
    assert written(tmp_path / "out") == expected


@pytest.mark.slow
def test_an_error_of_a_cluster_is_what_it_was(many, client, tmp_path):
    """What rasterio raises cannot be unpickled; a damaged raster came back as a bare Exception."""
    scenes, options, _ = many
    shutil.copy(scenes[3].path, tmp_path / "a.tif")
    raster = RawRaster.open(tmp_path / "a.tif", rpc=scenes[3].path.with_name(f"{LARGE}_RPC.TXT"))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DeliveryError, match=r"a.tif: "):
        orthorectify(raster=raster, dem=options.dem, grid=None, destination=tmp_path / "b.tif", client=client)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(many, client, tmp_path):
    scenes, options, expected = many
    again = [BatchScene(path=one.path, name=f"{k}-{one.name}") for k in range(3) for one in scenes]
    pids = client.run(os.getpid)
    outcomes = []
    for made in orthorectify_many(again, options, folder=tmp_path / "out", client=client):
        outcomes.append(made)
        if len(outcomes) == 5:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
    assert [one.error for one in outcomes] == [None] * len(again)
    assert written(tmp_path / "out") == {one.name: expected[one.path.name] for one in again}
    assert set(client.run(os.getpid).values()) != set(pids.values())


def test_few_tasks_are_in_flight(many, tmp_path):
    scenes, options, _ = many
    (tmp_path / "work").mkdir()
    with ThreadPoolExecutor(2) as pool:
        todo = [BatchScene(path=scenes[0].path, name=f"{k}.tif") for k in range(20)]
        one = batch._Batch(todo, options, folder=tmp_path, work=tmp_path / "work", submit=pool.submit, count=lambda: 2)
        flying = [len(one.running) for _ in one.outcomes(None)]
    assert len(flying) == 20
    assert max(flying) < 2 * batch.AHEAD


def test_one_that_is_left_early_keeps_what_is_whole(many, tmp_path):
    scenes, options, expected = many
    outcomes = orthorectify_many(scenes, options, folder=tmp_path / "out", threads=1)
    first = next(outcomes)
    outcomes.close()
    left = written(tmp_path / "out")
    assert first.scene.name in left
    assert left.items() <= expected.items()


def test_scenes_of_one_name(many, tmp_path):
    scenes, options, _ = many
    with pytest.raises(OutputError, match=r"small0.tif: two scenes of the batch would become this file"):
        next(orthorectify_many([scenes[0], scenes[1], scenes[0]], options, folder=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be(many, tmp_path):
    scenes, options, _ = many
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written .* give another folder"):
        next(orthorectify_many(scenes, options, folder=tmp_path / "file"))
