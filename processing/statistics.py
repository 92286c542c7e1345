"""What the pixels of each band of a raster are, read once, block by block."""

from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError

from catalog.item import BandStatistics
from processing.errors import DeliveryError
from processing.quality import has_data
from processing.raster import open_raster


def band_statistics(raster: Path) -> tuple[BandStatistics, ...]:
    """Of each band, over the pixels with data; empty where a band has none.

    Sums are about the first value seen, so that the variance of large numbers keeps its digits; blocks are taken in the
    order of the file: the same bytes, the same numbers.

    Raises
    ------
    DeliveryError
        It cannot be read.
    """
    with open_raster(raster) as dataset:
        sums = [_Sums() for _ in dataset.indexes]
        for _, window in dataset.block_windows(1):
            try:
                pixels = dataset.read(window=window)
            except RasterioError as error:
                raise DeliveryError(f"{raster.name}: {window} cannot be read ({error})") from None
            for band, values in zip(sums, pixels, strict=True):
                band.add(values[has_data(values, dataset.nodata)])
        total = dataset.height * dataset.width
    return tuple(band.told(total) for band in sums) if all(band.count for band in sums) else ()


class _Sums:
    """A band's sums so far."""

    def __init__(self) -> None:
        self.count, self.origin, self.sum, self.squares = 0, 0.0, 0.0, 0.0
        self.low, self.high = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        if not values.size:
            return
        off = values.astype(np.float64)
        if not self.count:
            self.origin = float(off[0])
        self.low, self.high = min(self.low, float(off.min())), max(self.high, float(off.max()))
        off -= self.origin
        self.count += values.size
        self.sum += float(off.sum())
        self.squares += float(off @ off)

    def told(self, total: int) -> BandStatistics:
        mean = self.sum / self.count
        return BandStatistics(
            minimum=self.low,
            maximum=self.high,
            mean=self.origin + mean,
            stddev=float(np.sqrt(max(self.squares / self.count - mean**2, 0.0))),
            count=self.count,
            valid_pct=100 * self.count / total,
        )
