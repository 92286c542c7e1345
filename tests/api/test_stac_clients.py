"""Programs that other people use, as clients: odc-stac and GDAL find the scenes by a search and read their pixels."""

import shutil
import subprocess

import numpy as np
import odc.stac
import pystac_client
import pytest
import rasterio
from rasterio import Affine
from rasterio.warp import transform_bounds

from api.files import files_router
from catalog.assets import AssetFolder
from catalog.sqlite import SqliteCatalog
from tests.api.stac_app import stac_app
from tests.catalog.documents import box, collection, item

SIZE = 64
LEFT, RIGHT = (500_000, 4_900_000), (500_000 + SIZE * 10, 4_900_000)
"""North-west corners of two scenes side by side, in metres of UTM zone 31N."""


def scene(assets, name, corner, value):
    transform = Affine(10, 0, corner[0], 0, -10, corner[1])
    profile = {"driver": "COG", "width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16", "crs": "EPSG:32631"}
    key = f"scenes/{name}.tif"
    with assets.writing(key) as path, rasterio.open(path, "w", transform=transform, **profile) as file:
        file.write(np.full((SIZE, SIZE), value, np.uint16), 1)
        bounds = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    asset = {"href": assets.href(key), "type": "image/tiff; application=geotiff", "roles": ["data"],
             "proj:shape": [SIZE, SIZE], "proj:transform": list(transform)[:6]}  # fmt: skip
    # GDAL before 3.10 knows the number only.
    made = item(name, geometry=box(*bounds), **{"proj:code": "EPSG:32631", "proj:epsg": 32631})
    projection = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
    return {**made, "stac_extensions": [projection], "assets": {"visual": asset}}


@pytest.fixture(scope="module")
def client(serving_all, tmp_path_factory):
    data = tmp_path_factory.mktemp("clients")
    assets = AssetFolder(data / "assets")
    store = SqliteCatalog(data / "catalog.db")
    store.put([collection("scenes"), scene(assets, "left", LEFT, 7), scene(assets, "right", RIGHT, 9)])
    app = stac_app(store)
    app.include_router(files_router(assets))
    yield serving_all(app)
    store.close()


# What odc-geo calls of its libraries is not ours to change.
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning", "ignore:The 'shapely.ops.transform")
def test_odc_stac_loads_what_a_search_finds(client):
    api = pystac_client.Client.open(str(client.base_url.join("/stac")))
    items = list(api.search(collections=["scenes"], sortby="id").items())
    data = odc.stac.load(items, bands=["visual"], crs="EPSG:32631", resolution=10, groupby="solar_day")
    pixels = data.visual.values[0]
    assert pixels.shape == (SIZE, 2 * SIZE)
    assert (pixels[:, :SIZE] == 7).all()
    assert (pixels[:, SIZE:] == 9).all()


def gdal(program, *arguments):
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def drivers():
    if shutil.which("gdalinfo") is None:
        pytest.skip("needs GDAL's command line")
    return gdal("gdalinfo", "--formats") + gdal("ogrinfo", "--formats")


def test_gdal_mosaics_what_a_search_finds(client, drivers):
    if "STACIT" not in drivers:
        pytest.skip("this GDAL has no STACIT driver (3.4 and later do)")
    address = client.base_url.join("/stac/search?collections=scenes")
    shown = gdal("gdalinfo", "-stats", f'STACIT:"{address}"')
    assert f"Size is {2 * SIZE}, {SIZE}" in shown
    assert "STATISTICS_MINIMUM=7" in shown
    assert "STATISTICS_MAXIMUM=9" in shown


def test_gdal_finds_features_in_a_place(client, drivers):
    if "OAPIF" not in drivers:
        pytest.skip("this GDAL has no OAPIF driver")
    features = f"OAPIF:{client.base_url.join('/stac')}"
    left = client.get("/stac/collections/scenes/items/left").json()["bbox"]
    everywhere = gdal("ogrinfo", "-ro", "-al", features, "scenes")
    assert "left" in everywhere
    assert "right" in everywhere
    west, south, _, north = map(str, left)
    there = gdal("ogrinfo", "-ro", "-al", "-spat", west, south, str(left[0] + 0.001), north, features, "scenes")
    assert "left" in there
    assert "right" not in there
    chosen = gdal("ogrinfo", "-ro", "-al", "-where", "id = 'right'", features, "scenes")
    assert "right" in chosen
    assert "left" not in chosen
