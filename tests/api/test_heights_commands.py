"""Heights as users give them to `overflight ortho`, and as an installation has them."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from api.installation import Installation
from api.settings import Settings

COARSE = ("--resolution", "4")


@pytest.fixture
def ventoux(shared):
    return shared / "data" / "pleiades-ventoux"


@pytest.fixture
def geoid(shared):
    return shared / "data" / "geoid" / "egm96_15.gtx"


def cut(path, folder, parts):
    """Parts (top, left, rows, columns) of an HGT as GeoTIFFs."""
    cells = np.fromfile(path, dtype=">i2").reshape(1201, 1201).astype("int16")
    with rasterio.open(path) as file:
        step, _, west, _, _, north = tuple(file.transform)[:6]
    folder.mkdir()
    for top, left, rows, cols in parts:
        transform = Affine(step, 0, west + left * step, 0, -step, north - top * step)
        with rasterio.open(
            folder / f"{top:04}-{left:04}.tif", "w", driver="GTiff", dtype="int16", count=1, height=rows, width=cols,
            crs="EPSG:4326", nodata=-32768, transform=transform,
        ) as file:  # fmt: skip
            file.write(cells[top : top + rows, left : left + cols], 1)
    return folder


def pixels(path):
    with rasterio.open(path) as file:
        return file.read(), file.transform


def refused(answer, *words):
    assert answer.returncode == 1, answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    assert line.startswith("overflight: ")
    for word in words:
        assert word in line


def test_a_folder_of_tiles_gives_what_the_one_file_gives(overflight_here, ventoux, geoid, tmp_path):
    """The scene lies where four tiles meet that share nothing; the oracle is one file of the same cells."""
    whole = cut(ventoux / "N44E005.hgt", tmp_path / "whole", [(900, 200, 102, 70)]) / "0900-0200.tif"
    parts = [(900, 200, 52, 35), (900, 235, 52, 35), (952, 200, 50, 35), (952, 235, 50, 35)]
    tiles = cut(ventoux / "N44E005.hgt", tmp_path / "tiles", parts)
    datum = ("--dem-datum", "EGM96", "--geoid", geoid)
    made = []
    for name, dem in (("one", whole), ("folder", tiles), ("pattern", tiles / "*.tif")):
        done = overflight_here("ortho", ventoux / "left.tif", "--dem", dem, *datum, *COARSE, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        made.append(pixels(tmp_path / name))
    for found, transform in made[1:]:
        assert transform.almost_equals(made[0][1])
        assert np.array_equal(found, made[0][0])


def test_ground_without_a_height_needs_to_be_asked_for(overflight_here, ventoux, geoid, tmp_path):
    """The eastern part of the scene, about a half, has no tile."""
    tiles = cut(ventoux / "N44E005.hgt", tmp_path / "tiles", [(900, 200, 100, 35)])
    command = ("ortho", ventoux / "left.tif", "--dem", tiles, "--dem-datum", "EGM96", "--geoid", geoid, *COARSE)
    refused(overflight_here(*command, "-o", tmp_path / "out.tif"), "tiles: no height at lon 5.", "--fill-height")
    assert not (tmp_path / "out.tif").exists()
    done = overflight_here(*command, "--fill-height", "600", "-o", tmp_path / "out.tif")
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()[0]
    assert "ground without a height is taken at 600 m above EGM96" in said
    assert 10 < float(said.split()[-5]) < 90
    assert (tmp_path / "out.tif").exists()
    refused(overflight_here(*command, "--fill-height", "nan", "-o", tmp_path / "none.tif"), "a fill height of nan")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dem", "none.tif", "--dem-datum", "ellipsoid"), ("none.tif: there is no such file",)),
        (("--dem", "empty", "--dem-datum", "ellipsoid"), ("empty: no tile in this folder",)),
        (("--dem", "*.hgt", "--dem-datum", "ellipsoid"), ("*.hgt: no file is called so",)),
        (
            ("--dem", "s3://bucket/dem", "--dem-datum", "ellipsoid"),
            ("s3://bucket/dem: a bucket needs AWS_ACCESS",),
        ),
        (("--dem", "dem", "--dem-datum", "sea level"), ("ellipsoid, EGM96, EGM2008", "EPSG:5720", "--geoid")),
        (("--dem", "dem", "--dem-datum", "EPSG:5720"), ("--geoid", "pyproj sync --file fr_ign_RAF18.tif")),
        (("--dem", "dem", "--dem-datum", "EPSG:1"), ("PROJ knows no EPSG:1",)),
        (("--dem", "dem", "--dem-datum", "EGM96", "--geoid", "none.gtx"), ("none.gtx: there is no such file",)),
    ],
)
def test_heights_that_cannot_be_used(overflight_here, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "scene.tif").write_bytes(b"never opened")
    refused(overflight_here("ortho", "scene.tif", *options, "-o", "out.tif"), *words)


def test_the_same_for_an_installation(overflight_here, ventoux, geoid, tmp_path, monkeypatch):
    """A delivery without heights, over a folder of tiles that covers but a part of it."""
    tiles = cut(ventoux / "N44E005.hgt", tmp_path / "tiles", [(900, 200, 100, 35)])
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    for name in ("left.tif", "left_RPC.TXT"):
        shutil.copyfile(ventoux / name, delivery / name)
    times = {"start": "2013-08-05T10:42:00Z", "end": "2013-08-05T10:42:02Z"}
    rasters = [{"role": "panchromatic", "path": "left.tif", "rpc": "left_RPC.TXT"}]
    manifest = {"overflight_delivery": "1.0", "id": "V", "platform": "PHR1B", "gsd_m": 0.5, "acquired": times}
    (delivery / "delivery.json").write_text(json.dumps(manifest | {"rasters": rasters}))
    environment = {"DEM": tiles, "DEM_DATUM": "EGM96", "GEOID": geoid, "DASK_SCHEDULER": "threads", "DERIVED": " "}
    for name, value in environment.items():
        monkeypatch.setenv(f"OVERFLIGHT_{name}", str(value))
    command = ("ingest", delivery, "--data", tmp_path / "var")
    refused(overflight_here(*command), "no height at lon 5.")
    monkeypatch.setenv("OVERFLIGHT_FILL_HEIGHT", "600")
    done = overflight_here(*command)
    assert done.returncode == 0, done.stderr
    with Installation.open(Settings(data=tmp_path / "var")) as installation:
        item = installation.catalog.view().get("inbox-scenes", "V")
    lineage = json.loads(item.body)["properties"]["processing:lineage"]
    assert "(vertical datum: EGM96; ground without a height is taken at 600 m above EGM96): " in lineage
    assert 10 < float(lineage.split(" % of this picture")[0].split()[-1]) < 90
