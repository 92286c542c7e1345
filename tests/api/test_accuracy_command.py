"""`overflight accuracy`, whole commands on orthoimages and points whose errors are known."""

import json

import jsonschema
import numpy as np
import pytest
import rasterio

from processing.accuracy_document import from_document, schema
from processing.masks import OCCLUDED
from processing.rpc import fit
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw
from tests.processing.test_coregistration import Ground, at, draw


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two orthoimages; the first shows everything 1.5 m too far to the east."""
    folder, ground = tmp_path_factory.mktemp("pair"), Ground()
    product = draw(folder / "monday.tif", ground, at(1.0), (260, 280), shift=(1.5, 0.0), noise=0.05)
    return product, draw(folder / "tuesday.tif", ground, at(1.0, right=20.3), (240, 260), noise=0.05, seed=5)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A raw scene over a plane at 500 m, its model, a DEM 10 m too high, and points."""
    folder = tmp_path_factory.mktemp("scene")
    camera = Pushbroom(lon=3.001, lat=44.251, rows=400, cols=300)
    model = fit(**camera.points()).rpc
    write_raw(folder / "raw.tif", np.ones((1, 400, 300), np.uint16))
    rpc_text.write(model.shifted(rows=2.0, cols=0.0), folder / "raw_RPC.TXT")
    heights = np.full((60, 60), 510.0, np.float32)
    write_heights(folder / "dem.tif", heights, west=2.98, north=44.27, step=0.0007)
    row, col = (part.ravel() for part in np.meshgrid([50.0, 150, 250, 350], [40.0, 120, 260]))
    lon, lat = camera.ground(row, col, 500.0)
    lines = [
        f"p{k},{x!r},{y!r},500,{r},{c}"
        for k, (x, y, r, c) in enumerate(zip(lon.tolist(), lat.tolist(), row, col, strict=True))
    ]
    for name, part in (("control.csv", lines[:6]), ("check.csv", lines[6:]), ("all.csv", lines)):
        (folder / name).write_text("\n".join(["id,lon,lat,height,row,col", *part]) + "\n")
    return folder


