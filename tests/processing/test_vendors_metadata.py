"""What DIMAP product files and IMD files tell of an acquisition, in one set of units."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.errors import SensorModelError
from processing.vendors import find_metadata, read_metadata
from processing.vendors.metadata import BandMetadata, VendorMetadata, moment
from tests.processing import vendor_descriptions as texts
from tests.processing import vendor_files as files
from tests.processing.vendor_files import blank, random_rpc

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

IMAGES = {"IMG_X_R1C1.TIF": (1, 1)}
RED = "<Raster_Index><BAND_ID>{}</BAND_ID><BAND_INDEX>{}</BAND_INDEX></Raster_Index>"


def dimap(tmp_path, more: str, name: str = "DIM_X.XML", raster: str | None = None) -> VendorMetadata:
    path = tmp_path / name
    path.write_text(files.dimap_product(IMAGES, rpc=None, more=more))
    return read_metadata(path, None if raster is None else tmp_path / raster)


def test_a_dimap_product(tmp_path):
    found = dimap(tmp_path, texts.DIMAP_SCENE)
    assert found.file == "DIM_X.XML"
    assert found.platform == "PHR 1B"
    assert found.acquired == datetime(2017, 9, 28, 10, 38, 40, 167500, tzinfo=UTC)
    assert found.sun_elevation_deg == pytest.approx(43.2776505462409)
    assert found.sun_azimuth_deg == pytest.approx(164.864906643809)
    assert found.off_nadir_deg == pytest.approx(14.262036818519)
    assert found.incidence_deg == pytest.approx(16.0218227831323)
    assert found.cloud_cover_percent == 12.5
    assert found.gsd_m == pytest.approx(0.71)
    assert found.processing == "BASIC"
    assert [band.name for band in found.bands] == ["B0", "B1"]


def test_the_satellite_stands_where_the_rpc_of_that_scene_sees_it(tmp_path):
    """Independent of any formula for angles: how the ground moves under a pixel of the same delivered scene.

    The linear terms of its RPC (CNES/shareloc, RPC_PHR1B_P_201709281038393_SEN_PRG_FC_178609-001.XML), solved for the
    change of longitude and latitude with height at one pixel.
    """
    line = (0.0698104447407509, -1.09235324117618, -0.021814249276077)
    sample = (1.01161201549305, -0.000108650176255135, 0.0113280713091793)
    lon_scale, lat_scale, height_scale, lat = 0.1322126196689011, 0.05909407003393596, 630.0, 43.67726387230638
    moved = np.linalg.solve([sample[:2], line[:2]], [-sample[2], -line[2]])
    east = moved[0] * lon_scale * 111_320 * np.cos(np.radians(lat))
    north = moved[1] * lat_scale * 111_132
    found = dimap(tmp_path, texts.DIMAP_SCENE)
    assert found.azimuth_deg == pytest.approx(np.degrees(np.arctan2(east, north)) % 360, abs=0.5)
    assert found.incidence_deg == pytest.approx(np.degrees(np.arctan(np.hypot(east, north) / height_scale)), abs=0.1)


@pytest.mark.parametrize("lists", [True, False])
def test_counts_of_dimap_to_radiance(lists, tmp_path):
    """L = DN / GAIN + BIAS, as MEASURE_DESC says; DIMAP 3 leaves out the lists around the measures."""
    scene = texts.dimap_radiometry({"R": (9.52, 0.0), "G": (4.0, 1.5)}, {"R": 1594.06, "G": 1830.57}, lists=lists)
    red, green = dimap(tmp_path, scene).bands
    assert 100 * red.gain + red.offset == pytest.approx(100 / 9.52)
    assert 100 * green.gain + green.offset == pytest.approx(26.5)
    assert (red.solar_irradiance, green.solar_irradiance) == (1594.06, 1830.57)


@settings(max_examples=30)
@given(
    count=st.integers(0, 65535), gains=st.tuples(st.floats(1e-3, 1e-1), st.floats(1, 1e5)), biases=st.tuples(
        st.floats(-5, 100), st.floats(-0.1, 0.1)
    )
)  # fmt: skip
def test_reflectances_of_dimap_to_radiance(count, gains, biases, tmp_path_factory):
    """Two steps in the file, RHO = RHO'/GAIN + BIAS and L = RHO/GAIN + BIAS, are one here."""
    scene = texts.dimap_radiometry(
        {"R": (gains[0], biases[0])}, {}, processing="REFLECTANCE", reflectance={"R": (gains[1], biases[1])}
    )
    (band,) = dimap(tmp_path_factory.getbasetemp(), scene).bands
    expected = (count / gains[1] + biases[1]) / gains[0] + biases[0]
    assert count * band.gain + band.offset == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("processing", ["DISPLAY", "LINEAR_STRETCH", "SEAMLESS", "REFLECTANCE"])
