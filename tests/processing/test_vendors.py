import numpy as np
import pytest
import rasterio
from rasterio.rpc import RPC

from processing.errors import DeliveryError, SensorModelError
from processing.raster import open_raster
from processing.rpc import Rpc, fit
from processing.vendors import dimap, find, geotiff, rpc_text
from tests.processing.pushbroom import Pushbroom, write_raw


@pytest.fixture(scope="module")
def rpc() -> Rpc:
    return fit(**Pushbroom(lon=5.3, lat=44.1).points()).rpc


@pytest.fixture
def raster(tmp_path):
    return write_raw(tmp_path / "scene.tif", np.zeros((1, 40, 30), dtype=np.uint8))


def as_rasterio(rpc: Rpc) -> RPC:
    return RPC(
        height_off=rpc.height_off,
        height_scale=rpc.height_scale,
        lat_off=rpc.lat_off,
        lat_scale=rpc.lat_scale,
        long_off=rpc.lon_off,
        long_scale=rpc.lon_scale,
        line_off=rpc.line_off,
        line_scale=rpc.line_scale,
        samp_off=rpc.samp_off,
        samp_scale=rpc.samp_scale,
        line_num_coeff=rpc.line_num.tolist(),
        line_den_coeff=rpc.line_den.tolist(),
        samp_num_coeff=rpc.samp_num.tolist(),
        samp_den_coeff=rpc.samp_den.tolist(),
    )


def dimap_document(rpc: Rpc) -> str:
    """The document that an Airbus product would carry: pixels counted from 1."""
    offsets = {"LONG": rpc.lon_off, "LAT": rpc.lat_off, "HEIGHT": rpc.height_off}
    offsets |= {"SAMP": rpc.samp_off + 1, "LINE": rpc.line_off + 1}
    scales = {"LONG": rpc.lon_scale, "LAT": rpc.lat_scale, "HEIGHT": rpc.height_scale}
    scales |= {"SAMP": rpc.samp_scale, "LINE": rpc.line_scale}
    validity = "".join(f"<{k}_OFF>{v!r}</{k}_OFF><{k}_SCALE>{scales[k]!r}</{k}_SCALE>" for k, v in offsets.items())
    polynomials = {
        "SAMP_NUM": rpc.samp_num,
        "SAMP_DEN": rpc.samp_den,
        "LINE_NUM": rpc.line_num,
        "LINE_DEN": rpc.line_den,
    }
    inverse = "".join(
        f"<{name}_COEFF_{k}>{float(value)!r}</{name}_COEFF_{k}>"
        for name, values in polynomials.items()
        for k, value in enumerate(values, 1)
    )
    return (
        '<?xml version="1.0"?><Dimap_Document><Rational_Function_Model><Global_RFM>'
        f"<Direct_Model><SAMP_NUM_COEFF_1>9</SAMP_NUM_COEFF_1></Direct_Model><Inverse_Model>{inverse}</Inverse_Model>"
        f"<RFM_Validity>{validity}</RFM_Validity></Global_RFM></Rational_Function_Model></Dimap_Document>"
    )


def test_text_reads_back_to_the_same_bits(rpc, tmp_path):
    rpc_text.write(rpc, tmp_path / "a_RPC.TXT")
    assert rpc_text.read(tmp_path / "a_RPC.TXT") == rpc


def test_gdal_reads_what_is_written(rpc, raster):
    rpc_text.write(rpc, raster.with_name("scene_RPC.TXT"))
    with rasterio.open(raster) as dataset:
        assert geotiff.read(dataset) == rpc


