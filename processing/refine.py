"""Bias compensation: a sensor model made to meet ground control points.

What is left of the errors of orbit and attitude shows in the image, the same at every height, as a small shift or
affine change (Grodecki and Dial, PE&RS 69(1), 2003):

    row' = a0 + a1 · row + a2 · col        (row, col): where the model sees a point of the ground
    col' = b0 + b1 · row + b2 · col        (row', col'): where the image shows it

What comes of an RPC is a plain RPC again (`processing.correction`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from processing.correction import Correction
from processing.errors import SensorModelError
from processing.field import Model, fit_field
from processing.sensor import Floats, SensorModel

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
