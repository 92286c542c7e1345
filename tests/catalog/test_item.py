"""Items and collections against the published JSON Schemas of STAC 1.1 and its extensions, without a network."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import pytest
import referencing
import referencing.exceptions

from catalog.errors import InvalidItemError
from catalog.extent import Footprint, TimeWindow
from catalog.item import (
    Accuracy,
    AssetFile,
    Band,
    BandStatistics,
    FinishedScene,
    Grid,
    Orbit,
    OrderReference,
    View,
    to_collection,
    to_item,
)

SQUARE = Footprint.from_geojson({"type": "Polygon", "coordinates": [[[5, 44], [6, 44], [6, 45], [5, 45], [5, 44]]]})
ACROSS = Footprint.from_geojson(
    {"type": "Polygon", "coordinates": [[[179, 1], [-179, 1], [-179, 2], [179, 2], [179, 1]]]}
)

PICTURE = AssetFile(
    name="multispectral",
    href="https://overflight.invalid/files/c/i/multispectral.tif",
    title="Multispectral",
    media_type="image/tiff; application=geotiff; profile=cloud-optimized",
    roles=("data",),
    size_bytes=123456,
    checksum="1220" + "ab" * 32,
    grid=Grid(crs="EPSG:32631", transform=(8.0, 0.0, 500000.0, 0.0, -8.0, 4900000.0), height=1000, width=2000),
    resolution_m=8.0,
    bands=(Band(name="B1", common_name="blue", center_um=0.49, width_um=0.06), Band(name="B2")),
    data_type="uint16",
    nodata=0.0,
)
THUMBNAIL = AssetFile(
    name="thumbnail",
    href="https://overflight.invalid/files/c/i/thumbnail.png",
    title="Thumbnail",
    media_type="image/png",
    roles=("thumbnail",),
    size_bytes=1,
    checksum="1220" + "cd" * 32,
    grid=Grid(crs="EPSG:4326", transform=(0.01, 0.0, 5.0, 0.0, -0.01, 45.0), height=100, width=100),
)
FULL = FinishedScene(
    id="SBX1_2026",
    collection="sandbox-scenes",
    footprint=SQUARE,
    acquired=TimeWindow(
        start=datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC), end=datetime(2026, 1, 1, 10, 0, 4, 500000, tzinfo=UTC)
    ),
    platform="sandbox-1",
    gsd_m=2.0,
    assets=(PICTURE, THUMBNAIL),
    instrument="pushbroom",
    constellation="sandbox",
    view=View(off_nadir_deg=12.5, incidence_deg=14, azimuth_deg=98, sun_azimuth_deg=151, sun_elevation_deg=42),
    orbit=Orbit(orbit_state="descending", absolute_orbit=4711),
    cloud_cover_pct=12.5,
    lineage="Orthorectified",
    software={"overflight": "1.0"},
    order=OrderReference(id="7f0c", created=datetime(2025, 12, 31, tzinfo=UTC)),
    license="CC-BY-4.0",
    attribution="Somebody",
)
BARE = FinishedScene(
    id="x",
    collection="c",
    footprint=SQUARE,
    acquired=FULL.acquired,
    platform="p",
    gsd_m=0.5,
    assets=(
        AssetFile(name="a", href="a.png", title="A", media_type="image/png", roles=(), size_bytes=0, checksum="00"),
    ),
    lineage="None",
    software={},
)
JUDGED = replace(
    FULL,
    accuracy=Accuracy(
        x_bias_m=0.25, y_bias_m=-0.5, x_stddev_m=1.0, y_stddev_m=1.5, rmse_m=2.0, ce90_m=3.0,
        coregistration_nmad_px=0.4, rpc_rms_px=0.02, dem="srtm.tif", vertical_datum="EGM96", occluded_pct=0.5,
    ),
    assets=(
        replace(PICTURE, statistics=tuple(
            BandStatistics(minimum=1.0, maximum=4000.0, mean=900.5, stddev=300.25, count=1_500_000, valid_pct=75.0)
            for _ in PICTURE.bands
        )),
        THUMBNAIL,
    ),
)  # fmt: skip


@pytest.fixture(scope="session")
def check(shared):
    """Validates a document against the schema of its kind and every extension that it declares."""
    folder = shared / "schemas"

    def fetch(address):
        path = folder / address.split("://", 1)[1].split("#", maxsplit=1)[0]
        if not path.is_file():
            # The projection extension mentions PROJ's schema for a field that is never written here.
            assert "proj.org" in address, f"{address} is not in {folder}"
            return referencing.Resource.from_contents({"$schema": "http://json-schema.org/draft-07/schema#", "not": {}})
        return referencing.Resource.from_contents(json.loads(path.read_text()))

    registry = referencing.Registry(retrieve=fetch)

    def validate(document, address):
        schema = fetch(address).contents
        jsonschema.Draft7Validator(
            schema, registry=registry, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER
        ).validate(document)

    def check(document):
        kind = "item" if document["type"] == "Feature" else "collection"
        validate(document, f"https://schemas.stacspec.org/v1.1.0/{kind}-spec/json-schema/{kind}.json")
        for extension in document.get("stac_extensions", []):
            validate(document, extension)
        json.dumps(document, allow_nan=False)

    return check


def as_dict(item):
    return item.to_dict(include_self_link=False, transform_hrefs=False)


@pytest.mark.parametrize(
    "scene",
    [
        FULL,
        BARE,
        replace(FULL, footprint=ACROSS),
        replace(FULL, order=OrderReference(id="1")),
        replace(FULL, orbit=Orbit(orbit_state="ascending")),
        replace(FULL, view=View(sun_elevation_deg=-3.0)),
        replace(FULL, assets=(replace(PICTURE, nodata=float("nan"), data_type="float32"),)),
        replace(FULL, cloud_cover_pct=None),
        JUDGED,
        replace(BARE, accuracy=Accuracy(rmse_m=3.0)),
        replace(BARE, accuracy=Accuracy(dem="srtm.tif", vertical_datum="ellipsoid")),
    ],
    ids=[
        "full",
        "bare",
        "antimeridian",
        "order",
        "orbit",
        "night",
        "nan",
        "no mask",
        "judged",
        "rmse alone",
        "dem alone",
    ],
)
def test_items_validate(check, scene):
    check(as_dict(to_item(scene)))


def test_the_schemas_can_refuse(check):
    """The validation is at work: each extension finds its own mistake."""
    for name, value in [
        ("eo:cloud_cover", 101),
        ("view:sun_elevation", 91),
        ("sat:orbit_state", "sideways"),
        ("proj:shape", [1]),
        ("processing:level", 3),
        ("order:status", "done"),
        ("accuracy:geometric_rmse", -1),
        ("gsd", 0),
        ("datetime", "yesterday"),
    ]:
        document = as_dict(to_item(JUDGED))
        document["properties"][name] = value
        with pytest.raises(jsonschema.ValidationError):
            check(document)
    document = as_dict(to_item(FULL))
    document["assets"]["multispectral"]["file:checksum"] = "XYZ"
    with pytest.raises(jsonschema.ValidationError):
        check(document)


def test_every_extension_is_declared_where_it_is_used_and_only_there():
    full = as_dict(to_item(FULL))
    names = {address.split("/")[3] for address in full["stac_extensions"]}
    assert names == {"eo", "view", "sat", "projection", "raster", "processing", "file", "order"}
    bare = {address.split("/")[3] for address in as_dict(to_item(BARE))["stac_extensions"]}
    assert bare == {"processing", "file"}


def test_what_an_item_says_of_its_accuracy():
    document = as_dict(to_item(JUDGED))
    assert "https://stac-extensions.github.io/accuracy/v1.0.0-beta.1/schema.json" in document["stac_extensions"]
    assert {name: value for name, value in document["properties"].items() if name.startswith(("accuracy", "over"))} == {
        "accuracy:geometric_x_bias": 0.25,
        "accuracy:geometric_y_bias": -0.5,
        "accuracy:geometric_x_stddev": 1.0,
        "accuracy:geometric_y_stddev": 1.5,
        "accuracy:geometric_rmse": 2.0,
        "overflight:ce90_m": 3.0,
        "overflight:coregistration_nmad_px": 0.4,
        "overflight:rpc_rms_px": 0.02,
        "overflight:dem": "srtm.tif",
        "overflight:vertical_datum": "EGM96",
        "overflight:occluded_pct": 0.5,
    }
    assert document["assets"]["multispectral"]["bands"][1] == {
        "name": "B2",
        "statistics": {
            "minimum": 1, "maximum": 4000, "mean": 900.5, "stddev": 300.25, "count": 1_500_000, "valid_percent": 75.0,
        },
    }  # fmt: skip
    with pytest.raises(InvalidItemError, match="statistics of 1 bands, yet it has 2"):
        replace(JUDGED.assets[0], statistics=JUDGED.assets[0].statistics[:1])


def test_what_an_item_says():
    """Golden: the whole document, as the extensions' own examples write it."""
    document = as_dict(to_item(FULL))
    assert document["stac_version"] == "1.1.0"
    assert document["bbox"] == [5, 44, 6, 45]
    assert document["properties"] == {
        "datetime": "2026-01-01T10:00:02.250000Z",
        "start_datetime": "2026-01-01T10:00:00Z",
        "end_datetime": "2026-01-01T10:00:04.500000Z",
        "platform": "sandbox-1",
        "instruments": ["pushbroom"],
        "constellation": "sandbox",
        "gsd": 2.0,
        "license": "CC-BY-4.0",
        "providers": [{"name": "Somebody", "roles": ["licensor", "producer"]}],
        "eo:cloud_cover": 12.5,
        "view:off_nadir": 12.5,
        "view:incidence_angle": 14,
        "view:azimuth": 98,
        "view:sun_azimuth": 151,
        "view:sun_elevation": 42,
        "sat:orbit_state": "descending",
        "sat:absolute_orbit": 4711,
        "proj:code": "EPSG:32631",
        "processing:lineage": "Orthorectified",
        "processing:software": {"overflight": "1.0"},
        "order:status": "succeeded",
        "order:id": "7f0c",
        "order:date": "2025-12-31T00:00:00Z",
    }
    assert document["assets"]["multispectral"] == {
        "href": "https://overflight.invalid/files/c/i/multispectral.tif",
        "title": "Multispectral",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "bands": [
            {"name": "B1", "eo:common_name": "blue", "eo:center_wavelength": 0.49, "eo:full_width_half_max": 0.06},
            {"name": "B2"},
        ],
        "data_type": "uint16",
        "nodata": 0,
        "raster:spatial_resolution": 8.0,
        "raster:sampling": "area",
        "proj:code": "EPSG:32631",
        "proj:bbox": [500000.0, 4892000.0, 516000.0, 4900000.0],
        "proj:shape": [1000, 2000],
        "proj:transform": [8.0, 0.0, 500000.0, 0.0, -8.0, 4900000.0],
        "file:size": 123456,
        "file:checksum": "1220" + "ab" * 32,
    }
    assert document["assets"]["thumbnail"]["proj:code"] == "EPSG:4326"
    assert document["assets"]["thumbnail"]["proj:bbox"] == [5.0, 44.0, 6.0, 45.0]


