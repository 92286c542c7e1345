"""Pan-sharpening, held against numpy pixel by pixel, GDAL's weighted Brovey, and a picture whose truth is known."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from rio_cogeo import cog_validate
from scipy import ndimage

from processing.errors import DeliveryError, OutputError, ProcessingError
from processing.fidelity import compare, wald
from processing.moments import MAX_GAIN, Moments, fitted, measure, measured
from processing.mtf import degrade, gaussian_sigma
from processing.ortho import Block
from processing.pair import Axis, Pair
from processing.pansharpen import pansharpen, plan
from processing.sharpen import CONTEXT, METHODS, Recipe, sharpen_block, windows

WEIGHTS = (0.1, 0.3, 0.4, 0.2)


def fields(rng, bands, height, width, *, colourful=0.3):
    """Fields and roads: patches of few materials, bright and dark ones, more or less colourful, with fine texture.

    Shape (bands, height, width).
    """
    materials = rng.uniform(200, 1500, (6, 1)) * rng.uniform(1 - colourful, 1 + colourful, (6, bands))
    places = ndimage.gaussian_filter(rng.normal(size=(6, height, width)), (0, 5, 5))
    spectra = np.moveaxis(materials[np.argmax(places, axis=0)], -1, 0)
    texture = 1 + 0.15 * ndimage.gaussian_filter(rng.normal(size=(height, width)), 0.8)
    spectra[:, ::37] = spectra[:, :, ::53] = 1800
    return spectra * texture


def a_pair(pan, bands, *, scale=(0.25, 0.25), origin=(-0.375, -0.375), **nodata):
    rows, cols = (
        Axis(pan_size=pan.shape[i], size=bands.shape[i + 1], scale=scale[i], origin=origin[i]) for i in range(2)
    )
    more = {"pan_nodata": None, "nodata": None} | nodata
    return Pair(rows=rows, cols=cols, bands=len(bands), data_type=bands.dtype.name, **more)


def part_of(pixels, part):
    return pixels[..., part[0] : part[1], part[2] : part[3]]


def a_block(pan, bands, block, *, pair, recipe, nodata):
    seen, under = windows(block, pair, recipe)
    return sharpen_block(part_of(pan, seen), part_of(bands, under), block, pair=pair, recipe=recipe, nodata=nodata)


def moments_of(pan, bands, pair, recipe):
    part = (0, bands.shape[1], 0, bands.shape[2])
    return measure(part_of(pan, measured(part, pair, recipe)), bands, part, pair=pair, recipe=recipe)


def sharpen(pan, bands, recipe, *, fill=None, **how):
    """A whole picture at once."""
    pair = a_pair(pan, bands, **how)
    if not recipe.weights:
        recipe = fitted(recipe, moments_of(pan, bands, pair, recipe))
    whole = Block(row=0, col=0, height=pan.shape[0], width=pan.shape[1])
    return a_block(pan, bands, whole, pair=pair, recipe=recipe, nodata=fill)


# An oracle that shares no line with the kernels: loops over pixels, everything in two dimensions.


def by_hand_low_pass(pan, sigma, row, col):
    rows, cols = np.mgrid[: pan.shape[0], : pan.shape[1]]
    weights = np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))
    weights[(abs(rows - row) > 4 * sigma) | (abs(cols - col) > 4 * sigma)] = 0
    known = np.isfinite(pan)
    return (weights * np.where(known, pan, 0)).sum() / (weights * known).sum() if (weights * known).any() else np.nan


def by_hand_between(values, row, col, taps):
    def kernel(x):
        x = abs(x)
        if taps == 2:
            return max(1 - x, 0)
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0

    def at(i, j):
        return values[i, j] if 0 <= i < values.shape[0] and 0 <= j < values.shape[1] else np.nan

    if np.isnan(at(math.floor(row + 0.5), math.floor(col + 0.5))):
        return np.nan
    top, left = math.floor(row) - taps // 2 + 1, math.floor(col) - taps // 2 + 1
    places = [(i, j) for i in range(top, top + taps) for j in range(left, left + taps)]
    if all(np.isfinite(at(i, j)) for i, j in places):
        return sum(at(i, j) * kernel(row - i) * kernel(col - j) for i, j in places)
    near = [
        (i, j) for i in range(math.floor(row), math.floor(row) + 2) for j in range(math.floor(col), math.floor(col) + 2)
    ]
    known = [(at(i, j), (1 - abs(row - i)) * (1 - abs(col - j))) for i, j in near if np.isfinite(at(i, j))]
    return sum(v * w for v, w in known) / sum(w for _, w in known)


def by_hand(pan, bands, recipe, scale, origin):
    """NaN is missing; float64 in and out."""
    sigma = gaussian_sigma(1 / scale[0], recipe.nyquist_gain)
    bands = np.where(np.isnan(bands).any(axis=0), np.nan, bands)
    low = np.full(bands.shape[1:], np.nan)
    for i, j in np.argwhere(np.isfinite(bands[0])):
        low[i, j] = by_hand_low_pass(pan, sigma, (i - origin[0]) / scale[0], (j - origin[1]) / scale[1])
    gains = np.full(bands.shape, np.nan)
    for i, j in np.argwhere(np.isfinite(low)):
        around = slice(max(i - CONTEXT, 0), i + CONTEXT + 1), slice(max(j - CONTEXT, 0), j + CONTEXT + 1)
        known = np.isfinite(low[around])
        for band in range(len(bands)):
            both = np.cov(bands[band][around][known], low[around][known], bias=True)
            gains[band, i, j] = np.clip(both[0, 1] / both[1, 1], 0, (recipe.weights or [9])[band]) if both[1, 1] else 0
    taps = {"bilinear": 2, "cubic": 4}[recipe.resampling]
    out = np.full((len(bands), *pan.shape), np.nan)
    for i, j in np.argwhere(np.isfinite(pan)):
        place = origin[0] + scale[0] * i, origin[1] + scale[1] * j
        m = np.array([by_hand_between(band, *place, taps) for band in bands])
        if np.isnan(m).any():
            continue
        lo = by_hand_between(low, *place, taps)
        w, o = np.array(recipe.weights), np.array(recipe.offsets)
        if recipe.method == "brovey":
            out[:, i, j] = m * pan[i, j] / (w @ m + o[0])
        elif recipe.method == "glp-hpm":
            out[:, i, j] = m * (w * pan[i, j] + o) / (w * lo + o)
        else:
            out[:, i, j] = m + [by_hand_between(g, *place, taps) * (pan[i, j] - lo) for g in gains]
    return out


RECIPES = [Recipe(method=method, resampling=how) for method in METHODS for how in ("bilinear", "cubic")]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.method}-{recipe.resampling}")
def test_every_pixel_is_that_of_the_formulas(recipe):
    rng = np.random.default_rng(3)
    scale, origin = (0.3, 0.3), (-0.2, 0.45)
    pan, bands = rng.uniform(100, 900, (31, 28)), rng.uniform(100, 900, (2, 11, 9))
    pan[4:6, 20], bands[1, 3:5, 2] = np.nan, np.nan
    weights = {"brovey": (0.4, 0.7), "glp-hpm": (1.1, 0.8), "glp-cbd": (3.0, 0.5)}[recipe.method]
    offsets = {"brovey": (5.0,), "glp-hpm": (20.0, 40.0), "glp-cbd": ()}[recipe.method]
    recipe = Recipe(method=recipe.method, resampling=recipe.resampling, weights=weights, offsets=offsets)
    expected = by_hand(pan, bands, recipe, scale, origin)
    assert 0.75 < np.isfinite(expected).mean() < 0.95
    found = sharpen(pan, bands, recipe, scale=scale, origin=origin, fill=np.nan)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_whole_numbers_are_rounded_limited_and_kept_off_nodata():
    recipe = Recipe(method="brovey", resampling="bilinear", weights=(1.0,), offsets=(0.0,))
    how = {"scale": (0.5, 0.5), "origin": (-0.25, -0.25), "fill": 7.0, "nodata": 7.0, "pan_nodata": 2.0}
    bands = np.full((1, 2, 2), 64, dtype=np.uint8)
    bands[0, 1, 1] = 7
    pan = np.array([[0.0, 100.4, 100.5, 300.0]] * 2 + [[-1.0, 2.0, 50.0, 60.0]] * 2)
    found = sharpen(pan, bands, recipe, **how)
    assert found.dtype == np.uint8
    # 64 · P / (1 · 64): the pan comes out, but where it is nodata itself, or the nearest pixel of the bands.
    assert found[0].tolist() == [[0, 100, 101, 255]] * 2 + [[0, 7, 7, 7]] * 2
    pan[:] = 7.2
    assert sharpen(pan, bands, recipe, **how)[0].tolist() == [[8] * 4] * 2 + [[8, 8, 7, 7]] * 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.method}-{recipe.resampling}")
@settings(max_examples=6)
@given(data=st.data())
def test_any_block_is_a_part_of_the_whole(recipe, data):
    rng = np.random.default_rng(7)
    pan = rng.integers(0, 3000, (90, 110)).astype(np.uint16)
    bands = rng.integers(0, 3000, (3, 25, 24)).astype(np.uint16)
    pan[20:24, 60:70], bands[:, 12:14, 5:9], bands[1, 3, 20] = 0, 0, 0
    where = {"scale": (0.26, 0.25), "origin": (0.31, -1.07), "pan_nodata": 0, "nodata": 0}
    pair = a_pair(pan, bands, **where)
    recipe = fitted(recipe, moments_of(pan, bands, pair, recipe))
    whole = sharpen(pan, bands, recipe, fill=0, **where)
    row, col = data.draw(st.integers(0, 89)), data.draw(st.integers(0, 109))
    block = Block(
        row=row, col=col, height=data.draw(st.integers(1, 90 - row)), width=data.draw(st.integers(1, 110 - col))
    )
    part = a_block(pan, bands, block, pair=pair, recipe=recipe, nodata=0)
    np.testing.assert_array_equal(part, whole[:, row : row + block.height, col : col + block.width])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.method}-{recipe.resampling}")
@pytest.mark.parametrize("scale", [0.5, 0.25, 0.3])
def test_single_precision_rounds_as_double_does(recipe, scale):
    """16-bit pixels against the same numbers as floats: they differ only where a sum lies on the edge of two."""
    rng = np.random.default_rng(11)
    size = round(120 * scale)
    pan = rng.integers(1, 60_000, (120, 120)).astype(np.uint16)
    bands = rng.integers(1000, 60_000, (2, size, size)).astype(np.uint16)
    pan[7:9, 30:40], bands[:, 3, 5:9] = 0, 0
    given = {
        "brovey": {"weights": (0.4, 0.7), "offsets": (5.0,)},
        "glp-hpm": {"weights": (1.1, 0.8), "offsets": (20.0, 40.0)},
        "glp-cbd": {"weights": (3.0, 0.5)},
    }[recipe.method]
    recipe = replace(recipe, **given)
    where = {"scale": (scale, scale), "origin": (-0.5 + scale / 2,) * 2, "pan_nodata": 0, "nodata": 0}
    found = sharpen(pan, bands, recipe, fill=0, **where)
    exact = sharpen(pan.astype(float), bands.astype(float), recipe, fill=np.nan, **where)
    assert np.array_equal(found == 0, np.isnan(exact))
    exact = np.clip(exact, 1, 65_535)[found > 0]
    near_half = np.abs(exact - np.floor(exact) - 0.5)
    off = np.abs(found[found > 0] - np.floor(exact + 0.5))
    assert off.max() <= 1
    assert near_half[off > 0].max(initial=0.0) < 0.1
    assert off.mean() < 0.02


def test_columns_taken_together_come_out_as_one_by_one(monkeypatch):
    rng = np.random.default_rng(12)
    pan, bands = rng.integers(1, 999, (40, 61)).astype(np.uint16), rng.integers(1, 999, (2, 10, 16)).astype(np.uint16)
    recipe = Recipe(method="brovey", weights=(0.5, 0.5))
    together = sharpen(pan, bands, recipe, nodata=0)
    monkeypatch.setattr("processing.sharpen.MOST_ALIKE", 0)
    np.testing.assert_array_equal(sharpen(pan, bands, recipe, nodata=0), together)


def test_weighted_brovey_is_that_of_gdal(tmp_path):
    rng = np.random.default_rng(2)
    bands = ndimage.gaussian_filter(rng.uniform(0, 3000, (3, 60, 50)), (0, 1, 1))
    pan = ndimage.gaussian_filter(rng.uniform(0, 3000, (240, 200)), 1)
    weights = (0.2, 0.5, 0.3)
    write(tmp_path / "pan.tif", pan[None], 1.0)
    write(tmp_path / "bands.tif", bands, 4.0)
    vrt = f"""<VRTDataset subClass="VRTPansharpenedDataset"><PansharpeningOptions>
      <Algorithm>WeightedBrovey</Algorithm><AlgorithmOptions><Weights>{",".join(map(str, weights))}</Weights>
      </AlgorithmOptions><Resampling>%s</Resampling>
      <PanchroBand><SourceFilename>{tmp_path}/pan.tif</SourceFilename><SourceBand>1</SourceBand></PanchroBand>
      %s</PansharpeningOptions></VRTDataset>"""
    sources = "".join(
        f'<SpectralBand dstBand="{b}"><SourceFilename>{tmp_path}/bands.tif</SourceFilename>'
        f"<SourceBand>{b}</SourceBand></SpectralBand>"
        for b in (1, 2, 3)
    )
    for resampling in ("bilinear", "cubic"):
        with rasterio.open(vrt % (resampling.capitalize(), sources)) as dataset:
            expected = dataset.read()
        recipe = Recipe(method="brovey", resampling=resampling, weights=weights)
        found = sharpen(pan, bands, recipe)
        inside = (slice(None), slice(8, -8), slice(8, -8))  # at the edges GDAL's cubic goes on with what is left
        np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-6)


def test_the_weights_of_a_pan_that_is_made_of_the_bands():
    rng = np.random.default_rng(1)
    truth = fields(rng, 4, 160, 200)
    pan = np.tensordot(WEIGHTS, truth, 1) + 12.0
    bands = np.stack([degrade(band, ratio=4) for band in truth])
    recipe = fitted(Recipe(method="brovey"), moments_of(pan, bands, a_pair(pan, bands), Recipe()))
    assert recipe.weights == pytest.approx(WEIGHTS, rel=1e-6)
    assert recipe.offsets == pytest.approx((12.0,), rel=1e-5)


def test_moments_of_parts_are_those_of_the_whole():
    values = np.random.default_rng(4).normal(1000, 3, (3, 500))

    def moments(part):
        off = part - part.mean(axis=1, keepdims=True)
        return Moments(count=part.shape[1], mean=part.mean(axis=1), scatter=off @ off.T)

    nothing = Moments(count=0, mean=np.zeros(3), scatter=np.zeros((3, 3)))
    whole, parts = moments(values), nothing + moments(values[:, :90]) + nothing + moments(values[:, 90:])
    assert parts.count == 500
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(parts.scatter, whole.scatter, rtol=1e-11)


def test_bands_in_proportion_to_the_pan_come_out_exactly():
    pan = fields(np.random.default_rng(6), 1, 120, 120)[0]
    bands = np.array([0.5, 2.0])[:, None, None] * degrade(pan, ratio=4)
    inside = (slice(None), slice(24, -24), slice(24, -24))
    for method in ("glp-hpm", "glp-cbd"):
        found = sharpen(pan, bands, Recipe(method=method), fill=np.nan)
        np.testing.assert_allclose(found[inside], np.stack([pan / 2, 2 * pan])[inside], rtol=1e-6)


@pytest.mark.parametrize("colourful", [0.3, 0.8])
def test_sharpened_beats_upsampled(colourful):
    """At the pan's resolution, where the truth of this made-up picture is known, and by Wald's protocol."""
    rng = np.random.default_rng(8)
    truth = fields(rng, 4, 512, 512, colourful=colourful)
    pan = np.tensordot(WEIGHTS, truth, 1) + rng.normal(0, 2, truth.shape[1:])
    bands = np.stack([degrade(band, ratio=4) for band in truth]) + rng.normal(0, 2, (4, 128, 128))
    upsampled = Recipe(method="brovey", weights=(0.0,) * 4)  # without a divisor no detail is added

    def full(recipe):
        found = sharpen(pan, bands, recipe, fill=np.nan)
        return compare(truth[:, 32:-32, 32:-32], found[:, 32:-32, 32:-32], ratio=4)

    def reduced(recipe):
        return wald(pan, bands, lambda *coarse: sharpen(*coarse, recipe, fill=np.nan), ratio=4)

    for judged in (full, reduced):
        plain = judged(upsampled)
        print(f"{judged.__name__}: upsampled {plain}")
        for method in METHODS:
            sharp = judged(Recipe(method=method))
            print(f"{judged.__name__}: {method} {sharp}")
            # Where bands vary apart from each other, a pan says less of each.
            assert sharp.ergas < {0.3: 0.4, 0.8: 0.8}[colourful] * plain.ergas
            assert sharp.q2n > plain.q2n + 0.1
            assert min(sharp.q) > min(plain.q) + 0.1 or colourful == 0.8
            # Brovey scales all bands of a pixel alike: the angles are those of the upsampled bands.
            assert sharp.sam_deg < {"brovey": 1 + 1e-9, "glp-hpm": 0.96, "glp-cbd": 0.96}[method] * plain.sam_deg


def write(path, pixels, side, *, left=500_000.0, top=4_900_000.0, nodata=None, crs="EPSG:32631", **more):
    bands, height, width = pixels.shape
    transform = more.pop("transform", Affine(side, 0, left, 0, -side, top))
    shape = {"count": bands, "height": height, "width": width, "dtype": pixels.dtype.name}
    names = more.pop("names", None)
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, nodata=nodata, **shape, **more) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
    return path


def test_pixels_are_where_the_files_say(tmp_path):
    """A plane stays a plane: between pixels both ways of resampling are exact, wherever the two grids lie."""

    def plane(left, top, side, height, width):
        rows, cols = np.mgrid[:height, :width] + 0.5
        return 3000 + 0.7 * (left + side * cols - 500_000) + 1.3 * (top - side * rows - 4_900_000)

    pan = write(
        tmp_path / "pan.tif", plane(500_003.1, 4_899_990.4, 0.7, 90, 80)[None], 0.7, left=500_003.1, top=4_899_990.4
    )
    low = plane(500_000.0, 4_900_000.0, 2.5, 40, 40)
    bands = write(tmp_path / "bands.tif", np.stack([low, 2 * low]), 2.5)
    for resampling in ("bilinear", "cubic"):
        for recipe in (
            Recipe(method="brovey", weights=(1.0, 0.0), resampling=resampling),
            Recipe(method="glp-hpm", weights=(1.0, 2.0), offsets=(0.0, 0.0), resampling=resampling),
        ):
            result = pansharpen(pan, bands, tmp_path / "out.tif", recipe=recipe)
            with rasterio.open(result.path) as dataset, rasterio.open(pan) as source:
                assert dataset.transform == source.transform
                expected = source.read(1)
                # The Gaussian's samples are not quite even around a place between pixels.
                close = {"rtol": 1e-6 if recipe.method == "glp-hpm" else 1e-11}
                inside = (slice(15, -15), slice(15, -15)) if recipe.method == "glp-hpm" else ...
                np.testing.assert_allclose(dataset.read(1)[inside], expected[inside], **close)
                np.testing.assert_allclose(dataset.read(2)[inside], 2 * expected[inside], **close)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Larger than a superblock and a piece of the bands, shifted by fractions, with holes."""
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(9)
    pan = ndimage.uniform_filter(rng.uniform(200, 3000, (2200, 2300)), 3).astype(np.uint16)
    bands = ndimage.uniform_filter(rng.uniform(200, 3000, (4, 560, 590)), (0, 2, 2)).astype(np.uint16)
    pan[:100, :300], bands[:, 250:270, 100:300] = 0, 0
    write(folder / "pan.tif", pan[None], 0.5, left=500_011.5, top=4_899_993.0, nodata=0, tiled=True)
    write(folder / "bands.tif", bands, 2.0, nodata=0, names=("blue", "green", "red", "nir"), photometric="MINISBLACK")
    return folder, pan, bands


