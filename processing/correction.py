"""An affine change of image coordinates, and the sensor model that takes it in.

Of an RPC comes a plain RPC again. A shift goes into the offsets. A linear part goes into the numerators, without any
error, where a coordinate keeps to itself or both have one denominator; else a new model is fitted. Any other sensor
model is kept as it is, with the change behind it (`processing.corrected`).
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike

from processing.corrected import Corrected
from processing.errors import SensorModelError
from processing.rpc import Rpc, fit
from processing.sensor import Floats, SensorModel

MAX_REFIT_PX: Final = 1e-3
"""Largest difference between a correction and the RPC that stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """An affine change of image coordinates."""

    row: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """(a0, a1, a2) of row' = a0 + a1 · row + a2 · col, px."""

    col: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """(b0, b1, b2) of col' = b0 + b1 · row + b2 · col, px."""

    @classmethod
    def around(cls, middle: Floats, constant: Floats, slopes: Floats) -> Self:
        """The change that is `constant` at `middle`, (row, col), and grows from there by `slopes` a row and a column.

        Parameters
        ----------
        slopes
            Shape (2, 2): of rows and columns, what they add to either.
        """
        shift = constant - middle @ slopes
        (a1, b1), (a2, b2) = (np.eye(2) + slopes).tolist()
        return cls(row=(float(shift[0]), a1, a2), col=(float(shift[1]), b1, b2))

    def apply(self, row: ArrayLike, col: ArrayLike) -> tuple[Floats, Floats]:
        """Where the image shows what the model sees at (row, col)."""
        rows, cols = np.asarray(row, np.float64), np.asarray(col, np.float64)
        (a0, a1, a2), (b0, b1, b2) = self.row, self.col
        return a0 + a1 * rows + a2 * cols, b0 + b1 * rows + b2 * cols

    def folded(self, model: SensorModel) -> tuple[SensorModel, float]:
        """The model that sees ``apply(model.project(…))``, and by how many pixels it is off at most.

        Of an RPC a plain RPC.

        Raises
        ------
        SensorModelError
            The change turns the image over, or no RPC stands for it to `MAX_REFIT_PX`.
        """
        (a0, a1, a2), (b0, b1, b2) = self.row, self.col
        if not a1 * b2 - a2 * b1 > 0:
            raise SensorModelError(f"correction {self.row}, {self.col}: it turns the image over; look at its points")
        if not isinstance(model, Rpc):
            return Corrected(model=model, row=self.row, col=self.col), 0.0
        rpc = model
        one_denominator = np.array_equal(rpc.line_den, rpc.samp_den)
        if not one_denominator and (a2 or b1):
            return _refitted(rpc, self)
        per_line, per_samp = rpc.samp_scale / rpc.line_scale, rpc.line_scale / rpc.samp_scale
        folded = replace(
            rpc,
            line_off=a0 + a1 * rpc.line_off + a2 * rpc.samp_off,
            samp_off=b0 + b1 * rpc.line_off + b2 * rpc.samp_off,
            line_num=a1 * rpc.line_num + a2 * per_line * rpc.samp_num,
            samp_num=b1 * per_samp * rpc.line_num + b2 * rpc.samp_num,
        )
        return folded, 0.0


def _refitted(rpc: Rpc, correction: Correction) -> tuple[Rpc, float]:
    """Fitted over the whole domain; the error is measured between the points of the fit, too."""
    row, col, lon, lat, height = _domain(rpc, (11, 11, 5))
    row, col = correction.apply(row, col)
    fitted = fit(row=row, col=col, lon=lon, lat=lat, height=height)
    row, col, lon, lat, height = _domain(rpc, (18, 18, 8))
    wanted, seen = correction.apply(row, col), fitted.rpc.project(lon, lat, height)
    error = max(fitted.max_px, float(np.hypot(seen[0] - wanted[0], seen[1] - wanted[1]).max()))
    if not error < MAX_REFIT_PX:
        raise SensorModelError(
            f"correction {correction.row}, {correction.col}: the RPC fitted to it is {error:.2g} px off, more than "
            f"{MAX_REFIT_PX:g}; the change is too large for an RPC: use a shift, or look at the points"
        )
    return fitted.rpc, error


def _domain(rpc: Rpc, count: tuple[int, int, int]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Row, column, longitude, latitude and height of a grid of points all over the domain of a model."""
    axes = [
        middle + half * np.linspace(-1.0, 1.0, n)
        for middle, half, n in zip(
            (rpc.line_off, rpc.samp_off, rpc.height_off),
            (rpc.line_scale, rpc.samp_scale, rpc.height_scale),
            count,
            strict=True,
        )
    ]
    row, col, height = np.meshgrid(*axes, indexing="ij")
    return row, col, *rpc.locate(row, col, height), height
