"""Bias compensation: a sensor model made to meet ground control points.

What is left of the errors of orbit and attitude shows in the image, the same at every height, as a small shift or
affine change (Grodecki and Dial, PE&RS 69(1), 2003):

    row' = a0 + a1 · row + a2 · col        (row, col): where the model sees a point of the ground
    col' = b0 + b1 · row + b2 · col        (row', col'): where the image shows it

Of an RPC comes a plain RPC again. A shift goes into the offsets. A linear part goes into the numerators, without any
error, where a coordinate keeps to itself or both have one denominator; else a new model is fitted. Any other sensor
model is kept as it is, with the change behind it (`processing.corrected`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.corrected import Corrected
from processing.errors import SensorModelError
from processing.rpc import Rpc, fit
from processing.sensor import Floats, SensorModel

Model = Literal["shift", "affine"]

TERMS: Final[dict[Model, int]] = {"shift": 1, "affine": 3}
"""Unknowns a coordinate; as many points, not on one line, determine them."""

NMAD: Final = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""

REJECT: Final = 3.0
"""A residual of more robust standard deviations than this is no error of measurement but a mistake."""

LEAST_SIGMA_PX: Final = 0.01
"""Nobody points at a pixel better: what agrees to less is kept."""

MAX_REFIT_PX: Final = 1e-3
"""Largest difference between a correction and the RPC that stands for it."""

_THIN: Final = 0.01
"""Points whose spread across their line is less than this share of that along it determine no affine change."""

_SUBSETS: Final = 300
"""Triples tried for a start: where half of the points are wrong, all miss with a chance of 1e-17."""

_MAX_ROUNDS: Final = 30
_FAR: Final = 2.0
"""Half widths of a model's domain; a control point beyond is none of this scene, or its coordinates are swapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPoint:
    """A point whose place is known on the ground and in the image."""

    id: str
    lon: float
    """Degrees on WGS 84."""

    lat: float
    height: float
    """Metres above the ellipsoid."""

    row: float
    """Pixels, 0 the centre of the first one, as is `col`."""

    col: float
    sigma_px: float = 1.0
    """Standard deviation of each image coordinate, that of the ground's place included as far as it shows."""

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in ("lon", "lat", "height", "row", "col", "sigma_px")}
        wrong = [f"{name} is {value}" for name, value in numbers.items() if not np.isfinite(value)]
        if not -90 <= self.lat <= 90 or self.sigma_px <= 0:
            wrong.append(f"lat is {self.lat:g}, sigma_px {self.sigma_px:g}")
        if wrong:
            raise SensorModelError(
                f"control point {self.id}: {wrong[0]}; give finite numbers, |lat| ≤ 90, sigma_px > 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """An affine change of image coordinates."""

    row: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """(a0, a1, a2) of row' = a0 + a1 · row + a2 · col, px."""

    col: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """(b0, b1, b2) of col' = b0 + b1 · row + b2 · col, px."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PointResidual:
    """How far a control point is shown from where the refined model sees it."""

    id: str
    use: Literal["fitted", "check", "rejected"]
    """A check point was left out on purpose, a rejected one because it contradicts the others."""

    row_px: float
    """Measured − modelled, as is `col_px`."""

    col_px: float
    held_out_px: float | None
    """Distance from a model that has not seen the point; None where the others alone determine none."""

    held_out_m: float | None
    """The same on the ground, at the point's height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """A sensor model made to meet control points, and how good it is where it was not made to."""

    rpc: SensorModel
    """The refined model."""

    model: Model
    correction: Correction
    """From the delivered model's image coordinates to the image's."""

    refit_px: float
    """By how much `rpc` is off `correction` at most; 0 where it goes in exactly."""

    points: tuple[PointResidual, ...]
    """One a control point, in their order."""

    check: Literal["points", "leave-one-out"]
    """What the figures below stand on: the check points, else each fitted point by the model of all others."""

    rmse_before_px: float
    """Of the delivered model at the same points, radial, as are all."""

    rmse_px: float | None
    """Held out; None where leaving one out leaves too few, as are the two below."""

    rmse_m: float | None
    ce90_m: float | None
    """The distance on the ground that at least nine of ten held-out points keep: counted, no law of errors assumed."""

    @property
    def rejected(self) -> tuple[str, ...]:
        """Ids of the points that contradict the others."""
        return tuple(point.id for point in self.points if point.use == "rejected")

    def summary(self) -> dict[str, Any]:
        """For a product's metadata: names, numbers and lists that JSON can hold."""
        uses = [point.use for point in self.points]
        return {
            "model": self.model,
            "correction": {"row": list(self.correction.row), "col": list(self.correction.col)},
            "points": {use: uses.count(use) for use in ("fitted", "check", "rejected")},
            "rejected": list(self.rejected),
            "check": self.check,
            "rmse_before_px": self.rmse_before_px,
            "rmse_px": self.rmse_px,
            "rmse_m": self.rmse_m,
            "ce90_m": self.ce90_m,
            "refit_px": self.refit_px,
        }


def refine(
    rpc: SensorModel, points: Sequence[ControlPoint], *, model: Model = "shift", check: Collection[str] = ()
) -> Refinement:
    """Correct a model by control points; those that contradict the others are rejected and named.

    Parameters
    ----------
    model
        ``shift`` needs one point (two to say how good it is, three to find a wrong one), ``affine`` three that are not
        on one line.
    check
        Ids of points that are not fitted but judge the result; none: each point is judged by the others.

    Raises
    ------
    SensorModelError
        Too few points, points on one line, an id that is unknown or comes twice, a point far from the scene.
    """
    fitted = ~_among(points, check)
    row, col, lon, lat, height, sigma = (
        np.array([getattr(point, name) for point in points], dtype=np.float64)
        for name in ("row", "col", "lon", "lat", "height", "sigma_px")
    )
    _check_place(rpc, points, lon, lat)
    seen = np.stack(rpc.project(lon, lat, height), axis=1)
    off = np.stack([row, col], axis=1) - seen
    field = fit_field(seen[fitted], off[fitted], model=model, sigma=sigma[fitted])
    correction = field.correction()
    refined, refit_px = correction.folded(rpc)
    residual = off - field.at(seen)
    held_out = residual.copy()
    held_out[fitted] /= np.where(field.accepted, 1 - field.leverage, 1.0)[:, None]
    use = np.where(fitted, "rejected", "check").astype(object)
    use[np.flatnonzero(fitted)[field.accepted]] = "fitted"
    judges = use == ("check" if len(check) else "fitted")
    known = bool(np.isfinite(held_out[judges]).all())
    metres = _on_ground(refined, (lon, lat, height), held_out)
    px = np.hypot(*held_out.T)
    return Refinement(
        rpc=refined,
        model=model,
        correction=correction,
        refit_px=refit_px,
        points=tuple(
            PointResidual(
                id=point.id,
                use=use[k],
                row_px=float(residual[k, 0]),
                col_px=float(residual[k, 1]),
                held_out_px=float(px[k]) if np.isfinite(px[k]) else None,
                held_out_m=float(metres[k]) if np.isfinite(metres[k]) else None,
            )
            for k, point in enumerate(points)
        ),
        check="points" if len(check) else "leave-one-out",
        rmse_before_px=_rms(np.hypot(*off[judges].T)),
        rmse_px=_rms(px[judges]) if known else None,
        rmse_m=_rms(metres[judges]) if known else None,
        ce90_m=float(np.percentile(metres[judges], 90, method="higher")) if known else None,
    )


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
        constant = self.coefficients[0] - self.middle @ slopes
        (a1, b1), (a2, b2) = (np.eye(2) + slopes).tolist()
        return Correction(row=(float(constant[0]), a1, a2), col=(float(constant[1]), b1, b2))


def fit_field(place: Floats, change: Floats, *, model: Model, sigma: Floats) -> Field:
    """Fit by least squares to the points that remain when those beyond 3·NMAD are rejected, again and again.

    It begins with the median, or with the triple of points that most others agree with (Rousseeuw's least quantile of
    squares), so that up to half of the points may be wrong in any way.

    Parameters
    ----------
    place, change
        Rows and columns, and what happens there: shape (n, 2).
    sigma
        Standard deviations, px, shape (n,).

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
        limit = REJECT * robust_sigma(miss, TERMS[model], LEAST_SIGMA_PX / sigma.max())
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


def _among(points: Sequence[ControlPoint], check: Collection[str]) -> NDArray[np.bool_]:
    ids = [point.id for point in points]
    twice = next((name for k, name in enumerate(ids) if name in ids[:k]), None)
    if twice is not None:
        raise SensorModelError(f"refinement: the control point {twice} comes twice; give each an id of its own")
    unknown = sorted(set(check) - set(ids))
    if unknown:
        raise SensorModelError(
            f"refinement: there is no control point {unknown[0]} to check by; name some of the given"
        )
    return np.array([name in check for name in ids], dtype=bool)


def _check_place(rpc: SensorModel, points: Sequence[ControlPoint], lon: Floats, lat: Floats) -> None:
    domain = rpc.domain
    east = (lon - domain.lon + 180) % 360 - 180
    far = np.flatnonzero(np.maximum(np.abs(east) / domain.lon_half, np.abs(lat - domain.lat) / domain.lat_half) > _FAR)
    if far.size:
        raise SensorModelError(
            f"control point {points[far[0]].id}: lon {lon[far[0]]:.5f}, lat {lat[far[0]]:.5f} is far from the scene "
            f"({far.size} of {lon.size} points are), which shows about lon {domain.lon:.4f} ± {domain.lon_half:.4f}, "
            f"lat {domain.lat:.4f} ± {domain.lat_half:.4f}"
        )


def _on_ground(rpc: SensorModel, ground: tuple[Floats, Floats, Floats], off: Floats) -> Floats:
    """Metres on the ground that changes of image coordinates (n, 2) mean there; NaN for NaN."""
    lon, lat, height = ground
    row, col = rpc.project(*ground)
    east, north = metres_per_degree(lat, height)
    per_px = []
    for down, right in ((1.0, 0.0), (0.0, 1.0)):
        x, y = rpc.locate(row + down, col + right, height)
        per_px.append(np.stack([((x - lon + 180) % 360 - 180) * east, (y - lat) * north]))
    metres: Floats = np.hypot(*(per_px[0] * off[:, 0] + per_px[1] * off[:, 1]))
    return metres


def metres_per_degree(lat: Floats, height: Floats) -> tuple[Floats, Floats]:
    """Of longitude and of latitude on WGS 84 (a = 6,378,137 m, 1/f = 298.257223563)."""
    squared = 0.006694379990141317
    flat = 1 - squared * np.sin(np.radians(lat)) ** 2
    normal, meridian = 6_378_137.0 / np.sqrt(flat), 6_378_137.0 * (1 - squared) / flat**1.5
    return np.radians((normal + height) * np.cos(np.radians(lat))), np.radians(meridian + height)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))
