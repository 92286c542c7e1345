"""A place on the ground that several images show, known by nothing else."""

from dataclasses import dataclass

import numpy as np

from processing.errors import SensorModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where a scene shows a tie point."""

    scene: str
    row: float
    """Pixels, 0 the centre of the first one, as is `col`."""

    col: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TiePoint:
    """A point of the ground, known only about, that two or more scenes show."""

    id: str
    seen: tuple[Sighting, ...]
    lon: float
    """About, degrees on WGS 84."""

    lat: float
    height: float
    """Of the DEM there, m above the ellipsoid."""

    sigma_px: float = 0.3
    """Standard deviation of each image coordinate."""

    def __post_init__(self) -> None:
        scenes = {one.scene for one in self.seen}
        if len(scenes) < 2 or len(scenes) < len(self.seen):
            raise SensorModelError(f"tie point {self.id}: seen by {len(scenes)} scenes; give two or more, each once")
        numbers = [self.lon, self.lat, self.height, *(x for one in self.seen for x in (one.row, one.col))]
        if not np.isfinite(numbers).all() or not self.sigma_px > 0:
            raise SensorModelError(f"tie point {self.id}: not all of it is finite, with sigma_px above 0")
