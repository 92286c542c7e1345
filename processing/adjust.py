"""Block adjustment: sensor models of many scenes made to agree with each other, and with control where there is any.

Each scene's image is moved by a shift or an affine change, as in `processing.refine`; each tie point lies somewhere on
the ground. All of it is found at once by weighted least squares (Grodecki and Dial, PE&RS 69(1), 2003) over

    image residuals    measured − (seen by the model, then moved), of tie points and control points
    height residuals   DEM − height, of tie points: what two rays leave open
    the prior          the changes are about zero: what holds a block without control

`processing.bundle` has the equations. Mistakes first lose weight (Huber), then go beyond 3·NMAD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.bundle import BlockScene, Bundle, State
from processing.correction import Correction
from processing.errors import SensorModelError
from processing.field import TERMS, Model
from processing.refine import ControlPoint
from processing.sensor import Floats, SensorModel
from processing.tie_point import TiePoint

_LEAST_ROUNDS: Final = 2
"""Of solving and judging: what Huber calls much follows from the round before."""

_MAX_ROUNDS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedScene:
    """What became of a scene's sensor model."""

    name: str
    rpc: SensorModel
    """The refined model."""

    correction: Correction
    """From the delivered model's image coordinates to the image's."""

    refit_px: float
    """By how much `rpc` is off `correction` at most; 0 where it goes in exactly."""

    ties: int
    """Tie points that it stands on, as are `control` points."""

    control: int
    rmse_before_px: float | None
    """Of these, radial, from the best ground points under the delivered models; None where there are none."""

    rmse_px: float | None
    """The same under the refined models."""

    sigma_px: tuple[float, float]
    """Standard deviation of the change of rows and of columns in the middle of the image."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjustment:
    """A block whose scenes agree."""

    model: Model
    scenes: tuple[AdjustedScene, ...]
    """In the order given."""

    lon: Floats
    """Where each tie point lies, in their order, degrees; as are `lat` and `height`."""

    lat: Floats
    height: Floats
    """Metres above the ellipsoid."""

    accepted: NDArray[np.bool_]
    """Which tie points the result stands on."""

    residual_px: Floats
    """How far the farthest sighting of each tie point is off."""

    rejected_ties: tuple[str, ...]
    """Ids of the tie points that contradict the others."""

    rejected_control: tuple[str, ...]
    """Of the control points likewise, as ``scene: id``."""

    unit_sigma: float
    """Errors found over errors stated; far from 1, the stated sigmas are wrong."""

    def summary(self) -> dict[str, Any]:
        """For a product's metadata: names, numbers and lists that JSON can hold."""
        return {
            "model": self.model,
            "scenes": {
                scene.name: {
                    "correction": {"row": list(scene.correction.row), "col": list(scene.correction.col)},
                    "ties": scene.ties,
                    "control": scene.control,
                    "rmse_before_px": scene.rmse_before_px,
                    "rmse_px": scene.rmse_px,
                    "sigma_px": list(scene.sigma_px),
                    "refit_px": scene.refit_px,
                }
                for scene in self.scenes
            },
            "ties": len(self.accepted),
            "rejected_ties": list(self.rejected_ties),
            "rejected_control": list(self.rejected_control),
            "unit_sigma": self.unit_sigma,
        }


def adjust(
    scenes: Sequence[BlockScene],
    ties: Sequence[TiePoint],
    *,
    control: Mapping[str, Sequence[ControlPoint]] | None = None,
    model: Model = "shift",
    bias_sigma_px: float = 10.0,
    drift_sigma_px: float = 1.0,
    height_sigma_m: float | None = 10.0,
) -> Adjustment:
    """Find the change of each scene's image with which all tie and control points fit best.

    Parameters
    ----------
    control
        Control points by the name of the scene that shows them.
    bias_sigma_px
        Prior standard deviation of each scene's shift in the middle of its image; that of delivered models.
    drift_sigma_px
        For ``affine``: prior standard deviation of the change from the middle to the farther edge.
    height_sigma_m
        Standard deviation of the DEM at the tie points, each by itself. A DEM holds what moves points up and down, not
        what moves the whole block sideways. None: heights are free, only rays decide.

    Raises
    ------
    SensorModelError
        A scene or point of unknown or double name, nothing to adjust by, or parts of the block that no tie joins and
        no control holds: names them.
    """
    bundle = Bundle.of(scenes, ties, control or {}, TERMS[model], height_sigma_m)
    prior = np.full((TERMS[model], 2), 1 / drift_sigma_px**2)
    prior[0] = 1 / bias_sigma_px**2
    start = State(
        change=np.zeros((len(scenes), *prior.shape)),
        move=np.zeros((len(ties), 3)),
        accepted=np.ones(len(ties), dtype=bool),
        control=np.ones(bundle.controls, dtype=bool),
        scale=np.inf,
    )
    before, _ = bundle.solved(start, None)
    state, settled = replace(before, scale=bundle.judged(before).scale), False
    for turn in range(_MAX_ROUNDS):
        bundle.check_joined(state)
        state, ended = bundle.solved(state, prior)
        judged = bundle.judged(state)
        same = np.array_equal(judged.accepted, state.accepted) and np.array_equal(judged.control, state.control)
        settled = ended and same and turn >= _LEAST_ROUNDS
        if settled:
            break
        state = judged
    if not settled:
        raise SensorModelError(
            f"block adjustment: no end after {_MAX_ROUNDS} rounds, {int(state.accepted.sum())} of {len(ties)} tie "
            "points believed; are they of the same ground, and do the stated sigmas allow for the errors there are?"
        )
    _, _, covariance = bundle.step(state, prior)
    unit_sigma = bundle.unit_sigma(state, prior)
    sigma = np.sqrt(np.diag(covariance)).reshape(-1, 2, bundle.terms)[:, :, 0] * max(1.0, unit_sigma)
    off = [np.hypot(*bundle.residuals(one)[0].T) for one in (before, state)]
    lon, lat, height = bundle.places(state.move)[: len(ties)].T
    return Adjustment(
        model=model,
        scenes=tuple(_adjusted(bundle, k, state, off, sigma[k]) for k in range(len(scenes))),
        lon=lon,
        lat=lat,
        height=height,
        accepted=state.accepted,
        residual_px=bundle.misses(state)[0][: len(ties)],
        rejected_ties=tuple(tie.id for tie, kept in zip(ties, state.accepted, strict=True) if not kept),
        rejected_control=tuple(name for name, kept in zip(bundle.names, state.control, strict=True) if not kept),
        unit_sigma=unit_sigma,
    )


def _adjusted(bundle: Bundle, number: int, state: State, off: Sequence[Floats], sigma: Floats) -> AdjustedScene:
    """What became of a scene, from how far each observation was and is off, px."""
    scene = bundle.scenes[number]
    correction = bundle.correction(number, state)
    rpc, refit_px = correction.folded(scene.rpc)
    here = (bundle.scene == number) & bundle.believed(state)
    rmse = [float(np.sqrt(np.mean(one[here] ** 2))) if here.any() else None for one in off]
    return AdjustedScene(
        name=scene.name,
        rpc=rpc,
        correction=correction,
        refit_px=refit_px,
        ties=int((here & bundle.of_tie).sum()),
        control=int((here & ~bundle.of_tie).sum()),
        rmse_before_px=rmse[0],
        rmse_px=rmse[1],
        sigma_px=(float(sigma[0]), float(sigma[1])),
    )