def test_counts_that_are_no_radiance_have_no_gain(processing, tmp_path):
    (band,) = dimap(tmp_path, texts.dimap_radiometry({"R": (9.5, 0.0)}, {"R": 1594.0}, processing=processing)).bands
    assert (band.gain, band.offset, band.solar_irradiance) == (None, None, 1594.0)


def test_bands_come_in_the_order_of_the_raster_where_it_is_told(tmp_path):
    """Pléiades Neo: two files of three bands each."""
    radiance = {name: (float(k), 0.0) for k, name in enumerate(("B", "G", "R", "DB", "RE", "NIR"), 1)}

    def group(name: str, *bands: tuple[str, int]) -> str:
        indices = "".join(RED.format(*band) for band in bands)
        return (
            f'<Data_Files><Data_File tile_R="1" tile_C="1"><DATA_FILE_PATH href="{name}"/></Data_File><Raster_Display>'
            f"<Raster_Index_List>{indices}</Raster_Index_List></Raster_Display></Data_Files>"
        )

    access = (
        "<Raster_Data><Data_Access>" + group("IMG_RGB_R1C1.TIF", ("B", 3), ("R", 1), ("G", 2))
        + group("IMG_NED_R1C1.TIF", ("NIR", 4), ("RE", 2), ("DB", 3)) + "</Data_Access></Raster_Data>"
    )  # fmt: skip
    (tmp_path / "DIM_X.XML").write_text(
        f"<Dimap_Document>{access}{texts.dimap_radiometry(radiance, {})}</Dimap_Document>"
    )

    def names(raster: str) -> list[tuple[str, float | None]]:
        return [(band.name, band.gain) for band in find_metadata(blank(tmp_path / raster)).bands]

    assert names("IMG_RGB_R1C1.TIF") == [("R", 1 / 3), ("G", 1 / 2), ("B", 1.0)]
    # Indices that do not count from 1 say nothing; GDAL takes the order of the list, too.
    assert names("IMG_NED_R1C1.TIF") == [("NIR", 1 / 6), ("RE", 1 / 5), ("DB", 1 / 4)]
    assert [band.name for band in read_metadata(tmp_path / "DIM_X.XML").bands] == list(radiance)


def test_a_dimap_product_that_says_nothing(tmp_path):
    assert dimap(tmp_path, "") == VendorMetadata(file="DIM_X.XML")


def test_the_imaging_time_stands_for_the_time_of_the_middle(tmp_path):
    scene = texts.DIMAP_SCENE.replace("<TIME>2017-09-28T10:38:40.1675000Z</TIME>", "")
    assert dimap(tmp_path, scene).acquired == datetime(2017, 9, 28, 10, 38, 39, 300000, tzinfo=UTC)


@pytest.mark.parametrize("older", [False, True])
def test_an_imd_file(older, tmp_path):
    path = tmp_path / "a.IMD"
    path.write_text(texts.imd(older=older))
    found = read_metadata(path)
    assert found == VendorMetadata(
        file="a.IMD",
        platform="WV02",
        acquired=datetime(2009, 12, 6, 14, 58, 3, 358375, tzinfo=UTC),
        sun_elevation_deg=62.7,
        sun_azimuth_deg=94.3,
        off_nadir_deg=10.4,
        incidence_deg=90 - 78.3,
        azimuth_deg=13.8,
        cloud_cover_percent=0.027 * 100,
        gsd_m=0.499,
        processing="Corrected",
        bands=found.bands,
    )
    assert [band.name for band in found.bands] == ["C", "B", "RE", "N2"]
    # Radiometric Use of WorldView-2 Imagery, equation 1: absCalFactor × DN / effectiveBandwidth.
    assert found.band("B").gain == pytest.approx(2 * 9.295654e-3 / 4.73e-2)
    assert found.band("B").offset == 0.0
    assert found.band("B").effective_bandwidth_um == pytest.approx(0.0473)
    assert found.band("B").solar_irradiance is None
    assert found.band("X") is None


def test_the_xml_says_what_the_imd_file_says(tmp_path):
    (tmp_path / "a.IMD").write_text(texts.imd())
    (tmp_path / "a.XML").write_text(files.isd(random_rpc(1), texts.isd_imd()))
    text, xml = (read_metadata(tmp_path / name) for name in ("a.IMD", "a.XML"))
    assert (xml.acquired, xml.bands, xml.azimuth_deg) == (text.acquired, text.bands, text.azimuth_deg)
    raster = blank(tmp_path / "a.tif")
    assert find_metadata(raster) == text
    (tmp_path / "a.IMD").unlink()
    assert find_metadata(raster) == xml
    (tmp_path / "a.XML").unlink()
    assert find_metadata(raster) is None


