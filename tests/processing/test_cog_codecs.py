"""LERC, JPEG and WebP in what `processing.cog` writes, and files beyond 4 GiB, by GDAL, rio-cogeo and tifffile."""

import itertools

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Compression, MaskFlags
from rio_cogeo import cog_validate

from processing.cog import SUPERBLOCK, CogProfile, EncodedSuperblock, assemble, encode_superblock
from processing.errors import OutputError
from processing.picture_tile import decode_mask, encode_mask
from processing.spool import SpooledTile, place_tiles
from processing.tile import TILE, decode_tile, encode_tile
from tests.processing.test_cog import UTM31, a_picture, a_profile, every_level, mean_of_four, write


def every_mask(path):
    """Of full resolution and all overviews, read by GDAL."""
    with rasterio.open(path) as dataset:
        masks = [dataset.dataset_mask()]
        count = len(dataset.overviews(1))
    for level in range(count):
        with rasterio.open(path, OVERVIEW_LEVEL=level) as dataset:
            masks.append(dataset.dataset_mask())
    return masks


def has_data_of_four(valid):
    """Where an overview has data: one of the four has."""
    height, width = valid.shape
    padded = np.zeros((height + height % 2, width + width % 2), dtype=bool)
    padded[:height, :width] = valid
    return padded.reshape(padded.shape[0] // 2, 2, -1, 2).any(axis=(1, 3))


def a_photo(bands, height, width):
    """Smooth colours that stay clear of 0, and a corner without data (0)."""
    y, x = np.mgrid[:height, :width]
    photo = np.stack([130 + 100 * np.sin(x / (200 + 90 * band)) * np.cos(y / 300) for band in range(bands)])
    photo[:, : height // 3, : width // 4] = 0
    return photo.astype("uint8")


def closeness_db(one, other):
    """Peak signal-to-noise ratio of two pictures of bytes."""
    return 10 * np.log10(255**2 / max(np.mean((one.astype(float) - other) ** 2), 1e-9))


@pytest.mark.parametrize(("compress", "bands"), [("jpeg", 1), ("jpeg", 3), ("webp", 3)])
def test_a_quicklook_is_close_and_its_mask_is_exact(tmp_path, compress, bands):
    """Three of its levels come from the pixels themselves, the last one from tiles that have lost digits."""
    photo = a_photo(bands, 4200, 900)
    path = write(photo, a_profile(photo, nodata=0, compress=compress, quality=90), tmp_path)
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(path) as dataset:
        assert dataset.compression == Compression[compress]
        assert dataset.mask_flag_enums == ([MaskFlags.per_dataset],) * bands
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.nodata is None
    expected, valid = photo, photo.any(axis=0)
    levels, masks = every_level(path), every_mask(path)
    assert len(levels) == len(masks) == 5
    for level, mask in zip(levels, masks, strict=True):
        np.testing.assert_array_equal(mask > 0, valid)
        assert closeness_db(level[:, valid], expected[:, valid]) > 32
        expected, valid = mean_of_four(expected, 0), has_data_of_four(valid)
    assert path.stat().st_size < photo.nbytes / 8


def test_a_photo_is_ycbcr_in_jpeg_and_rgb_in_webp(tmp_path):
    photo = a_photo(3, 600, 600)
    jpeg = write(photo, a_profile(photo, compress="jpeg"), tmp_path, "jpeg.tif")
    webp = write(photo, a_profile(photo, compress="webp"), tmp_path, "webp.tif")
    with tifffile.TiffFile(jpeg) as file:
        page = file.pages[0]
        assert page.photometric == tifffile.PHOTOMETRIC.YCBCR
        assert page.tags[530].value == (2, 2)
        assert page.tags[532].value == (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
        assert closeness_db(page.asarray().transpose(2, 0, 1), photo) > 34
    with tifffile.TiffFile(webp) as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.RGB
        assert closeness_db(file.pages[0].asarray().transpose(2, 0, 1), photo) > 34
    for path in (jpeg, webp):
        with rasterio.open(path) as dataset:
            assert dataset.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            assert dataset.mask_flag_enums == ([MaskFlags.all_valid],) * 3


def test_quality_is_what_it_costs(tmp_path):
    photo = a_picture(3, 700, 700, "uint8")
    sizes, likeness = [], []
    for compress, quality in itertools.product(("jpeg", "webp"), (30, 75, 95)):
        profile = a_profile(photo, compress=compress, quality=quality)
        path = write(photo, profile, tmp_path, f"{compress}{quality}.tif")
        sizes.append(path.stat().st_size)
        likeness.append(closeness_db(every_level(path)[0], photo))
    assert sizes[:3] == sorted(sizes[:3])
    assert sizes[3:] == sorted(sizes[3:])
    assert likeness[:3] == sorted(likeness[:3])
    assert likeness[3:] == sorted(likeness[3:])


def test_webp_of_quality_100_loses_nothing(tmp_path):
    photo = a_picture(3, 1100, 700, "uint8")
    profile = a_profile(photo, nodata=0, compress="webp", quality=100)
    path = write(photo, profile, tmp_path)
    expected = photo
    for level in every_level(path):
        np.testing.assert_array_equal(level, expected)
        expected = mean_of_four(expected, 0)
    with rasterio.open(path) as dataset:
        assert dataset.nodata == 0  # kept exactly, so no mask is needed
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])


@pytest.mark.parametrize("bands", [1, 2])
@pytest.mark.parametrize("data_type", ["float32", "float64"])
def test_lerc_keeps_nan_in_any_band(tmp_path, data_type, bands):
    pixels = a_picture(bands, 1030, 1030, data_type, hole=False)
    pixels[:, :301, :400] = np.nan
    pixels[0, 600:650] = np.nan  # and in one band alone
    path = write(pixels, a_profile(pixels, nodata=float("nan"), compress="lerc"), tmp_path)
    expected = pixels
    for level in every_level(path):
        np.testing.assert_array_equal(level, expected)
        expected = mean_of_four(expected, None)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].tags[50674].value == (4, 2)


