"""The command line as a user runs it: words, one-line refusals, and nothing loaded that a command does not need."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import rasterio
from affine import Affine

RESOLUTION = ("--crs", "EPSG:32631", "--resolution", "2")


def refused(answer, *words, code=1):
    """One line that says what was wrong, a non-zero exit, never a traceback."""
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    last = answer.stderr.strip().splitlines()
    if code == 1:
        assert len(last) == 1, answer.stderr
        assert last[0].startswith("overflight: ")
    for word in words:
        assert word in last[-1], answer.stderr


# ── help and imports ────────────────────────────────────────────────────────────────────────────────────────────────

COMMANDS = [
    (),
    ("serve",),
    ("worker",),
    ("order",),
    ("order", "submit"),
    ("order", "passes"),
    ("order", "show"),
    ("order", "list"),
    ("order", "cancel"),
    ("order", "watch"),
    ("ortho",),
    ("batch",),
    ("ingest",),
    ("catalog",),
    ("catalog", "import"),
    ("satellites",),
    ("satellites", "list"),
    ("satellites", "show"),
    ("satellites", "import"),
    ("satellites", "export"),
    ("satellites", "remove"),
    ("steps",),
    ("migrate",),
    ("demo",),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_teaches_with_an_example(overflight_here, words):
    answer = overflight_here(*words, "--help")
    assert answer.returncode == 0
    assert words == ("catalog",) or "overflight " + " ".join(words) in answer.stdout


def loaded(code, *arguments):
    """The modules that are loaded at the end of a program."""
    program = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    answer = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=120
    )
    return set(answer.stderr.splitlines()[-1].split())


RUN = "from api.cli import cli\ncli(sys.argv[1:], standalone_mode=False)"


def test_help_loads_nothing_that_takes_long():
    modules = loaded(RUN, "--help")
    assert not modules & {
        "numpy",
        "numba",
        "rasterio",
        "fastapi",
        "pydantic",
        "sqlalchemy",
        "dask",
        "shapely",
        "pyproj",
    }


def test_ortho_loads_neither_cluster_nor_server(shared, tmp_path):
    modules = loaded(RUN, "ortho", *ventoux(shared), *RESOLUTION, "-o", tmp_path / "out.tif")
    assert "numba" in modules
    assert not modules & {"distributed", "fastapi", "uvicorn", "sqlalchemy", "geopandas", "matplotlib"}


# ── ortho ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ventoux(shared, scene=None):
    data = shared / "data"
    heights = ("--dem", data / "pleiades-ventoux/N44E005.hgt", "--dem-datum", "EGM96")
    return (scene or data / "pleiades-ventoux/left.tif", *heights, "--geoid", data / "geoid/egm96_15.gtx")


def test_ortho_of_a_real_scene(overflight, shared, tmp_path):
    out = tmp_path / "out.tif"
    answer = overflight("ortho", *ventoux(shared), "-o", out)
    assert answer.returncode == 0, answer.stderr
    assert "EPSG:32631" in answer.stderr
    with rasterio.open(out) as written:
        assert written.crs == "EPSG:32631"
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert written.profile["compress"] == "zstd"
        assert np.median(written.read(1)[written.read(1) > 0]) > 0


def test_ortho_takes_every_option(overflight_here, shared, tmp_path):
    out = tmp_path / "out.tif"
    options = ("--crs", "EPSG:2154", "--resolution", "2", "--bounds", "875340", "6347720", "875440", "6347820")
    answer = overflight_here(
        "ortho", *ventoux(shared), *options, "--resampling", "cubic", "--compress", "deflate", "--threads", 1, "-o", out
    )
    assert answer.returncode == 0, answer.stderr
    with rasterio.open(out) as written:
        assert written.bounds == (875340, 6347720, 875440, 6347820)
        assert written.res == (2, 2)
        assert written.profile["compress"] == "deflate"


@pytest.fixture
def scene(shared, tmp_path):
    """A copy of the real scene and its sensor model, to be damaged."""
    folder = tmp_path / "scene"
    folder.mkdir()
    for name in ("left.tif", "left_RPC.TXT"):
        shutil.copyfile(shared / "data/pleiades-ventoux" / name, folder / name)
    return folder / "left.tif"


def ortho_refused(overflight, shared, scene, out, *words, code=1, arguments=None):
    answer = overflight("ortho", *(arguments or (*ventoux(shared, scene), *RESOLUTION)), "-o", out)
    refused(answer, *words, code=code)
    assert not out.exists()
    assert not list(out.parent.glob(".*")), "something was left behind"


def test_ortho_of_a_truncated_raster(overflight_here, shared, scene, tmp_path):
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size // 2])
    ortho_refused(overflight_here, shared, scene, tmp_path / "out.tif", "left.tif")


def test_ortho_without_rpc(overflight_here, shared, scene, tmp_path):
    scene.with_name("left_RPC.TXT").unlink()
    ortho_refused(overflight_here, shared, scene, tmp_path / "out.tif", "left.tif", "RPC")


def test_ortho_of_a_vrt_that_calls_itself_tif(overflight_here, shared, scene, tmp_path):
    real = scene.rename(scene.with_name("real.tif"))
    scene.write_text(
        '<VRTDataset rasterXSize="10" rasterYSize="10"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{real}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    ortho_refused(overflight_here, shared, scene, tmp_path / "out.tif", "left.tif")


def test_ortho_with_a_dem_that_does_not_cover(overflight_here, shared, scene, tmp_path):
    elsewhere = tmp_path / "elsewhere.tif"
    grid = {"driver": "GTiff", "width": 20, "height": 20, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
    with rasterio.open(elsewhere, "w", transform=Affine(0.1, 0, 20, 0, -0.1, 10), **grid) as dem:
        dem.write(np.full((1, 20, 20), 100, np.float32))
    arguments = (scene, "--dem", elsewhere, "--dem-datum", "ellipsoid")
    ortho_refused(overflight_here, shared, scene, tmp_path / "out.tif", "elsewhere.tif", arguments=arguments)


def test_ortho_with_a_dem_without_datum(overflight_here, shared, scene, tmp_path):
    dem = shared / "data/pleiades-ventoux/N44E005.hgt"
    out = tmp_path / "out.tif"
    ortho_refused(overflight_here, shared, scene, out, "--dem-datum", code=2, arguments=(scene, "--dem", dem))
    arguments = (scene, "--dem", dem, "--dem-datum", "EGM96")
    ortho_refused(overflight_here, shared, scene, out, "EGM96", "--geoid", arguments=arguments)
    arguments = (scene, "--dem", dem, "--dem-datum", "")
    ortho_refused(overflight_here, shared, scene, out, "datum", arguments=arguments)


BAD_OPTIONS = {
    "--crs EPSG:999999": 1,
    "--crs nowhere": 1,
    "--resolution 0": 1,
    "--resolution -1": 1,
    "--resolution nan": 1,
    "--resolution 1e-9": 1,
    "--resolution fine": 2,
    "--bounds 1 2 0 3": 1,
    "--bounds 0 0 100 100": 1,
    "--bounds inf 0 100 100": 1,
    "--resampling best": 2,
    "--threads 0": 2,
}


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_ortho_with_a_wrong_option(overflight_here, shared, tmp_path, options):
    arguments = (*ventoux(shared), *options.split())
    ortho_refused(overflight_here, shared, None, tmp_path / "out.tif", code=BAD_OPTIONS[options], arguments=arguments)


def test_ortho_where_nothing_can_be_written(overflight_here, shared, scene, tmp_path):
    refused(overflight_here("ortho", *ventoux(shared, scene), *RESOLUTION, "-o", tmp_path / "no/out.tif"), "out.tif")
    before = scene.read_bytes()
    refused(overflight_here("ortho", *ventoux(shared, scene), *RESOLUTION, "-o", scene), "scene itself", code=2)
    assert scene.read_bytes() == before


# ── order, in a data folder ─────────────────────────────────────────────────────────────────────────────────────────

PLACE = ("--point", "5.28", "44.17", "--size-km", "4")
ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def submit(overflight, data, *options):
    answer = overflight("order", "submit", *(options or (*PLACE, "--within", "3d")), "--data", data)
    assert answer.returncode == 0, answer.stderr
    assert ORDER_ID.fullmatch(answer.stdout.strip())
    return answer.stdout.strip()


def shown(overflight, data, order_id):
    return json.loads(overflight("order", "show", order_id, "--json", "--data", data).stdout)


def test_an_order_in_a_folder_from_first_to_last_word(overflight, tmp_path):
    order_id = submit(
        overflight, tmp_path, *PLACE, "--within", "3d", "--max-cloud-cover", "20", "--max-off-nadir", "15"
    )
    order = shown(overflight, tmp_path, order_id)
    assert order["request"]["order_parameters"] == {"max_cloud_cover": 20}
    assert order["request"]["filter"] == {"op": "<=", "args": [{"property": "view:off_nadir"}, 15]}
    assert "received" in overflight("order", "show", order_id, "--data", tmp_path).stdout
    other = submit(overflight, tmp_path)
    listed = overflight("order", "list", "--data", tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [other, order_id]
    assert overflight("order", "cancel", order_id, "--data", tmp_path).stdout.strip() == "user_cancelled"
    refused(overflight("order", "cancel", order_id, "--data", tmp_path), "user_cancelled")
    watched = overflight("order", "watch", order_id, "--data", tmp_path)
    assert watched.returncode == 1, "it was not completed"
    assert [line.split()[2] for line in watched.stderr.splitlines()] == ["received", "user_cancelled"]


def test_an_order_with_a_key_is_one_however_often_it_is_sent(overflight_here, tmp_path):
    start = datetime.now(UTC).replace(microsecond=0)
    time = ("--start", start.isoformat(), "--end", (start + timedelta(days=2)).isoformat())
    sent = [overflight_here("order", "submit", *PLACE, *time, "--key", "k", "--data", tmp_path) for _ in range(2)]
    assert sent[0].returncode == 0, sent[0].stderr
    assert sent[0].stdout == sent[1].stdout
    refused(overflight_here("order", "submit", *PLACE, "--within", "9d", "--key", "k", "--data", tmp_path), "used for")


def test_passes_are_shown(overflight_here, tmp_path):
    answer = overflight_here("order", "passes", *PLACE, "--within", "5d", "--max-off-nadir", "25", "--data", tmp_path)
    rows = answer.stdout.splitlines()
    assert len(rows) > 1
    assert all(float(re.search(r"([\d.]+) °", row)[1]) <= 25 for row in rows[1:])


def test_an_area_from_vector_files_in_any_crs(overflight_here, tmp_path):
    import geopandas
    from shapely.geometry import box

    squares = geopandas.GeoSeries([box(0, 0, 2000, 2000), box(3000, 0, 5000, 2000)]).translate(683000, 4891000)
    frame = geopandas.GeoDataFrame(geometry=squares, crs="EPSG:32631")
    for name in ("area.gpkg", "area.shp", "area.geojson"):
        frame.to_file(tmp_path / name)
        order = shown(
            overflight_here, tmp_path, submit(overflight_here, tmp_path, "--area", tmp_path / name, "--within", "2d")
        )
        assert order["geometry"]["type"] == "MultiPolygon"
        wanted = frame.to_crs("EPSG:4326").total_bounds
        assert order["bbox"] == pytest.approx(wanted, abs=1e-6)


def test_areas_over_the_antimeridian_and_at_a_pole(overflight_here, tmp_path):
    over = submit(overflight_here, tmp_path, "--bbox", "179.95", "-17", "-179.95", "-16.9", "--within", "3d")
    assert shown(overflight_here, tmp_path, over)["bbox"] == [179.95, -17, -179.95, -16.9]
    over = submit(overflight_here, tmp_path, "--point", "180", "0", "--size-km", "10", "--within", "3d")
    assert shown(overflight_here, tmp_path, over)["bbox"] == pytest.approx(
        [179.9551, -0.0452, -179.9551, 0.0452], abs=2e-4
    )
    pole = submit(overflight_here, tmp_path, "--point", "30", "-90", "--size-km", "10", "--within", "3d")
    assert shown(overflight_here, tmp_path, pole)["bbox"][:2] == [-180, -90]


BAD_ORDERS = {
    "nowhere": (("--within", "3d"), 2, "--area"),
    "two places": ((*PLACE, "--bbox", "0", "0", "1", "1", "--within", "3d"), 2, "exactly one"),
    "no end": (PLACE, 2, "--within"),
    "two ends": ((*PLACE, "--within", "3d", "--end", "2099-01-01T00:00:00Z"), 2, "exactly one"),
    "no span": ((*PLACE, "--within", "soon"), 2, "12h"),
    "an endless span": ((*PLACE, "--within", "9" * 400 + "d"), 2, "12h"),
    "a naive time": ((*PLACE, "--end", "2099-01-01T00:00:00"), 1, "UTC offset"),
    "reversed times": (
        (*PLACE, "--start", "2099-01-02T00:00:00Z", "--end", "2099-01-01T00:00:00Z"),
        1,
        "after the end",
    ),
    "the past": ((*PLACE, "--start", "1999-01-01T00:00:00Z", "--end", "1999-01-02T00:00:00Z"), 1, "before now"),
    "unknown product": ((*PLACE, "--within", "3d", "--product", "moon"), 1, "moon"),
    "too large": (("--bbox", "0", "0", "9", "9", "--within", "3d"), 1, "km²"),
    "no size": (("--point", "5", "44", "--size-km", "0", "--within", "3d"), 2, "--size-km"),
    "off the Earth": (("--point", "5", "144", "--within", "3d"), 2, "LON LAT"),
    "south above north": (("--bbox", "0", "1", "1", "0", "--within", "3d"), 1, "bbox"),
    "a box without area": (("--bbox", "0", "1", "1", "1", "--within", "3d"), 1, "geometry"),
    "clouds": ((*PLACE, "--within", "3d", "--max-cloud-cover", "101"), 1, "max_cloud_cover"),
    "a filter that is no JSON": ((*PLACE, "--within", "3d", "--filter", "gsd<3"), 2, "--filter"),
    "an unknown property": ((*PLACE, "--within", "3d", "--filter", '{"op":"=","args":[{"property":"x"},1]}'), 1, "'x'"),
    "both desks": ((*PLACE, "--within", "3d", "--url", "http://127.0.0.1:9"), 2, "one of the two"),
}


@pytest.mark.parametrize("name", BAD_ORDERS)
def test_a_wrong_order_is_one_line(overflight_here, tmp_path, name):
    options, code, word = BAD_ORDERS[name]
    refused(overflight_here("order", "submit", *options, "--data", tmp_path), word, code=code)


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("area.geojson", '{"type":"Point","coordinates":[5,44]}', "Point"),
        ("area.geojson", '{"type":"FeatureCollection","features":[]}', "nothing"),
        ("area.geojson", "no json", "vector file"),
        ("area.txt", "no vector file", "vector file"),
        ("area.geojson", '{"type":"Polygon","coordinates":[[[0,0],[0.1,0.1],[0.1,0],[0,0.1],[0,0]]]}', "crossing"),
    ],
)
def test_a_wrong_area_file_is_one_line(overflight_here, tmp_path, name, text, word):
    (tmp_path / name).write_text(text)
    answer = overflight_here("order", "submit", "--area", tmp_path / name, "--within", "3d", "--data", tmp_path)
    refused(answer, word, code=answer.returncode)
    assert answer.returncode in (1, 2)


def test_an_unknown_order_is_one_line(overflight_here, tmp_path):
    for word in ("show", "cancel", "watch"):
        refused(overflight_here("order", word, "nothing", "--data", tmp_path), "nothing")


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_migrate_and_steps(overflight, tmp_path):
    assert "up to date" in overflight("migrate", "--data", tmp_path).stdout
    order_id = submit(overflight, tmp_path)
    assert f"plan:{order_id}" in overflight("steps", "--data", tmp_path).stdout
    refused(overflight("steps", "--requeue", 99, "--data", tmp_path), "99")


def test_a_catalog_is_imported(overflight, tmp_path):
    collection = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": "c",
        "description": "d",
        "license": "other",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        "links": [],
    }
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "i",
        "collection": "c",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "bbox": [1, 2, 1, 2],
        "properties": {"datetime": "2026-01-01T00:00:00Z"},
        "links": [],
        "assets": {},
    }
    (tmp_path / "c.json").write_text(json.dumps(collection))
    lines = [json.dumps(item), json.dumps(item | {"id": "j"})]
    (tmp_path / "items.ndjson").write_text("\n".join(lines))
    command = (
        "catalog",
        "import",
        tmp_path / "items.ndjson",
        "--collection",
        tmp_path / "c.json",
        "--data",
        tmp_path / "d",
    )
    answer = overflight(*command)
    assert (answer.returncode, answer.stdout.strip()) == (0, "2 imported, 0 rejected"), answer.stderr
    (tmp_path / "items.ndjson").write_text("\n".join([*lines, "no json"]))
    answer = overflight(*command)
    assert (answer.returncode, answer.stdout.strip()) == (1, "2 imported, 1 rejected")
    assert "items.ndjson:3" in answer.stderr
    (tmp_path / "c.json").write_text("{}")
    refused(overflight(*command), "c.json")


def test_wrong_settings_are_one_line(overflight, tmp_path):
    refused(overflight("steps", "--data", tmp_path, port="many"), "OVERFLIGHT_PORT", code=2)
    refused(overflight("steps", "--data", tmp_path, public_url="here"), "OVERFLIGHT_PUBLIC_URL", code=2)
    refused(overflight("steps", "--data", tmp_path, dem="x.tif"), "datum", code=2)
    (tmp_path / "file").write_text("")
    refused(overflight("steps", "--data", tmp_path / "file" / "below"), "Not a directory", code=1)


def test_a_damaged_database_is_one_line(overflight, tmp_path):
    (tmp_path / "tasking.db").write_bytes(b"no database" * 100)
    refused(overflight("order", "list", "--data", tmp_path), "database")


# ── order, at a server ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def url(serving_all, tmp_path_factory):
    from api.app import create_app
    from api.settings import Settings

    app = create_app(Settings(data=tmp_path_factory.mktemp("server"), embedded_worker=False))
    return str(serving_all(app).base_url).rstrip("/")


def test_an_order_at_a_server_from_first_to_last_word(overflight_here, url):
    def say(*words):
        answer = overflight_here("order", *words, "--url", url)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    ids = [say("submit", *PLACE, "--within", "3d").strip() for _ in range(12)]
    assert all(ORDER_ID.fullmatch(one) for one in ids)
    listed = [line.split()[0] for line in say("list", "--limit", "11").splitlines()[1:]]
    assert listed == ids[:0:-1], "newest first, over two pages"
    assert json.loads(say("show", ids[0], "--json"))["id"] == ids[0]
    assert len(say("passes", *PLACE, "--within", "4d").splitlines()) > 1
    assert say("cancel", ids[0]).strip() == "user_cancelled"
    watched = overflight_here("order", "watch", ids[0], "--url", f"{url}/stapi/")
    assert watched.returncode == 1
    assert "user_cancelled" in watched.stderr


def test_a_refusal_of_a_server_is_one_line(overflight_here, url):
    def say(*words, at=url):
        return overflight_here("order", *words, "--url", at)

    refused(say("show", "nothing"), "404", "nothing")
    refused(say("submit", "--bbox", "0", "0", "9", "9", "--within", "3d"), "422", "km²")
    refused(say("submit", *PLACE, "--within", "3d", "--product", "moon"), "404", "moon")
    refused(say("list", at="http://127.0.0.1:9"), "cannot be reached")
    refused(say("list", at="ftp://127.0.0.1"), "no address")
    refused(say("list", at=f"{url}/stac"), "STAPI")
    refused(say("list", at=f"{url}/app.js"), "STAPI")


def test_a_server_cannot_send_the_client_elsewhere(overflight_here, serving):
    from fastapi import FastAPI

    app = FastAPI()
    elsewhere = "http://169.254.169.254/latest"

    @app.get("/")
    def landing():
        links = [{"rel": "orders", "href": elsewhere}]
        return {"conformsTo": ["https://stapi.example.com/v0.1.0/core"], "links": links}

    url = str(serving(app).base_url)
    refused(overflight_here("order", "list", "--url", url), "another server")