def test_a_tile_has_the_description_of_its_product(tmp_path):
    (tmp_path / "A_P001.TIL").write_text(files.til({"A_R1C1_P001.TIF": (0, 0)}))
    (tmp_path / "A_P001.IMD").write_text(texts.imd())
    assert find_metadata(blank(tmp_path / "A_R1C1_P001.TIF")).file == "A_P001.IMD"


@pytest.mark.parametrize(
    "head", ['radiometricEnhancement = "DRA";\n', 'radiometricEnhancement = "On";\n'], ids=["DRA", "On"]
)
def test_enhanced_counts_have_no_gain(head, tmp_path):
    (tmp_path / "a.IMD").write_text(texts.imd(head=head))
    assert {band.gain for band in read_metadata(tmp_path / "a.IMD").bands} == {None}
    (tmp_path / "a.IMD").write_text(texts.imd(head='radiometricEnhancement = "Off";\n'))
    assert None not in {band.gain for band in read_metadata(tmp_path / "a.IMD").bands}


def test_unknown_clouds_are_none(tmp_path):
    (tmp_path / "a.IMD").write_text(texts.imd().replace("cloudCover = 0.027", "cloudCover = -999"))
    assert read_metadata(tmp_path / "a.IMD").cloud_cover_percent is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("IMAGE_1", "PICTURE"), "a.IMD: no group IMAGE_1"),
        (lambda t: t.replace(" 62.7", " 162.7"), "a.IMD: sun_elevation_deg is 162.7; it lies between -90 and 90"),
        (lambda t: t.replace(" 62.7", " high"), "a.IMD: meanSunEl is 'high'; give a number"),
        (lambda t: t.replace("14:58:03.358375Z", "25:58:03Z"), "firstLineTime is '2009-12-06T25:58:03Z'; give a time"),
        (lambda t: t.replace("effectiveBandwidth = 4.730000e-02", "effectiveBandwidth = 0"), "BAND_C is calibrated by"),
        (lambda t: t.replace("effectiveBandwidth", "bandwidth"), "BAND_C effectiveBandwidth is None; give a number"),
    ],
)  # fmt: skip
def test_an_imd_file_that_is_wrong(change, message, tmp_path):
    (tmp_path / "a.IMD").write_text(change(texts.imd()))
    with pytest.raises(SensorModelError, match=message):
        read_metadata(tmp_path / "a.IMD")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.replace("<GAIN>9.52", "<GAIN>0"),
            "DIM_X.XML: Band_Radiance of B0 has the GAIN 0; it is a divisor",
        ),
        (lambda t: t.replace("<GAIN>9.52", "<GAIN>-9.52"), "DIM_X.XML: Band_Radiance of B0 has the GAIN -9.52"),
        (lambda t: t.replace(">B1<", ">B0<"), "DIM_X.XML: Band_Radiance of the band 'B0' comes twice"),
        (lambda t: t.replace("<VALUE>1915.01", "<VALUE>-1"), "DIM_X.XML: Band_Solar_Irradiance of B0 is -1"),
        (lambda t: t.replace(">43.277", ">143.277"), "DIM_X.XML: sun_elevation_deg is 143.277"),
        (lambda t: t.replace("<TIME>2017", "<TIME>17"), "DIM_X.XML: Located_Geometric_Values/TIME is '17-09-28T"),
    ],
)
def test_a_dimap_product_that_is_wrong(change, message, tmp_path):
    with pytest.raises(SensorModelError, match=message):
        dimap(tmp_path, change(texts.DIMAP_SCENE))


def test_values_are_valid_once_they_exist():
    with pytest.raises(SensorModelError, match=r"band R: gain 1\.0, offset None; give both or neither"):
        BandMetadata(name="R", gain=1.0)
    with pytest.raises(SensorModelError, match=r"band R: gain is nan; give a number above zero"):
        BandMetadata(name="R", gain=np.nan, offset=0.0)
    with pytest.raises(SensorModelError, match=r"a\.IMD: acquired 2020-01-01T00:00:00 has no UTC offset"):
        VendorMetadata(file="a.IMD", acquired=datetime(2020, 1, 1))  # noqa: DTZ001 - that is the error
    with pytest.raises(SensorModelError, match=r"a\.IMD: a band comes twice .R, R.; give each once"):
        VendorMetadata(file="a.IMD", bands=(BandMetadata(name="R"), BandMetadata(name="R")))


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-720, 720))  # noqa: DTZ001
def test_times_are_read_with_their_offset(time, minutes):
    local = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment(f" {local.isoformat()} ", what="a") == local
    assert moment(time.isoformat(sep=" "), what="a") == time.replace(tzinfo=UTC)
