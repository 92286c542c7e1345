"""The RPC inside a file: TIFF tag 50844, or the RPC00B segment of a NITF, as GDAL hands both out.

Pixel (0, 0) is the centre of the first pixel in both ("RPCs in GeoTIFF", and STDI-0002).
"""

from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from processing.errors import SensorModelError
from processing.rpc import Rpc


def read(dataset: DatasetReader) -> Rpc | None:
    """The sensor model of an open raster; None where it holds none.

    Raises
    ------
    SensorModelError
        It holds one that is incomplete.
    """
    try:
        found = dataset.rpcs
        return (
            None
            if found is None
            else Rpc(
                line_off=found.line_off,
                samp_off=found.samp_off,
                lat_off=found.lat_off,
                lon_off=found.long_off,
                height_off=found.height_off,
                line_scale=found.line_scale,
                samp_scale=found.samp_scale,
                lat_scale=found.lat_scale,
                lon_scale=found.long_scale,
                height_scale=found.height_scale,
                line_num=found.line_num_coeff,
                line_den=found.line_den_coeff,
                samp_num=found.samp_num_coeff,
                samp_den=found.samp_den_coeff,
            )
        )
    except (RasterioError, KeyError, ValueError, TypeError, SensorModelError) as error:
        raise SensorModelError(f"{dataset.name.rpartition('/')[2]}: the RPC inside is incomplete ({error})") from None
