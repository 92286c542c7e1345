"""One byte a pixel that says what is wrong with it: bits, so that a pixel can have more than one fault.

    bit  7 6 5 4 3 2 1 0
             │ │ │ │ │ └ nodata         nothing is shown; the byte is 1 and says nothing more
             │ │ │ │ └── saturated      brighter than the sensor can tell, in one band or more
             │ │ │ └──── occluded       nearer terrain is shown in its place
             │ │ └────── cloud
             │ └──────── cloud_shadow
             └────────── unjudged       shown, but not judged for clouds

0 is a good pixel. Bits of what was not looked for stay 0, and `bitfields` leaves them out. As STAC describes it:
classification extension 2.0.0, ``data >> offset & (1 << length) - 1``.

Whether a pixel is nodata is asked of all bands together, as the footprint is: by default it is only where no band shows
anything. A dark pixel whose number happens to be nodata in one band stays a pixel.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from processing.cloud_classes import CLOUD, SHADOW, UNKNOWN, Classes
from processing.errors import ProcessingError

Pixels = NDArray[Any]
"""Shape (bands, rows, columns)."""

Mask = NDArray[np.bool_]
"""Shape (rows, columns)."""

Bits = NDArray[np.uint8]
"""Shape (rows, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One bit."""

    name: str
    offset: int
    """From the right."""

    unset: str
    """Name of the class 0."""

    description: str
    """Of the class 1."""

    role: str | None
    """What STAC calls an asset that says this (best practices, "list of asset roles")."""

    @property
    def bit(self) -> int:
        """Its value."""
        return 1 << self.offset


NODATA: Final = Flag(name="nodata", offset=0, unset="data", description="Nothing is shown", role="data-mask")
SATURATED: Final = Flag(
    name="saturated",
    offset=1,
    unset="unsaturated",
    description="Brighter than the sensor can tell in one band or more",
    role="saturation",
)
OCCLUDED: Final = Flag(
    name="occluded",
    offset=2,
    unset="visible",
    description="Hidden from the sensor by nearer terrain, which is shown in its place",
    role=None,
)
CLOUDY: Final = Flag(name="cloud", offset=3, unset="no_cloud", description="Cloud", role="cloud")
SHADED: Final = Flag(
    name="cloud_shadow", offset=4, unset="no_cloud_shadow", description="Shadow of a cloud", role="cloud-shadow"
)
UNJUDGED: Final = Flag(
    name="unjudged", offset=5, unset="judged", description="Not judged for clouds and their shadows", role=None
)

FLAGS: Final = (NODATA, SATURATED, OCCLUDED, CLOUDY, SHADED, UNJUDGED)
"""From the lowest bit to the highest."""

Rule = Literal["all", "any"]
"""In how many bands a pixel must be missing to be nodata."""


def missing(pixels: Pixels, *, nodata: float | None, alpha: Pixels | None = None, rule: Rule = "all") -> Mask:
    """Pixels that show nothing: NaN or nodata in all bands, or in any, or wholly transparent.

    Parameters
    ----------
    nodata
        None where no value stands for it.
    alpha
        Opacity, shape (rows, columns): 0 shows nothing, all else is data.
    """
    lost = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, dtype=np.bool_)
    if nodata is not None:
        lost |= pixels == nodata
    mask: Mask = (np.logical_and if rule == "all" else np.logical_or).reduce(lost, axis=0)
    return mask if alpha is None else mask | (alpha == 0)


def saturation_limits(data_type: str, bands: int, given: Sequence[float] | float | None = None) -> tuple[float, ...]:
    """From which number on each band is saturated.

    Parameters
    ----------
    given
        What the vendor says, for all bands or each: 2047 for eleven bits in sixteen. Where it is None the largest
        number of the data type, which for floats is none: they are never saturated.

    Raises
    ------
    ProcessingError
        There are not as many limits as bands, or one is no number that a pixel can reach.
    """
    kind = np.dtype(data_type)
    largest = float(np.iinfo(kind).max) if kind.kind in "iu" else float("inf")
    if given is None:
        return (largest,) * bands
    limits = (float(given),) * bands if isinstance(given, int | float) else tuple(map(float, given))
    if len(limits) != bands:
        raise ProcessingError(f"saturation: {len(limits)} limits for {bands} bands; give one, or one for each band")
    for limit in limits:
        if not 0 < limit <= largest:
            raise ProcessingError(
                f"saturation: {limit:g} cannot be the largest number of a {data_type} pixel; give more than 0 and at "
                f"most {largest:g}"
            )
    return limits


def saturated(pixels: Pixels, limits: Sequence[float], *, nodata: float | None) -> Mask:
    """Pixels of which one band or more is at its limit, or above.

    Ask it of the raw image, and resample what it answers by the nearest pixel: between a saturated pixel and its
    neighbour the resampled number is below the limit.

    Parameters
    ----------
    limits
        As `saturation_limits` gives them.
    nodata
        Is never saturated, even where it is the largest number of all.
    """
    mask = np.zeros(pixels.shape[1:], dtype=np.bool_)
    for band, limit in zip(pixels, limits, strict=True):
        if math.isfinite(limit):
            bright = band >= (limit if band.dtype.kind == "f" else math.ceil(limit))
            mask |= bright if nodata is None else bright & (band != nodata)
    return mask


def combine(
    nodata: Mask, *, saturated: Mask | None = None, occluded: Mask | None = None, clouds: Classes | None = None
) -> Bits:
    """The byte of each pixel of a block; what is None was not looked for.

    Parameters
    ----------
    clouds
        Of a detector or as delivered: `processing.cloud_classes`.
    """
    bits = np.zeros(nodata.shape, dtype=np.uint8)
    for flag, mask in ((SATURATED, saturated), (OCCLUDED, occluded)):
        if mask is not None:
            bits |= mask * np.uint8(flag.bit)
    if clouds is not None:
        for flag, value in ((CLOUDY, CLOUD), (SHADED, SHADOW), (UNJUDGED, UNKNOWN)):
            bits |= (clouds == value) * np.uint8(flag.bit)
    bits[nodata] = NODATA.bit
    return bits


def bitfields(looked_for: Collection[Flag] = FLAGS) -> dict[str, Any]:
    """What STAC says of the asset (classification extension 2.0.0): the bits of what was looked for."""
    return {"classification:bitfields": [_bitfield(flag) for flag in FLAGS if flag in looked_for]}


def _bitfield(flag: Flag) -> dict[str, Any]:
    field = {
        "name": flag.name,
        "description": flag.description,
        "offset": flag.offset,
        "length": 1,
        "classes": [
            {"value": 0, "name": flag.unset},
            {"value": 1, "name": flag.name, "description": flag.description}
            | ({"nodata": True} if flag is NODATA else {}),
        ],
    }
    return field if flag.role is None else field | {"roles": [flag.role]}
