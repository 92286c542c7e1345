"""A constant or linear change over an image, fitted to points of which up to half may be wrong in any way."""

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from processing.correction import Correction
from processing.errors import SensorModelError
from processing.sensor import Floats

Model = Literal["shift", "affine"]

TERMS: Final[dict[Model, int]] = {"shift": 1, "affine": 3}
"""Unknowns a coordinate; as many points, not on one line, determine them."""

NMAD: Final = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""

REJECT: Final = 3.0
"""A residual of more robust standard deviations than this is no error of measurement but a mistake."""

LEAST_SIGMA_PX: Final = 0.01
"""Nobody points at a pixel better: what agrees to less is kept."""

_THIN: Final = 0.01
"""Points whose spread across their line is less than this share of that along it determine no affine change."""

_SUBSETS: Final = 300
"""Triples tried for a start: where half of the points are wrong, all miss with a chance of 1e-17."""

_MAX_ROUNDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A constant or linear change over the image, fitted to points of which some are wrong."""

    model: Model
    middle: Floats
    """Where the change is `coefficients[0]`, shape (2,)."""

    half: float
    """Pixels from there over which the others apply once."""

    coefficients: Floats
    """Constant, and for ``affine`` the change over `half` rows and columns; shape (terms, 2)."""

    accepted: NDArray[np.bool_]
    """Which points it stands on, shape (n,)."""

    leverage: Floats
    """Share of each accepted point in its own fitted value, shape (n,); 1 - it divides the residual held out."""

    def at(self, place: Floats) -> Floats:
        """The change at (row, col) places; shape (n, 2)."""
        change: Floats = _design(place, self.model, self.middle, self.half) @ self.coefficients
        return change

    def correction(self) -> Correction:
        """As an affine change of the coordinates themselves."""
        slopes = self.coefficients[1:] / self.half if self.model == "affine" else np.zeros((2, 2))
        return Correction.around(self.middle, self.coefficients[0], slopes)


def fit_field(place: Floats, change: Floats, *, model: Model, sigma: Floats, least_px: float = LEAST_SIGMA_PX) -> Field:
    """Fit by least squares to the points that remain when those beyond 3·NMAD are rejected, again and again.

    It begins with the median, or with the triple of points that most others agree with (Rousseeuw's least quantile of
    squares), so that up to half of the points may be wrong in any way.

    Parameters
    ----------
    place, change
        Rows and columns, and what happens there: shape (n, 2).
    sigma
        Standard deviations, px, shape (n,).
    least_px
        Robust standard deviation that is granted even to points that agree better.

    Raises
    ------
    SensorModelError
        Fewer points than the model needs, all on one line, or that is all that is left.
    """
    _check_spread(place, model, of=len(place))
    middle = place.mean(axis=0)
    half = max(float(np.abs(place - middle).max()), 1.0)
    design = _design(place, model, middle, half)
    coefficients = _start(design, change)
    accepted: NDArray[np.bool_] = np.zeros(len(place), dtype=bool)
    for _ in range(_MAX_ROUNDS):
        miss = np.abs(change - design @ coefficients) / sigma[:, None]
        limit = REJECT * robust_sigma(miss, TERMS[model], least_px / sigma.max())
        within = np.logical_and.reduce(miss <= limit, axis=1)
        if np.array_equal(within, accepted):
            break
        accepted = within
        _check_spread(place[accepted], model, of=len(place))
        weighted, target = (part[accepted] / sigma[accepted, None] for part in (design, change))
        coefficients = np.asarray(np.linalg.lstsq(weighted, target, rcond=None)[0], dtype=np.float64)
    weighted = design[accepted] / sigma[accepted, None]
    leverage = np.zeros(len(place))
    leverage[accepted] = np.einsum("ij,ij->i", weighted @ np.linalg.inv(weighted.T @ weighted), weighted)
    leverage[leverage > 1 - 1e-9] = np.nan
    return Field(model=model, middle=middle, half=half, coefficients=coefficients, accepted=accepted, leverage=leverage)


def robust_sigma(miss: Floats, unknowns: int, least: float) -> Floats:
    """Standard deviation of absolute residuals (n, …) that up to half of the points cannot spoil; per column.

    NMAD, with the correction and the order statistic that few points ask for (Rousseeuw and Leroy, Robust Regression,
    1987, ch. 5): a model that meets as many points as it has unknowns says nothing about the others.
    """
    n = len(miss)
    if n <= unknowns:
        return np.full(miss.shape[1:], np.inf)
    rank = (n + unknowns + 1) // 2
    middle = np.partition(miss, rank - 1, axis=0)[rank - 1]
    sigma: Floats = np.maximum(NMAD * (1 + 5 / (n - unknowns)) * middle, least)
    return sigma


def _design(place: Floats, model: Model, middle: Floats, half: float) -> Floats:
    one = np.ones((len(place), 1))
    return one if model == "shift" else np.hstack([one, (place - middle) / half])


def _start(design: Floats, change: Floats) -> Floats:
    n, terms = design.shape
    if terms == 1:
        return np.median(change, axis=0)[None]
    if comb(n, terms) <= _SUBSETS:
        chosen = np.array(list(combinations(range(n), terms)))
    else:
        chosen = np.argsort(np.random.default_rng(0).random((_SUBSETS, n)), axis=1)[:, :terms]
    chosen = chosen[np.abs(np.linalg.det(design[chosen])) > 1e-3 * np.abs(np.linalg.det(design[chosen])).max()]
    candidates = np.linalg.solve(design[chosen], change[chosen])
    rank = (n + terms + 1) // 2
    miss = [np.partition(np.hypot(*(change - design @ one).T), rank - 1)[rank - 1] for one in candidates]
    best: Floats = candidates[int(np.argmin(miss))]
    return best


def _check_spread(place: Floats, model: Model, *, of: int) -> None:
    need = TERMS[model]
    left = f"{len(place)} points" if len(place) == of else f"{len(place)} of {of} points left, the others disagree"
    if len(place) < need:
        raise SensorModelError(f"refinement: {left}; the model {model!r} needs {need} or more")
    if model == "affine":
        along, across = np.linalg.svd(place - place.mean(axis=0), compute_uv=False)
        if across < max(_THIN * along, 1e-9):
            raise SensorModelError(
                f"refinement: {left}, all about on one line of the image; the model 'affine' needs 3 or more that "
                "are not: add points beside it, or use 'shift'"
            )
