"""The pixels of an orthoimage on the map."""

from dataclasses import dataclass

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

from processing.errors import OutputError
from processing.projection import Floats, from_lon_lat, is_geographic, near, to_lon_lat


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGrid:
    """The pixels of an orthoimage on the map."""

    crs: str
    """As PROJ reads it: ``EPSG:32631``."""

    transform: tuple[float, float, float, float, float, float]
    """Affine a, b, c, d, e, f: x = a·col + b·row + c, y = d·col + e·row + f at a pixel's upper left corner."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    def __post_init__(self) -> None:
        a, b, _, d, e, _ = self.transform
        if not np.isfinite(self.transform).all() or a * e - b * d == 0:
            raise OutputError(f"output grid: the transform {self.transform} has no inverse")
        if self.height < 1 or self.width < 1:
            raise OutputError(f"output grid: {self.height} × {self.width} pixels; give at least one")
        try:
            CRS.from_user_input(self.crs)
        except CRSError:
            raise OutputError(f"output grid: the CRS {self.crs[:80]!r} is unknown; give one as EPSG:32631") from None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Lowest x, lowest y, highest x, highest y of the outer edges."""
        a, b, c, d, e, f = self.transform
        x = [c + a * col + b * row for col in (0, self.width) for row in (0, self.height)]
        y = [f + d * col + e * row for col in (0, self.width) for row in (0, self.height)]
        return min(x), min(y), max(x), max(y)

    def lon_lat(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """WGS 84 degrees of places in pixels, whole numbers at their centres; inf where the CRS has none."""
        a, b, c, d, e, f = self.transform
        right, down = col + 0.5, row + 0.5
        return to_lon_lat(self.crs, a * right + b * down + c, d * right + e * down + f)

    def pixel(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Row and column of places in WGS 84 degrees; the inverse of `lon_lat`."""
        a, b, c, d, e, f = self.transform
        x, y = from_lon_lat(self.crs, lon, lat)
        if is_geographic(self.crs):
            x = near(x, (self.bounds[0] + self.bounds[2]) / 2)
        det = a * e - b * d
        return (a * (y - f) - d * (x - c)) / det - 0.5, (e * (x - c) - b * (y - f)) / det - 0.5
