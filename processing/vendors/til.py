"""``.TIL`` of DigitalGlobe: where each tile of an image lies in the whole, whose RPC has the name of the TIL file.

GDAL's TIL driver reads the same fields (tildataset.cpp): ``TILE_n.filename``, ``ULColOffset``, ``ULRowOffset``, from 0.
"""

import re
from pathlib import Path

from processing.errors import SensorModelError
from processing.vendors import pvl
from processing.vendors.sidecar import shortened

_FILENAME = re.compile(r"(tile_\d{1,6})\.filename", flags=re.ASCII)


def first_pixel(path: Path, raster: str) -> tuple[int, int] | None:
    """Row and column, from 0, of a tile's first pixel in the whole image; None where the file does not name it.

    Raises
    ------
    SensorModelError
        It is no TIL file, names the tile twice, or its offsets are no whole numbers.
    """
    fields = pvl.read(path)
    groups = [
        match[1]
        for key, value in fields.items()
        if (match := _FILENAME.fullmatch(key)) and value.lower() == raster.lower()
    ]
    if not groups:
        return None
    if len(groups) > 1:
        raise SensorModelError(f"{path.name}: names {raster} {len(groups)} times; give it once")
    offsets = [fields.get(f"{groups[0]}.{key}", "") for key in ("ulrowoffset", "ulcoloffset")]
    if not all(re.fullmatch(r"\d{1,7}(\.0*)?", text, flags=re.ASCII) for text in offsets):
        raise SensorModelError(
            f"{path.name}: {raster} begins at {shortened(', '.join(offsets))}; give ULRowOffset, ULColOffset in pixels"
        )
    return int(float(offsets[0])), int(float(offsets[1]))
