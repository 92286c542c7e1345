"""What types of pixels hold, against numpy's own limits."""

import numpy as np
import pytest

from processing.value_range import as_stored, value_range


@pytest.mark.parametrize(
    ("kind", "nodata", "expected"),
    [
        ("uint8", 0.0, (0.0, 255.0, 0.0, 1.0)),
        ("uint8", 255.0, (0.0, 255.0, 255.0, 254.0)),
        ("int16", -32768.0, (-32768.0, 32767.0, -32768.0, -32767.0)),
        ("float32", 0.1, (np.nan, np.nan, float(np.float32(0.1)), float(np.nextafter(np.float32(0.1), np.float32(1))))),
        ("uint16", None, (0.0, 65535.0, np.nan, np.nan)),
    ],
)
def test_limits_and_the_neighbour_of_nodata(kind, nodata, expected):
    np.testing.assert_array_equal(value_range(np.dtype(kind), nodata), expected)


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32", "float64"])
@pytest.mark.parametrize("nodata", [None, np.nan, 0.0, 0.1, 255.0, -9999.0, 70000.0])
def test_pixels_equal_their_nodata_or_nothing(kind, nodata):
    stored = as_stored(nodata, np.dtype(kind))
    held = np.dtype(kind).kind == "f" or nodata in {0.0, 255.0} or (nodata == -9999.0 and kind == "int16")
    if nodata is None or np.isnan(nodata) or not held:
        assert np.isnan(stored)
    else:
        assert np.dtype(kind).type(nodata) == stored
