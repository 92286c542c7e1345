"""One small reader per format in which vendors deliver sensor models."""

from pathlib import Path

from processing.errors import SensorModelError
from processing.raster import open_raster
from processing.rpc import Rpc
from processing.vendors import geotiff, rpc_text


def find(raster: Path) -> Rpc:
    """The sensor model that belongs to a raster: its sidecar ``NAME_RPC.TXT``, else the RPC inside the file.

    Raises
    ------
    SensorModelError
        There is none, or the one there is cannot be read.
    DeliveryError
        The raster is none.
    """
    sidecar = rpc_text.sidecar(raster)
    if sidecar is not None:
        return rpc_text.read(sidecar)
    with open_raster(raster) as dataset:
        rpc = geotiff.read(dataset)
    if rpc is None:
        raise SensorModelError(
            f"{raster.name}: no RPC; put {raster.stem}_RPC.TXT beside it, or deliver a file with an RPC tag inside"
        )
    return rpc
