"""The RPC inside a GeoTIFF: TIFF tag 50844, 92 doubles, as GDAL hands it out.

Pixel (0, 0) is the centre of the first pixel ("RPCs in GeoTIFF", RPCCoefficientTag; GDAL RFC 22: "relative to the
center of the pixel"). The tag begins with two errors; offsets, scales and polynomials follow in the order of RPC00B.
"""

from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import rpc00b


def read(dataset: DatasetReader) -> Rpc | None:
    """The sensor model of an open raster; None where it holds none.

    Raises
    ------
    SensorModelError
        It holds one that is incomplete.
    """
    file = dataset.name.rpartition("/")[2]
    try:
        found = dataset.rpcs
        if found is None:
            return None
        values = {name: float(getattr(found, name.replace("lon_", "long_"))) for name in rpc00b.NUMBERS}
        polynomials = {name: [float(c) for c in getattr(found, f"{name}_coeff")] for name in rpc00b.POLYNOMIALS}
        return rpc00b.model(file, values, polynomials)
    except (RasterioError, KeyError, ValueError, TypeError, AttributeError, SensorModelError) as error:
        reason = str(error).removeprefix(f"{file}: ")
        raise SensorModelError(
            f"{file}: the RPC inside is incomplete ({reason}); put {file.rpartition('.')[0]}_RPC.TXT beside it"
        ) from None
