"""Which files beside a raster are taken for its sensor model, and what is an error."""

import os
import re
from pathlib import Path

import pytest

from processing.errors import DeliveryError, SensorModelError
from processing.raster import open_raster
from processing.rpc import Rpc
from processing.vendors import find, geotiff, read
from tests.processing import vendor_files as files
from tests.processing.vendor_files import apart_px, blank, random_rpc

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RPC = random_rpc(1)
MOVED = RPC.shifted(rows=1, cols=2)


@pytest.fixture
def raster(tmp_path):
    return blank(tmp_path / "scene.tif")


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_sidecar_comes_before_the_tag(tmp_path):
    raster = files.write_tagged(tmp_path / "scene.tif", RPC)
    assert apart_px(find(raster), RPC) < 1e-6
    put(tmp_path, "scene_rpc.txt", files.rpc_txt(MOVED))
    assert find(raster) == MOVED


def test_a_raster_without_any_model(raster):
    with pytest.raises(SensorModelError, match=r"scene.tif: no RPC; put scene_RPC.TXT beside it, .* tag inside"):
        find(raster)
    with open_raster(raster) as dataset:
        assert geotiff.read(dataset) is None


def test_a_raster_that_is_a_vrt_is_not_opened(tmp_path):
    path = put(
        tmp_path, "scene.tif",
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>',
    )  # fmt: skip
    with pytest.raises(DeliveryError, match="no readable raster"):
        find(path)


def test_names_are_matched_whatever_their_case(raster):
    put(raster.parent, "SCENE_Rpc.TxT", files.rpc_txt(RPC))
    assert find(raster) == RPC


def test_files_of_other_rasters_are_left_alone(raster):
    for name in ("scene2_RPC.TXT", "other.RPB", "RPC_scene.XML", "scene.tif_RPC.TXT"):
        put(raster.parent, name, "of another")
    (raster.parent / "scene.RPB").mkdir()
    with pytest.raises(SensorModelError, match="no RPC"):
        find(raster)


def test_an_xml_of_that_name_counts_only_if_it_is_an_isd_file(raster):
    put(raster.parent, "scene.xml", "<ProductMetaData><SatelliteID>GF2</SatelliteID></ProductMetaData>")
    with pytest.raises(SensorModelError, match="no RPC"):
        find(raster)
    put(raster.parent, "scene.XML", files.isd(RPC))
    assert find(raster) == RPC


def test_a_geom_of_another_model_is_none(raster):
    put(raster.parent, "scene.geom", "type:  ossimSpot5Model\nref_line_time:  3\n")
    with pytest.raises(SensorModelError, match="no RPC"):
        find(raster)


def test_two_sidecars_that_agree_are_one_model(raster):
    put(raster.parent, "scene.RPB", files.rpb(RPC))
    put(raster.parent, "scene.XML", files.isd(RPC))
    put(raster.parent, "scene_RPC.TXT", files.rpc_txt(RPC.shifted(rows=0.005, cols=0)))
    assert apart_px(find(raster), RPC) < 0.01


@pytest.mark.parametrize("moved", [RPC.shifted(rows=0.02, cols=0), random_rpc(2)])
def test_two_sidecars_that_differ_are_an_error(raster, moved):
    put(raster.parent, "scene_RPC.TXT", files.rpc_txt(RPC))
    put(raster.parent, "scene.RPB", files.rpb(moved))
    with pytest.raises(
        SensorModelError, match=r"scene.tif: scene_RPC.TXT and scene.RPB see .* px apart; remove one, or"
    ):
        find(raster)
    assert find_by_hand(raster, "scene.RPB") == moved


def test_models_beyond_all_numbers_differ(raster):
    put(raster.parent, "scene_RPC.TXT", re.sub(r"LINE_SCALE: \S+", "LINE_SCALE: 1e308", files.rpc_txt(RPC)))
    put(raster.parent, "scene.RPB", re.sub(r"lineScale = [^;]+", "lineScale = 1e307", files.rpb(RPC)))
    with pytest.raises(SensorModelError, match="px apart"):
        find(raster)


def find_by_hand(raster: Path, name: str) -> Rpc:
    return read(raster.parent / name, raster)


def test_names_that_differ_in_case_only_are_two_files(raster):
    put(raster.parent, "scene_RPC.TXT", files.rpc_txt(RPC))
    put(raster.parent, "scene_rpc.txt", files.rpc_txt(MOVED))
    with pytest.raises(SensorModelError, match=r"scene_RPC\.TXT and scene_rpc\.txt see"):
        find(raster)


