"""A sensor model with an affine change of its image coordinates, for models that cannot take it into themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from processing.errors import SensorModelError
from processing.sensor import Domain, Floats, SensorModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What a model sees at (row, col), the image shows at row' and col' (`processing.refine`)."""

    model: SensorModel
    row: tuple[float, float, float]
    """(a0, a1, a2) of row' = a0 + a1 · row + a2 · col, px."""

    col: tuple[float, float, float]
    """(b0, b1, b2) of col' = b0 + b1 · row + b2 · col, px."""

    def __post_init__(self) -> None:
        numbers = np.array([self.row, self.col], dtype=np.float64)
        if not np.isfinite(numbers).all() or not np.linalg.det(numbers[:, 1:]) > 0:
            raise SensorModelError(f"correction {self.row}, {self.col}: it turns the image over; look at its points")

    @property
    def kind(self) -> str:
        """That of the model below."""
        return self.model.kind

    @property
    def domain(self) -> Domain:
        """That of the model below; a correction is some pixels."""
        return self.model.domain

    def project(self, lon: ArrayLike, lat: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """As `SensorModel.project`."""
        row, col = self.model.project(lon, lat, height)
        (a0, a1, a2), (b0, b1, b2) = self.row, self.col
        return a0 + a1 * row + a2 * col, b0 + b1 * row + b2 * col

    def locate(self, row: ArrayLike, col: ArrayLike, height: ArrayLike) -> tuple[Floats, Floats]:
        """As `SensorModel.locate`.

        Raises
        ------
        SensorModelError
            A point sees no ground at its height.
        """
        (a0, a1, a2), (b0, b1, b2) = self.row, self.col
        down, right = np.asarray(row, np.float64) - a0, np.asarray(col, np.float64) - b0
        det = a1 * b2 - a2 * b1
        return self.model.locate((b2 * down - a2 * right) / det, (a1 * right - b1 * down) / det, height)
