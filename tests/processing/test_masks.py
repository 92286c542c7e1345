"""The byte of a pixel: put together, read as STAC says it is read, and halved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pystac.extensions.classification import Bitfield

from processing.cloud_classes import CLEAR, CLOUD, SHADOW, UNKNOWN
from processing.cog import CogProfile, assemble, encode_superblock
from processing.errors import ProcessingError
from processing.masks import (
    CLOUDY,
    FLAGS,
    NODATA,
    OCCLUDED,
    SATURATED,
    SHADED,
    UNJUDGED,
    bitfields,
    combine,
    missing,
    saturated,
    saturation_limits,
)
from processing.raster import open_raster
from processing.tile import halve

SHAPE = (7, 9)
MASKS = arrays.arrays(np.bool_, SHAPE)
CLASSES = arrays.arrays(np.uint8, SHAPE, elements=st.sampled_from([CLEAR, CLOUD, SHADOW, UNKNOWN]))


def read_field(bits, name):
    """As the classification extension says a bit field is read."""
    (field,) = [one for one in bitfields()["classification:bitfields"] if one["name"] == name]
    return bits >> field["offset"] & (1 << field["length"]) - 1


@given(nodata=MASKS, bright=MASKS, hidden=MASKS, clouds=CLASSES)
@settings(max_examples=40)
def test_what_is_put_in_is_read_as_stac_says(nodata, bright, hidden, clouds):
    bits = combine(nodata, saturated=bright, occluded=hidden, clouds=clouds)
    assert bits.dtype == np.uint8
    assert np.array_equal(read_field(bits, "nodata"), nodata)
    assert (bits[nodata] == 1).all()
    for name, mask in (
        ("saturated", bright),
        ("occluded", hidden),
        ("cloud", clouds == 1),
        ("cloud_shadow", clouds == 2),
        ("unjudged", clouds == 255),
    ):
        assert np.array_equal(read_field(bits, name)[~nodata], mask[~nodata])
    assert np.array_equal(bits == 0, ~(nodata | bright | hidden | (clouds != 0)))


def test_what_was_not_looked_for_stays_0():
    nodata = np.zeros(SHAPE, dtype=bool)
    assert not combine(nodata).any()
    hidden = np.ones(SHAPE, dtype=bool)
    assert (combine(nodata, occluded=hidden) == OCCLUDED.bit).all()


@given(first=st.integers(0, 6), last=st.integers(1, 7), clouds=CLASSES, nodata=MASKS)
@settings(max_examples=20)
def test_a_block_is_a_piece_of_the_whole(first, last, clouds, nodata):
    piece = np.s_[min(first, last) : max(first, last), 2:8]
    whole = combine(nodata, saturated=nodata[::-1], clouds=clouds)
    assert np.array_equal(combine(nodata[piece], saturated=nodata[::-1][piece], clouds=clouds[piece]), whole[piece])


# ── nodata and saturation ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_pixel_is_nodata_where_no_band_shows_anything():
    pixels = np.array([[[0, 0, 5, 5]], [[0, 5, 0, 5]]], dtype=np.uint16)
    assert missing(pixels, nodata=0).tolist() == [[True, False, False, False]]
    assert missing(pixels, nodata=0, rule="any").tolist() == [[True, True, True, False]]
    assert not missing(pixels, nodata=None).any()
    assert missing(pixels, nodata=5, rule="all").tolist() == [[False, False, False, True]]


def test_nan_is_never_data_and_transparent_pixels_neither():
    pixels = np.array([[[np.nan, np.nan, 1.0, -9.0]], [[np.nan, 1.0, 1.0, np.nan]]], dtype=np.float32)
    assert missing(pixels, nodata=-9.0).tolist() == [[True, False, False, True]]
    assert missing(pixels, nodata=np.nan).tolist() == [[True, False, False, False]]
    alpha = np.array([[255, 0, 1, 255]], dtype=np.uint8)
    assert missing(pixels, nodata=None, alpha=alpha).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("data_type", "limit"), [("uint8", 255), ("uint16", 65535), ("int16", 32767), ("float32", np.inf)]
)
def test_a_band_is_saturated_at_its_types_largest_number_where_nothing_else_is_said(data_type, limit):
    assert saturation_limits(data_type, 3) == (limit,) * 3


def test_the_vendor_knows_better():
    assert saturation_limits("uint16", 2, 4095) == (4095, 4095)
    assert saturation_limits("uint16", 2, [2047, 1023.5]) == (2047, 1023.5)
    assert saturation_limits("float32", 1, 1.2) == (1.2,)
    pixels = np.array([[[2046, 2047, 3000, 0]], [[0, 0, 0, 1024]]], dtype=np.uint16)
    assert saturated(pixels, (2047, 1023.5), nodata=None).tolist() == [[False, True, True, True]]
    assert saturated(pixels, (2047, 1024), nodata=3000).tolist() == [[False, True, False, True]]


def test_nodata_is_not_saturated_and_floats_are_not_unless_it_is_said():
    full = np.array([[[255, 254]]], dtype=np.uint8)
    assert saturated(full, saturation_limits("uint8", 1), nodata=None).tolist() == [[True, False]]
    assert saturated(full, saturation_limits("uint8", 1), nodata=255).tolist() == [[False, False]]
    bright = np.array([[[np.inf, 3e38, np.nan, 1.3]]], dtype=np.float32)
    assert not saturated(bright, saturation_limits("float32", 1), nodata=None).any()
    assert saturated(bright, (1.2,), nodata=None).tolist() == [[True, True, False, True]]


@pytest.mark.parametrize(
    ("bands", "given_limits", "message"),
    [
        (4, [1, 2], "2 limits for 4 bands"),
        (1, 70_000, "70000 cannot be the largest number of a uint16 pixel"),
        (1, 0, "more than 0"),
        (1, np.nan, "nan cannot be"),
    ],
)
def test_limits_that_cannot_be_are_refused(bands, given_limits, message):
    with pytest.raises(ProcessingError, match=message):
        saturation_limits("uint16", bands, given_limits)


# ── overviews ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(nodata=MASKS, bright=MASKS, clouds=CLASSES, height=st.integers(1, SHAPE[0]), width=st.integers(1, SHAPE[1]))
@settings(max_examples=40)
def test_an_overview_has_any_fault_of_what_shows_something(nodata, bright, clouds, height, width):
    bits = combine(nodata, saturated=bright, clouds=clouds)[:height, :width]
    small = halve(bits[None], nodata=None, overviews="flags")[0]
    assert small.shape == ((height + 1) // 2, (width + 1) // 2)
    for row in range(small.shape[0]):
        for col in range(small.shape[1]):
            four = bits[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].ravel().tolist()
            shown = [byte for byte in four if byte != 1]
            expected = 0 if shown else 1
            for byte in shown:
                expected |= byte
            assert small[row, col] == expected


def test_a_cloud_optimized_geotiff_holds_it_with_its_nodata(tmp_path):
    nodata = np.indices((700, 600)).sum(axis=0) < 300
    bits = combine(nodata, occluded=np.indices((700, 600))[0] > 500)
    profile = CogProfile(
        crs="EPSG:32631", transform=(2.0, 0.0, 6e5, 0.0, -2.0, 5e6), height=700, width=600, bands=1, data_type="uint8",
        nodata=NODATA.bit, overviews="flags",
    )  # fmt: skip
    spool = tmp_path / "spool"
    spool.mkdir()
    block = encode_superblock(bits[None], profile, row=0, col=0, spool=spool)
    assemble([block], profile, spool=spool, destination=tmp_path / "mask.tif")
    with open_raster(tmp_path / "mask.tif") as dataset:
        assert np.array_equal(dataset.read(1), bits)
        assert np.array_equal(dataset.dataset_mask() == 0, nodata)
        assert set(np.unique(dataset.read(1, out_shape=(350, 300)))) == {0, NODATA.bit, OCCLUDED.bit}


# ── what STAC says ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_flags_are_bits_of_one_byte():
    assert [flag.bit for flag in FLAGS] == [1, 2, 4, 8, 16, 32]
    assert [NODATA, SATURATED, OCCLUDED, CLOUDY, SHADED, UNJUDGED] == list(FLAGS)


def test_the_bit_fields_are_those_of_the_extension():
    """Required fields, names of letters, digits, - and _, and roles that are not empty: v2.0.0 of the extension."""
    fields = bitfields()["classification:bitfields"]
    assert len({one["name"] for one in fields}) == len(fields)
    taken = 0
    for one in fields:
        read = Bitfield(one)
        span = ((1 << read.length) - 1) << read.offset
        assert not taken & span
        taken |= span
        assert [each.value for each in read.classes] == list(range(1 << read.length))
        assert all(each.name.replace("_", "").isalnum() for each in read.classes)
        assert read.roles is None or read.roles
        made = Bitfield.create(
            offset=read.offset, length=read.length, classes=read.classes, roles=read.roles,
            description=read.description, name=read.name,
        )  # fmt: skip
        assert made.to_dict() == one
    assert taken == 0b111111
    assert [each["nodata"] for one in fields for each in one["classes"] if "nodata" in each] == [True]


def test_only_what_was_looked_for_is_told_of():
    told = bitfields([OCCLUDED, NODATA])["classification:bitfields"]
    assert [one["name"] for one in told] == ["nodata", "occluded"]