def test_a_broken_sidecar_is_not_passed_over(tmp_path):
    raster = files.write_tagged(tmp_path / "scene.tif", RPC)
    put(tmp_path, "scene.RPB", "satId = 3")
    with pytest.raises(SensorModelError, match=r"scene.RPB: no"):
        find(raster)


def test_nothing_outside_the_folder_is_read(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    raster = blank(inside / "scene.tif")
    outside = put(tmp_path, "scene_RPC.TXT", files.rpc_txt(RPC))
    link = inside / "scene_RPC.TXT"
    link.symlink_to(outside)
    with pytest.raises(SensorModelError, match=r"scene_RPC\.TXT: a link that leads out of the folder"):
        find(raster)
    link.unlink()
    link.symlink_to("nowhere")
    with pytest.raises(SensorModelError, match="a link that leads out of the folder"):
        find(raster)
    link.unlink()
    put(inside, "model.txt", files.rpc_txt(RPC))
    link.symlink_to("model.txt")
    assert find(raster) == RPC


def test_a_fifo_does_not_block(raster):
    os.mkfifo(raster.parent / "scene_RPC.TXT")
    with pytest.raises(SensorModelError, match=r"scene_RPC\.TXT: there is no such file"):
        find(raster)


# Products of tiles

TILES = {f"IMG_X_R{row}C{col}.TIF": (row, col) for row in (1, 2) for col in (1, 2)}


@pytest.mark.parametrize(("row", "col"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_each_tile_begins_where_the_product_says(row, col, tmp_path):
    put(tmp_path, "DIM_X.XML", files.dimap_product(TILES, rpc="RPC_X.XML", size=(400, 300)))
    put(tmp_path, "RPC_X.XML", files.dimap(RPC))
    raster = blank(tmp_path / f"IMG_X_R{row}C{col}.TIF")
    tile = RPC.shifted(rows=400 * (row - 1), cols=300 * (col - 1))
    assert apart_px(find(raster), tile) < 1e-6
    assert files.apart_from_gdal_px(tile, raster) < 1e-6
    # Named by hand, in the manifest, it is the same model.
    assert apart_px(read(tmp_path / "RPC_X.XML", raster), tile) < 1e-6
    assert apart_px(read(tmp_path / "RPC_X.XML"), RPC) < 1e-6


def test_the_names_of_a_product_file_need_not_be_alike(tmp_path):
    """Pléiades Neo: one product file, one RPC, images with the spectral mode in their names."""
    names = {"IMG_PNEO3_STD_1_P_R1C1.TIF": (1, 1), "IMG_PNEO3_STD_1_P_R1C2.TIF": (1, 2)}
    put(tmp_path, "DIM_PNEO3_STD_1.XML", files.dimap_product(names, rpc="RPC_PNEO3_STD_1.XML"))
    put(tmp_path, "RPC_PNEO3_STD_1.XML", files.dimap(RPC, neo=True, profile="PNEO_SENSOR"))
    put(tmp_path, "DIM_OTHER.XML", files.dimap_product({"IMG_OTHER_R1C1.TIF": (1, 1)}, rpc="RPC_OTHER.XML"))
    raster = blank(tmp_path / "IMG_PNEO3_STD_1_P_R1C2.TIF")
    assert apart_px(find(raster), RPC.shifted(rows=0, cols=30)) < 1e-6


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (None, r"IMG_X_R2C2.TIF: a tile, and RPC_X.XML is of the whole image; put its product's DIM_"),
        (
            files.dimap_product(TILES, rpc="RPC_X.XML", overlap=8),
            "DIM_X.XML: tiles overlap, so where IMG_X_R2C2.TIF begins",
        ),
        (
            files.dimap_product(TILES, rpc="RPC_X.XML").replace("NTILES_SIZE", "NTILES"),
            "DIM_X.XML: no Regular_Tiling/NTILES_SIZE, so where",
        ),
        (files.dimap_product(TILES, rpc="../RPC_X.XML"), r"DIM_X.XML: names '../RPC_X.XML', not a file beside it"),
        (
            files.dimap_product(TILES, rpc="RPC_Y.XML"),
            "DIM_X.XML: names RPC_Y.XML, which is not there; put it beside IMG_X_R2C2.TIF",
        ),
        (files.dimap_product(TILES, rpc="RPC_X.XML", size=(0, 30)), "DIM_X.XML: NTILES_SIZE '0 × 30'"),
        (files.dimap_product(TILES, rpc="RPC_X.XML").replace('tile_R="2"', 'tile_R="-2"'), "DIM_X.XML: tile '-2 1'"),
        (files.dimap_product(TILES, rpc="RPC_X.XML")[:-9], "DIM_X.XML: no readable XML"),
    ],
)
def test_a_tile_of_which_nothing_says_where_it_begins(product, message, tmp_path):
    put(tmp_path, "RPC_X.XML", files.dimap(RPC))
    if product is not None:
        put(tmp_path, "DIM_X.XML", product)
    raster = blank(tmp_path / "IMG_X_R2C2.TIF")
    with pytest.raises(SensorModelError, match=message):
        find(raster)


def test_a_sidecar_of_the_tile_stands_for_an_rpc_that_was_not_delivered(tmp_path):
    put(tmp_path, "DIM_X.XML", files.dimap_product(TILES, rpc="RPC_X.XML"))
    put(tmp_path, "IMG_X_R2C2_RPC.TXT", files.rpc_txt(RPC))
    assert find(blank(tmp_path / "IMG_X_R2C2.TIF")) == RPC


def test_two_products_that_name_one_image_are_an_error(tmp_path):
    for name in ("DIM_X.XML", "DIM_Y.XML"):
        put(tmp_path, name, files.dimap_product(TILES, rpc="RPC_X.XML"))
    raster = blank(tmp_path / "IMG_X_R1C1.TIF")
    with pytest.raises(SensorModelError, match=r"both DIM_X\.XML and DIM_Y\.XML name it"):
        find(raster)


def test_a_product_on_a_map_has_no_rpc(tmp_path):
    put(tmp_path, "DIM_X.XML", files.dimap_product(TILES, rpc=None))
    with pytest.raises(SensorModelError, match="no RPC"):
        find(blank(tmp_path / "IMG_X_R1C1.TIF"))


def test_a_tile_of_digital_globe(tmp_path):
    put(tmp_path, "A_P001.RPB", files.rpb(RPC))
    put(tmp_path, "A_P001.XML", files.isd(RPC))
    put(tmp_path, "A_P001.TIL", files.til({"A_R1C1_P001.TIF": (0, 0), "A_R2C1_P001.TIF": (16384, 0)}))
    tile = RPC.shifted(rows=16384, cols=0)
    raster = blank(tmp_path / "A_R2C1_P001.TIF")
    assert find(raster) == tile
    assert read(tmp_path / "A_P001.RPB", raster) == tile
    # A sidecar of its own is of the tile.
    put(tmp_path, "A_R2C1_P001_RPC.TXT", files.rpc_txt(tile))
    assert find(raster) == tile
    assert read(tmp_path / "A_R2C1_P001_RPC.TXT", raster) == tile


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("ULRowOffset = 16384", "ULRowOffset = -1"), "A_P001.TIL: A_R2C1_P001.TIF begins at"),
        (lambda text: text.replace("R1C1", "R2C1"), "A_P001.TIL: names A_R2C1_P001.TIF 2 times"),
        (lambda text: text.replace("END_GROUP = TILE_2\n", ""), "A_P001.TIL: the group tile_2 does not end"),
    ],
)
def test_a_til_file_that_says_nothing_clear(change, message, tmp_path):
    put(tmp_path, "A_P001.RPB", files.rpb(RPC))
    put(tmp_path, "A_P001.TIL", change(files.til({"A_R1C1_P001.TIF": (0, 0), "A_R2C1_P001.TIF": (16384, 0)})))
    with pytest.raises(SensorModelError, match=message):
        find(blank(tmp_path / "A_R2C1_P001.TIF"))


def test_the_inventory_of_pleiades_names_its_image(tmp_path):
    put(tmp_path, "PHRDIMAP_A.XML", files.phrdimap(random_rpc(3), "IMG_OTHER.JP2"))
    put(tmp_path, "PHRDIMAP_B.XML", files.phrdimap(RPC, "IMG_R1C1.TIF"))
    assert apart_px(find(blank(tmp_path / "IMG_R1C1.TIF")), RPC) < 1e-6
    put(tmp_path, "PHRDIMAP_B.XML", files.phrdimap(RPC, "IMG_R2C1.TIF"))
    with pytest.raises(SensorModelError, match=r"IMG_R2C1\.TIF: a tile, and PHRDIMAP_B\.XML is of the whole image"):
        find(blank(tmp_path / "IMG_R2C1.TIF"))
