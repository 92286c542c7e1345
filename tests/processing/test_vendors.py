"""Every row of the table in docs/sensor-models.md: what is written in the layout reads back to the same pixels."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio

from processing.errors import SensorModelError
from processing.raster import open_raster
from processing.rpc import Rpc
from processing.vendors import find, geotiff, nitf, read, rpc_text
from tests.processing import vendor_files as files
from tests.processing.vendor_files import apart_from_gdal_px, apart_px, blank, random_rpc

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@dataclass(frozen=True)
class Row:
    """A row of the table: how its files are made in a folder, and whether GDAL reads them too."""

    write: Callable[[Path, Rpc], Path]
    gdal: bool = True
    near_px: float = 1e-6


def sidecar(name: str, text: Callable[[Rpc], str], raster: str = "a.tif") -> Callable[[Path, Rpc], Path]:
    def write(folder: Path, rpc: Rpc) -> Path:
        (folder / name).write_text(text(rpc))
        return blank(folder / raster)

    return write


def dimap_scene(**options) -> Callable[[Path, Rpc], Path]:
    """A scene of 2 × 2 tiles, and the raster that is its second tile in the second row."""

    def write(folder: Path, rpc: Rpc) -> Path:
        tiles = {f"IMG_X_R{row}C{col}.TIF": (row, col) for row in (1, 2) for col in (1, 2)}
        (folder / "DIM_X.XML").write_text(files.dimap_product(tiles, rpc="RPC_X.XML"))
        (folder / "RPC_X.XML").write_text(files.dimap(rpc.shifted(rows=-40, cols=-30), **options))
        return blank(folder / "IMG_X_R2C2.TIF")

    return write


def digital_globe_tile(folder: Path, rpc: Rpc) -> Path:
    whole = rpc.shifted(rows=-1024, cols=-2048)
    (folder / "17DEC08-M1BS-0164_01_P003.RPB").write_text(files.rpb(whole))
    names = {"17DEC08-M1BS_R1C1-0164_01_P003.TIF": (0, 0), "17DEC08-M1BS_R2C3-0164_01_P003.TIF": (1024, 2048)}
    (folder / "17DEC08-M1BS-0164_01_P003.TIL").write_text(files.til(names))
    return blank(folder / "17DEC08-M1BS_R2C3-0164_01_P003.TIF")


TABLE = {
    "RPC.TXT": Row(sidecar("a_RPC.TXT", files.rpc_txt)),
    "RPC.TXT by Jilin-1": Row(sidecar("a_rpc.txt", files.rpc_txt)),
    "RPC.TXT by SkySat": Row(sidecar("a_RPC.TXT", files.skysat_txt)),
    "RPC.TXT as .rpc": Row(sidecar("a.rpc", files.rpc_txt), gdal=False),
    "bare numbers": Row(sidecar("a_rpc.txt", files.bare), gdal=False),
    "bare numbers with errors": Row(sidecar("a_rpc.txt", lambda rpc: files.bare(rpc, 1.5, 0.5)), gdal=False),
    "bare numbers as in NITF": Row(
        sidecar("a_rpc.txt", lambda rpc: files.bare(rpc, 1, 1.5, 0.5).replace("\n", ", ")), gdal=False
    ),
    "RPB": Row(sidecar("a.RPB", files.rpb)),
    "rpb by Gaofen and Jilin-1": Row(sidecar("a.rpb", lambda rpc: files.rpb(rpc, end="")), gdal=False),
    "RPB in the order RPC00A": Row(sidecar("a.RPB", lambda rpc: files.rpb(rpc, spec="RPC00A")), gdal=False),
    "TIL": Row(digital_globe_tile, gdal=False),
    "ISD": Row(sidecar("a.XML", files.isd)),
    "ISD as _RPC.XML": Row(sidecar("a_RPC.XML", files.isd), gdal=False),
    "DIMAP 2": Row(dimap_scene()),
    "DIMAP 2 of SPOT 6": Row(dimap_scene(profile="S6_SENSOR")),
    "DIMAP 3 of Pléiades Neo": Row(dimap_scene(neo=True, profile="PNEO_SENSOR")),
    "DIMAP 2 without a product file": Row(sidecar("RPC_X.XML", files.dimap, "IMG_X_R1C1.TIF")),
    "DIMAP 1": Row(
        sidecar("PHRDIMAP.XML", lambda rpc: files.phrdimap(rpc, "IMG_R1C1.TIF"), "IMG_R1C1.TIF"), gdal=False
    ),
    "geom": Row(sidecar("a.geom", files.geom), gdal=False),
    "geom in the order RPC00A": Row(sidecar("a.geom", lambda rpc: files.geom(rpc, form="A")), gdal=False),
    # GDAL hands the doubles of the tag on as text of 15 digits.
    "GeoTIFF": Row(lambda folder, rpc: files.write_tagged(folder / "a.tif", rpc)),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", TABLE)
def test_the_model_comes_back_to_the_same_pixels(name, seed, tmp_path):
    row, rpc = TABLE[name], random_rpc(seed)
    raster = row.write(tmp_path, rpc)
    found = find(raster)
    assert apart_px(rpc, found) < row.near_px
    if row.gdal:
        assert apart_from_gdal_px(found, raster) < row.near_px


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nitf(seed, tmp_path):
    rpc = files.rounded_for_nitf(random_rpc(seed))
    raster = files.write_nitf(tmp_path / "a.ntf", "RPC00B", files.nitf_segment(rpc))
    assert apart_px(rpc, find(raster)) < 1e-6
    assert apart_from_gdal_px(rpc, raster) < 1e-6
    assert apart_px(rpc, nitf.decode("a.ntf", files.nitf_segment(rpc), order="RPC00B")) < 1e-6


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nitf_with_the_older_order_of_terms(seed, tmp_path):
    """GDAL 3.10 takes the squares for the product of all three and misses by tens of pixels."""
    rpc = files.rounded_for_nitf(random_rpc(seed))
    raster = files.write_nitf(tmp_path / "a.ntf", "RPC00A", files.nitf_segment(rpc, order="RPC00A"))
    assert apart_px(rpc, find(raster)) < 1e-6


def test_a_part_of_a_nitf_begins_where_ichipb_says(tmp_path):
    rpc = files.rounded_for_nitf(random_rpc(4))
    raster = files.write_nitf_chip(tmp_path / "a.ntf", rpc, files.ichipb(1024, 2048))
    assert apart_px(rpc.shifted(rows=1024, cols=2048), find(raster)) < 1e-6
    files.write_nitf_chip(raster, rpc, files.ichipb(1024, 2048, step=2.0))
    with pytest.raises(SensorModelError, match=r"a.ntf: ICHIPB says .* resampled or turned"):
        find(raster)


def test_a_nitf_whose_rpc_has_not_succeeded_has_none(tmp_path):
    segment = "0" + files.nitf_segment(files.rounded_for_nitf(random_rpc(4)))[1:]
    raster = files.write_nitf(tmp_path / "a.ntf", "RPC00B", segment)
    with open_raster(raster) as dataset:
        assert nitf.read(dataset) is None


def test_text_is_written_to_the_same_bits_and_read_by_gdal(tmp_path):
    rpc, raster = random_rpc(5), blank(tmp_path / "scene.tif")
    rpc_text.write(rpc, tmp_path / "scene_RPC.TXT")
    assert rpc_text.read(tmp_path / "scene_RPC.TXT") == rpc
    with rasterio.open(raster) as dataset:
        assert geotiff.read(dataset) == rpc


def test_text_with_other_spacing_order_and_remarks(tmp_path):
    rpc, path = random_rpc(6), tmp_path / "a_RPC.TXT"
    lines = [line.replace(": ", " :   ") for line in files.rpc_txt(rpc).splitlines()]
    path.write_bytes("\r\r\n".join(["SATID: X1", "REMARK: Größe", "", *reversed(lines)]).encode())
    assert rpc_text.read(path) == rpc


def test_the_older_order_is_that_of_ossim():
    """Each term alone, evaluated as a product of powers, in both orders."""
    order = [files.RPC00A.index(term) for term in files.RPC00B]
    assert order == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 7, 11, 14, 17, 12, 15, 18, 13, 16, 19]
    assert sorted(files.RPC00A) == sorted(files.RPC00B)


@pytest.mark.parametrize("axis", ["LINE", "SAMP", "LAT", "LONG", "HEIGHT"])
def test_a_scale_below_zero_is_the_same_model_written_otherwise(axis, tmp_path):
    """Against GDAL, which evaluates it as it stands."""
    text = re.sub(rf"({axis}_SCALE: )", r"\1-", files.rpc_txt(random_rpc(7)))
    (tmp_path / "a_RPC.TXT").write_text(text)
    raster = blank(tmp_path / "a.tif")
    found = find(raster)
    assert getattr(found, f"{axis.lower().replace('long', 'lon')}_scale") > 0
    assert apart_from_gdal_px(found, raster) < 1e-6
    assert apart_px(found, random_rpc(7)) > 1


@pytest.mark.parametrize(
    ("profile", "neo", "first"),
    [("PHR_SENSOR", False, 1), ("S7_SENSOR", False, 1), ("PNEO_SENSOR", True, 0), ("PHR_SENSOR", True, 1)],
)
def test_the_profile_says_what_dimap_calls_the_first_pixel(profile, neo, first, tmp_path):
    rpc = random_rpc(8)
    (tmp_path / "RPC_X.XML").write_text(files.dimap(rpc, profile=profile, neo=neo, first=first))
    raster = blank(tmp_path / "IMG_X_R1C1.TIF")
    assert apart_px(find(raster), rpc) < 1e-6
    assert apart_from_gdal_px(rpc, raster) < 1e-6


@pytest.mark.parametrize("neo", [False, True])
def test_without_a_profile_the_names_of_the_elements_say_it(neo, tmp_path):
    path = tmp_path / "RPC_X.XML"
    path.write_text(files.dimap(random_rpc(8), profile=None, neo=neo))
    assert apart_px(read(path), random_rpc(8)) < 1e-6


def test_refined_geoms_carry_their_adjustments(tmp_path):
    rpc, path = random_rpc(9), tmp_path / "a.geom"
    adjustments = [("intrack_offset", 50.0, 0.02), ("crtrack_offset", 50.0, -0.03), ("intrack_scale", 50.0, 0.01)]
    path.write_text(files.geom(rpc, adjustments=[*adjustments, ("map_rotation", 0.1, 0.0)]))
    found = read(path)
    assert found.line_off == pytest.approx(rpc.line_off + 1.0)
    assert found.samp_off == pytest.approx(rpc.samp_off - 1.5)
    assert found.line_scale == pytest.approx(rpc.line_scale + 0.5)
    assert found.samp_scale == rpc.samp_scale
    path.write_text(files.geom(rpc, adjustments=[("map_rotation", 0.1, 0.5)]))
    with pytest.raises(SensorModelError, match=r"a\.geom: refined by 'map_rotation', which no RPC expresses"):
        read(path)


# Of a delivered Pléiades 1B scene over Nice (CNES/shareloc, tests/data/rpc), in DIMAP and in the .geom that OTB made.
DIMAP_OFFSETS = (11470.5, 20000.5)
GEOM_OFFSETS = (11469.5, 19999.5)


def test_dimap_and_geom_of_one_delivered_scene_count_one_apart(tmp_path):
    scene = Rpc(**{
        **{name: getattr(random_rpc(10), name) for name in Rpc.__dataclass_fields__},
        "line_off": GEOM_OFFSETS[0], "samp_off": GEOM_OFFSETS[1],
    })  # fmt: skip
    dimap, geom = files.dimap(scene), files.geom(scene)
    assert f"<LINE_OFF>{DIMAP_OFFSETS[0]}<" in dimap
    assert f"<SAMP_OFF>{DIMAP_OFFSETS[1]}<" in dimap
    assert f"line_off:  {GEOM_OFFSETS[0]}\n" in geom
    (tmp_path / "RPC_a.XML").write_text(dimap)
    (tmp_path / "a.geom").write_text(geom)
    assert apart_px(read(tmp_path / "RPC_a.XML"), read(tmp_path / "a.geom")) < 1e-6


def test_the_two_real_forms_of_the_ventoux_model_agree(shared):
    """The text is of a part that begins at row 5000, column 5000 of the scene."""
    folder = shared / "data" / "pleiades-ventoux"
    text, scene = read(folder / "left_RPC.TXT"), read(folder / "dimap_RPC_full_scene.XML")
    assert apart_px(text, scene.shifted(rows=5000, cols=5000)) < 1e-4
    assert apart_px(text, scene.shifted(rows=5000, cols=5001)) == pytest.approx(1, abs=1e-3)
    assert apart_from_gdal_px(find(folder / "left.tif"), folder / "left.tif") < 1e-6


def test_random_models_are_plausible():
    """The writers' models see each point of their domain once: the test above would mean little otherwise."""
    for seed in range(20):
        rpc = random_rpc(seed)
        lon, lat, height = files.ground(rpc, 50)
        back = rpc.locate(*rpc.project(lon, lat, height), height)
        assert np.allclose(np.cos(np.radians(back[0] - lon)), 1, atol=1e-12)
        assert np.allclose(back[1], lat, atol=1e-7)