@pytest.mark.parametrize("method", list(METHODS))
def test_the_file_is_the_same_for_any_number_of_threads(scene, tmp_path, method):
    folder, pan, bands = scene
    seen = []
    results = [
        pansharpen(
            folder / "pan.tif",
            folder / "bands.tif",
            tmp_path / f"{threads}.tif",
            recipe=Recipe(method=method),
            threads=threads,
            progress=lambda *what: seen.append(what),
        )
        for threads in ((1, 3) if method == "glp-cbd" else (2,))
    ]
    assert len({result.path.read_bytes() for result in results}) == 1
    assert seen[:8] == [(what, done, 4) for what in ("measure", "pansharpen") for done in range(1, 5)]
    assert cog_validate(results[0].path, strict=True, quiet=True) == (True, [], [])
    assert set(tmp_path.iterdir()) == {result.path for result in results}
    job, _ = plan(folder / "pan.tif", folder / "bands.tif", results[0].recipe)
    block = Block(row=1950, col=1900, height=170, width=200)  # where four superblocks meet
    part = a_block(pan, bands, block, pair=job.pair, recipe=results[0].recipe, nodata=0)
    with rasterio.open(results[0].path) as dataset:
        assert dataset.descriptions == ("blue", "green", "red", "nir")
        assert dataset.nodata == 0
        np.testing.assert_array_equal(dataset.read(window=((1950, 2120), (1900, 2100))), part)
        assert not dataset.read(window=((0, 100), (0, 300))).any()
        assert (part > 0).all()


