"""What `overflight ortho` writes and where: codecs, tiles of a web map, aligned bounds, buckets."""

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rio_cogeo import cog_validate

from api.installation import Installation
from api.settings import Settings
from processing.dem import Dem
from tests.processing.delivery import not_on_the_map
from tests.processing.pushbroom import write_raw
from tests.processing.test_graph import write_scene
from tests.s3_server import KEY_ID, SECRET, small_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scene of 16 bits and one of 8, and their heights."""
    made = tmp_path_factory.mktemp("scene")
    write_scene(made, shape=(420, 380), bands=1)
    with not_on_the_map(), rasterio.open(made / "scene.tif") as file:
        pixels = file.read()
    write_raw(made / "bytes.tif", np.maximum(pixels // 17, 1).astype(np.uint8), nodata=0)
    (made / "bytes_RPC.TXT").write_text((made / "scene_RPC.TXT").read_text())
    return made


def ortho(run, folder, scene, out, *options):
    return run("ortho", folder / scene, "--dem", folder / "dem.tif", "--dem-datum", "ellipsoid", *options, "-o", out)


@pytest.mark.parametrize(
    ("scene", "options", "compression"),
    [
        ("bytes.tif", ("--compress", "jpeg", "--quality", 90), "JPEG"),
        ("scene.tif", ("--compress", "lerc"), "LERC_ZSTD"),
        ("scene.tif", ("--compress", "lerc", "--max-error", 4), "LERC_ZSTD"),
    ],
)
def test_codecs(overflight_here, folder, tmp_path, *, scene, options, compression):
    plain, out = tmp_path / "plain.tif", tmp_path / "out.tif"
    assert ortho(overflight_here, folder, scene, plain).returncode == 0
    answer = ortho(overflight_here, folder, scene, out, *options)
    assert answer.returncode == 0, answer.stderr
    assert cog_validate(out, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(out) as file, rasterio.open(plain) as expected:
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == compression
        valid = expected.read(1) > 0
        np.testing.assert_array_equal(file.dataset_mask() > 0, valid)
        off = np.abs(file.read(1).astype(float) - expected.read(1))[valid]
        assert off.max() <= {"jpeg": 40, "lerc": options[-1] if options[-1] != "lerc" else 0}[options[1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--compress", "jpeg"),
            "jpeg takes 1 or 3 bands of uint8, and these are 1 of uint16; give zstd, deflate or lerc",
        ),
        (("--compress", "webp"), "webp takes 3 bands of uint8"),
        (("--quality", 50), "--quality is for --compress jpeg and webp"),
        (("--max-error", 1), "--max-error is for --compress lerc"),
        (("--zoom", 3), "--zoom and --aligned-levels are for --tms"),
        (("--tms", "WebMercatorQuad", "--crs", "EPSG:3857"), "--tms brings its own CRS and resolution"),
        (("--tms", "Mercator"), "the set 'Mercator' is unknown; give CDB1GlobalGrid"),
    ],
)
def test_what_does_not_go_together(overflight_here, folder, tmp_path, options, message):
    answer = ortho(overflight_here, folder, "scene.tif", tmp_path / "out.tif", *options)
    assert answer.returncode != 0
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())


def test_the_tiles_of_a_web_map(overflight_here, folder, tmp_path):
    answer = ortho(overflight_here, folder, "scene.tif", tmp_path / "out.tif", "--tms", "WebMercatorQuad", "--zoom", 16)
    assert answer.returncode == 0, answer.stderr
    assert "in EPSG:3857, zoom level 16 of WebMercatorQuad" in answer.stderr
    with rasterio.open(tmp_path / "out.tif") as file:
        side = 2 * np.pi * 6378137 / 256 / 2**16
        assert file.transform.a == pytest.approx(side, rel=1e-12)
        offset = (file.transform.c + np.pi * 6378137) / side / 512
        assert offset == pytest.approx(round(offset), abs=1e-6)


def test_aligned_bounds(overflight_here, folder, tmp_path):
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(5.3, 44.1)
    box = (x - 50, y - 50, x + 50, y + 50)
    answer = ortho(
        overflight_here, folder, "scene.tif", tmp_path / "out.tif", "--resolution", 2, "--bounds", *box, "--aligned"
    )
    assert answer.returncode == 0, answer.stderr
    with rasterio.open(tmp_path / "out.tif") as file:
        assert (file.transform.c % 2, file.transform.f % 2) == (0, 0)
        assert file.width in (50, 51)


def test_straight_to_a_bucket(overflight_here, folder, tmp_path, monkeypatch):
    assert ortho(overflight_here, folder, "scene.tif", tmp_path / "out.tif").returncode == 0
    with small_server() as (endpoint, kept):
        for name, value in (("ACCESS_KEY_ID", KEY_ID), ("SECRET_ACCESS_KEY", SECRET), ("ENDPOINT_URL", endpoint)):
            monkeypatch.setenv(f"AWS_{name}", value)
        answer = ortho(overflight_here, folder, "scene.tif", "s3://scenes/2026/out.tif")
        assert answer.returncode == 0, answer.stderr
        assert answer.stderr.startswith("s3://scenes/2026/out.tif: ")
        assert kept.objects == {"/scenes/2026/out.tif": (tmp_path / "out.tif").read_bytes()}
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        answer = ortho(overflight_here, folder, "scene.tif", "s3://scenes/2026/other.tif")
        assert answer.returncode == 1
        assert "403 SignatureDoesNotMatch" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert len(kept.objects) == 1


def test_heights_out_of_a_bucket(overflight_here, folder, tmp_path, monkeypatch):
    """The same bytes as with the file here; the tile is kept and not fetched again."""
    assert ortho(overflight_here, folder, "scene.tif", tmp_path / "out.tif").returncode == 0
    with small_server() as (endpoint, kept):
        kept.objects["/heights/tiles/dem.tif"] = (folder / "dem.tif").read_bytes()
        for name, value in (("ACCESS_KEY_ID", KEY_ID), ("SECRET_ACCESS_KEY", SECRET), ("ENDPOINT_URL", endpoint)):
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("OVERFLIGHT_CACHE", str(tmp_path / "cache"))
        for name in ("one.tif", "two.tif"):
            answer = ortho(overflight_here, folder, "scene.tif", tmp_path / name, "--dem", "s3://heights/tiles/")
            assert answer.returncode == 0, answer.stderr
            assert (tmp_path / name).read_bytes() == (tmp_path / "out.tif").read_bytes()
        first = len(kept.requests)
        answer = ortho(overflight_here, folder, "scene.tif", tmp_path / "no.tif", "--dem", "s3://heights/none/")
        assert answer.returncode == 1
        assert "s3://heights/none/: no tile there" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert len(kept.requests) == first + 1
        assert sum("tiles/dem.tif" in target for _, target in kept.requests) <= 2, "its head, and the whole of it"


def test_an_installation_with_heights_in_a_bucket(folder, tmp_path, monkeypatch):
    with small_server() as (endpoint, kept):
        kept.objects["/heights/tiles/dem.tif"] = (folder / "dem.tif").read_bytes()
        for name, value in (("ACCESS_KEY_ID", KEY_ID), ("SECRET_ACCESS_KEY", SECRET), ("ENDPOINT_URL", endpoint)):
            monkeypatch.setenv(f"AWS_{name}", value)
        settings = Settings(
            data=tmp_path / "data", dem="s3://heights/tiles/", dem_datum="ellipsoid", cache=tmp_path / "cache"
        )
        with Installation.open(settings) as installation:
            found = installation.dem().heights(5.3, 44.1)
    assert found == Dem.open(folder / "dem.tif", vertical_datum="ellipsoid").heights(5.3, 44.1)


@pytest.mark.parametrize(
    ("out", "keys", "message"),
    [
        ("s3://scenes/out.tif", {}, "a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("s3://scenes/", {}, "'s3://scenes/' is neither a file nor an object; write s3://bucket/folder/name.tif"),
        ("ftp://scenes/out.tif", {}, "'ftp://scenes/out.tif' is neither a file nor an object"),
        ("s3://scenes/out.tif", {"ENDPOINT_URL": "minio"}, "AWS_ENDPOINT_URL: "),
    ],
)
def test_no_such_place(overflight_here, folder, monkeypatch, *, out, keys, message):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name, value in keys.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    answer = ortho(overflight_here, folder, "scene.tif", out)
    assert answer.returncode == 2
    assert message in answer.stderr