def test_across_the_antimeridian():
    document = as_dict(to_item(replace(FULL, footprint=ACROSS)))
    assert document["bbox"] == [179, 1, -179, 2]
    assert document["geometry"]["type"] == "MultiPolygon"


def test_a_turned_grid_lies_inside_its_box():
    grid = Grid(crs="EPSG:32631", transform=(0.6, 0.8, 0.0, 0.8, -0.6, 0.0), height=10, width=10)
    assert grid.bbox == pytest.approx((0.0, -6.0, 14.0, 8.0))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: replace(FULL, id="a/b"), "item 'a/b'"),
        (lambda: replace(FULL, id=".."), "not only dots"),
        (lambda: replace(FULL, assets=()), "has no assets"),
        (lambda: replace(FULL, acquired=TimeWindow(start=FULL.moment, end=None)), "is open"),
        (lambda: Band(name="B", common_name="ultraviolet"), "common name 'ultraviolet' is unknown"),
        (lambda: Band(name="B", center_um=0.0), "centre 0.0 µm"),
        (lambda: Band(name="B", width_um=float("nan")), "width nan µm"),
        (lambda: View(azimuth_deg=361), "azimuth_deg 361 is out of bounds"),
        (lambda: View(sun_elevation_deg=float("nan")), "sun_elevation_deg nan"),
        (lambda: Orbit(orbit_state="sideways"), "orbit_state 'sideways'"),
        (lambda: Orbit(absolute_orbit=0), "absolute_orbit 0"),
        (lambda: to_collection("a b", "t", "d", "other"), "collection 'a b'"),
    ],
)
def test_what_cannot_be_described_is_refused(make, match):
    with pytest.raises(InvalidItemError, match=match):
        make()


@pytest.mark.parametrize("start", [None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_collections_validate(check, start):
    collection = to_collection(
        "sandbox-scenes", "Sandbox", "Made-up scenes.", "CC-BY-4.0", start=start, keywords=("demo",)
    )
    document = as_dict(collection)
    check(document)
    assert document["extent"]["spatial"]["bbox"] == [[-180.0, -90.0, 180.0, 90.0]]
    assert document["extent"]["temporal"]["interval"][0][1] is None
