"""What `processing.cog` writes, judged by GDAL, rio-cogeo, tifffile and plain numpy."""

import hashlib
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate

from processing.cog import SUPERBLOCK, CogProfile, assemble, encode_superblock
from processing.errors import OutputError
from processing.tile import TILE, decode_tile, encode_tile, halve

UTM31 = {"crs": "EPSG:32631", "transform": (0.5, 0.0, 681132.0, 0.0, -0.5, 4893753.0)}


def a_profile(pixels, **more):
    bands, height, width = pixels.shape
    return CogProfile(**UTM31, height=height, width=width, bands=bands, data_type=pixels.dtype.name, **more)


def encode(pixels, profile, spool, *, order=None):
    rows, cols = profile.superblocks
    places = list(itertools.product(range(rows), range(cols)))
    blocks = []
    for row, col in order(places) if order else places:
        down, right = row * SUPERBLOCK, col * SUPERBLOCK
        part = pixels[:, down : down + SUPERBLOCK, right : right + SUPERBLOCK]
        blocks.append(encode_superblock(part, profile, row=row, col=col, spool=spool))
    return blocks


def write(pixels, profile, tmp_path, name="out.tif", **how):
    spool = tmp_path / f"spool-{name}"
    spool.mkdir()
    assemble(encode(pixels, profile, spool, **how), profile, spool=spool, destination=tmp_path / name)
    return tmp_path / name


def a_picture(bands, height, width, data_type, *, hole=True):
    """Smooth, with noise and a corner without data (0)."""
    rng = np.random.default_rng(height * 7 + width)
    y, x = np.mgrid[:height, :width]
    smooth = 500 + 300 * np.sin(x / 97.0) * np.cos(y / 53.0)
    values = np.stack([smooth * (band + 1) / bands + rng.normal(0, 4, smooth.shape) for band in range(bands)])
    pixels = np.clip(values / (4 if data_type == "uint8" else 1), 1, None).astype(data_type)
    if hole:
        pixels[:, : height // 3, : width // 4] = 0
    return pixels


def mean_of_four(pixels, nodata):
    """The overview in plain numpy: an oracle that shares no line with the kernel."""
    bands, height, width = pixels.shape
    padded = np.full((bands, height + height % 2, width + width % 2), np.nan)
    padded[:, :height, :width] = pixels
    if nodata is not None:
        padded[padded == nodata] = np.nan
    fours = padded.reshape(bands, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2).swapaxes(2, 3).reshape(bands, -1, 4)
    count = np.isfinite(fours).sum(axis=-1)
    mean = np.nansum(fours, axis=-1) / np.maximum(count, 1)
    mean = mean if pixels.dtype.kind == "f" else np.floor(mean + 0.5)
    if nodata is not None and pixels.dtype.kind != "f":
        mean = np.where(mean == nodata, nodata + 1, mean)
    mean = np.where(count == 0, np.nan if nodata is None else nodata, mean)
    return mean.reshape(bands, padded.shape[1] // 2, padded.shape[2] // 2).astype(pixels.dtype)


def every_level(path):
    """Full resolution and all overviews, read by GDAL."""
    with rasterio.open(path) as dataset:
        levels = [dataset.read()]
        count = len(dataset.overviews(1))
    for level in range(count):
        with rasterio.open(path, OVERVIEW_LEVEL=level) as dataset:
            levels.append(dataset.read())
    return levels


KINDS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


@pytest.mark.parametrize("compress", ["zstd", "deflate", "none", "lerc"])
@pytest.mark.parametrize("data_type", KINDS)
def test_gdal_reads_every_pixel_of_every_level(tmp_path, data_type, compress):
    pixels = a_picture(2, 1100, 700, data_type if data_type != "int8" else "uint8").astype(data_type)
    path = write(pixels, a_profile(pixels, nodata=0, compress=compress), tmp_path)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    expected = pixels
    levels = every_level(path)
    assert [level.shape[1:] for level in levels] == [(1100, 700), (550, 350), (275, 175)][: len(levels)]
    for level in levels:
        np.testing.assert_array_equal(level, expected)
        expected = mean_of_four(expected, 0)


@pytest.mark.parametrize(
    ("bands", "height", "width"), [(4, 4500, 2200), (1, 2049, 4097), (3, 5, 9000), (1, 1, 1), (5, 512, 512)]
)
def test_any_shape_is_a_valid_cog(tmp_path, bands, height, width):
    pixels = a_picture(bands, height, width, "uint16")
    path = write(pixels, a_profile(pixels, nodata=0), tmp_path)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    levels = every_level(path)
    assert max(levels[-1].shape[1:]) <= TILE
    assert len(levels) == 1 or max(levels[-2].shape[1:]) > TILE
    expected = pixels
    for level in levels:
        np.testing.assert_array_equal(level, expected)
        expected = mean_of_four(expected, 0)


def test_tifffile_reads_it_too(tmp_path):
    pixels = a_picture(4, 1300, 900, "uint16")
    path = write(pixels, a_profile(pixels, nodata=0), tmp_path)
    with tifffile.TiffFile(path) as file:
        assert not file.is_bigtiff
        assert file.pages[0].predictor == 2
        assert [page.is_reduced for page in file.pages] == [False, True, True]
        np.testing.assert_array_equal(file.pages[0].asarray(), pixels.transpose(1, 2, 0))
        np.testing.assert_array_equal(file.pages[1].asarray(), mean_of_four(pixels, 0).transpose(1, 2, 0))


def test_floats_with_nan_as_nodata(tmp_path):
    pixels = a_picture(1, 1030, 1030, "float32", hole=False)
    pixels[:, :301, :400] = np.nan
    path = write(pixels, a_profile(pixels, nodata=float("nan")), tmp_path)
    levels = every_level(path)
    with rasterio.open(path) as dataset:
        assert np.isnan(dataset.nodata)
    np.testing.assert_array_equal(levels[1], mean_of_four(pixels, None))
    assert np.isnan(levels[1]).sum() == 150 * 200


def test_it_says_where_it_is_and_what_its_bands_are(tmp_path):
    pixels = a_picture(4, 600, 600, "uint16")
    profile = a_profile(
        pixels, nodata=0, descriptions=("B<1>", "B2", "B3", "B4"), colours=("Blue", "Green", "Red", "NIR")
    )
    with rasterio.open(write(pixels, profile, tmp_path)) as dataset:
        assert dataset.crs.to_epsg() == 32631
        assert tuple(dataset.transform)[:6] == UTM31["transform"]
        assert dataset.nodata == 0
        assert dataset.descriptions == ("B<1>", "B2", "B3", "B4")
        assert dataset.colorinterp == (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.nir)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags()["AREA_OR_POINT"] == "Area"


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", (1e-5, 0.0, 179.999, 0.0, -1e-5, 12.5)),
        ("EPSG:5042", (2.0, 0.0, 1999000.0, 0.0, -2.0, 2001000.0)),
        ("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84", (10.0, 0.0, -500.0, 0.0, -10.0, 500.0)),
        ("EPSG:32631", (0.4, 0.3, 600000.0, 0.3, -0.4, 5000000.0)),  # turned: needs ModelTransformation
    ],
)
def test_any_crs_and_any_affine(tmp_path, crs, transform):
    pixels = a_picture(1, 20, 30, "uint8")
    profile = CogProfile(crs=crs, transform=transform, height=20, width=30, bands=1, data_type="uint8")
    with rasterio.open(write(pixels, profile, tmp_path)) as dataset:
        assert dataset.crs == rasterio.crs.CRS.from_user_input(crs)
        np.testing.assert_allclose(tuple(dataset.transform)[:6], transform, rtol=1e-12)


