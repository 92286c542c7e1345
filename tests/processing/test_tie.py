"""Tie points of made-up pairs, where each pixel's true partner is known, and of a real stereo pair."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from processing import correlation, raw_image, tie
from processing.adjust import adjust
from processing.correction import Correction
from processing.dem import Dem
from processing.displacement import measure_displacement
from processing.errors import DeliveryError, HeightsError, ProcessingError
from processing.ground import choose_grid, reach
from processing.ortho import Block, Image, orthorectify_block
from processing.raster import open_raster
from processing.raw_image import RawImage, Window
from processing.rpc import Rpc, fit
from processing.tie import match
from processing.vendors import rpc_text
from tests.processing.pushbroom import Pushbroom, write_heights, write_raw

LON, LAT, STEP = 5.3, 44.1, 1 / 3600
SIZE = 250
LEFT_BIAS, RIGHT_BIAS = (3.3, -4.6), (-2.1, 3.2)
"""Rows and columns by which the delivered models are wrong."""


@dataclass(frozen=True)
class Pair:
    """Two images of one ground whose delivered models are wrong, and the models that made them."""

    left: RawImage
    right: RawImage
    dem: Dem
    true: tuple[Rpc, Rpc]
    above_m: float
    """What the images show lies so much above the DEM."""

    def partner(self, row, col):
        """Where the right image truly shows what the left one shows at (row, col)."""
        return np.stack(self.true[1].project(*meet(self.true[0], row, col, self.dem, self.above_m)))

    def error_px(self, ties):
        seen = np.array([(*vars_of(p.seen[0]), *vars_of(p.seen[1])) for p in ties.points]).T
        return np.hypot(*(self.partner(seen[0], seen[1]) - seen[2:]))


def vars_of(sighting):
    return sighting.row, sighting.col


def pixels_of(image):
    with open_raster(image.path) as dataset:
        return dataset.read()


def meet(rpc, row, col, dem, above_m):
    """The ground that the images show at pixels: the simplest of all iterations."""
    height = np.full(np.shape(row), 50.0)
    for _ in range(8):
        lon, lat = rpc.locate(row, col, height)
        height = dem.heights(lon, lat) + above_m
    return lon, lat, height


@cache
def grains(seed):
    """Coefficients of a spline."""
    rng = np.random.default_rng(seed)
    parts = [ndimage.gaussian_filter(rng.normal(size=(1100, 1100)), sigma) for sigma in (1.5, 6.0)]
    return ndimage.spline_filter(sum(one / one.std() for one in parts), order=3)


def texture(lon, lat, *, seed=0):
    """Grains of some 4 m and of some 15 m, over the whole site."""
    y, x = (LAT + 0.007 - lat) / (0.014 / 1100), (lon - LON + 0.0095) / (0.019 / 1100)
    return ndimage.map_coordinates(grains(seed), [y, x], order=3, mode="mirror", prefilter=False)


def make_dem(folder):
    lat, lon = np.meshgrid(
        LAT + 60 * STEP - STEP * np.arange(121), LON - 60 * STEP + STEP * np.arange(121), indexing="ij"
    )
    heights = 50 + 40 * np.sin((lon - LON) * 700) * np.cos((lat - LAT) * 500)
    path = write_heights(folder / "dem.tif", heights, west=LON - 60 * STEP, north=LAT + 60 * STEP, step=STEP)
    return Dem.open(path, vertical_datum="ellipsoid")


@cache
def model_of(camera):
    return fit(**camera.points()).rpc


def take(folder, name, camera, dem, bias, *, above_m=0.0, show=texture, gain=1.0, seed=0):
    """An image of the ground as the camera sees it, with some noise, and a delivered model that is off by the bias."""
    true = model_of(camera)
    row, col = np.meshgrid(np.arange(camera.rows, dtype=float), np.arange(camera.cols, dtype=float), indexing="ij")
    lon, lat, _ = meet(true, row, col, dem, above_m)
    noise = np.random.default_rng(seed).normal(0, 4, row.shape)
    pixels = np.clip(800 + gain * 150 * show(lon, lat) + noise, 1, 4000)
    path = write_raw(folder / f"{name}.tif", pixels[None].round().astype("uint16"))
    delivered = true.shifted(rows=bias[0], cols=bias[1])
    return RawImage(name=name, path=path, rpc=delivered, height=camera.rows, width=camera.cols), true


def make_pair(folder, *, above_m=0.0, show=texture, **of_right):
    dem = make_dem(folder)
    of_both = {"lon": LON, "lat": LAT, "rows": SIZE, "cols": SIZE}
    camera = Pushbroom(**of_both)
    other = Pushbroom(**of_both | {"roll_deg": -12.0, "heading_deg": 188.0} | of_right)
    left, left_true = take(folder, "left", camera, dem, LEFT_BIAS, above_m=above_m, show=show, seed=1)
    right, right_true = take(folder, "right", other, dem, RIGHT_BIAS, above_m=above_m, show=show, gain=0.6, seed=2)
    return Pair(left=left, right=right, dem=dem, true=(left_true, right_true), above_m=above_m)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def ties(pair):
    return match(pair.left, pair.right, pair.dem)


def test_ties_lie_where_the_images_truly_show_the_same(pair, ties):
    error = pair.error_px(ties)
    assert len(error) > 150
    assert np.median(error) < 0.05
    assert error.max() < 0.3
    assert ties.tried == len(error) + ties.unlike + ties.astray + ties.outliers
    assert np.abs(np.mean(ties.off_px[:, 1])) > 2, "the delivered models do not agree"
    rows, cols = np.array([vars_of(point.seen[0]) for point in ties.points]).T
    assert np.ptp(rows) > 0.8 * SIZE
    assert np.ptp(cols) > 0.7 * SIZE
    assert (ties.correlation > correlation.MIN_CORRELATION).all()


def test_ties_make_the_models_agree(pair, ties):
    """What is left across the epipolar line is what the two biases differ by there; ground that both see is one."""
    found = adjust([pair.left.in_block(), pair.right.in_block()], ties.points)
    assert all(scene.rmse_px < 0.02 for scene in found.scenes)
    assert all(scene.rmse_before_px > 1 for scene in found.scenes)
    left, right = (scene.rpc for scene in found.scenes)
    row, col = (part.ravel() for part in np.meshgrid(np.linspace(30, 220, 8), np.linspace(30, 220, 8)))
    off = across_px(left, right, (row, col, *pair.partner(row, col)), 50.0)
    assert np.abs(off).max() < 0.05


def across_px(left, right, seen, height):
    """How far right image points lie beside the epipolar lines of left ones; any height near theirs gives the same.

    `seen`: row and column left, row and column right.
    """
    low, high = (np.stack(right.project(*left.locate(seen[0], seen[1], at), at)) for at in (height - 30, height + 30))
    along = (high - low) / np.hypot(*(high - low))
    off = np.stack([seen[2], seen[3]]) - low
    return off[1] * along[0] - off[0] * along[1]


def test_what_stands_above_the_dem_is_found_along_the_epipolar_line(tmp_path, pair, ties):
    tall = make_pair(tmp_path, above_m=8.0)
    found = match(tall.left, tall.right, tall.dem, cells=8)
    assert len(found.points) > 100
    assert np.median(tall.error_px(found)) < 0.05
    row, col = np.array([vars_of(point.seen[0]) for point in found.points]).T
    moved = tall.partner(row, col) - pair.partner(row, col)
    assert np.median(found.off_px[:, 0]) - np.median(ties.off_px[:, 0]) == pytest.approx(
        np.hypot(*moved).mean(), abs=0.1
    )
    assert np.median(found.off_px[:, 1]) == pytest.approx(np.median(ties.off_px[:, 1]), abs=0.05)


@pytest.mark.parametrize("changes", [{"heading_deg": 282.0, "gsd_m": 2.4}, {"heading_deg": 12.0, "gsd_m": 1.6}])
def test_turn_and_scale_do_not_matter(tmp_path, changes):
    other = make_pair(tmp_path, **changes)
    found = match(other.left, other.right, other.dem, cells=8, per_cell=2)
    error = other.error_px(found)
    assert len(error) > 60
    assert np.median(error) < 0.08
    assert np.percentile(error, 95) < 0.25


def test_the_same_pair_gives_the_same_points(pair, ties):
    few, again = (match(pair.left, pair.right, pair.dem, cells=6) for _ in range(2))
    assert again.points == few.points
    np.testing.assert_array_equal(again.off_px, few.off_px)
    assert len({point.id for point in ties.points}) == len(ties.points)


def test_nodata_and_clouds_are_passed_over(tmp_path, pair, ties):
    """Above row 120 of the left image no patch is whole; a mask of half the pixels has clouds over the right one."""
    pixels = pixels_of(pair.left)
    pixels[:, :120:20, ::20] = 0
    mask = np.zeros((1, SIZE // 2, SIZE // 2), dtype="uint8")
    mask[:, :, : 130 // 2] = 1
    half = Correction(row=(-0.25, 0.5, 0.0), col=(-0.25, 0.0, 0.5)).folded(pair.right.rpc)[0]
    clouds = RawImage(
        name="clouds", path=write_raw(tmp_path / "clouds.tif", mask), rpc=half, height=SIZE // 2, width=SIZE // 2
    )
    left = replace(pair.left, path=write_raw(tmp_path / "left.tif", pixels), nodata=0.0)
    found = match(left, replace(pair.right, clouds=clouds), pair.dem)
    seen = np.array([(*vars_of(p.seen[0]), *vars_of(p.seen[1])) for p in found.points])
    assert 20 < len(seen) < 0.6 * len(ties.points)
    assert seen[:, 0].min() >= 101 + 12
    assert seen[:, 3].min() >= 130 + 10
    assert np.median(pair.error_px(found)) < 0.05


def test_things_that_have_moved_are_told_as_outliers(tmp_path, pair, ties):
    """A part of the right image is moved by 6 pixels across and along: alike, but not of the ground any more."""
    pixels = pixels_of(pair.right)
    pixels[:, 100:190, 100:190] = pixels[:, 106:196, 95:185].copy()
    found = match(
        pair.left, replace(pair.right, path=write_raw(tmp_path / "moved.tif", pixels)), pair.dem, bias_px=20.0
    )
    assert found.outliers > ties.outliers + 5
    assert pair.error_px(found).max() < 0.5


def test_a_way_that_leads_elsewhere_on_return_is_no_match(tmp_path, pair, monkeypatch):
    """The left image shows one thing twice, the right one only its original."""
    left, right = pixels_of(pair.left), pixels_of(pair.right)
    copied, original = np.s_[:, 100:148, 152:200], np.s_[:, 100:148, 100:148]
    left[copied] = left[original] + np.random.default_rng(0).normal(0, 80, (1, 48, 48)).round().astype(int)
    row, col = (part.astype(int) for part in pair.partner(np.array([100.0, 148.0]), np.array([152.0, 200.0])))
    gone = right[:, row[0] - 1 : row[1] + 1, col[0] - 1 : col[1] + 1]
    gone[:] = np.random.default_rng(1).normal(800, 150, gone.shape)
    images = [
        replace(image, path=write_raw(tmp_path / f"{image.name}.tif", pixels))
        for image, pixels in ((pair.left, left), (pair.right, right))
    ]
    far = {"cells": 4, "per_cell": 8, "bias_px": 56.0, "height_error_m": 2.0}
    strict = match(*images, pair.dem, **far)
    monkeypatch.setattr(tie, "MAX_RETURN_PX", 99.0)
    loose = match(*images, pair.dem, **far)
    assert strict.astray >= loose.astray + 2
    assert strict.outliers <= loose.outliers - 2


def test_only_windows_are_read(pair, ties, monkeypatch):
    areas = []
    read = raw_image._pixels

    def spy(image, part):
        areas.append((part[1] - part[0], part[3] - part[2]))
        return read(image, part)

    monkeypatch.setattr(raw_image, "_pixels", spy)
    monkeypatch.setattr(tie, "_WINDOW_PX", 64)
    found = match(pair.left, pair.right, pair.dem, cells=3, per_cell=6)
    assert 20 < len(found.points) <= 54
    assert len(areas) >= 9 * 3
    assert max(max(area) for area in areas) < 200 < SIZE


def test_bands_and_files_that_are_not_there(pair):
    with pytest.raises(DeliveryError, match=r"left.tif: band 2, rows .* cannot be read"):
        match(replace(pair.left, band=2), pair.right, pair.dem)
    with pytest.raises(DeliveryError, match=r"none.tif: there is no such file"):
        match(replace(pair.left, path=pair.left.path.with_name("none.tif")), pair.right, pair.dem)
    with pytest.raises(ProcessingError, match="both images are called left"):
        match(pair.left, pair.left, pair.dem)


def test_where_no_height_is_known_there_are_no_ties(tmp_path, pair):
    rows, cols = np.meshgrid(np.arange(121), np.arange(62), indexing="ij")
    path = write_heights(
        tmp_path / "west.tif", 50.0 + 0 * rows * cols, west=LON - 60 * STEP, north=LAT + 60 * STEP, step=STEP
    )
    found = match(pair.left, pair.right, Dem.open(path, vertical_datum="ellipsoid"), height_error_m=130.0, per_cell=1)
    assert all(point.lon < LON + 2 * STEP for point in found.points)
    far = write_heights(tmp_path / "far.tif", np.full((9, 9), 50.0), west=20, north=10, step=STEP)
    with pytest.raises(HeightsError, match="no height"):
        match(pair.left, pair.right, Dem.open(far, vertical_datum="ellipsoid"))


def test_images_that_share_nothing(tmp_path, pair):
    away = replace(pair.right, rpc=replace(pair.right.rpc, lon_off=pair.right.rpc.lon_off + 0.03))
    found = match(pair.left, away, pair.dem)
    assert (found.points, found.tried) == ((), 0)
    assert found.off_px.shape == (0, 2)
    camera = Pushbroom(lon=LON, lat=LAT, rows=SIZE, cols=SIZE, roll_deg=-12.0, heading_deg=188.0)
    other, _ = take(tmp_path, "right", camera, pair.dem, RIGHT_BIAS, show=lambda lon, lat: texture(lon, lat, seed=9))
    found = match(pair.left, other, pair.dem, cells=8)
    assert found.tried > 100
    assert found.points == ()


@pytest.mark.parametrize(
    "show",
    [
        lambda lon, _: 0.0 * lon,
        lambda lon, _: np.sin((lon - LON) * 4e5),
        lambda lon, lat: np.sin((lon - LON) * 4e5) * np.sin((lat - LAT) * 5e5),
    ],
    ids=["nothing", "stripes", "rows-of-trees"],
)
def test_what_looks_alike_in_many_places_is_not_believed(tmp_path, show):
    poor = make_pair(tmp_path, show=show)
    found = match(poor.left, poor.right, poor.dem, cells=6)
    assert found.tried > 60
    assert len(found.points) < 0.03 * found.tried


FINER = 4


def two_patches(down, right, seed):
    """A random picture, and the same moved by exactly that much: a phase ramp on a four times finer grid."""
    rng = np.random.default_rng(seed)
    side = 72 * FINER
    fine = ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.3 * FINER, mode="wrap")
    y, x = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    moved = np.fft.ifft2(np.fft.fft2(fine) * np.exp(-2j * np.pi * FINER * (y * down + x * right))).real
    return fine[::FINER, ::FINER].copy(), 3.0 * moved[::FINER, ::FINER] + 7.0


@settings(max_examples=25)
@given(down=st.floats(-6.5, 6.5), right=st.floats(-6.5, 6.5), seed=st.integers(0, 50))
def test_the_peak_is_found_between_pixels_without_bias(down, right, seed):
    reference, picture = two_patches(down, right, seed)
    nodes = np.stack(np.meshgrid(36 + np.linspace(-22, 22, 5), 36 + np.linspace(-22, 22, 5), indexing="ij"))
    window = Window(values=picture, row=0, col=0)
    found = correlation.find_patch(
        reference[24:49, 24:49].copy(), window.spline(), nodes, 22.0, np.ones((17, 17), dtype=bool)
    )
    assert np.hypot(found[0] - down, found[1] - right) < 0.005
    assert found[2:4] == pytest.approx((36 + found[0], 36 + found[1]))
    assert found[4] > 0.99


def test_a_second_peak_as_high_is_no_match():
    """A grid of dots looks alike at every step."""
    y, x = np.mgrid[0:72, 0:72].astype(float)
    dots = np.sin(y * 2 * np.pi / 6) * np.sin(x * 2 * np.pi / 6)
    one = dots + 9 * np.exp(-((y - 36) ** 2 + (x - 36) ** 2) / 8)
    nodes = np.stack(np.meshgrid(36 + np.linspace(-22, 22, 5), 36 + np.linspace(-22, 22, 5), indexing="ij"))
    for picture, match_of in ((dots, False), (one, True)):
        spline = Window(values=picture, row=0, col=0).spline()
        found = correlation.find_patch(picture[24:49, 24:49].copy(), spline, nodes, 22.0, np.ones((17, 17), dtype=bool))
        assert np.isfinite(found).all() == match_of


def test_a_peak_outside_what_is_allowed_is_no_match():
    reference, picture = two_patches(5.0, 0.0, 1)
    nodes = np.stack(np.meshgrid(36 + np.linspace(-22, 22, 5), 36 + np.linspace(-22, 22, 5), indexing="ij"))
    allowed = np.ones((17, 17), dtype=bool)
    allowed[12:] = False
    assert np.isnan(correlation.find_patch(reference[24:49, 24:49].copy(), picture, nodes, 22.0, allowed)).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), top=st.integers(0, 4), left=st.integers(0, 4))
def test_correlation_is_that_of_numpy(seed, top, left):
    rng = np.random.default_rng(seed)
    template, picture = rng.normal(50, 9, (9, 9)), rng.normal(30, 4, (13, 13))
    centred = template - template.mean()
    found = correlation._correlation(centred, np.linalg.norm(centred), picture, top, left)
    expected = np.corrcoef(template.ravel(), picture[top : top + 9, left : left + 9].ravel())[0, 1]
    assert found == pytest.approx(expected, abs=1e-9)
    picture[top + 3, left + 3] = np.nan
    assert correlation._correlation(centred, np.linalg.norm(centred), picture, top, left) == -2.0


@settings(max_examples=20)
@given(row=st.floats(1, 8.99), col=st.floats(1, 8.99), seed=st.integers(0, 99))
def test_between_pixels_it_is_the_spline_of_scipy(row, col, seed):
    pixels = np.random.default_rng(seed).normal(100, 20, (12, 12))
    spline = Window(values=pixels, row=0, col=0).spline()
    expected = ndimage.map_coordinates(pixels, [[row], [col]], order=3, mode="mirror")[0]
    assert correlation._spline_at(spline, row, col) == pytest.approx(expected, abs=1e-9)
    pixels[int(row) + 1, int(col)] = np.nan
    assert np.isnan(correlation._spline_at(Window(values=pixels, row=0, col=0).spline(), row, col))


@pytest.fixture(scope="module")
def ventoux(shared):
    folder, geoid = shared / "data" / "pleiades-ventoux", shared / "data" / "geoid" / "egm96_15.gtx"
    dem = Dem.open(folder / "N44E005.hgt", vertical_datum="EGM96", geoid=geoid)
    size = {"left": (500, 500), "right": (495, 498)}
    images = [
        RawImage(name=name, path=folder / f"{name}.tif", rpc=rpc_text.read(folder / f"{name}_RPC.TXT"),
                 height=height, width=width)
        for name, (height, width) in size.items()
    ]  # fmt: skip
    return images, dem, match(*images, dem)


@pytest.mark.parametrize("model", ["shift", "affine"])
def test_a_real_stereo_pair_agrees_after_adjustment(ventoux, model):
    """Pléiades over Mont Ventoux: delivered models, 3″ heights."""
    (left, right), _, ties = ventoux
    assert len(ties.points) > 80
    found = adjust([left.in_block(), right.in_block()], ties.points, model=model)
    seen = np.array([(*vars_of(point.seen[0]), *vars_of(point.seen[1])) for point in ties.points]).T
    before = across_px(left.rpc, right.rpc, seen, 560.0)
    refined = [scene.rpc for scene in found.scenes]
    after = across_px(*refined, seen, 560.0)
    lon, lat = (rpc.locate(*part, found.height) for rpc, part in zip(refined, (seen[:2], seen[2:]), strict=True))
    (lon, other_lon), (lat, other_lat) = (lon[0], lat[0]), (lon[1], lat[1])
    apart_m = np.hypot((lon - other_lon) * 111_320 * np.cos(np.radians(lat)), (lat - other_lat) * 111_132)
    print(
        f"{model}: {len(ties.points)} ties of {ties.tried} corners ({ties.unlike} unlike, {ties.astray} astray, "
        f"{ties.outliers} outliers); across the epipolar line median |{np.median(np.abs(before)):.2f}| px before, "
        f"|{np.median(np.abs(after)):.3f}| px after; ground apart {np.median(apart_m):.3f} m"
    )
    assert np.median(np.abs(before)) > 3
    assert np.median(np.abs(after)) < 0.3
    assert np.median(apart_m) < 0.15, "0.3 px of 0.5 m"
    assert np.percentile(apart_m, 90) < 0.3


def test_real_orthoimages_come_together(ventoux):
    """Judged by another way of matching. What is left is the terrain that 3″ heights do not know."""
    (left, right), dem, ties = ventoux
    grids = [
        choose_grid(one.rpc, (one.height, one.width), dem, crs="EPSG:32631", resolution=0.5) for one in (left, right)
    ]
    west, south, east, north = np.transpose([grid.bounds for grid in grids])
    shared_part = (west.max(), south.max(), east.min(), north.min())
    grid = choose_grid(left.rpc, (500, 500), dem, crs="EPSG:32631", resolution=0.5, bounds=shared_part)

    def ortho(image, rpc):
        pixels = pixels_of(image)
        raw = Image(rpc=rpc, height=image.height, width=image.width, bands=1, data_type="uint16", nodata=None)
        whole = Block(row=0, col=0, height=grid.height, width=grid.width)
        return orthorectify_block(
            whole, grid=grid, image=raw, terrain=dem, reach=reach(raw, grid, dem), nodata=0.0, resampling="cubic",
            read=lambda top, bottom, first, last: pixels[:, top:bottom, first:last],
        )[0]  # fmt: skip

    def apart(*rpcs):
        one, other = (ortho(image, rpc) for image, rpc in zip((left, right), rpcs, strict=True))
        return measure_displacement(
            other.astype(float), one.astype(float), resolution_m=0.5, valid=(one > 0) & (other > 0), patch_px=32
        )

    found = adjust([left.in_block(), right.in_block()], ties.points, model="affine")
    before, after = apart(left.rpc, right.rpc), apart(*(scene.rpc for scene in found.scenes))
    print(f"orthoimages apart: bias {np.hypot(*before.bias_m):.2f} m, rmse {before.rmse_m:.2f} m before; "
          f"{np.hypot(*after.bias_m):.2f} m, {after.rmse_m:.2f} m after")  # fmt: skip
    assert np.hypot(*before.bias_m) > 2
    assert np.hypot(*after.bias_m) < 0.6
    assert after.rmse_m < 0.6 * before.rmse_m
