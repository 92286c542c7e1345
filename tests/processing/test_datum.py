import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS, Transformer, datadir
from pyproj.transformer import TransformerGroup
from rasterio.transform import Affine

from processing import geoid_grid
from processing.datum import VerticalDatum
from processing.dem import Dem
from processing.errors import HeightsError
from processing.geoid_grid import grid_names
from tests.processing.pushbroom import write_heights

RNG = np.random.default_rng(17)
LON, LAT = np.meshgrid(4 + 0.25 * np.arange(25), 47 - 0.25 * np.arange(25))
UNDULATION = 45 + 3 * np.sin(LON) + 2 * np.cos(3 * LAT)


@pytest.fixture
def proj_data(tmp_path, monkeypatch):
    """PROJ's folder as it is when installed, without any grid; whatever this machine has, is not looked at."""
    folder = tmp_path / "proj"
    folder.mkdir()
    (folder / "proj.db").symlink_to(Path(datadir.get_data_dir(), "proj.db"))
    monkeypatch.setattr(geoid_grid.datadir, "get_data_dir", lambda: str(folder))
    monkeypatch.setattr(geoid_grid.datadir, "get_user_data_dir", lambda: str(folder / "user"))
    geoid_grid._rows.cache_clear()
    yield folder
    geoid_grid._rows.cache_clear()


def write_geoid(path, undulation=UNDULATION, *, crs="EPSG:4979", **tags):
    """As PROJ's own: GTX, or a GeoTIFF whose cells are points, of a three-dimensional CRS ("Geodetic TIFF grids")."""
    driver = "GTX" if path.suffix == ".gtx" else "GTiff"
    with rasterio.open(
        path, "w", driver=driver, dtype="float32", count=1, height=25, width=25, crs=crs,
        transform=Affine(0.25, 0, 4 - 0.125, 0, -0.25, 47 + 0.125),
    ) as file:  # fmt: skip
        file.write(undulation.astype("float32"), 1)
        if driver == "GTiff":
            file.update_tags(AREA_OR_POINT="Point", TYPE="VERTICAL_OFFSET_GEOGRAPHIC_TO_VERTICAL", **tags)
            file.set_band_description(1, "geoid_undulation")
    return path


def write_dem(path, *, crs="EPSG:4326"):
    west, north, step = (5.0, 45.0, 0.01) if "4326" in crs or "49" in crs else (600_000.0, 4_950_000.0, 900.0)
    return write_heights(path, RNG.uniform(0, 2000, (90, 90)), west=west, north=north, step=step, crs=crs)


def refused(words, name, geoid=None):
    with pytest.raises(HeightsError, match=words):
        VerticalDatum.of(name, geoid)