@pytest.mark.parametrize(
    ("data_type", "nodata"), [("uint16", 0), ("int16", -32768), ("float32", -9999), ("float32", None)]
)
def test_lerc_is_off_by_no_more_than_was_allowed(tmp_path, data_type, nodata):
    pixels = a_picture(2, 900, 700, data_type, hole=False)
    valid = np.ones((900, 700), dtype=bool)
    if nodata is not None:
        pixels[:, :300, :200] = nodata
        valid[:300, :200] = False
    exact = write(pixels, a_profile(pixels, nodata=nodata, compress="lerc"), tmp_path, "exact.tif")
    path = write(pixels, a_profile(pixels, nodata=nodata, compress="lerc", max_error=3), tmp_path)
    assert path.stat().st_size < exact.stat().st_size
    assert cog_validate(path, strict=True, quiet=True) == (True, [], [])
    off = np.abs(every_level(path)[0].astype(float) - pixels)[:, valid]
    assert 0 < off.max() <= 3
    np.testing.assert_array_equal(every_mask(path)[0] > 0, valid)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"compress": "jpeg", "data_type": "uint16"}, "jpeg takes 1 or 3 bands of uint8, and these are 1 of uint16"),
        ({"compress": "jpeg", "bands": 4}, "jpeg takes 1 or 3 bands of uint8, and these are 4 of uint8"),
        ({"compress": "webp", "bands": 1}, "webp takes 3 bands of uint8.*give zstd, deflate or lerc"),
        ({"compress": "jpeg", "quality": 0}, "quality 0; give 1 to 100"),
        ({"compress": "zstd", "max_error": 1}, "zstd with a maximum error of 1"),
        ({"compress": "lerc", "max_error": -1}, "lerc with a maximum error of -1"),
        ({"compress": "lerc", "max_error": float("nan")}, "lerc with a maximum error of nan"),
    ],
)
def test_what_a_codec_cannot_hold_is_refused(wrong, says):
    right = {**UTM31, "height": 10, "width": 10, "bands": 1, "data_type": "uint8"}
    with pytest.raises(OutputError, match=says):
        CogProfile(**right | wrong)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), bands=st.integers(1, 3), data_type=st.sampled_from(["float32", "float64"]))