def test_red_green_blue_is_said_in_the_tiff_itself(tmp_path):
    pixels = a_picture(3, 600, 600, "uint8")
    path = write(pixels, a_profile(pixels, colours=("Red", "Green", "Blue")), tmp_path)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def test_bigtiff(tmp_path):
    pixels = a_picture(2, 1500, 1300, "uint16")
    path = write(pixels, a_profile(pixels, nodata=0, big=True), tmp_path)
    assert path.read_bytes()[:4] == b"II\x2b\0"
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    np.testing.assert_array_equal(every_level(path)[0], pixels)


def test_beyond_4_gib_it_becomes_a_bigtiff(tmp_path):
    """Uncompressed float64 tiles that all share one place in the spool: 4.3 GB that are counted, not kept."""
    pixels = np.zeros((1, 2048, 2048))
    side = 12
    profile = CogProfile(**UTM31, height=2048 * side, width=2048 * side, bands=1, data_type="float64", compress="none")
    first = encode_superblock(pixels, profile, row=0, col=0, spool=tmp_path)
    from processing import cog, cog_header, tiff

    sizes = [[first.tiles[0]] * (rows * cols) for rows, cols in map(profile.tiles, range(len(profile.levels)))]

    class Length:
        def __init__(self):
            self.bytes, self.head = 0, b""

        def write(self, data):
            self.head = self.head or data
            self.bytes += len(data)

        def copy(self, tiles, into):  # noqa: ARG002
            self.bytes += sum(tile.size for tile in tiles)

    file = Length()
    levels = [cog._sizes(tiles) for tiles in sizes]
    cog._write(file, cog_header.header(profile, levels)[0], sizes, file)
    assert file.bytes > 2**32
    assert file.head[:4] == b"II\x2b\0"
    assert tiff.header([], big=False)[:4] == b"II\x2a\0"


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="needs GDAL's command line")
def test_gdals_own_tools_agree(tmp_path):
    """Debian's GDAL, another build than rasterio's: checksums of the pixels and of every overview."""
    pixels = a_picture(2, 2500, 1200, "uint16")
    path = write(pixels, a_profile(pixels, nodata=0), tmp_path)
    plain = tmp_path / "plain.tif"
    expected = []
    for level in every_level(path):
        tifffile.imwrite(plain, level, planarconfig="separate", photometric="minisblack")
        info = json.loads(subprocess.check_output(["gdalinfo", "-json", "-checksum", plain]))
        expected.append([band["checksum"] for band in info["bands"]])
    info = json.loads(subprocess.check_output(["gdalinfo", "-json", "-checksum", path]))
    assert info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"] == "COG"
    for index, band in enumerate(info["bands"]):
        assert band["checksum"] == expected[0][index]
        assert [overview["checksum"] for overview in band["overviews"]] == [level[index] for level in expected[1:]]