@pytest.mark.parametrize(
    ("name", "geoid", "words"),
    [
        (None, False, "its vertical datum is not declared; say ellipsoid, EGM96, EGM2008"),
        (" ", False, "its vertical datum is not declared"),
        (None, True, "its vertical datum is not declared"),
        ("ellipsoid", True, "heights above the ellipsoid need no geoid, yet geoid.tif is given"),
        ("EPSG:4979", True, "heights above the ellipsoid need no geoid, yet geoid.tif is given"),
        ("EPSG:99999", True, "PROJ knows no EPSG:99999; give the EPSG code of a vertical or compound CRS"),
        ("EPSG:4326", True, "EPSG:4326 has no heights; declare a vertical CRS, as EPSG:5773"),
        ("EPSG:6360", True, "EPSG:6360 counts US survey foot up; convert its heights to metres"),
        ("EPSG:5831", True, "EPSG:5831 counts metre down"),
        ("EPSG:4326+6360", True, "counts US survey foot up"),
    ],
)
def test_a_datum_is_declared_whole(name, geoid, words, proj_data, tmp_path):
    refused(words, name, write_geoid(tmp_path / "geoid.tif") if geoid else None)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("EGM96", "us_nga_egm96_15.tif"),
        ("egm-96", "us_nga_egm96_15.tif"),
        ("EPSG:5773", "us_nga_egm96_15.tif"),
        ("EGM96 height", "us_nga_egm96_15.tif"),
        ("EPSG:4326+5773", "us_nga_egm96_15.tif"),
        ("EPSG:9707", "us_nga_egm96_15.tif"),
        ("EGM2008", "us_nga_egm08_25.tif"),
        ("EGM 2008", "us_nga_egm08_25.tif"),
        ("EPSG:9518", "us_nga_egm08_25.tif"),
        ("EPSG:32631+3855", "us_nga_egm08_25.tif"),
        ("EPSG:5720", "fr_ign_RAF18.tif"),
        ("NGF-IGN69 height", "fr_ign_RAF18.tif"),
        ("EPSG:7837", "de_bkg_gcg2016.tif"),
        ("NAVD88 height", "us_noaa_g2018u0.tif"),
        ("navd88", "us_noaa_g2018u0.tif"),
    ],
)
def test_a_grid_that_is_not_there_is_named_and_how_to_fetch_it(name, grid, proj_data):
    refused(
        rf"heights above {re.escape(name)} need the grid of that geoid; give it with --geoid GRID, or fetch it once: "
        rf"pyproj sync --file {grid}$",
        name,
    )
    write_geoid(proj_data / grid)
    found = VerticalDatum.of(name, None)
    assert found.geoid.path == proj_data / grid
    assert found.name == name


def test_what_proj_has_no_grid_for(proj_data):
    refused("give it with --geoid GRID; PROJ has none for EGM84 height", "EGM84")
    refused("give it with --geoid GRID; PROJ knows no datum of that name, only ellipsoid, EGM96, EGM2008", "XGM2019")
    # It has grids for Austria's heights above Bessel's ellipsoid too, tens of metres away from those of WGS 84.
    assert grid_names(9274) == ("at_bev_GEOID_GRS80_Oesterreich.tif",)
    refused("EPSG:9267 has heights above Bessel 1841; convert them to the ellipsoid of WGS 84", "EPSG:9267")


@pytest.mark.parametrize("place", ["data", "more data", "user"])
def test_grids_are_found_where_proj_looks_by_either_name(place, proj_data, tmp_path, monkeypatch):
    folder = {"data": proj_data, "more data": tmp_path / "more", "user": proj_data / "user"}[place]
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(geoid_grid.datadir, "get_data_dir", lambda: f"{proj_data}{os.pathsep}{tmp_path / 'more'}")
    write_geoid(folder / "egm96_15.gtx")
    assert VerticalDatum.of("EGM96", None).geoid.path == folder / "egm96_15.gtx"
    write_geoid(folder / "us_nga_egm96_15.tif")
    assert VerticalDatum.of("EGM96", None).geoid.path == folder / "us_nga_egm96_15.tif"
    assert VerticalDatum.of("mine", Path("egm96_15.gtx")).geoid.path == folder / "egm96_15.gtx"


