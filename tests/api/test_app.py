"""The running server: its health, its page, its documentation, its start and its end."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from api import app as application
from api.app import create_app
from api.settings import Settings
from tasking.order import OrderStatus
from tasking.store import Store


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    return serving_all(create_app(Settings(data=tmp_path_factory.mktemp("app"), embedded_worker=False)))


def test_health(client):
    assert client.get("/livez").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "checks": {"store": "ok", "catalog": "ok", "disk": "ok", "worker": "ok"},
    }


def test_not_ready_says_why(serving, tmp_path):
    """A table and a collection that are gone are found by asking for them."""
    client = serving(create_app(Settings(data=tmp_path, embedded_worker=False)))
    with sqlite3.connect(tmp_path / "tasking.db") as store:
        store.execute("PRAGMA foreign_keys=OFF")
        store.execute("ALTER TABLE orders RENAME TO gone")
    with sqlite3.connect(tmp_path / "catalog.db") as catalog:
        catalog.execute("DELETE FROM collections")
    store.close()
    catalog.close()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert "orders" in checks["store"]
    assert "collections" in checks["catalog"]
    assert client.get("/livez").status_code == 200


def test_a_full_disk_is_not_ready(client, monkeypatch):
    monkeypatch.setattr(application, "MIN_FREE_BYTES", 1 << 60)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert "MiB free" in answer.json()["checks"]["disk"]


@pytest.mark.parametrize("path", ["/", "/livez", "/stac", "/stac/collections", "/stac/collections/nowhere", "/stapi"])
def test_head_is_answered_as_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]


def test_the_page(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for path in re.findall(r'(?:src|href)="([^":]+)"', page.text):
        if not path.startswith("vendor/"):
            assert client.get(f"/{path}").status_code == 200, path
    script = client.get("/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert client.get("/app.js", headers={"if-none-match": script.headers["etag"]}).status_code == 304


def test_nothing_outside_the_page_is_served(client):
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/vendor/../../app.py"):
        assert client.get(path).status_code == 404


def test_documentation_needs_no_network(client):
    page = client.get("/docs")
    if page.status_code == 503:
        assert "make console" in page.text
        pytest.skip("Swagger UI has not been fetched: make console")
    addresses = re.findall(r'(?:src|href|url)\s*[=:]\s*["\']([^"\']+)["\']', page.text)
    assert addresses
    for address in addresses:
        assert not address.startswith(("http", "//")), address
        if not address.startswith("data:"):
            assert client.get(f"/{address}").status_code == 200, address


def test_documentation_without_swagger_ui_says_what_to_do(client, monkeypatch, tmp_path, serving):
    monkeypatch.setattr(application, "VENDOR", tmp_path)
    page = serving(create_app(Settings(data=tmp_path, embedded_worker=False))).get("/docs")
    assert page.status_code == 503
    assert "make console" in page.text
    assert "openapi.json" in page.text


def test_openapi_lists_every_door(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path in ("/stapi/products/{product_id}/orders", "/stac/search", "/files/{key}", "/livez", "/readyz"):
        assert path in document["paths"], path
    body = document["paths"]["/stapi/products/{product_id}/orders"]["post"]["requestBody"]
    assert "OrderRequest" in str(body)


def test_links_begin_with_the_public_address(serving, tmp_path):
    url = "https://example.org/overflight"
    client = serving(create_app(Settings(data=tmp_path, embedded_worker=False, public_url=f"{url}/")))
    for path in ("/stapi", "/stac", "/stapi/products"):
        for link in client.get(path).json()["links"]:
            assert link["href"].startswith(url), link


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_asked_for_end_is_clean_and_a_second_start_continues(serve, tmp_path):
    ring = [[5.24, 44.15], [5.31, 44.15], [5.31, 44.2], [5.24, 44.2], [5.24, 44.15]]
    body = {
        "datetime": f"../{(datetime.now(UTC) + timedelta(days=3)).isoformat()}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    for number, signum in enumerate((signal.SIGTERM, signal.SIGINT)):
        process, client = serve(tmp_path / "var", dask_scheduler="threads", sandbox_rate=1)
        assert client.get("/readyz").status_code == 200
        assert len(client.get("/stapi/orders").json()["orders"]) == number
        assert client.post("/stapi/products/sandbox-multispectral/orders", json=body).status_code == 201
        process.send_signal(signum)
        assert process.wait(40) == 0, "".join(process.said)
        assert "Traceback" not in "".join(process.said)


def test_a_taken_port_is_one_line(overflight, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = overflight("serve", "--data", tmp_path, "--port", taken.getsockname()[1])
    assert answer.returncode == 1
    assert answer.stderr.startswith("overflight: cannot listen on 127.0.0.1:")
    assert len(answer.stderr.splitlines()) == 1


def test_a_dem_that_cannot_be_used_ends_the_start(overflight, tmp_path):
    dem = tmp_path / "dem.tif"
    dem.write_text("no raster")
    answer = overflight("serve", "--data", tmp_path / "var", "--port", 0, dem=dem, dem_datum="ellipsoid")
    assert (answer.returncode, len(answer.stderr.splitlines())) == (1, 1), answer.stderr
    assert "dem.tif" in answer.stderr


def test_a_worker_works_beside_a_server_and_ends_when_it_is_told_to(overflight, wait_for, tmp_path):
    place = ("--point", "5.28", "44.17", "--size-km", "2", "--within", "3d")
    order_id = overflight("order", "submit", *place, "--data", tmp_path).stdout.strip()
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "worker", "--data", str(tmp_path)],
        env=os.environ | {"OVERFLIGHT_SANDBOX_RATE": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        store = Store(f"sqlite:///{tmp_path / 'tasking.db'}")
        try:
            wait_for(lambda: store.order(order_id).status is OrderStatus.TASKED)
        finally:
            store.close()
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert "Traceback" not in process.stderr.read()