def test_the_same_bytes_whatever_the_order_of_the_superblocks(tmp_path):
    pixels = a_picture(2, 2 * SUPERBLOCK + 100, SUPERBLOCK + 700, "uint16")
    profile = a_profile(pixels, nodata=0)
    forward = write(pixels, profile, tmp_path, "forward.tif")
    backward = write(pixels, profile, tmp_path, "backward.tif", order=lambda places: places[::-1])
    assert hashlib.sha256(forward.read_bytes()).digest() == hashlib.sha256(backward.read_bytes()).digest()


def test_a_descriptor_is_small_and_travels(tmp_path):
    pixels = a_picture(4, SUPERBLOCK, SUPERBLOCK, "uint16")
    block = encode_superblock(pixels, a_profile(pixels), row=0, col=0, spool=tmp_path)
    sent = pickle.dumps(block)
    assert pickle.loads(sent) == block
    assert len(sent) < 4000


def test_a_missing_superblock_is_an_error(tmp_path):
    pixels = a_picture(1, 3000, 3000, "uint8")
    profile = a_profile(pixels)
    blocks = encode(pixels, profile, tmp_path)
    with pytest.raises(OutputError, match="is missing"):
        assemble(blocks[:-1], profile, spool=tmp_path, destination=tmp_path / "out.tif")
    assert not list(tmp_path.glob("*out.tif*"))


def test_a_damaged_spool_is_an_error(tmp_path):
    pixels = a_picture(1, 600, 600, "uint8")
    profile = a_profile(pixels)
    blocks = encode(pixels, profile, tmp_path)
    (spooled,) = tmp_path.glob("*.tiles")
    spooled.write_bytes(spooled.read_bytes()[:-10])
    with pytest.raises(OutputError, match="cut off"):
        assemble(blocks, profile, spool=tmp_path, destination=tmp_path / "out.tif")
    assert not list(tmp_path.glob("*out.tif*"))


@pytest.mark.parametrize(
    ("shape", "data_type"), [((1, 100, 100), "uint8"), ((1, 600, 601), "uint8"), ((1, 600, 600), "uint16")]
)
def test_a_superblock_that_does_not_fit_is_refused(tmp_path, shape, data_type):
    profile = CogProfile(**UTM31, height=600, width=600, bands=1, data_type="uint8")
    with pytest.raises(OutputError, match="superblock 0, 0"):
        encode_superblock(np.zeros(shape, data_type), profile, row=0, col=0, spool=tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"bands": 0}, {"compress": "lzw"}, {"data_type": "complex64"}, {"descriptions": ("a", "b")}]
)
def test_a_profile_that_cannot_be_written_is_refused(wrong):
    right = {**UTM31, "height": 10, "width": 10, "bands": 1, "data_type": "uint8"}
    with pytest.raises(OutputError, match="output: "):
        CogProfile(**right | wrong)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    pixels=stnp.arrays(
        st.sampled_from(["uint8", "int16", "int32"]),
        st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
        elements=st.integers(0, 9),
        fill=st.just(0),
    ),
    nodata=st.sampled_from([None, 0, 5]),
)
def test_halving_is_the_mean_of_what_has_data(pixels, nodata):
    np.testing.assert_array_equal(halve(pixels, nodata=nodata, overviews="average"), mean_of_four(pixels, nodata))


def test_halving_keeps_data_apart_from_nodata():
    around_zero = np.array([[[-1, 1], [-1, 1]]], dtype="int16")
    assert halve(around_zero, nodata=0, overviews="average")[0, 0, 0] == 1
    top = np.array([[[254, 255], [255, 255]]], dtype="uint8")
    assert halve(top, nodata=254, overviews="average")[0, 0, 0] == 255
    floats = np.array([[[-1.0, 1.0], [-1.0, 1.0]]], dtype="float32")
    assert 0 < halve(floats, nodata=0, overviews="average")[0, 0, 0] < 1e-30