def test_nan_anywhere_comes_back(seed, bands, data_type):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 10, (bands, TILE, TILE)).astype(data_type)
    pixels[rng.integers(0, 9, pixels.shape) < seed % 3 * 4] = np.nan
    data = encode_tile(pixels, compress="lerc", level=1, fill=np.nan)
    np.testing.assert_array_equal(decode_tile(data, bands=bands, data_type=data_type, compress="lerc"), pixels)


def test_a_mask_comes_back():
    valid = np.random.default_rng(1).integers(0, 2, (TILE, TILE)).astype(bool)
    np.testing.assert_array_equal(decode_mask(encode_mask(valid), TILE), valid)


@pytest.mark.parametrize(("side", "begins"), [(9, b"II\x2a\0"), (10, b"II\x2b\0")])
def test_a_file_beyond_4_gib_is_a_bigtiff(tmp_path, side, begins):
    """Its tiles but for the first and the last are holes of the disk: 4.3 GB that take some megabytes."""
    height = SUPERBLOCK * side
    profile = CogProfile(**UTM31, height=height, width=height, bands=1, data_type="float64", compress="none")
    corner = np.full((1, TILE, TILE), 7.5)
    data = encode_tile(corner, compress="none", level=0, fill=0)
    tiles = []
    for level in range(len(profile.levels)):
        rows, cols = profile.tiles(level)
        for row, col in itertools.product(range(rows), range(cols)):
            at = profile.place(level, row, col)
            tiles.append(SpooledTile(level=level, row=row, col=col, file="whole.tif", offset=at, size=len(data)))
    last = profile.tiles(0)[0] - 1
    place_tiles(tmp_path / "whole.tif", [(0, last, last, data, b"")], profile.place)
    blocks = [EncodedSuperblock(row=0, col=0, tiles=tuple(tile for tile in tiles if tile.level <= 2))]
    assemble(blocks, profile, spool=tmp_path, destination=tmp_path / "big.tif")
    size = (tmp_path / "big.tif").stat().st_size
    assert (size >= 2**32) == (begins == b"II\x2b\0")
    assert (tmp_path / "big.tif").stat().st_blocks * 512 < 2**28
    with (tmp_path / "big.tif").open("rb") as file:
        assert file.read(4) == begins
    with rasterio.open(tmp_path / "big.tif") as dataset:
        window = ((height - TILE, height), (height - TILE, height))
        np.testing.assert_array_equal(dataset.read(window=window), corner)
        assert not dataset.read(1, window=((0, 10), (0, 10))).any()


def test_the_same_bytes_whatever_the_order_of_the_superblocks(tmp_path):
    photo = a_photo(3, SUPERBLOCK + 100, SUPERBLOCK + 700)
    profile = a_profile(photo, nodata=0, compress="jpeg")
    forward = write(photo, profile, tmp_path, "forward.tif")
    backward = write(photo, profile, tmp_path, "backward.tif", order=lambda places: places[::-1])
    assert forward.read_bytes() == backward.read_bytes()


def test_a_mask_that_is_cut_off_is_an_error(tmp_path):
    photo = a_photo(3, 600, 500)
    profile = a_profile(photo, nodata=0, compress="jpeg")
    block = encode_superblock(photo, profile, row=0, col=0, spool=tmp_path)
    (spooled,) = tmp_path.glob("*.tiles")
    spooled.write_bytes(spooled.read_bytes()[:-2])
    with pytest.raises(OutputError, match="cut off"):
        assemble([block], profile, spool=tmp_path, destination=tmp_path / "out.tif")
    assert not list(tmp_path.glob("*out.tif*"))
