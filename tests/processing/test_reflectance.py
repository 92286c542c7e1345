"""Reflectance, held against almanacs, published band settings worked out by hand, and plain numpy."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from rio_cogeo import cog_validate

from processing.errors import DeliveryError, OutputError, ProcessingError
from processing.reflectance import (
    FLOAT,
    Calibration,
    Encoding,
    Sun,
    convert_block,
    earth_sun_distance_au,
    radiance_factors,
    reflectance_factors,
    to_reflectance,
)

BANDS = (
    Calibration(gain=0.1, offset=0.0, esun=1550.0),
    Calibration(gain=0.05, offset=-1.25, esun=1050.0),
)
NAIVE = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
SUN = Sun(elevation_deg=30.0, acquired=datetime(2024, 7, 5, 10, tzinfo=UTC))


@pytest.mark.parametrize(
    ("when", "distance"),
    [
        # Perihelia and aphelia by VSOP87 (neoprogrammics.com), and one of IMCCE.
        (datetime(2021, 1, 2, 13, 50, 31, tzinfo=UTC), 0.983257060),
        (datetime(2021, 7, 5, 22, 27, 3, tzinfo=UTC), 1.016729224),
        (datetime(2022, 1, 4, 6, 54, 10, tzinfo=UTC), 0.983336539),
        (datetime(2022, 7, 4, 7, 10, 42, tzinfo=UTC), 1.016715374),
        (datetime(2006, 1, 4, 15, tzinfo=UTC), 0.983326979),
        # Meeus, example 25.b (VSOP87).
        (datetime(1992, 10, 13, 0, tzinfo=UTC), 0.99760775),
    ],
)
def test_how_far_the_sun_is(when, distance):
    assert earth_sun_distance_au(when) == pytest.approx(distance, abs=1e-4)


def test_meeus_own_example():
    assert earth_sun_distance_au(datetime(1992, 10, 13, tzinfo=UTC)) == pytest.approx(0.99766, abs=5e-6)


@settings(max_examples=50)
@given(st.integers(-10_000, 18_000).map(lambda day: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=7)))
def test_the_other_low_precision_formula_agrees(when):
    """That of the Astronomical Almanac, page C5: a series instead of the orbit."""
    days = (when - datetime(2000, 1, 1, 12, tzinfo=UTC)) / timedelta(days=1)
    g = math.radians(357.528 + 0.9856003 * days)
    series = 1.00014 - 0.01671 * math.cos(g) - 0.00014 * math.cos(2 * g)
    assert earth_sun_distance_au(when) == pytest.approx(series, abs=5e-5)


def test_a_time_is_the_same_in_any_zone():
    there = datetime(2024, 3, 1, 22, tzinfo=timezone(timedelta(hours=-7)))
    assert earth_sun_distance_au(there) == earth_sun_distance_au(there.astimezone(UTC))


def test_one_pixel_by_hand():
    pixels = np.array([[[400]], [[800]]], dtype=np.uint16)
    radiance = convert_block(pixels, radiance_factors(BANDS, 2), FLOAT, nodata=None)
    assert radiance[:, 0, 0] == pytest.approx([40.0, 38.75])
    found = convert_block(pixels, reflectance_factors(BANDS, SUN, 2), FLOAT, nodata=None)
    squared = 1.0167255**2  # the aphelion of that day, USNO
    expected = [math.pi * 40.0 * squared / (1550 * 0.5), math.pi * 38.75 * squared / (1050 * 0.5)]
    assert found[:, 0, 0] == pytest.approx(expected, rel=2e-4)
    stored = convert_block(pixels, reflectance_factors(BANDS, SUN, 2), Encoding(), nodata=None)
    assert stored.dtype == np.uint16
    assert stored[:, 0, 0] * 1e-4 == pytest.approx(found[:, 0, 0], abs=0.51e-4)


def test_white_is_one():
    """Radiance of a white matt surface under a sun in the zenith at 1 AU is ESUN / π."""
    when = datetime(2024, 4, 3, 16, tzinfo=UTC)
    white = Calibration(gain=1.0, offset=0.0, esun=1550.0)
    ((slope, intercept),) = reflectance_factors([white], Sun(elevation_deg=90, acquired=when), 1)
    assert slope * 1550 / math.pi == pytest.approx(earth_sun_distance_au(when) ** 2)
    assert earth_sun_distance_au(when) == pytest.approx(1, abs=2e-4)
    assert intercept == 0


@settings(max_examples=25)
@given(
    seed=st.integers(0, 999),
    encoding=st.sampled_from([Encoding(), Encoding(offset=-0.1), Encoding(scale=2e-4, nodata=65535), FLOAT]),
    nodata=st.sampled_from([None, 0, 7]),
)
def test_every_pixel_is_that_of_numpy(seed, encoding, nodata):
    rng = np.random.default_rng(seed)
    pixels = rng.choice(np.array([0, 1, 7, 20, 25, 500, 4000, 20_000, 65_535], dtype=np.uint16), (2, 6, 5))
    factors = reflectance_factors(BANDS, SUN, 2)
    found = convert_block(pixels, factors, encoding, nodata=nodata)
    values = np.stack([slope * band.astype(float) + at for (slope, at), band in zip(factors, pixels, strict=True)])
    missing = np.zeros(pixels.shape, bool) if nodata is None else pixels == nodata
    if encoding is FLOAT:
        assert np.array_equal(np.isnan(found), missing)
        np.testing.assert_allclose(found[~missing], values[~missing], rtol=1e-6)
        return
    assert np.array_equal(found == encoding.nodata, missing)
    stored = np.clip(np.round((values - encoding.offset) / encoding.scale), 0, 65535)
    beside = 1 if encoding.nodata == 0 else 65534
    expected = np.where(stored == encoding.nodata, beside, stored)
    assert np.abs(found[~missing] - expected[~missing]).max(initial=0) == 0


def test_nan_shows_nothing():
    pixels = np.array([[[np.nan, 100.0]]], dtype=np.float32)
    factors = radiance_factors(BANDS[:1], 1)
    assert convert_block(pixels, factors, Encoding(scale=0.01), nodata=None).tolist() == [[[0, 1000]]]


def write(path, pixels, *, nodata=0, crs="EPSG:32631"):
    bands, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs=crs,
        transform=Affine(0.5, 0, 681_132.0, 0, -0.5, 4_893_753.0),
        nodata=nodata,
        count=bands,
        height=height,
        width=width,
        dtype=pixels.dtype.name,
    ) as file:
        file.write(pixels)
        file.descriptions = ("red", "nir")
    return path


def test_the_file(tmp_path):
    pixels = np.random.default_rng(1).integers(1, 4000, (2, 2100, 2060)).astype(np.uint16)
    pixels[:, :50] = 0
    source = write(tmp_path / "dn.tif", pixels)
    seen = []
    results = [
        to_reflectance(
            source,
            tmp_path / f"{threads}.tif",
            calibrations=BANDS,
            sun=SUN,
            threads=threads,
            progress=lambda *what: seen.append(what),
        )
        for threads in (1, 2)
    ]
    assert seen[:4] == [("reflectance", done, 4) for done in range(1, 5)]
    assert results[0].path.read_bytes() == results[1].path.read_bytes()
    assert cog_validate(results[0].path, strict=True, quiet=True) == (True, [], [])
    assert results[0].encoding.stac == {"raster:scale": 1e-4, "raster:offset": 0.0}
    whole = convert_block(pixels, reflectance_factors(BANDS, SUN, 2), Encoding(), nodata=0)
    with rasterio.open(results[0].path) as dataset:
        np.testing.assert_array_equal(dataset.read(), whole)
        assert dataset.nodata == 0
        assert (dataset.scales, dataset.offsets) == ((1e-4, 1e-4), (0.0, 0.0))
        assert dataset.descriptions == ("red", "nir")
        assert not dataset.read(1)[:50].any()
        assert dataset.read(1)[50:].all()


def test_radiance_where_there_is_no_sun(tmp_path):
    source = write(tmp_path / "dn.tif", np.full((2, 30, 40), 400, dtype=np.uint16))
    result = to_reflectance(source, tmp_path / "out.tif", calibrations=BANDS, sun=None)
    with rasterio.open(result.path) as dataset:
        assert dataset.dtypes == ("float32", "float32")
        assert math.isnan(dataset.nodata)
        assert dataset.read(1)[0, 0] == pytest.approx(40.0)
        assert dataset.read(2)[0, 0] == pytest.approx(18.75)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sun(elevation_deg=-3, acquired=SUN.acquired), ProcessingError, "elevation -3°, so that no sunlight"),
        (
            lambda: Sun(elevation_deg=0, acquired=SUN.acquired),
            ProcessingError,
            "reflectance needs a scene taken by day",
        ),
        (lambda: Sun(elevation_deg=91, acquired=SUN.acquired), ProcessingError, "up to 90°"),
        (lambda: Sun(elevation_deg=math.nan, acquired=SUN.acquired), ProcessingError, "elevation nan°"),
        (lambda: Sun(elevation_deg=30, acquired=NAIVE), ProcessingError, "no time zone; give it in UTC"),
        (lambda: earth_sun_distance_au(NAIVE), ProcessingError, "no time zone"),
        (lambda: Calibration(gain=0, offset=0, esun=1500), ProcessingError, "gain 0, offset 0; give W m⁻² sr⁻¹ µm⁻¹"),
        (lambda: Calibration(gain=1, offset=math.nan, esun=1500), ProcessingError, "offset nan"),
        (lambda: Calibration(gain=1, offset=0, esun=0), ProcessingError, "ESUN 0; give W m⁻² µm⁻¹ above 0"),
        (lambda: Encoding(data_type="uint8"), OutputError, "uint8 pixels; give uint16 or float32"),
        (lambda: Encoding(nodata=-1), OutputError, "nodata -1 of uint16 pixels; give a whole number, 0 to 65535"),
        (lambda: Encoding(scale=0), OutputError, "scale 0, offset 0.0; give numbers, the scale above 0"),
        (
            lambda: radiance_factors(BANDS, 4),
            ProcessingError,
            "2 gains for 4 bands; give gain, offset and ESUN of each",
        ),
        (
            lambda: reflectance_factors([BANDS[0], None], SUN, 2),
            ProcessingError,
            "band 2 has none; the metadata should",
        ),
    ],
)
def test_what_cannot_be_calibrated(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_files_that_cannot_be_converted(tmp_path):
    source = write(tmp_path / "dn.tif", np.ones((2, 5, 5), dtype=np.uint16), crs=None)
    with pytest.raises(DeliveryError, match=r"dn.tif: it has no CRS; orthorectify it first"):
        to_reflectance(source, tmp_path / "out.tif", calibrations=BANDS, sun=SUN)
    source = write(tmp_path / "dn.tif", np.ones((2, 5, 5), dtype=np.uint16))
    with pytest.raises(ProcessingError, match="1 gains for 2 bands"):
        to_reflectance(source, tmp_path / "out.tif", calibrations=BANDS[:1], sun=SUN)
    assert [path.name for path in tmp_path.iterdir()] == ["dn.tif"]
