"""What is made of a report: assets, an item's fields, the page; and what is read of masks and pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from catalog.item import Accuracy
from processing.accuracy import (
    AccuracyReport,
    CheckPointError,
    CheckPoints,
    Coregistration,
    SensorFit,
    Vector,
)
from processing.accuracy_files import heights_of, occluded_pct, picture_asset, report_asset, report_of, stac_accuracy
from processing.accuracy_picture import COLOURS, write_picture
from processing.accuracy_table import figures, provenance
from processing.dem import Dem
from processing.error_statistics import PlanarErrors
from processing.errors import DeliveryError
from processing.masks import CLOUDY, NODATA, OCCLUDED
from processing.statistics import band_statistics
from tests.processing.pushbroom import write_heights
from tests.processing.test_coregistration import Ground, at, draw

ERRORS = PlanarErrors.of([0.3, 0.1, -0.2, 0.4, 0.2], [1.0, -0.5, 0.2, 0.9, 1.1])


@pytest.fixture
def ortho(tmp_path):
    return draw(tmp_path / "ortho.tif", Ground(), at(0.5), (200, 300))


def agreement(**change):
    vectors = tuple(
        Vector(lon=3.0 + k * 2e-4, lat=44.2525 - k * 1e-4, east_m=e, north_m=n)
        for k, (e, n) in enumerate(zip([0.3, 0.1, -0.2, 0.4, 0.2], [1.0, -0.5, 0.2, 0.9, 1.1], strict=True))
    )
    whole = Coregistration(
        against="other.tif", resolution_m=0.5, window_px=48, windows=7, outliers=1, vectors=vectors, errors=ERRORS
    )  # fmt: skip
    return replace(whole, **change)


def checked():
    points = tuple(
        CheckPointError(id=f"p{k}", lon=3.0001, lat=44.2524, row_px=0.1, col_px=0.2, model_east_m=0.1 * k,
                        model_north_m=0.1, product_east_m=0.3 * k, product_north_m=0.2, dem_m=1.0)
        for k in range(5)
    )  # fmt: skip
    return CheckPoints(
        source="p.csv", points=points, rmse_px=0.5, model=ERRORS,
        product=PlanarErrors.of([0.3 * k for k in range(5)], [0.2] * 5), dem_median_m=1.0, dem_nmad_m=0.0,
        dem_rmse_m=1.0,
    )  # fmt: skip


def test_a_report_brings_all_together(tmp_path, ortho):
    path = write_heights(tmp_path / "dem.tif", np.zeros((9, 9), np.float32), west=3.0, north=44.3, step=0.01)
    dem = Dem.open(path, vertical_datum="ellipsoid")
    report = report_of(
        "item-1", ortho, fits=[SensorFit(raster="pan", rms_px=0.02), SensorFit(raster="ms", rms_px=0.05, max_px=0.1)],
        dem=dem, occluded_pct=1.5, check_points=checked(), coregistrations=[agreement()], max_nmad_px=2.0,
        max_ce90_m=0.5, software={"overflight": "1"},
    )  # fmt: skip
    assert report.resolution_m == pytest.approx(0.5, rel=1e-3)
    assert report.heights == heights_of(dem)
    assert (report.heights.dem, report.heights.vertical_datum, report.heights.geoid) == ("dem.tif", "ellipsoid", None)
    assert [one.is_met for one in report.limits] == [True, False]
    said = stac_accuracy(report)
    assert said == Accuracy(
        x_bias_m=pytest.approx(0.6), y_bias_m=pytest.approx(0.2), x_stddev_m=pytest.approx(0.3 * np.sqrt(2)),
        y_stddev_m=pytest.approx(0.0), rmse_m=pytest.approx(np.sqrt(0.36 + 0.18 + 0.04)),
        ce90_m=pytest.approx(np.hypot(1.2, 0.2)),
        coregistration_nmad_px=pytest.approx(ERRORS.nmad_m / 0.5), rpc_rms_px=0.05, dem="dem.tif",
        vertical_datum="ellipsoid", occluded_pct=1.5,
    )  # fmt: skip


def test_agreement_is_no_accuracy(ortho):
    """Two scenes with one mistake agree: only points on the ground go into the accuracy extension."""
    said = stac_accuracy(report_of("a", ortho, coregistrations=[agreement()]))
    assert said == Accuracy(coregistration_nmad_px=pytest.approx(ERRORS.nmad_m / 0.5))


def coloured(path, colour):
    """Pixels of a picture that have about a colour."""
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)])
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    return int((np.abs(pixels - wanted).max(axis=2) < 12).sum())


def test_the_page(tmp_path, ortho):
    report = report_of("item-1", ortho, check_points=checked(), coregistrations=[agreement()], max_nmad_px=2.0)
    first, again, empty = (tmp_path / f"{name}.png" for name in ("first", "again", "empty"))
    write_picture(report, ortho, first)
    write_picture(report, ortho, again)
    assert first.read_bytes() == again.read_bytes()
    with Image.open(first) as picture:
        assert picture.size == (1452, 1023)
    for colour in COLOURS[:2]:
        assert coloured(first, colour) > 1000
    write_picture(report_of("item-1", ortho), ortho, empty)
    assert coloured(empty, COLOURS[0]) == coloured(empty, COLOURS[1]) == 0


@pytest.mark.parametrize(
    "found",
    [
        agreement(errors=None, vectors=()),
        agreement(errors=PlanarErrors.of([0.0] * 5, [0.0] * 5), vectors=tuple(
            replace(one, east_m=0.0, north_m=0.0) for one in agreement().vectors)),
        agreement(against="x" * 300),
    ],
    ids=["too few", "perfect", "long name"],
)  # fmt: skip
def test_pages_of_odd_reports(tmp_path, ortho, found):
    report = report_of("y" * 300, ortho, coregistrations=[found] * 5)
    write_picture(report, ortho, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    for table in (figures(report), provenance(report)):
        assert len({len(row) for row in table}) == 1


def test_a_page_of_a_picture_in_colours_across_the_antimeridian(tmp_path):
    from rasterio.transform import Affine

    pixels = np.random.default_rng(0).integers(1, 2000, (3, 90, 120)).astype("uint16")
    with rasterio.open(
        tmp_path / "c.tif", "w", driver="GTiff", height=90, width=120, count=3, dtype="uint16", crs="EPSG:32601",
        transform=Affine(10, 0, 166_000, 0, -10, 10_000), photometric="RGB", nodata=0,
    ) as file:  # fmt: skip
        file.write(pixels)
    lon = [179.9995, -179.9995, 180.0]
    vectors = tuple(Vector(lon=one, lat=0.085, east_m=2.0, north_m=1.0) for one in lon)
    report = AccuracyReport(
        product="c", crs="EPSG:32601", resolution_m=10.0,
        coregistrations=(agreement(vectors=vectors, errors=PlanarErrors.of([2.0] * 3, [1.0] * 3)),),
    )  # fmt: skip
    write_picture(report, tmp_path / "c.tif", tmp_path / "c.png")
    assert coloured(tmp_path / "c.png", COLOURS[1]) > 300


def test_hidden_pixels_are_a_share_of_those_with_data(tmp_path):
    bits = np.zeros((1, 40, 50), np.uint8)
    bits[0, :10] = NODATA.bit
    bits[0, 10:16] = OCCLUDED.bit
    bits[0, 16:20] = OCCLUDED.bit | CLOUDY.bit
    path = tmp_path / "mask.tif"

    def write(values):
        with rasterio.open(
            path, "w", driver="GTiff", height=40, width=50, count=1, dtype="uint8", transform=at(1.0), crs="EPSG:32631"
        ) as file:
            file.write(values)

    write(bits)
    assert occluded_pct(path) == pytest.approx(100 * 10 / 30)
    write(np.full_like(bits, NODATA.bit))
    assert occluded_pct(path) is None
    path.write_bytes(b"no raster")
    with pytest.raises(DeliveryError):
        occluded_pct(path)


def test_assets(tmp_path):
    report, picture = tmp_path / "a.json", tmp_path / "a.png"
    report.write_text("{}")
    picture.write_bytes(b"x")
    asset = report_asset(report, "https://overflight.invalid/a.json")
    assert (asset.name, asset.media_type, asset.roles, asset.size_bytes) == (
        "accuracy", "application/json", ("metadata",), 2,
    )  # fmt: skip
    asset = picture_asset(picture, "https://overflight.invalid/a.png")
    assert (asset.media_type, asset.roles, asset.size_bytes) == ("image/png", ("overview",), 1)


@pytest.mark.parametrize(("kind", "nodata"), [("uint16", 0), ("float32", float("nan")), ("int16", -5)])
def test_statistics_are_those_of_numpy(tmp_path, kind, nodata):
    rng = np.random.default_rng(2)
    pixels = (30_000 + rng.normal(0, 3, (2, 700, 530))).astype(kind)
    pixels[0, :100] = nodata
    pixels[1, :, :30] = nodata
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=700, width=530, count=2, dtype=kind, nodata=nodata, tiled=True,
        blockxsize=256, blockysize=256, crs="EPSG:32631", transform=at(1.0),
    ) as file:  # fmt: skip
        file.write(pixels)
    for told, band in zip(band_statistics(path), pixels, strict=True):
        known = band[~np.isnan(band) if kind == "float32" else band != nodata].astype(float)
        assert (told.minimum, told.maximum, told.count) == (known.min(), known.max(), known.size)
        assert told.mean == pytest.approx(known.mean(), rel=1e-12)
        assert told.stddev == pytest.approx(known.std(), rel=1e-9)
        assert told.valid_pct == pytest.approx(100 * known.size / band.size)


def test_a_band_without_data_has_no_statistics(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=5, width=5, count=1, dtype="uint8", nodata=0, transform=at(1.0)
    ) as file:
        file.write(np.zeros((1, 5, 5), np.uint8))
    assert band_statistics(path) == ()


def test_an_orthoimage_is_needed(tmp_path):
    with pytest.raises(DeliveryError, match="there is no such file"):
        report_of("a", Path(tmp_path / "none.tif"))
