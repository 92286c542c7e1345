"""What a type of pixels can hold, and how a value that is computed keeps off the one that means "nothing here"."""

from typing import Any, NamedTuple

import numpy as np


class ValueRange(NamedTuple):
    """As compiled code takes it."""

    low: float
    """Lowest value; NaN for floats, which are neither rounded nor limited."""

    high: float
    nodata: float
    """NaN where no value means that nothing is shown."""

    beside: float
    """What a valid pixel becomes that would come out as nodata."""


def value_range(data_type: "np.dtype[Any]", nodata: float | None) -> ValueRange:
    """Of pixels of a type; the neighbour of nodata is the next value above, below where there is none.

    Of floats, it is that in single precision.
    """
    fill = np.nan if nodata is None else float(data_type.type(nodata))
    if data_type.kind not in "iu":
        return ValueRange(np.nan, np.nan, fill, float(np.nextafter(np.float32(fill), np.float32(np.inf))))
    low, high = float(np.iinfo(data_type).min), float(np.iinfo(data_type).max)
    return ValueRange(low, high, fill, fill + 1.0 if fill < high else fill - 1.0)


def as_stored(nodata: float | None, data_type: "np.dtype[Any]") -> float:
    """A value of pixels as their type holds it; NaN for none, and where no pixel can have it."""
    if nodata is None or np.isnan(nodata):
        return np.nan
    if data_type.kind in "iu" and not (np.iinfo(data_type).min <= nodata <= np.iinfo(data_type).max):
        return np.nan
    value = float(data_type.type(nodata))
    return np.nan if data_type.kind in "iu" and value != nodata else value
