"""What vendors tell of an acquisition: parts of DIMAP product files, IMD files and the same in ISD files."""

from collections.abc import Sequence

_MEASURE = "<CALIBRATION_DATE>2012-01-01</CALIBRATION_DATE><MEASURE_DESC>…</MEASURE_DESC>"


def dimap_radiometry(
    radiance: dict[str, tuple[float, float]],
    irradiance: dict[str, float],
    *,
    processing: str = "BASIC",
    reflectance: dict[str, tuple[float, float]] | None = None,
    lists: bool = True,
) -> str:
    """The calibration in a product file: GAIN and BIAS by band; DIMAP 3 leaves the two lists around them out."""
    measures = ""
    for kind, lines in (("Band_Radiance", radiance), ("Band_Reflectance", reflectance or {})):
        measures += "".join(
            f"<{kind}><BAND_ID>{name}</BAND_ID>{_MEASURE}<GAIN>{gain!r}</GAIN><BIAS>{bias!r}</BIAS></{kind}>"
            for name, (gain, bias) in lines.items()
        )
    measures += "".join(
        f"<Band_Solar_Irradiance><BAND_ID>{name}</BAND_ID>{_MEASURE}<VALUE>{value!r}</VALUE></Band_Solar_Irradiance>"
        for name, value in irradiance.items()
    )
    if lists:
        measures = f"<Band_Measurement_List>{measures}</Band_Measurement_List>"
        measures = f"<Instrument_Calibration>{measures}</Instrument_Calibration>"
    return (
        "<Processing_Information><Product_Settings><PROCESSING_LEVEL>SENSOR</PROCESSING_LEVEL><Radiometric_Settings>"
        f"<RADIOMETRIC_PROCESSING>{processing}</RADIOMETRIC_PROCESSING></Radiometric_Settings></Product_Settings>"
        "</Processing_Information><Radiometric_Data><Radiometric_Calibration>"
        f"{measures}</Radiometric_Calibration></Radiometric_Data>"
    )


def located(place: str, azimuth: float, along: float, across: float) -> str:
    """The angles at one place of a scene: numbers of a delivered Pléiades 1B scene over Nice (CNES/shareloc)."""
    return (
        f"<Located_Geometric_Values><LOCATION_TYPE>{place}</LOCATION_TYPE><TIME>2017-09-28T10:38:40.1675000Z</TIME>"
        f"<Acquisition_Angles><AZIMUTH_ANGLE>{azimuth}</AZIMUTH_ANGLE><VIEWING_ANGLE>14.262036818519</VIEWING_ANGLE>"
        f"<INCIDENCE_ANGLE_ALONG_TRACK>{along}</INCIDENCE_ANGLE_ALONG_TRACK>"
        f"<INCIDENCE_ANGLE_ACROSS_TRACK>{across}</INCIDENCE_ANGLE_ACROSS_TRACK>"
        "<INCIDENCE_ANGLE>16.0218227831323</INCIDENCE_ANGLE></Acquisition_Angles><Solar_Incidences>"
        "<SUN_AZIMUTH>164.864906643809</SUN_AZIMUTH><SUN_ELEVATION>43.2776505462409</SUN_ELEVATION></Solar_Incidences>"
        "<Ground_Sample_Distance><GSD_ACROSS_TRACK>0.705</GSD_ACROSS_TRACK><GSD_ALONG_TRACK>0.715</GSD_ALONG_TRACK>"
        "</Ground_Sample_Distance></Located_Geometric_Values>"
    )


DIMAP_SCENE = (
    '<Dataset_Content><CLOUD_COVERAGE unit="percent">12.5</CLOUD_COVERAGE></Dataset_Content>'
    "<Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION><MISSION_INDEX>1B</MISSION_INDEX>"
    "<IMAGING_DATE>2017-09-28</IMAGING_DATE><IMAGING_TIME>10:38:39.3Z</IMAGING_TIME></Strip_Source>"
    "</Source_Identification></Dataset_Sources><Geometric_Data><Use_Area>"
    + located("TopCenter", 179.968085176572, 12.2019077674775, -10.622257744262)
    + located("Center", 179.991712996186, 12.1721770387395, -10.7336736731665)
    + located("BottomCenter", 180.132949892549, 12.1582945616004, -10.8391605227298)
    + "</Use_Area></Geometric_Data>"
    + dimap_radiometry({"B0": (9.52, 0.0), "B1": (9.62, 1.5)}, {"B0": 1915.01, "B1": 1830.57})
)

_IMAGE = {
    "satId": '"WV02"',
    "mode": '"FullSwath"',
    "TLCTime": "2009-12-06T14:58:03.358375Z",
    "firstLineTime": "2009-12-06T14:58:03.358375Z",
    "meanCollectedGSD": "  0.499",
    "meanSunAz": " 94.3",
    "meanSunEl": " 62.7",
    "meanSatAz": " 13.8",
    "meanSatEl": " 78.3",
    "meanInTrackViewAngle": " 9.9",
    "meanCrossTrackViewAngle": " 3.1",
    "meanOffNadirViewAngle": " 10.4",
    "cloudCover": "0.027",
}


def imd(*, bands: Sequence[str] = ("C", "B", "RE", "N2"), older: bool = False, head: str = "") -> str:
    """An IMD file; ``older`` is version R, which gives single values instead of minimum, maximum and mean."""
    groups = "".join(
        f"BEGIN_GROUP = BAND_{band}\n\tULLon =  -70.54;\n\tabsCalFactor = {9.295654e-3 * k:e};\n"
        f"\teffectiveBandwidth = 4.730000e-02;\n\tTDILevel = 24;\nEND_GROUP = BAND_{band}\n"
        for k, band in enumerate(bands, 1)
    )
    image = {
        (key.removeprefix("mean")[:1].lower() + key.removeprefix("mean")[1:] if older else key): value
        for key, value in _IMAGE.items()
    }
    lines = "".join(f"\t{key} = {value};\n" for key, value in image.items())
    return (
        f'version = "{"R" if older else "28.3"}";\nproductOrderId = "052869858050_01_P002";\nnumRows = 33792;\n'
        f'radiometricLevel = "Corrected";\n{head}bitsPerPixel = 16;\n{groups}BEGIN_GROUP = IMAGE_1\n{lines}'
        "\tTLCList = (\n\t(0,  0.000000),\n\t(33656, -1.695800)\t);\nEND_GROUP = IMAGE_1\nEND;\n"
    )


def isd_imd(bands: Sequence[str] = ("C", "B", "RE", "N2")) -> str:
    """The same in the XML."""
    groups = "".join(
        f"<BAND_{band}><ULLON>-70.54</ULLON><ABSCALFACTOR>{9.295654e-3 * k:e}</ABSCALFACTOR>"
        f"<EFFECTIVEBANDWIDTH>4.730000e-02</EFFECTIVEBANDWIDTH></BAND_{band}>"
        for k, band in enumerate(bands, 1)
    )
    plain = {key.upper(): value.replace('"', "").strip() for key, value in _IMAGE.items()}
    image = "".join(f"<{key}>{value}</{key}>" for key, value in plain.items())
    return (
        f"<IMD><VERSION>28.3</VERSION><NUMROWS>33792</NUMROWS><RADIOMETRICLEVEL>Corrected</RADIOMETRICLEVEL>{groups}"
        f"<IMAGE>{image}<TLCLISTList><TLCLIST>0 0</TLCLIST><TLCLIST>31728 1.322</TLCLIST></TLCLISTList></IMAGE></IMD>"
    )
