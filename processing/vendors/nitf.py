"""The RPC inside a NITF: segment RPC00B, or the older RPC00A, with ICHIPB where the image is a part of another.

STDI-0002 vol. 1, appendices E (RPC00B) and B (ICHIPB). Pixel (0, 0) is the centre of the first pixel (GDAL RFC 22).
GDAL reorders the polynomials of RPC00A wrongly (see `rpc00b`), so they are read from the segment itself; ICHIPB it only
reports.
"""

from rasterio.io import DatasetReader

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import geotiff, rpc00b
from processing.vendors.sidecar import number

_SEGMENT_BYTES = 1041
_WIDTHS = (6, 5, 8, 9, 5, 6, 5, 8, 9, 5)
"""Characters of the ten single numbers, which begin after SUCCESS, ERR_BIAS and ERR_RAND."""

_CORNERS = ("11", "12", "21", "22")


def read(dataset: DatasetReader) -> Rpc | None:
    """The sensor model of an open NITF; None where it holds none, or says that it has not succeeded.

    Raises
    ------
    SensorModelError
        It holds one that is incomplete, or one of an image that was resampled or turned.
    """
    rpc = geotiff.read(dataset)
    if rpc is None:
        return None
    file = dataset.name.rpartition("/")[2]
    segments = dataset.tags(ns="TRE")
    if "RPC00B" not in segments and "RPC00A" in segments:
        rpc = decode(file, segments["RPC00A"], order="RPC00A")
    rows, cols = _first_pixel(file, dataset.tags())
    return rpc.shifted(rows=rows, cols=cols)


def decode(file: str, segment: str, *, order: str) -> Rpc:
    """The model in the text of a segment RPC00A or RPC00B.

    Raises
    ------
    SensorModelError
        It has another length, or a field is no number.
    """
    if len(segment) != _SEGMENT_BYTES:
        raise SensorModelError(f"{file}: segment {order} of {len(segment)} bytes; it has {_SEGMENT_BYTES}")
    place = 15
    fields = []
    for width in (*_WIDTHS, *[12] * 80):
        fields.append(number(segment[place : place + width], what=f"{file}: {order} at byte {place}"))
        place += width
    polynomials = {name: fields[10 + 20 * k : 30 + 20 * k] for k, name in enumerate(rpc00b.POLYNOMIALS)}
    return rpc00b.model(file, dict(zip(rpc00b.NUMBERS, fields[:10], strict=True)), polynomials, order=order)


def _first_pixel(file: str, tags: dict[str, str]) -> tuple[float, float]:
    """Row and column of the first pixel in the image that the RPC is of: ICHIPB's full image less output product."""
    if "ICHIP_SCALE_FACTOR" not in tags:
        return 0.0, 0.0
    offsets = []
    for axis in ("ROW", "COL"):
        full, product = (
            [number(tags.get(f"ICHIP_{image}_{axis}_{corner}"), what=f"{file}: ICHIPB {axis}") for corner in _CORNERS]
            for image in ("FI", "OP")
        )
        moved = {a - b for a, b in zip(full, product, strict=True)}
        if max(moved) - min(moved) > 1e-3:
            raise SensorModelError(
                f"{file}: ICHIPB says that this part of an image was resampled or turned, which moves its RPC; "
                f"give an RPC of this image, as {file.rpartition('.')[0]}_RPC.TXT"
            )
        offsets.append(full[0] - product[0])
    return offsets[0], offsets[1]
