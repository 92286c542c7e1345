"""Files over real HTTP: ranges and validators as RFC 9110 has them, GDAL as a client, and no way out of the folder."""

import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import problems
from api.files import files_router
from catalog.assets import AssetFolder

CONTENT = bytes(range(256)) * 40
KEY = "scenes/one/data.bin"


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    (root / "secret").write_text("not yours")
    assets = AssetFolder(root / "assets")
    for key in (KEY, "scenes/one/thumbnail.png", "scenes/one/empty.txt"):
        with assets.writing(key) as path:
            path.write_bytes(b"" if "empty" in key else CONTENT)
    with assets.writing("scenes/one/multispectral.tif") as path:
        write_cog(path)
    return assets


def write_cog(path):
    pixels = np.random.default_rng(1).integers(0, 4000, (2, 1024, 1024), dtype=np.uint16)
    profile = {
        "driver": "COG", "dtype": "uint16", "count": 2, "height": 1024, "width": 1024, "crs": "EPSG:32631",
        "transform": rasterio.Affine(10, 0, 681132, 0, -10, 4893753), "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(pixels)


@pytest.fixture(scope="module")
def client(serving_all, assets):
    app = FastAPI()
    problems.install(app)
    app.include_router(files_router(assets))
    return serving_all(app)


def test_whole(client):
    answer = client.get(f"/files/{KEY}")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/files/scenes/one/empty.txt").content == b""


@pytest.mark.parametrize(("name", "media_type"), [
    ("multispectral.tif", "image/tiff; application=geotiff; profile=cloud-optimized"),
    ("thumbnail.png", "image/png"),
    ("empty.txt", "text/plain; charset=utf-8"),
])  # fmt: skip
def test_media_types(client, name, media_type):
    assert client.get(f"/files/scenes/one/{name}").headers["content-type"] == media_type


def test_head_is_get_without_the_body(client):
    head, get = client.head(f"/files/{KEY}"), client.get(f"/files/{KEY}")
    assert head.status_code == 200
    assert head.content == b""
    without_date = [{name: value for name, value in one.headers.items() if name != "date"} for one in (head, get)]
    assert without_date[0] == without_date[1]


@pytest.mark.parametrize(("range_", "first", "last"), [
    ("bytes=0-0", 0, 0),
    ("bytes=100-199", 100, 199),
    ("bytes=10000-", 10_000, len(CONTENT) - 1),
    ("bytes=-7", len(CONTENT) - 7, len(CONTENT) - 1),
    (f"bytes=5-{10**12}", 5, len(CONTENT) - 1),
])  # fmt: skip
def test_ranges(client, range_, first, last):
    answer = client.get(f"/files/{KEY}", headers={"range": range_})
    assert answer.status_code == 206
    assert answer.content == CONTENT[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert int(answer.headers["content-length"]) == last + 1 - first


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(CONTENT) - 1), st.integers(0, 2 * len(CONTENT)))
def test_any_range_is_that_slice(client, start, more):
    answer = client.get(f"/files/{KEY}", headers={"range": f"bytes={start}-{start + more}"})
    assert (answer.status_code, answer.content) == (206, CONTENT[start : start + more + 1])