def test_text_with_other_spacing_and_signs(rpc, tmp_path):
    path = tmp_path / "a_RPC.TXT"
    rpc_text.write(rpc, path)
    lines = [line.replace(": ", ":   ") for line in path.read_text().splitlines()]
    path.write_bytes("\r\n".join(["SATID: X1", "", *reversed(lines), "ERR_BIAS: 1.5 meters"]).encode())
    assert rpc_text.read(path) == rpc


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("SAMP_DEN_COEFF_20", "SAMP_DEN_COEFF_21"),
            r"a_RPC.TXT: no SAMP_DEN_COEFF_20 \(1 of 90",
        ),
        (lambda text: text.replace("LINE_OFF: ", "LINE_OFF: about "), "no LINE_OFF"),
        (lambda text: text + "LAT_OFF: 3\n", "LAT_OFF comes twice"),
        (lambda text: text.replace("LINE_OFF: ", "LINE_OFF: 1.2."), "LINE_OFF is '1.2."),
        (lambda text: text.replace("LAT_SCALE: ", "LAT_SCALE: -"), "a_RPC.TXT: RPC: lat_scale is -"),
        (lambda _: "", "no LINE_OFF .90 of 90"),
        (lambda _: "Größe", "no plain text"),
        (lambda text: text * 100, "more than 100000 bytes"),
    ],
)
def test_text_that_is_no_model(rpc, tmp_path, change, message):
    path = tmp_path / "a_RPC.TXT"
    rpc_text.write(rpc, path)
    path.write_text(change(path.read_text()), encoding="utf-8")
    with pytest.raises(SensorModelError, match=message):
        rpc_text.read(path)


def test_dimap_counts_from_one_and_leads_from_the_ground(rpc, tmp_path):
    path = tmp_path / "RPC_scene.XML"
    path.write_text(dimap_document(rpc))
    read = dimap.read(path)
    # Taking 1 off again costs the last bit of the offsets.
    assert read.line_off == pytest.approx(rpc.line_off, abs=1e-12)
    assert np.array_equal(read.packed()[2:], rpc.packed()[2:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("Inverse_Model", "Other_Model"),
            "no Rational_Function_Model/Global_RFM with Inverse_Model",
        ),
        (lambda text: text.replace("LINE_NUM_COEFF_7", "LINE_NUM_COEFF"), "Inverse_Model/LINE_NUM_COEFF_7 is None"),
        (lambda text: text.replace("<LAT_OFF>", "<LAT_OFF>x"), "RFM_Validity/LAT_OFF is 'x"),
        (lambda text: text.replace("<LAT_SCALE>", "<LAT_SCALE>-"), "RPC_scene.XML: RPC: lat_scale"),
        (lambda text: text[:-10], "no readable XML"),
        (
            lambda text: text.replace('<?xml version="1.0"?>', '<!DOCTYPE d [<!ENTITY a "1">]>'),
            "no readable XML .Entities",
        ),
        (lambda text: text + " " * 6_000_000, "more than 5000000 bytes"),
    ],
)
def test_dimap_that_is_no_model(rpc, tmp_path, change, message):
    path = tmp_path / "RPC_scene.XML"
    path.write_text(change(dimap_document(rpc)))
    with pytest.raises(SensorModelError, match=message):
        dimap.read(path)


def test_the_sidecar_comes_before_the_tag(rpc, tmp_path):
    raster = write_raw(tmp_path / "scene.tif", np.zeros((1, 4, 3), dtype=np.uint8), rpcs=as_rasterio(rpc))
    (tmp_path / "scene_RPC.TXT").unlink(missing_ok=True)
    # GDAL hands the doubles of the tag on as text of 15 digits.
    assert np.allclose(find(raster).packed(), rpc.packed(), rtol=1e-14, atol=0)
    rpc_text.write(rpc.shifted(rows=1, cols=2), tmp_path / "scene_rpc.txt")
    assert find(raster) == rpc.shifted(rows=1, cols=2)


def test_a_raster_without_any_model(raster):
    with pytest.raises(SensorModelError, match=r"scene.tif: no RPC; put scene_RPC.TXT beside it, or .* tag inside"):
        find(raster)
    with open_raster(raster) as dataset:
        assert geotiff.read(dataset) is None


def test_a_raster_that_is_a_vrt_is_not_opened(tmp_path):
    path = tmp_path / "scene.tif"
    path.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    with pytest.raises(DeliveryError, match="no readable raster"):
        find(path)