@pytest.mark.parametrize("code", [5773, 3855, 5720, 7837, 5941, 9458, 5709])
def test_the_grids_are_those_that_proj_would_use(code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of grids that are missing
        group = TransformerGroup(CRS(f"EPSG:4326+{code}"), "EPSG:4979")
    pipelines = " ".join(
        [way.definition for way in group.transformers]
        + [f"{one.to_proj4()} {one.to_wkt()}" for one in group.unavailable_operations]
    )
    used = set(re.findall(r"vgridshift \+grids=(\S+\.tif)", pipelines))
    assert used
    assert used <= set(grid_names(code))


@pytest.mark.parametrize(
    ("file_crs", "declared", "words"),
    [
        ("EPSG:4326+5773", "ellipsoid", "declared as heights above the ellipsoid, but its CRS says 'EGM96 height'"),
        ("EPSG:4326+5773", "EPSG:4979", "declared as heights above the ellipsoid, but its CRS says 'EGM96 height'"),
        ("EPSG:4326+3855", "EGM96", "declared as heights above EGM96, but its CRS says 'EGM2008 height'"),
        ("EPSG:4326+5773", "EPSG:5720", "declared as heights above EPSG:5720, but its CRS says 'EGM96 height'"),
        ("EPSG:4326+5773", "mine", "declared as heights above mine, but its CRS says 'EGM96 height'"),
        ("EPSG:4979", "EGM96", "declared as heights above EGM96, but its CRS says 'height above the e"),
        ("EPSG:32631", "EPSG:4326+5773", "declared as 'WGS 84' with heights, but its CRS is 'WGS 84 / UTM zone 31N'"),
        ("EPSG:4326", "EPSG:32631+5773", "declared as 'WGS 84 / UTM zone 31N' with heights, but its CRS is 'WGS 84'"),
        ("EPSG:4326+5773", "EGM96", None),
        ("EPSG:4326+5773", "EPSG:5773", None),
        ("EPSG:4326+5773", "EPSG:4326+5773", None),
        ("EPSG:4326+5773", "EPSG:9707", None),
        ("EPSG:32631+5773", "EPSG:32631+5773", None),
        ("EPSG:4326", "EPSG:4326+5773", None),
        ("EPSG:4326", "EPSG:4979", None),
        ("EPSG:4979", "ellipsoid", None),
        ("EPSG:4326+5720", "IGN69", None),
        ("EPSG:4326", "mine", None),
    ],
)
def test_declarations_that_contradict_the_file(file_crs, declared, words, tmp_path):
    path = write_dem(tmp_path / "dem.tif", crs=file_crs)
    geoid = None if declared in ("ellipsoid", "EPSG:4979") else write_geoid(tmp_path / "grid.tif")
    if words is None:
        Dem.open(path, vertical_datum=declared, geoid=geoid)
        return
    with pytest.raises(HeightsError, match=rf"dem.tif: {words}"):
        Dem.open(path, vertical_datum=declared, geoid=geoid)


@pytest.mark.parametrize(
    ("name", "file", "tags", "words"),
    [
        ("EGM2008", "egm96_15.gtx", {}, "EGM2008, but egm96_15.gtx is the grid of EPSG:5773, EGM96 height"),
        ("EGM96", "us_nga_egm08_25.tif", {}, "is the grid of EPSG:3855, EGM2008 height"),
        ("EPSG:5720", "EGM2008.tif", {}, "is the grid of EPSG:3855"),
        ("EGM96", "grid.tif", {"target_crs_epsg_code": "5720"}, "is the grid of EPSG:5720, NGF-IGN69 height"),
        ("EGM96", "grid.tif", {"target_crs_epsg_code": "5773"}, None),
        ("EGM96", "egm96_15.gtx", {}, None),
        ("mine", "egm96_15.gtx", {}, None),
    ],
)
def test_grids_that_contradict_the_name(name, file, tags, words, tmp_path):
    grid = write_geoid(tmp_path / file, **tags)
    if words is None:
        assert VerticalDatum.of(name, grid).geoid.path == grid
    else:
        refused(f"declared as heights above .*{words}", name, grid)


def test_grids_that_are_none(tmp_path):
    refused("none.gtx: there is no such file", "EGM96", tmp_path / "none.gtx")
    (tmp_path / "text.gtx").write_text("geoid")
    refused("text.gtx: no readable raster", "EGM96", tmp_path / "text.gtx")


def vgridshift(grid):
    return Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        f"+step +proj=vgridshift +multiplier=1 +grids={grid} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )


@pytest.mark.parametrize("name", ["geoid.gtx", "geoid.tif"])
def test_undulations_are_those_of_proj(name, tmp_path):
    grid = write_geoid(tmp_path / name)
    dem = write_dem(tmp_path / "dem.tif")
    above, ellipsoidal = Dem.open(dem, vertical_datum="ellipsoid"), Dem.open(dem, vertical_datum="mine", geoid=grid)
    lon, lat = RNG.uniform(5.0, 5.89, 1000), RNG.uniform(44.11, 45.0, 1000)
    expected = vgridshift(grid).transform(lon, lat, above.heights(lon, lat))[2]
    # Bilinear in the geoid's cells there, bilinear between the DEM's cells here: they differ where the two cross.
    assert np.abs(ellipsoidal.heights(lon, lat) - expected).max() < 0.03
    row, col = RNG.integers(0, 90, (2, 300))
    lon, lat = 5 + 0.01 * col, 45 - 0.01 * row
    expected = vgridshift(grid).transform(lon, lat, above.heights(lon, lat))[2]
    assert np.abs(ellipsoidal.heights(lon, lat) - expected).max() < 1e-6


def test_a_grid_of_several_bands_has_one_of_that_name(tmp_path):
    path = tmp_path / "two.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=2, height=25, width=25, crs="EPSG:4979",
        transform=Affine(0.25, 0, 4 - 0.125, 0, -0.25, 47 + 0.125),
    ) as file:  # fmt: skip
        file.write(np.stack([np.zeros((25, 25)), UNDULATION]).astype("float32"))
        file.descriptions = ("geoid_undulation_accuracy", "geoid_undulation")
    one = Dem.open(write_geoid(tmp_path / "one.tif"), vertical_datum="ellipsoid")
    assert Dem.open(path, vertical_datum="ellipsoid").heights(5.3, 44.7) == one.heights(5.3, 44.7)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("a", "b")
    refused("two.tif: 2 bands; give a raster whose only band is heights in metres", "mine", path)


