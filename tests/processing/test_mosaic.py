"""Mosaics and their seams, held against rasterio's merge, plain loops, all cuts there are, and planted differences."""

import itertools
import re
from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from distributed import Client, LocalCluster
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rasterio.merge import merge
from rasterio.transform import Affine
from rio_cogeo import cog_validate
from scipy import ndimage

from processing import seam
from processing.canvas import Canvas, compose_block
from processing.errors import DeliveryError, OutputError
from processing.layers import MosaicScene, RasterLayer, ranked
from processing.mosaic import mosaic
from processing.ortho import Block
from processing.seam import FIRST, NEITHER, OPEN, SECOND, Cells, Tone, balance, cut, preferences

LEFT, TOP, SIDE = 500_000.0, 4_900_000.0, 0.5


def write(path, pixels, *, row=0, col=0, nodata=0, crs="EPSG:32631", side=SIDE, **more):
    bands, height, width = pixels.shape
    transform = Affine(side, 0, LEFT + SIDE * col, 0, -side, TOP - SIDE * row)
    shape = {"count": bands, "height": height, "width": width, "dtype": pixels.dtype.name}
    options = {"driver": "GTiff", "crs": crs, "nodata": nodata, "photometric": "MINISBLACK"} | more
    with rasterio.open(path, "w", **({"transform": transform} | shape | options)) as file:
        file.write(pixels)
    return path


def ground(height, width, *, bands=2, seed=0):
    rng = np.random.default_rng(seed)
    return (1000 + 4000 * ndimage.gaussian_filter(rng.random((bands, height, width)), (0, 3, 3))).astype(np.uint16)


def pieces(folder, truth, windows, *, change=lambda _, part: part):
    """Scenes that show parts of the truth: (first row, first column, rows, columns)."""
    scenes = []
    for number, (row, col, height, width) in enumerate(windows):
        part = change(number, truth[:, row : row + height, col : col + width].copy())
        scenes.append(MosaicScene(path=write(folder / f"scene{number + 1}.tif", part, row=row, col=col)))
    return scenes


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


# The cut.


def costs_of(difference, kinds):
    unit = difference[kinds == OPEN].mean() or 1.0
    return np.where(kinds == OPEN, 1 + np.minimum(np.round(1000 * difference / unit), 10_000), 0)


def price(sides, kinds, difference):
    """What a division costs; ground of one scene alone costs what its neighbour does."""
    cost, total = costs_of(difference, kinds), 0
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        apart = (sides[a] != sides[b]) & (sides[a] > 0) & (sides[b] > 0) & ((kinds[a] == OPEN) | (kinds[b] == OPEN))
        both = np.where(cost[a] > 0, cost[a], cost[b]) + np.where(cost[b] > 0, cost[b], cost[a])
        total += int(both[apart].sum())
    return total