def test_two_orthoimages(overflight_here, pair, tmp_path):
    done = overflight_here("accuracy", pair[0], "--against", pair[1], "--picture", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("against tuesday.tif"))
    assert "+1.5, " in line
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_json_on_stdout_is_the_document_and_nothing_else(overflight_here, pair):
    done = overflight_here("accuracy", pair[0], "--against", pair[1], "--against", pair[0], "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema()).validate(document)
    report = from_document(document)
    assert [one.against for one in report.coregistrations] == ["tuesday.tif", "monday.tif"]
    assert report.coregistrations[0].errors.median_east_m == pytest.approx(1.5, abs=0.03)
    assert report.coregistrations[1].errors.ce90_m == pytest.approx(0, abs=1e-6)
    assert report.software["overflight"]
    assert report.heights is None


def test_limits_decide_how_it_ends(overflight_here, pair):
    given = ("accuracy", pair[0], "--against", pair[1])
    assert overflight_here(*given, "--max-nmad-px", "0.5").returncode == 0
    done = overflight_here(*given, "--max-nmad-px", "0.0001", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["summary"]["is_within_limits"] is False
    assert done.stderr.count("\n") == 1
    assert "monday.tif: NMAD, px 0.0" in done.stderr
    done = overflight_here(*given, "--max-ce90-m", "5")
    assert done.returncode == 1
    assert "CE90, m was not measured, though at most 5 was asked" in done.stderr


def test_check_points(overflight_here, pair, scene, tmp_path):
    """The delivered model is 2 rows of 2 m off; the DEM's 10 m lie across that. Refined, only the DEM's remain."""
    given = ("accuracy", pair[0], "--raw", scene / "raw.tif", "--check", scene / "check.csv", "--check-datum",
             "ellipsoid", "--json")  # fmt: skip
    dem = ("--dem", scene / "dem.tif", "--dem-datum", "ellipsoid")
    plain = from_document(json.loads(overflight_here(*given).stdout)).check_points
    assert plain.rmse_px == pytest.approx(2.0, abs=0.01)
    assert plain.model.rmse_m == pytest.approx(4.0, rel=0.03)
    assert plain.product is None
    wrong = from_document(json.loads(overflight_here(*given, *dem).stdout))
    assert wrong.heights.dem == "dem.tif"
    assert wrong.check_points.dem_median_m == pytest.approx(10.0)
    assert wrong.check_points.product.rmse_m > wrong.check_points.model.rmse_m
    control = ("--gcps", scene / "control.csv", "--gcps-datum", "ellipsoid")
    done = overflight_here(*given, *dem, *control, "--picture", tmp_path / "c.png")
    refined = from_document(json.loads(done.stdout))
    assert refined.refinement.fitted == 6
    assert refined.check_points.rmse_px < 0.01
    assert refined.check_points.product.rmse_m == pytest.approx(10 * np.tan(np.radians(18)), rel=0.01)
    assert refined.ce90_m == refined.check_points.product.ce90_m
    done = overflight_here(*(one for one in given if one != "--json"), *dem, *control)
    assert "DEM at check points" in done.stdout
    alone = overflight_here("accuracy", pair[0], "--raw", scene / "raw.tif", *control)
    assert "control points, held out" in alone.stdout


def test_hidden_pixels(overflight_here, pair, tmp_path):
    bits = np.zeros((1, 30, 40), np.uint8)
    bits[0, :3] = OCCLUDED.bit
    with rasterio.open(
        tmp_path / "mask.tif", "w", driver="GTiff", height=30, width=40, count=1, dtype="uint8", transform=at(1.0)
    ) as file:
        file.write(bits)
    done = overflight_here("accuracy", pair[0], "--against", pair[1], "--mask", tmp_path / "mask.tif")
    line = next(line for line in done.stdout.splitlines() if line.startswith("hidden pixels"))
    assert line.split()[2:] == ["10.00", "%"]


def test_what_cannot_be_measured(overflight_here, pair, scene, tmp_path):
    product, other = pair
    checks = ("--check", scene / "check.csv", "--check-datum", "ellipsoid", "--raw", scene / "raw.tif")
    for arguments, code, message in [
        ((), 2, "nothing to measure by"),
        (("--check", scene / "check.csv"), 2, "--check and --check-datum belong together"),
        (("--check", scene / "check.csv", "--check-datum", "EGM96"), 2, "name it with --raw"),
        (("--against", other, "--dem", scene / "dem.tif"), 2, "--dem and --dem-datum belong together"),
        (("--against", other, "--picture", other), 2, "is one of the images themselves"),
        (("--against", scene / "raw.tif"), 1, "raw.tif: no CRS"),
        (("--against", other, "--band", "3"), 1, "monday.tif: no band 3; it has 1"),
        (("--against", tmp_path / "no.tif"), 2, "does not exist"),
        ((*checks, "--gcps", scene / "all.csv", "--gcps-datum", "ellipsoid"), 1, "the model is fitted to it"),
        (("--check", scene / "check.csv", "--check-datum", "EGM96", "--raw", scene / "raw.tif"), 1, "--geoid GRID"),
        (("--check", scene / "check.csv", "--check-datum", "ellipsoid", "--raw", product), 1, "monday.tif"),
    ]:
        done = overflight_here("accuracy", product, *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert message in done.stderr


def test_scenes_without_common_ground(overflight_here, pair, tmp_path):
    far = draw(tmp_path / "far.tif", Ground(), at(1.0, right=9000), (150, 150))
    done = overflight_here("accuracy", pair[0], "--against", far)
    assert done.returncode == 0
    assert "no window in common" in done.stdout


def test_help_shows_examples(overflight_here):
    done = overflight_here("accuracy", "--help")
    assert "overflight accuracy monday.tif --against tuesday.tif --picture report.png" in done.stdout