def test_several_ranges_at_once(client):
    answer = client.get(f"/files/{KEY}", headers={"range": "bytes=0-1,100-101"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert CONTENT[:2] in answer.content
    assert CONTENT[100:102] in answer.content


def test_a_range_beyond_the_end(client):
    answer = client.get(f"/files/{KEY}", headers={"range": f"bytes={len(CONTENT)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "range_", ["bytes=", "bytes=a-b", "bytes=5-1", "pages=1-2", "bytes=-", "x", "bytes=" + "0-0," * 999]
)
def test_ranges_that_are_none(client, range_):
    assert client.get(f"/files/{KEY}", headers={"range": range_}).status_code in (200, 206, 400, 416)


def test_validators(client, assets):
    first = client.get(f"/files/{KEY}")
    tag, modified = first.headers["etag"], first.headers["last-modified"]

    def status(**headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(f"/files/{KEY}", headers=named).status_code

    assert status(if_none_match=tag) == 304
    assert status(if_none_match=f'"other", W/{tag}') == 304
    assert status(if_none_match="*") == 304
    assert status(if_none_match='"other"') == 200
    assert status(if_modified_since=modified) == 304
    assert status(if_modified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 200
    assert status(if_modified_since="yesterday") == 200
    assert status(if_none_match='"other"', if_modified_since=modified) == 200
    assert status(range="bytes=0-9", if_range=tag) == 206
    assert status(range="bytes=0-9", if_range='"other"') == 200
    unchanged = client.get(f"/files/{KEY}", headers={"if-none-match": tag})
    assert unchanged.content == b""
    assert unchanged.headers["etag"] == tag
    os.utime(assets.path(KEY), (1, 1))
    assert status(if_none_match=tag) == 200


def raw_status(client, target):
    """Send a request line as it is: real clients tidy dots up before they send them."""
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert b"not yours" not in answer
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("target", [
    b"/files/../secret", b"/files/../../secret", b"/files/scenes/../../secret", b"/files/%2e%2e/secret",
    b"/files/..%2fsecret", b"/files/%2e%2e%2fsecret", b"/files/scenes/one/..%2f..%2f..%2fsecret", b"/files//etc/passwd",
    b"/files/%2fetc%2fpasswd", b"/files/..\\secret", b"/files/%5c..%5csecret", b"/files/%252e%252e/secret", b"/files/",
    b"/files/scenes", b"/files/scenes/one/", b"/files/scenes/one/data.bin%00.png", b"/files/.unfinished/x/y",
    b"/files/scenes/one/data.bin/..", b"/files/%ff%fe", b"/files/./scenes/one/data.bin", b"/files/" + b"a/" * 2000,
])  # fmt: skip
def test_no_way_out_of_the_folder(client, target):
    assert raw_status(client, target) == 404


def test_links_lead_nowhere(client, assets):
    (assets.root / "scenes" / "out").symlink_to(assets.root.parent)
    try:
        assert client.get("/files/scenes/out/secret").status_code == 404
    finally:
        (assets.root / "scenes" / "out").unlink()


def test_what_is_not_there(client):
    answer = client.get("/files/scenes/one/none.tif")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


# --- real clients ---


@pytest.fixture
def only_ranges(monkeypatch):
    """GDAL as it reads in the cloud: no look around, no read-ahead of the whole file."""
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    monkeypatch.setenv("GDAL_HTTP_PROXY", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("only_ranges")
def test_rasterio_reads_a_window_by_ranges(client, assets):
    key = "scenes/one/multispectral.tif"
    window = rasterio.windows.Window(300, 400, 50, 60)
    with (
        rasterio.open(assets.path(key)) as local,
        rasterio.open(f"/vsicurl/{client.base_url.join('/files/')}{key}") as remote,
    ):
        assert remote.profile == local.profile
        assert np.array_equal(remote.read(window=window), local.read(window=window))


@pytest.mark.usefixtures("only_ranges")
@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="needs GDAL's command line")
def test_gdal_reads_the_same_pixels(client, assets):
    key = "scenes/one/multispectral.tif"
    checksums = [
        [
            line
            for line in subprocess.run(
                ["gdalinfo", "-checksum", path], capture_output=True, text=True, timeout=60, check=True
            ).stdout.splitlines()
            if "Checksum" in line
        ]
        for path in (str(assets.path(key)), f"/vsicurl/{client.base_url.join('/files/')}{key}")
    ]
    assert len(checksums[0]) == 2
    assert checksums[0] == checksums[1]


def test_many_readers_at_once(client):
    def part(start):
        return client.get(f"/files/{KEY}", headers={"range": f"bytes={start}-{start + 99}"}).content

    with ThreadPoolExecutor(16) as pool:
        parts = list(pool.map(part, range(0, 6400, 100)))
    assert b"".join(parts) == CONTENT[:6400]