@settings(max_examples=40)
@given(data=st.data())
def test_of_all_cuts_the_cheapest(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    difference = rng.integers(0, 50, (3, 5)).astype(float)
    kinds = rng.choice([NEITHER, FIRST, SECOND, OPEN, OPEN, OPEN], (3, 5)).astype(np.uint8)
    kinds[:, 0], kinds[:, -1] = FIRST, SECOND
    kinds = seam._where_both_go_on(kinds)
    places = np.argwhere(kinds == OPEN)
    assume(len(places))
    found = cut(difference, kinds)
    assert np.array_equal(found[kinds != OPEN], kinds[kinds != OPEN])
    assert not (found == OPEN).any()
    best = None
    for choice in itertools.product([FIRST, SECOND], repeat=len(places)):
        sides = kinds.copy()
        sides[tuple(places.T)] = choice
        cheap = price(sides, kinds, difference), sum(side == FIRST for side in choice)
        best = min(best or cheap, cheap)
    # And of all cheapest ones, that with the least for the first.
    assert (price(found, kinds, difference), int((found[kinds == OPEN] == FIRST).sum())) == (best or (0, 0))


def test_from_coarse_to_fine_costs_little_more(monkeypatch):
    rng = np.random.default_rng(5)
    difference = np.abs(ndimage.gaussian_filter(rng.normal(size=(120, 130)), 2))
    kinds = np.full(difference.shape, OPEN, dtype=np.uint8)
    kinds[:, :9], kinds[:, -1], kinds[50:56, 60:64] = FIRST, SECOND, NEITHER
    quick = cut(difference, kinds)
    monkeypatch.setattr(seam, "_OPEN_AT_ONCE", 10**9)
    exact = cut(difference, kinds)
    straight = np.where(np.arange(130) < 60, FIRST, SECOND) * (kinds > 0)
    prices = [price(sides, kinds, difference) for sides in (exact, quick, straight.astype(np.uint8))]
    print("exact, from coarse to fine, straight:", prices)
    assert prices[0] <= prices[1] <= 1.1 * prices[0]
    assert prices[1] < 0.4 * prices[2]


def test_a_scene_within_another_stays_whole():
    kinds = np.full((9, 9), SECOND, dtype=np.uint8)
    kinds[2:6, 3:7] = OPEN
    assert (cut(np.ones((9, 9)), kinds)[2:6, 3:7] == FIRST).all()


def test_a_line_keeps_away_from_where_scenes_end():
    kinds = np.full((7, 20), OPEN, dtype=np.uint8)
    kinds[:, :2], kinds[:, -2:] = FIRST, SECOND
    difference = np.ones((7, 20))
    difference[:, [2, 17]] = 0
    assert (cut(difference, kinds)[:, 2:4] == SECOND).any()
    found = cut(difference, kinds, margin=3)
    assert (found[:, :5] == FIRST).all()
    assert (found[:, 15:] == SECOND).all()
    # Where there is too little room, in the middle.
    found = cut(difference, kinds, margin=30)
    assert (found == np.where(np.arange(20) < 10, FIRST, SECOND)).all()


def test_preferences_of_three_scenes_side_by_side():
    means = ground(20, 40, seed=3).astype(np.float32)
    cells = [Cells(row=0, col=col, means=means[:, :, col : col + 20]) for col in (0, 10, 20)]
    owner = preferences(3, lambda number: cells[number], (20, 45))
    assert (owner[:, 40:] == -1).all()
    assert (owner[:, :10] == 0).all()
    assert (owner[:, 30:40] == 2).all()
    assert (np.diff(owner[:, :40], axis=1) >= 0).all()
    assert set(np.unique(owner)) == {-1, 0, 1, 2}


# Tones.


def cells_of(truth, gains, offsets, places):
    return [
        Cells(row=row, col=col, means=((truth[:, row : row + 30, col : col + 30] - o) / g).astype(np.float32))
        for (row, col), g, o in zip(places, gains, offsets, strict=True)
    ]


def test_known_gains_are_found():
    truth = ground(60, 90, seed=4).astype(float)
    gains, offsets = (1.0, 1.25, 0.8, 1.1), (0.0, 40.0, -25.0, 7.0)
    cells = cells_of(truth, gains, offsets, [(0, 0), (5, 20), (20, 40), (25, 15)])
    tones = balance(4, lambda number: cells[number])
    for tone, gain, offset in zip(tones, gains, offsets, strict=True):
        assert tone.gains == pytest.approx((gain, gain), rel=1e-4)
        assert tone.offsets == pytest.approx((offset, offset), abs=0.3)
    assert tones[0] == Tone(gains=(1.0, 1.0), offsets=(0.0, 0.0))


def test_scenes_that_do_not_touch_stay_as_they_are():
    truth = ground(60, 90, seed=4).astype(float)
    cells = cells_of(truth, (1.0, 2.0, 2.0, 1.0), (0.0,) * 4, [(0, 0), (30, 59), (20, 58), (27, 27)])
    tones = balance(4, lambda number: cells[number])
    same = Tone(gains=(1.0, 1.0), offsets=(0.0, 0.0))
    # The last one shares 3 × 3 cells with the first: too few. The third one hangs on the second.
    assert (tones[0], tones[1], tones[3]) == (same, same, same)
    assert tones[2].gains == pytest.approx((1.0, 1.0), rel=1e-6)


def test_flat_overlaps_say_nothing_of_contrast():
    cells = [
        Cells(row=0, col=5 * n, means=np.full((1, 10, 10), value, np.float32)) for n, value in enumerate((100, 120))
    ]
    first, second = balance(2, lambda number: cells[number])
    assert (first.gains, first.offsets) == ((1.0,), (0.0,))
    assert 120 * second.gains[0] + second.offsets[0] == pytest.approx(100)
    assert 0.8 < second.gains[0] < 1


# Blocks.


class ArrayLayer(RasterLayer):
    """A layer from memory."""

    __slots__ = ()
    pixels: dict

    def read(self, part):
        values, valid = PICTURES[self.number]
        row, col = self.place[0], self.place[2]
        out = np.zeros((len(values), part[1] - part[0], part[3] - part[2]), values.dtype)
        seen = np.zeros(out.shape[1:], bool)
        for i, j in itertools.product(range(part[0], part[1]), range(part[2], part[3])):
            if self.place[0] <= i < self.place[1] and self.place[2] <= j < self.place[3]:
                out[:, i - part[0], j - part[2]] = values[:, i - row, j - col]
                seen[i - part[0], j - part[2]] = valid[i - row, j - col]
        return out, seen


PICTURES = {}


def random_layers(rng, shape, count=4):
    layers = []
    for number in range(1, count + 1):
        top, left = rng.integers(-3, shape[0] // 2), rng.integers(-3, shape[1] // 2)
        height, width = rng.integers(4, shape[0]), rng.integers(4, shape[1])
        PICTURES[number] = rng.integers(0, 250, (2, height, width)).astype(np.uint8), rng.random((height, width)) > 0.2
        tone = Tone(gains=tuple(rng.uniform(0.8, 1.2, 2)), offsets=tuple(rng.uniform(-5, 5, 2)))
        place = (int(top), int(top + height), int(left), int(left + width))
        layers.append(ArrayLayer(number=number, path=None, mask=None, place=place, nodata=None, tone=tone))
    return layers


def by_hand(layers, canvas, preferred):
    height, width = canvas.shape
    shown = [layer.read((0, height, 0, width)) for layer in layers]
    owner = np.full(canvas.shape, -1)
    for i, j in np.ndindex(canvas.shape):
        valid = [n for n in range(len(layers)) if shown[n][1][i, j]]
        first = -1 if preferred is None else preferred[i // canvas.cell, j // canvas.cell]
        owner[i, j] = first if first in valid else valid[0] if valid else -1
    result = np.full((2, height, width), canvas.nodata)
    for i, j in np.argwhere(owner >= 0):
        around = owner[
            max(i - canvas.radius, 0) : i + canvas.radius + 1, max(j - canvas.radius, 0) : j + canvas.radius + 1
        ]
        parts = [(n, (around == n).sum()) for n in range(len(layers)) if shown[n][1][i, j]]
        for band in range(2):
            values = [
                layers[n].tone.gains[band] * shown[n][0][band, i, j] + layers[n].tone.offsets[band] for n, _ in parts
            ]
            mean = np.average(values, weights=[share for _, share in parts])
            stored = int(np.clip(np.floor(mean + 0.5), 0, 255))
            result[band, i, j] = stored + (stored == canvas.nodata)
    return result, np.where(owner >= 0, owner + 1, 0)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), radius=st.sampled_from([0, 1, 3]), cell=st.sampled_from([0, 1, 4]))
def test_every_pixel_in_plain_loops_and_in_any_block(seed, radius, cell):
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, (23, 19))
    canvas = Canvas(shape=(23, 19), bands=2, data_type="uint8", nodata=9.0, cell=max(cell, 1), radius=radius)
    preferred = None
    if cell:
        preferred = rng.integers(-1, 4, (-(-23 // cell), -(-19 // cell))).astype(np.int16)
    expected = by_hand(layers, canvas, preferred)
    found = compose_block(Block(row=0, col=0, height=23, width=19), layers, canvas, preferred)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    row, col = int(rng.integers(23)), int(rng.integers(19))
    block = Block(row=row, col=col, height=int(rng.integers(1, 24 - row)), width=int(rng.integers(1, 20 - col)))
    part = compose_block(block, layers, canvas, preferred)
    here = slice(row, row + block.height), slice(col, col + block.width)
    np.testing.assert_array_equal(part[0], found[0][:, *here])
    np.testing.assert_array_equal(part[1], found[1][here])


# Files.


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio's own
def test_without_seams_it_is_what_rasterio_merges(tmp_path):
    truth = ground(200, 260)
    holes = np.random.default_rng(1).random((4, 120, 130)) < 0.3
    scenes = pieces(
        tmp_path,
        truth,
        [(60, 100, 120, 130), (0, 20, 120, 130), (80, 30, 120, 130), (40, 60, 120, 130)],
        change=lambda number, part: np.where(holes[number], 0, part + 100 * number).astype(np.uint16),
    )
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        chosen = [scenes[number] for number in order]
        result = mosaic(chosen, tmp_path / "out.tif", seams=False, index=tmp_path / "index.tif")
        expected, transform = merge([scene.path for scene in chosen], method="first", nodata=0)
        np.testing.assert_array_equal(read(result.path), expected)
        with rasterio.open(result.path) as dataset, rasterio.open(result.index) as index:
            assert dataset.transform == transform == index.transform
            source = index.read(1)
            assert (index.dtypes, index.nodata) == (("uint8",), 0)
        assert np.array_equal(source == 0, expected[0] == 0)
        for place, number in enumerate(order, start=1):
            here = source == place
            row, col = ((60, 0, 80, 40)[number] - 0, (100, 20, 30, 60)[number] - 20)
            full = np.zeros_like(expected)
            full[:, row : row + 120, col : col + 130] = read(scenes[number].path)
            np.testing.assert_array_equal(expected[:, here], full[:, here])


def test_one_scene_stays_as_it_is(tmp_path):
    truth = ground(70, 90)
    (scene,) = pieces(tmp_path, truth, [(0, 0, 70, 90)])
    result = mosaic([scene], tmp_path / "out.tif", feather_px=8, balanced=True)
    np.testing.assert_array_equal(read(result.path), truth)


def test_a_seam_goes_around_what_differs(tmp_path):
    """A car park in the overlap is full in one scene and empty in the other: it is shown by one of them alone."""
    truth = ground(300, 400, seed=6)
    car_park = np.s_[:, 120:170, 150:215]  # all but the rim of the overlap, columns 140 to 260
    changed = truth.copy()
    changed[car_park] += 3000
    noise = 300 * ndimage.gaussian_filter(np.random.default_rng(2).normal(size=truth.shape), (0, 4, 4))
    changed = (changed + noise).astype(np.uint16)
    first = MosaicScene(path=write(tmp_path / "first.tif", truth[:, :, :260]))
    second = MosaicScene(path=write(tmp_path / "second.tif", changed[:, :, 140:], col=140))
    result = mosaic([first, second], tmp_path / "out.tif", index=tmp_path / "index.tif")
    source, pixels = read(result.index)[0], read(result.path)
    assert (source[:, :140] == 1).all()
    assert (source[:, 260:] == 2).all()
    assert len(np.unique(source[car_park[1:]])) == 1
    assert 0 < (source[:, 140:260] == 1).mean() < 1
    np.testing.assert_array_equal(pixels, np.where(source == 1, truth, changed))
    # Along the seam the scenes differ less than they do elsewhere in the overlap, and than on any straight line.
    apart = np.abs(changed.astype(float) - truth).mean(axis=0)
    line = (source[:, 1:] != source[:, :-1]) & (np.arange(399) >= 140) & (np.arange(399) < 259)
    along = apart[:, :-1][line].mean()
    print(
        "difference along the seam",
        along,
        "best column",
        apart[:, 141:259].mean(axis=0).min(),
        "all",
        apart[:, 140:260].mean(),
    )
    assert along < 0.7 * apart[:, 141:259].mean(axis=0).min()


def test_a_feather_is_a_ramp(tmp_path):
    first = MosaicScene(path=write(tmp_path / "first.tif", np.full((1, 60, 120), 1000, np.uint16)))
    second = MosaicScene(path=write(tmp_path / "second.tif", np.full((1, 60, 120), 1400, np.uint16), col=60))
    hard = mosaic([first, second], tmp_path / "hard.tif", index=tmp_path / "hard-index.tif")
    soft = mosaic([first, second], tmp_path / "soft.tif", index=tmp_path / "soft-index.tif", feather_px=16)
    source, pixels = read(soft.index)[0], read(soft.path)[0].astype(int)
    assert set(np.unique(read(hard.path))) == {1000, 1400}
    for row in range(60):
        at = int(np.argmax(source[row] == 2))
        assert 60 + 8 <= at <= 120 - 8  # as far from both ends as the ramp reaches
        assert np.array_equal(source[row], np.where(np.arange(180) < at, 1, 2))
    steps = np.diff(pixels[20:40], axis=1)
    assert (steps >= 0).all()
    assert steps.max() <= 400 / 17 + 1
    assert (pixels[:, :60] == 1000).all()
    assert (pixels[:, 120:] == 1400).all()


def test_balanced_scenes_have_one_tone(tmp_path):
    truth = ground(220, 300, seed=7)
    windows = [(0, 0, 150, 180), (0, 120, 150, 180), (90, 60, 130, 200)]
    tones = [(1.0, 0.0), (1.3, -80.0), (0.85, 120.0)]
    scenes = pieces(
        tmp_path,
        truth,
        windows,
        change=lambda number, part: np.round((part - tones[number][1]) / tones[number][0]).astype(np.uint16),
    )
    plain = mosaic(scenes, tmp_path / "plain.tif")
    result = mosaic(scenes, tmp_path / "out.tif", balanced=True)
    for tone, (gain, offset) in zip(result.tones, tones, strict=True):
        assert tone.gains == pytest.approx((gain, gain), rel=2e-3)
        assert tone.offsets == pytest.approx((offset, offset), abs=5)
    shown = read(result.path) > 0
    off = [np.abs(read(one.path).astype(float) - truth)[shown] for one in (plain, result)]
    print("off by", [part.mean() for part in off], "at most", off[1].max())
    assert off[1].max() <= 3
    assert off[0].mean() > 100


def test_clouds_are_not_shown(tmp_path):
    truth = ground(80, 100)
    first, second = pieces(tmp_path, truth, [(0, 0, 80, 100)] * 2, change=lambda number, part: part + 5000 * number)
    mask = np.zeros((1, 80, 100), dtype=np.uint8)
    mask[0, 20:40, 30:60], mask[0, 60:, :10] = 1, 255
    first = MosaicScene(path=first.path, mask=write(tmp_path / "mask.tif", mask, nodata=255))
    for seams in (False, True):
        result = mosaic([first, second], tmp_path / "out.tif", index=tmp_path / "index.tif", seams=seams)
        np.testing.assert_array_equal(read(result.index)[0], np.where(mask[0] == 0, 1, 2))
    alone = mosaic([first], tmp_path / "out.tif")
    np.testing.assert_array_equal(read(alone.path), np.where(mask == 0, truth, 0))


def test_bounds_cut_and_widen(tmp_path):
    truth = ground(100, 100)
    scenes = pieces(tmp_path, truth, [(0, 0, 60, 60), (30, 40, 70, 60), (0, 80, 10, 20)])
    bounds = (LEFT + SIDE * 20, TOP - SIDE * 110, LEFT + SIDE * 70, TOP - SIDE * 25)
    result = mosaic(scenes, tmp_path / "out.tif", bounds=bounds)
    assert result.order == (1, 2)
    with rasterio.open(result.path) as dataset:
        assert tuple(dataset.bounds) == bounds
        pixels = dataset.read()
    whole = np.zeros((2, 110, 100), dtype=np.uint16)
    for row, col, height, width in ((0, 0, 60, 60), (30, 40, 70, 60)):
        whole[:, row : row + height, col : col + width] = truth[:, row : row + height, col : col + width]
    np.testing.assert_array_equal(pixels, whole[:, 25:110, 20:70])


def test_orders():
    scenes = [
        MosaicScene(
            path=None,
            acquired=datetime(2024, month, 1, tzinfo=UTC),
            cloud_cover_pct=cloud,
            off_nadir_deg=angle,
        )
        for month, cloud, angle in ((3, 10.0, -20.0), (9, 10.0, 5.0), (1, 0.0, 12.0))
    ]
    assert ranked(scenes, "given") == [1, 2, 3]
    assert ranked(scenes, "newest") == [2, 1, 3]
    assert ranked(scenes, "clearest") == [3, 1, 2]
    assert ranked(scenes, "nadir") == [2, 3, 1]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Two superblocks each way and cells of two pixels; in strips, with a hole and another tone."""
    folder = tmp_path_factory.mktemp("large")
    truth = ground(2300, 2500, bands=1, seed=8)

    def change(number, part):
        part = part + np.uint16(60 * number)
        part[:, 500:700, 300:500] = 0
        return part

    windows = [(0, 0, 2300, 1100), (100, 900, 2200, 1000), (0, 1700, 2250, 800)]
    return pieces(folder, truth, windows, change=change)


HOW = {"feather_px": 40, "balanced": True}


def test_the_files_are_the_same_for_any_number_of_threads(large, tmp_path, monkeypatch):
    asked, seen = [], []
    plainly = RasterLayer.read

    def watched(self, part):
        asked.append((part[1] - part[0]) * (part[3] - part[2]))
        return plainly(self, part)

    monkeypatch.setattr(RasterLayer, "read", watched)
    results = [
        mosaic(
            large,
            tmp_path / f"{threads}.tif",
            index=tmp_path / f"{threads}-index.tif",
            threads=threads,
            progress=lambda *what: seen.append(what),
            **HOW,
        )
        for threads in (1, 3)
    ]
    assert results[0].path.read_bytes() == results[1].path.read_bytes()
    assert results[0].index.read_bytes() == results[1].index.read_bytes()
    assert len(list(tmp_path.iterdir())) == 4
    assert seen[:16] == [("measure", n, 12) for n in range(1, 13)] + [("mosaic", n, 4) for n in range(1, 5)]
    assert max(asked) <= 2048**2  # never more of a scene at a time than a superblock
    for path in (results[0].path, results[0].index):
        assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    source = read(results[0].index)[0]
    with rasterio.open(results[0].index) as dataset:
        factor = dataset.overviews(1)[0]
    with rasterio.open(results[0].index, OVERVIEW_LEVEL=0) as overview:
        np.testing.assert_array_equal(overview.read(1), source[::factor, ::factor])  # classes have no means
    assert set(np.unique(source)) == {0, 1, 2, 3}


@pytest.mark.slow
def test_the_same_bytes_on_a_cluster(large, tmp_path):
    here = mosaic(large, tmp_path / "here.tif", **HOW)
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        there = mosaic(large, tmp_path / "there.tif", client=client, **HOW)
    assert here.path.read_bytes() == there.path.read_bytes()
    assert here.tones == there.tones


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"crs": "EPSG:32632"},
            DeliveryError,
            "b.tif: its CRS is EPSG:32632, that of a.tif EPSG:32631; orthorectify it",
        ),
        (
            {"side": 1.0},
            DeliveryError,
            "pixels of 1 × 1, but of 0.5 × 0.5 in a.tif; orthorectify it again with --resol",
        ),
        (
            {"col": 3.25},
            DeliveryError,
            "b.tif: its pixels lie 0.00 rows and 0.25 columns beside those of a.tif; orthorec",
        ),
        ({"row": 1.4}, DeliveryError, "--bounds that are whole pixels away from x 500000.0, y 4900000.0"),
        ({"bands": 1}, DeliveryError, "b.tif: 1 bands of uint16, but 2 of uint16 in a.tif; give scenes of one kind"),
        ({"transform": Affine(0.5, 0.1, 0, 0.1, -0.5, 0)}, DeliveryError, "b.tif: not on the map with north up"),
        ({"crs": None}, DeliveryError, "b.tif: not on the map with north up; orthorectify it first"),
        ({"how": {"order": "sharpest"}}, OutputError, "'sharpest' is unknown; give given, newest, clearest, nadir"),
        (
            {"how": {"order": "newest"}},
            OutputError,
            "a.tif: its acquisition time is unknown; say it, or give the scenes",
        ),
        ({"how": {"order": "nadir"}}, OutputError, "a.tif: its off-nadir angle is unknown"),
        ({"how": {"feather_px": 8, "seams": False}}, OutputError, "feather of 8 px without seams; give 2 to 1024 px"),
        ({"how": {"feather_px": 5000}}, OutputError, "feather of 5000 px with seams; give 2 to 1024 px"),
        ({"how": {"bounds": (0, 0, 10, 10)}}, OutputError, "no scene shows anything within (0, 0, 10, 10)"),
        (
            {"how": {"bounds": (LEFT, TOP - 9.7, LEFT + 10, TOP)}},
            OutputError,
            "whole pixels of 0.5 × 0.5 away from x 50",
        ),
        ({"how": {"bounds": (LEFT + 9, TOP - 9, LEFT, TOP)}}, OutputError, "give xmin ymin xmax ymax"),
    ],
)
def test_what_does_not_fit_together(tmp_path, change, error, message):
    how, bands = change.pop("how", {}), change.pop("bands", 2)
    a = write(tmp_path / "a.tif", ground(30, 30))
    b = write(tmp_path / "b.tif", ground(30, 30, bands=bands), **change)
    with pytest.raises(error, match=re.escape(message)):
        mosaic([MosaicScene(path=a), MosaicScene(path=b)], tmp_path / "out.tif", **how)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif", "b.tif"}


def test_scenes_and_masks_that_are_not_enough(tmp_path):
    with pytest.raises(OutputError, match="no scenes; give at least one"):
        mosaic([], tmp_path / "out.tif")
    path = write(tmp_path / "a.tif", ground(30, 30))
    mask = write(tmp_path / "mask.tif", np.zeros((1, 30, 29), np.uint8))
    with pytest.raises(DeliveryError, match=r"mask.tif: not on the pixels of a.tif; give its own cloud mask"):
        mosaic([MosaicScene(path=path, mask=mask)], tmp_path / "out.tif")
    naive = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(OutputError, match="has no time zone; give it in UTC"):
        MosaicScene(path=path, acquired=naive)