@pytest.mark.slow
def test_the_same_bytes_on_a_cluster(scene, tmp_path):
    folder, _, _ = scene
    paths = folder / "pan.tif", folder / "bands.tif"
    here = pansharpen(*paths, tmp_path / "here.tif")
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        there = pansharpen(*paths, tmp_path / "there.tif", client=client)
    assert here.path.read_bytes() == there.path.read_bytes()
    assert here.recipe == there.recipe


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"crs": "EPSG:32632"}, DeliveryError, "its CRS is EPSG:32632, that of pan.tif EPSG:32631; orthorectify both"),
        ({"left": 600_000}, DeliveryError, "shows none of pan.tif"),
        ({"side": 0.5}, OutputError, "a pixel of the pan is 2 of one of the bands; give a pan that is sharper"),
        (
            {"transform": Affine(4, 1, 500_000, 1, -4, 4_900_000)},
            DeliveryError,
            "rotated; orthorectify both with north",
        ),
        ({"recipe": {"method": "ihs"}}, OutputError, "'ihs' is unknown; give brovey, glp-hpm, glp-cbd"),
        ({"recipe": {"resampling": "nearest"}}, OutputError, "'nearest' is unknown; give bilinear, cubic"),
        ({"recipe": {"nyquist_gain": 1.0}}, ProcessingError, "gain 1.0 at the Nyquist frequency; give one between"),
        ({"recipe": {"method": "brovey", "weights": (1.0,)}}, OutputError, "1 weights for 2 bands; give one a band"),
        ({"flat": True}, OutputError, "give a pan and bands of the same ground that show something"),
    ],
)
def test_what_cannot_be_sharpened(tmp_path, change, error, message):
    rng = np.random.default_rng(0)
    pan = rng.integers(1, 99, (1, 80, 80)).astype(np.uint16) * (not change.pop("flat", False))
    write(tmp_path / "pan.tif", pan, 1.0)
    recipe = change.pop("recipe", {})
    write(tmp_path / "bands.tif", np.ones((2, 20, 20), np.uint16), **({"side": 4.0} | change))
    with pytest.raises(error, match=re.escape(message)):
        pansharpen(tmp_path / "pan.tif", tmp_path / "bands.tif", tmp_path / "out.tif", recipe=Recipe(**recipe))
    assert {path.name for path in tmp_path.iterdir()} == {"pan.tif", "bands.tif"}


def test_a_pan_has_one_band(tmp_path):
    bands = write(tmp_path / "bands.tif", np.ones((2, 20, 20), np.uint8), 4.0)
    with pytest.raises(DeliveryError, match=r"bands.tif: 2 bands; a panchromatic raster has one"):
        pansharpen(bands, bands, tmp_path / "out.tif")


def test_largest_gain_comes_from_the_scene():
    moments = Moments(count=99, mean=np.zeros(2), scatter=np.array([[4.0, 1.0], [1.0, 16.0]]))
    assert fitted(Recipe(method="glp-cbd"), moments).weights == (MAX_GAIN * 0.5,)