def test_ground_beyond_the_geoid_is_told_from_ground_beyond_the_dem(tmp_path):
    grid = write_geoid(tmp_path / "geoid.tif")
    path = write_heights(tmp_path / "dem.tif", np.full((90, 90), 9.0), west=9.5, north=45.0, step=0.01)
    dem = Dem.open(path, vertical_datum="mine", geoid=grid)
    assert dem.heights(9.9, 44.5) == pytest.approx(9 + 45 + 3 * np.sin(9.9) + 2 * np.cos(3 * 44.5), abs=0.1)
    with pytest.raises(
        HeightsError,
        match=r"geoid.tif: no geoid at lon 10.100000, lat 44.500000; it covers about lon 4.0000 to 10.0000, "
        r"lat 41.0000 to 47.0000; give a grid of mine that covers the scene",
    ):
        dem.heights(10.1, 44.5)
    with pytest.raises(HeightsError, match=r"dem.tif: no height at lon 9.000000, lat 44.500000"):
        dem.heights(9.0, 44.5)


def test_the_real_geoid_is_that_of_proj(shared):
    grid = shared / "data" / "geoid" / "egm96_15.gtx"
    geoid = Dem.open(grid, vertical_datum="ellipsoid")
    lon, lat = RNG.uniform(-180, 180, 300), RNG.uniform(-89.9, 89.9, 300)
    lon[:4] = 179.9, -179.99, 180.0, -180.0
    found = np.array([geoid.heights(x, y) for x, y in zip(lon, lat, strict=True)])
    assert np.allclose(found, vgridshift(grid).transform(lon, lat, np.zeros(300))[2], rtol=0, atol=1e-9)


def test_real_heights_are_those_of_proj_to_a_millimetre(shared, proj_data):
    grid = shared / "data" / "geoid" / "egm96_15.gtx"
    (proj_data / "egm96_15.gtx").symlink_to(grid)
    path = shared / "data" / "pleiades-ventoux" / "N44E005.hgt"
    dem = Dem.open(path, vertical_datum="EPSG:4326+5773")
    above = Dem.open(path, vertical_datum="ellipsoid")
    lon, lat = RNG.uniform(5.0, 6.0, 5000), RNG.uniform(44.0, 45.0, 5000)
    voids = above.uncovered(lon, lat)
    assert 0 < np.count_nonzero(voids) < 200
    lon, lat = lon[~voids], lat[~voids]
    expected = vgridshift(grid).transform(lon, lat, above.heights(lon, lat))[2]
    off = np.abs(dem.heights(lon, lat) - expected).max()
    print(f"off by {1000 * off:.4f} mm at most")
    assert off < 0.001