def test_classes_are_not_averaged(tmp_path):
    classes = np.random.default_rng(3).choice(np.array([0, 1, 255], "uint8"), size=(1, 1200, 900))
    path = write(classes, a_profile(classes, nodata=255, overviews="nearest"), tmp_path)
    np.testing.assert_array_equal(every_level(path)[2], classes[:, ::4, ::4])


@settings(max_examples=20, deadline=None)
@given(
    data_type=st.sampled_from(KINDS),
    compress=st.sampled_from(["zstd", "deflate", "none", "lerc"]),
    bands=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_a_tile_comes_back_as_it_went(data_type, compress, bands, seed):
    rng = np.random.default_rng(seed)
    pixels = np.frombuffer(rng.bytes(bands * TILE * TILE * np.dtype(data_type).itemsize), data_type)
    pixels = pixels.reshape(bands, TILE, TILE)
    if compress == "lerc" and pixels.dtype.kind == "f":  # which of the many NaNs it was is not kept
        pixels = np.where(np.isnan(pixels), pixels.dtype.type(np.nan), pixels)
    data = encode_tile(pixels, compress=compress, level=1, fill=0)
    back = decode_tile(data, bands=bands, data_type=data_type, compress=compress)
    assert back.tobytes() == pixels.tobytes()


FULL_DISK = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from processing.cog import CogProfile, assemble, encode_superblock
    from processing.errors import OutputError

    spool, destination, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    pixels = np.random.default_rng(1).integers(0, 65535, (1, 1500, 1500)).astype("uint16")
    profile = CogProfile(crs="EPSG:32631", transform=(1., 0., 6e5, 0., -1., 5e6), height=1500, width=1500, bands=1,
                         data_type="uint16")
    blocks = [encode_superblock(pixels, profile, row=0, col=0, spool=spool)]
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        assemble(blocks, profile, spool=spool, destination=destination)
    except OutputError as error:
        print(error)
        sys.exit(3)
"""


def run_on_full_disk(spool, destination, limit):
    spool.mkdir()
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), spool, destination, str(limit)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )


@pytest.mark.parametrize("limit", [100, 1_000_000, 5_900_000])
def test_a_file_that_may_not_grow_leaves_nothing(tmp_path, limit):
    """The kernel refuses the write that crosses the limit, as it does on a full disk."""
    done = run_on_full_disk(tmp_path / "spool", tmp_path / "out" / "x.tif", limit)
    assert done.returncode == 3  # the folder is not there yet: an error as well
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.tif").write_bytes(b"what was there before")
    done = run_on_full_disk(tmp_path / "spool2", tmp_path / "out" / "x.tif", limit)
    assert done.returncode == 3, done.stderr
    assert "nothing of it remains" in done.stdout
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.tif"]
    assert (tmp_path / "out" / "x.tif").read_bytes() == b"what was there before"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_nothing(tmp_path, small_disk):
    done = run_on_full_disk(tmp_path / "spool", small_disk / "x.tif", 0)
    assert done.returncode == 3, done.stderr
    assert "No space left" in done.stdout
    assert list(small_disk.iterdir()) == []


def test_a_full_spool_leaves_nothing(small_disk):
    pixels = np.random.default_rng(1).integers(0, 65535, (1, 1500, 1500)).astype("uint16")
    with pytest.raises(OutputError, match="No space left"):
        encode_superblock(pixels, a_profile(pixels), row=0, col=0, spool=small_disk)
    assert list(small_disk.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_raster(tmp_path):
    """One band of 36,864 × 6,144 bytes is 226 MB; the process that writes it from one superblock stays far below."""
    script = """
        import resource, sys
        from dataclasses import replace
        from pathlib import Path
        import numpy as np
        from processing.cog import CogProfile, assemble, encode_superblock

        spool = Path(sys.argv[1])
        profile = CogProfile(crs="EPSG:32631", transform=(1., 0., 6e5, 0., -1., 5e6), height=18 * 2048, width=3 * 2048,
                             bands=1, data_type="uint8")
        pixels = (np.indices((2048, 2048)).sum(axis=0) % 251).astype("uint8")[None]
        first = encode_superblock(pixels, profile, row=0, col=0, spool=spool)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        blocks = [encode_superblock(pixels, profile, row=r, col=c, spool=spool) for r in range(18) for c in range(3)]
        assemble(blocks, profile, spool=spool, destination=spool / "out.tif")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    grown_kib = int(
        subprocess.check_output(
            [sys.executable, "-c", textwrap.dedent(script), tmp_path],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
    )
    assert grown_kib < 60_000
    assert cog_validate(tmp_path / "out.tif", strict=True, quiet=True) == (True, [], [])
