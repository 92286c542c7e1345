"""Errors in place, summed up: RMSE, NMAD, CE90, and along which line they lie.

    RMSE   root of the mean squared radial error (FGDC-STD-007.3-1998, NSSDA, 3.2.1)
    CE90   the distance that at least nine of ten errors keep: counted, no law of errors assumed
    NMAD   1.4826 · median |error − median error|: the standard deviation of a normal law, not moved by a few mistakes
           (Höhle and Höhle, ISPRS Journal 64(4), 2009); of each direction by itself

Mistakes of a DEM move the ground along one line, that of the rays; so the line along which errors are spread most, and
how much they are spread across it, tell heights from all else.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.errors import ProcessingError
from processing.field import NMAD

Floats = NDArray[np.float64]


def nmad(values: ArrayLike) -> float:
    """Normalised median absolute deviation of errors; shape (n,), n ≥ 1."""
    errors = np.asarray(values, np.float64)
    return float(NMAD * np.median(np.abs(errors - np.median(errors))))


def rmse(values: ArrayLike) -> float:
    """Root mean square; shape (n,), n ≥ 1."""
    return float(np.sqrt(np.mean(np.square(np.asarray(values, np.float64)))))


def ce90(distances: ArrayLike) -> float:
    """Distance that at least nine of ten of the given ones keep; shape (n,), n ≥ 1."""
    return float(np.percentile(np.asarray(distances, np.float64), 90, method="higher"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanarErrors:
    """Errors in place, summed up; metres on the ground."""

    count: int
    mean_east_m: float
    mean_north_m: float
    median_east_m: float
    median_north_m: float
    stddev_east_m: float
    """About the mean, as is that to the north."""

    stddev_north_m: float
    nmad_east_m: float
    nmad_north_m: float
    axis_deg: float
    """The line along which they are spread most, clockwise from north, 0 to 180; north where no line stands out."""

    nmad_along_m: float
    """Along that line."""

    nmad_across_m: float
    rmse_m: float
    """Radial, about zero."""

    ce90_m: float

    @classmethod
    def of(cls, east_m: ArrayLike, north_m: ArrayLike) -> Self:
        """Sum up errors, shape (n,) each.

        Raises
        ------
        ProcessingError
            There are none, or one is not finite.
        """
        errors = np.stack([np.asarray(east_m, np.float64).ravel(), np.asarray(north_m, np.float64).ravel()])
        if not errors.size or not np.isfinite(errors).all():
            raise ProcessingError(f"accuracy: {errors.shape[1]} errors, not all finite; give one or more finite ones")
        (mean_e, mean_n), (median_e, median_n) = errors.mean(axis=1).tolist(), np.median(errors, axis=1).tolist()
        stddev_e, stddev_n = errors.std(axis=1).tolist()
        axis_deg = _axis_deg(errors)
        along = np.array([math.sin(math.radians(axis_deg)), math.cos(math.radians(axis_deg))])
        distance = np.hypot(*errors)
        return cls(
            count=errors.shape[1],
            mean_east_m=mean_e,
            mean_north_m=mean_n,
            median_east_m=median_e,
            median_north_m=median_n,
            stddev_east_m=stddev_e,
            stddev_north_m=stddev_n,
            nmad_east_m=nmad(errors[0]),
            nmad_north_m=nmad(errors[1]),
            axis_deg=axis_deg,
            nmad_along_m=nmad(along @ errors),
            nmad_across_m=nmad(np.array([along[1], -along[0]]) @ errors),
            rmse_m=rmse(distance),
            ce90_m=ce90(distance),
        )

    @property
    def nmad_m(self) -> float:
        """Of the worse of the two directions."""
        return max(self.nmad_east_m, self.nmad_north_m)

    @property
    def bias_m(self) -> float:
        """Length of the median error."""
        return math.hypot(self.median_east_m, self.median_north_m)


def _axis_deg(errors: Floats) -> float:
    """Direction of the largest variance of errors (east, north), shape (2, n); north where there is none."""
    (east, both), (_, north) = np.cov(errors, bias=True).tolist()
    return math.degrees(0.5 * math.atan2(2 * both, north - east)) % 180.0
