"""One order from its POST to its item, and one real delivery: every step real, over HTTP and by the command line."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rio_cogeo import cog_validate
from shapely.geometry import shape

from api.app import create_app
from api.settings import Settings

pytestmark = pytest.mark.slow

PRODUCT = "/stapi/products/sandbox-multispectral"
FINAL = {"completed", "failed", "expired", "rejected", "cancelled", "user_cancelled"}
WAY = ["received", "accepted", "scheduled", "tasked", "processing", "completed"]

VENTOUX = [[5.27, 44.16], [5.29, 44.16], [5.29, 44.175], [5.27, 44.175], [5.27, 44.16]]
ANTIMERIDIAN = [[179.99, -17.0], [-179.99, -17.0], [-179.99, -16.985], [179.99, -16.985], [179.99, -17.0]]


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    """A whole installation with its worker and a LocalCluster, on a clock that runs 100,000 times as fast as life."""
    data = tmp_path_factory.mktemp("path")
    return serving_all(create_app(Settings(data=data, sandbox_rate=100_000, workers=1)))


def follow(client, order, wait_for):
    def ended():
        now = client.get(f"/stapi/orders/{order['id']}").json()
        return now if now["status"]["status_code"] in FINAL else None

    return wait_for(ended, 240)


@pytest.mark.parametrize(("ring", "bbox"), [(VENTOUX, None), (ANTIMERIDIAN, [179.99, -17.0, -179.99, -16.985])])
def test_an_order_becomes_an_item(client, wait_for, ring, bbox, tmp_path):
    area = {"type": "Polygon", "coordinates": [ring]}
    start = datetime.now(UTC)
    interval = f"{start.isoformat()}/{(start + timedelta(days=6)).isoformat()}"
    answer = client.post(f"{PRODUCT}/orders", json={"datetime": interval, "geometry": area, "order_parameters": {}})
    assert answer.status_code == 201
    order = follow(client, answer.json(), wait_for)

    history = client.get(f"/stapi/orders/{order['id']}/statuses").json()["statuses"][::-1]
    told = json.dumps(history, indent=1)
    assert order["status"]["status_code"] == "completed", told
    codes = [status["status_code"] for status in history]
    assert [code for code in WAY if code in codes] == WAY, told
    assert all(status.get("reason_text") for status in history), told
    assert order["status"] == history[-1]

    addresses = [link["href"] for link in order["links"] if link["rel"] == "item"]
    assert addresses
    items = [client.get(address).json() for address in addresses]
    for item in items:
        assert item["properties"]["order:id"] == order["id"]
        check_search(client, item, bbox or [5.27, 44.16, 5.29, 44.175])
        check_assets(client, item, tmp_path)
    if bbox is None:
        seen = shape(items[0]["geometry"])
        for item in items[1:]:
            seen = seen.union(shape(item["geometry"]))
        assert shape(area).difference(seen).area < 0.02 * shape(area).area


def check_search(client, item, bbox):
    """Found by each way of asking, and by none that leaves it out."""
    moment = item["properties"].get("start_datetime") or item["properties"]["datetime"]
    point = {"type": "Point", "coordinates": shape(item["geometry"]).representative_point().coords[0]}
    for body in (
        {"ids": [item["id"]]},
        {"bbox": bbox, "collections": ["sandbox-scenes"]},
        {"datetime": f"{moment}/.."},
        {"intersects": point},
    ):
        found = client.post("/stac/search", json=body).json()["features"]
        assert item["id"] in [one["id"] for one in found], body
    for body in (
        {"collections": ["inbox-scenes"]},
        {"bbox": [-60, 10, -50, 20]},
        {"datetime": "../2020-01-01T00:00:00Z"},
    ):
        assert client.post("/stac/search", json=body).json()["features"] == [], body


def check_assets(client, item, folder):
    assert {"multispectral", "panchromatic", "cloud-mask", "thumbnail"} <= item["assets"].keys()
    for name, asset in item["assets"].items():
        whole = client.get(asset["href"])
        assert whole.status_code == 200
        part = client.get(asset["href"], headers={"range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, whole.content[100:300])
        if name in {"thumbnail", "accuracy-picture"}:
            assert whole.content.startswith(b"\x89PNG")
            continue
        if name == "accuracy":
            assert whole.json()["product"] == item["id"]
            continue
        (folder / f"{name}.tif").write_bytes(whole.content)
        valid, errors, _ = cog_validate(folder / f"{name}.tif", quiet=True)
        assert valid, errors
        with MemoryFile(whole.content) as memory, memory.open() as dataset:
            assert dataset.crs.is_projected
            assert dataset.count == (4 if name in {"multispectral", "pansharpened", "reflectance"} else 1)
            assert dataset.nodata is not None
            assert (dataset.read(1) != dataset.nodata).mean() > 0.3


# ── a real delivery ─────────────────────────────────────────────────────────────────────────────────────────────────

MANIFEST = {
    "overflight_delivery": "1.0",
    "id": "PHR1B_20130805_ventoux",
    "acquired": {"start": "2013-08-05T10:42:00Z", "end": "2013-08-05T10:42:02Z"},
    "platform": "PHR1B",
    "gsd_m": 0.5,
    "rasters": [{"role": "panchromatic", "path": "left.tif", "bands": [{"name": "PAN", "common_name": "pan"}]}],
    "dem": {"path": "N44E005.hgt", "vertical_datum": "EGM96", "geoid": "egm96_15.gtx"},
}


@pytest.fixture
def delivery(shared, tmp_path):
    folder = tmp_path / "ventoux"
    folder.mkdir()
    data = shared / "data"
    names = ("pleiades-ventoux/left.tif", "pleiades-ventoux/left_RPC.TXT", "pleiades-ventoux/N44E005.hgt")
    for path in (*names, "geoid/egm96_15.gtx"):
        shutil.copyfile(data / path, folder / path.partition("/")[2])
    (folder / "delivery.json").write_text(json.dumps(MANIFEST))
    return folder


def test_a_real_delivery_is_ingested(overflight, serving, delivery, tmp_path):
    data = tmp_path / "var"
    answer = overflight("ingest", delivery, "--data", data)
    assert (answer.returncode, answer.stdout.strip()) == (0, MANIFEST["id"]), answer.stderr
    assert delivery.is_dir(), "a folder of the user's own stays where it is"
    again = overflight("ingest", delivery, "--data", data)
    assert (again.returncode, again.stdout) == (0, answer.stdout), "the same delivery again is the same item"

    client = serving(create_app(Settings(data=data, embedded_worker=False)))
    found = client.post("/stac/search", json={"bbox": [5.19, 44.2, 5.2, 44.21]}).json()["features"]
    assert [one["id"] for one in found] == [MANIFEST["id"]]
    assert found[0]["properties"]["datetime"].startswith("2013-08-05T10:42:0")
    picture = client.get(found[0]["assets"]["panchromatic"]["href"]).content

    scene = delivery / "left.tif"
    heights = ("--dem", delivery / "N44E005.hgt", "--dem-datum", "EGM96", "--geoid", delivery / "egm96_15.gtx")
    assert overflight("ortho", scene, *heights, "-o", tmp_path / "out.tif").returncode == 0
    with rasterio.open(tmp_path / "out.tif") as alone, MemoryFile(picture) as memory, memory.open() as ingested:
        assert (alone.crs, alone.transform) == (ingested.crs, ingested.transform)
        assert np.array_equal(alone.read(), ingested.read()), "the same pixels through either door"


def test_the_installations_own_dem_is_taken_where_a_delivery_has_none(overflight, delivery, tmp_path):
    (delivery / "delivery.json").write_text(json.dumps(MANIFEST | {"dem": None}))
    command = ("ingest", delivery, "--data", tmp_path / "var")
    answer = overflight(*command)
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert "DEM" in answer.stderr
    heights = {"dem": delivery / "N44E005.hgt", "dem_datum": "EGM96", "geoid": delivery / "egm96_15.gtx"}
    answer = overflight(*command, **heights)
    assert (answer.returncode, answer.stdout.strip()) == (0, MANIFEST["id"]), answer.stderr


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda folder: (folder / "delivery.json").unlink(), "delivery.json"),
        (lambda folder: (folder / "delivery.json").write_text("{"), "delivery.json"),
        (lambda folder: (folder / "left_RPC.TXT").unlink(), "RPC"),
        (lambda folder: (folder / "left.tif").write_bytes((folder / "left.tif").read_bytes()[:100_000]), "left.tif"),
        (lambda folder: (folder / "egm96_15.gtx").unlink(), "egm96_15.gtx"),
    ],
    ids=["no manifest", "a broken manifest", "no RPC", "truncated", "no geoid"],
)
def test_a_damaged_delivery_is_refused_whole(overflight, delivery, tmp_path, damage, word):
    damage(delivery)
    data = tmp_path / "var"
    drop = data / "inbox/drop"
    drop.mkdir(parents=True)
    shutil.move(delivery, drop)
    answer = overflight("ingest", "ventoux", "--data", data)
    assert answer.returncode == 1
    assert word in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not list(drop.iterdir())
    (rejected,) = (data / "inbox/rejects").iterdir()
    assert word in (rejected / "reason.txt").read_text()
    assert not list((data / "assets").glob("*"))


def test_no_such_delivery_is_one_line(overflight, tmp_path):
    answer = overflight("ingest", "nothing", "--data", tmp_path)
    assert (answer.returncode, len(answer.stderr.splitlines())) == (1, 1)
    assert "nothing" in answer.stderr
