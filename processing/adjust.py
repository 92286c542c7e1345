"""Block adjustment: sensor models of many scenes made to agree with each other, and with control where there is any.

Each scene's image is moved by a shift or an affine change, as in `processing.refine`; each tie point lies somewhere on
the ground. All of it is found at once by weighted least squares (Grodecki and Dial, PE&RS 69(1), 2003) over

    image residuals    measured − (seen by the model, then moved), of tie points and control points
    height residuals   DEM − height, of tie points: what two rays leave open
    the prior          the changes are about zero: what holds a block without control

Ground points are eliminated three unknowns at a time (Schur complement), so that what is solved has some rows a scene,
however many ties there are. Mistakes first lose weight (Huber), then go beyond 3·NMAD.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from processing.errors import SensorModelError
from processing.refine import (
    LEAST_SIGMA_PX,
    REJECT,
    TERMS,
    ControlPoint,
    Correction,
    Model,
    metres_per_degree,
    robust_sigma,
)
from processing.sensor import Floats, SensorModel

HUBER: Final = 2.0
"""Robust standard deviations beyond which an observation loses weight (Huber, Ann. Math. Stat. 35(1), 1964)."""

FREE_HEIGHT_M: Final = 1e3
"""What holds the height of a tie point that no DEM holds: keeps parallel rays from having no point at all."""

CONVERGED_PX: Final = 1e-4
CONVERGED_M: Final = 1e-2
"""Steps smaller than these end it: what a scene is changed by, and how far a tie point moves."""

_MAX_STEPS: Final = 60
_LEAST_ROUNDS: Final = 2
"""Of solving and judging: what Huber calls much follows from the round before."""

_MAX_ROUNDS: Final = 12
_NO_WEIGHT: Final = 1e-9
"""A rejected tie still finds its own place, so that it can come back; this little it says to its scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScene:
    """An image of the block."""

    name: str
    rpc: SensorModel
    height: int
    """Rows."""

    width: int
    """Columns."""


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
    block = _Block.of(scenes, ties, control or {}, TERMS[model], height_sigma_m)
    prior = np.full((TERMS[model], 2), 1 / drift_sigma_px**2)
    prior[0] = 1 / bias_sigma_px**2
    start = _State(
        change=np.zeros((len(scenes), *prior.shape)),
        move=np.zeros((len(ties), 3)),
        accepted=np.ones(len(ties), dtype=bool),
        control=np.ones(block.controls, dtype=bool),
        scale=np.inf,
    )
    before, _ = block.solved(start, None)
    state, settled = replace(before, scale=block.judged(before).scale), False
    for turn in range(_MAX_ROUNDS):
        block.check_joined(state)
        state, ended = block.solved(state, prior)
        judged = block.judged(state)
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
    _, _, covariance = block.step(state, prior)
    unit_sigma = block.unit_sigma(state, prior)
    sigma = np.sqrt(np.diag(covariance)).reshape(-1, 2, block.terms)[:, :, 0] * max(1.0, unit_sigma)
    off = [np.hypot(*block.residuals(one)[0].T) for one in (before, state)]
    lon, lat, height = block.places(state.move)[: len(ties)].T
    return Adjustment(
        model=model,
        scenes=tuple(block.told(k, state, off, sigma[k]) for k in range(len(scenes))),
        lon=lon,
        lat=lat,
        height=height,
        accepted=state.accepted,
        residual_px=block.misses(state)[0][: len(ties)],
        rejected_ties=tuple(tie.id for tie, kept in zip(ties, state.accepted, strict=True) if not kept),
        rejected_control=tuple(name for name, kept in zip(block.names, state.control, strict=True) if not kept),
        unit_sigma=unit_sigma,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """The unknowns, and what is believed."""

    change: Floats
    """Of each scene: constant and slopes, of rows and columns; shape (scenes, terms, 2), px."""

    move: Floats
    """Of each tie point from its first place, to the east, north and up; shape (ties, 3), m."""

    accepted: NDArray[np.bool_]
    """Tie points."""

    control: NDArray[np.bool_]
    """Control points."""

    scale: float
    """Robust standard deviation of the ties' image residuals in those stated; what Huber measures by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """All that is known. Image observations of ties stand first, those of control points last."""

    scenes: Sequence[BlockScene]
    names: tuple[str, ...]
    """Of the control points: ``scene: id``."""

    terms: int
    scene: NDArray[np.int64]
    """Of each observation; shape (n,)."""

    point: NDArray[np.int64]
    """Its tie point; control points follow the ties."""

    measured: Floats
    """Shape (n, 2)."""

    sigma: Floats
    """Of an observation, px."""

    ground: Floats
    """First place of each point: longitude, latitude, height; shape (points, 3)."""

    ties: int
    height_sigma_m: float
    free: bool

    @classmethod
    def of(
        cls,
        scenes: Sequence[BlockScene],
        ties: Sequence[TiePoint],
        control: Mapping[str, Sequence[ControlPoint]],
        terms: int,
        height_sigma_m: float | None,
    ) -> "_Block":
        number = {scene.name: k for k, scene in enumerate(scenes)}
        _check_names(scenes, ties, control, number)
        held = [(name, point) for name in number for point in control.get(name, ())]
        seen = [(number[s.scene], k, s.row, s.col, tie.sigma_px) for k, tie in enumerate(ties) for s in tie.seen]
        seen += [(number[s], len(ties) + k, p.row, p.col, p.sigma_px) for k, (s, p) in enumerate(held)]
        if not seen:
            raise SensorModelError("block adjustment: neither tie points nor control points; give some")
        scene, point, row, col, sigma = np.array(seen, dtype=np.float64).T
        places = [(p.lon, p.lat, p.height) for p in ties] + [(p.lon, p.lat, p.height) for _, p in held]
        return cls(
            scenes=scenes,
            names=tuple(f"{name}: {p.id}" for name, p in held),
            terms=terms,
            scene=scene.astype(np.int64),
            point=point.astype(np.int64),
            measured=np.stack([row, col], axis=1),
            sigma=sigma,
            ground=np.array(places, dtype=np.float64),
            ties=len(ties),
            height_sigma_m=FREE_HEIGHT_M if height_sigma_m is None else height_sigma_m,
            free=height_sigma_m is None,
        )

    @property
    def controls(self) -> int:
        return len(self.names)

    @property
    def of_tie(self) -> NDArray[np.bool_]:
        """Which observations are those of tie points."""
        return self.point < self.ties

    def places(self, move: Floats) -> Floats:
        """Longitude, latitude and height of all points; shape (points, 3)."""
        east, north = metres_per_degree(self.ground[:, 1], self.ground[:, 2])
        moved = self.ground.copy()
        moved[: self.ties] += move / np.stack([east, north, np.ones_like(east)], axis=1)[: self.ties]
        return moved

    def seen(self, move: Floats) -> Floats:
        """Row and column of each observation by the delivered models; shape (n, 2)."""
        places, seen = self.places(move)[self.point], np.empty(self.measured.shape)
        for k, scene in enumerate(self.scenes):
            here = self.scene == k
            seen[here] = np.stack(scene.rpc.project(*places[here].T), axis=1)
        return seen

    def design(self, seen: Floats) -> Floats:
        """1, rows and columns from the middle of the image in halves of its longer side; shape (n, terms)."""
        size = np.array([(scene.height, scene.width) for scene in self.scenes], dtype=np.float64)[self.scene]
        return np.hstack([np.ones((len(seen), 1)), (seen - (size - 1) / 2) / self.half()])[:, : self.terms]

    def half(self) -> Floats:
        """Half of the longer side of each observation's image; shape (n, 1)."""
        longer = np.array([max(scene.height, scene.width) / 2 for scene in self.scenes])
        return longer[self.scene][:, None]

    def residuals(self, state: _State) -> tuple[Floats, Floats]:
        """Of the image, px, shape (n, 2), and of the tie points' heights, m."""
        seen = self.seen(state.move)
        moved = seen + np.einsum("nt,ntc->nc", self.design(seen), state.change[self.scene])
        return self.measured - moved, -state.move[:, 2]

    def jacobians(self, state: _State) -> tuple[sparse.csr_matrix, Floats]:
        """Of the moved image coordinates: by the scenes' unknowns (2n, ·), by the point's place (n, 2, 3)."""
        n, t = len(self.scene), self.terms
        design = self.design(self.seen(state.move))
        first = self.scene[:, None, None] * 2 * t + np.arange(2)[:, None] * t + np.arange(t)
        by_scene = sparse.csr_matrix(
            (
                np.repeat(design[:, None], 2, axis=1).ravel(),
                (np.repeat(np.arange(2 * n), t), first.ravel()),
            ),
            shape=(2 * n, 2 * t * len(self.scenes)),
        )
        by_place = np.stack(
            [(self.seen(state.move + step) - self.seen(state.move - step)) / 2 for step in np.eye(3)], axis=2
        )
        if t > 1:
            by_place = (
                by_place + np.einsum("nic,nip->ncp", state.change[self.scene, 1:], by_place) / self.half()[:, None]
            )
        return by_scene, by_place

    def weights(self, state: _State, image: Floats, height: Floats) -> tuple[Floats, Floats]:
        """Of each observation and each height, 1 / variance times what Huber and the judgement leave of it."""
        miss = np.hypot(*image.T) / self.sigma
        rest = np.minimum(1.0, HUBER * np.where(self.of_tie, state.scale, 1.0) / np.maximum(miss, 1e-12))
        of_height = np.minimum(1.0, HUBER * self.height_sigma_m / np.maximum(np.abs(height), 1e-12))
        believed = np.concatenate([np.where(state.accepted, 1.0, _NO_WEIGHT), np.where(state.control, 1.0, 0.0)])
        return rest * believed[self.point] / self.sigma**2, of_height * believed[: self.ties] / self.height_sigma_m**2

    def solved(self, state: _State, prior: Floats | None) -> tuple[_State, bool]:
        """Gauss–Newton with weights made anew at each step, and whether it came to an end.

        Without a prior the scenes stay and only places move.
        """
        for _ in range(_MAX_STEPS):
            change, move, _ = self.step(state, prior)
            state = replace(state, change=state.change + change, move=state.move + move)
            if np.abs(change).max() < CONVERGED_PX and np.abs(move[state.accepted]).max(initial=0.0) < CONVERGED_M:
                return state, True
        return state, False

    def step(self, state: _State, prior: Floats | None) -> tuple[Floats, Floats, Floats]:
        """What to add to the scenes' changes and the ties' places, and the covariance of the changes."""
        m = self.ties
        image, height = self.residuals(state)
        by_scene, by_place = self.jacobians(state)
        weight, of_height = self.weights(state, image, height)
        tie = self.of_tie
        # Per tie point: its 3 × 3 matrix and right side, from its sightings and its height.
        matrix, right = np.zeros((m, 3, 3)), np.zeros((m, 3))
        matrix[:, 2, 2], right[:, 2] = of_height, of_height * height
        weighted = by_place * weight[:, None, None]
        np.add.at(matrix, self.point[tie], np.einsum("ncp,ncq->npq", weighted, by_place)[tie])
        np.add.at(right, self.point[tie], np.einsum("ncp,nc->np", weighted, image)[tie])
        inverse = np.linalg.inv(matrix)
        if prior is None:
            return np.zeros_like(state.change), np.einsum("ipq,iq->ip", inverse, right), np.zeros((0, 0))
        rows = np.repeat(np.arange(2 * len(weight)).reshape(-1, 2)[tie].ravel(), 3)
        cols = (3 * np.repeat(self.point[tie], 2)[:, None] + np.arange(3)).ravel()
        places = sparse.csr_matrix((by_place[tie].ravel(), (rows, cols)), shape=(2 * len(weight), 3 * m))
        scaled = by_scene.T @ sparse.diags(np.repeat(weight, 2))
        held = np.tile(prior.T.ravel(), len(self.scenes))
        now = state.change.transpose(0, 2, 1).ravel()
        both = scaled @ places
        through = both @ sparse.bsr_matrix((inverse, np.arange(m), np.arange(m + 1)), shape=(3 * m, 3 * m))
        reduced = (scaled @ by_scene).toarray() + np.diag(held) - (through @ both.T).toarray()
        covariance = np.linalg.inv(reduced)
        change = covariance @ (scaled @ image.ravel() - held * now - through @ right.ravel())
        move = np.einsum("ipq,iq->ip", inverse, right - (both.T @ change).reshape(-1, 3))
        return change.reshape(-1, 2, self.terms).transpose(0, 2, 1), move, covariance

    def misses(self, state: _State) -> tuple[Floats, Floats]:
        """How far each point's farthest sighting is off, px and standard deviations; control points follow ties."""
        distance = np.hypot(*self.residuals(state)[0].T)
        px, sigmas = np.zeros(len(self.ground)), np.zeros(len(self.ground))
        np.maximum.at(px, self.point, distance)
        np.maximum.at(sigmas, self.point, distance / self.sigma)
        return px, sigmas

    def judged(self, state: _State) -> _State:
        """The same with points believed that lie within 3·NMAD, in the image and in height."""
        _, sigmas = self.misses(state)
        accepted = np.ones(self.ties, dtype=bool)
        if self.ties:
            image = sigmas[: self.ties]
            scale = float(robust_sigma(image, self.terms, LEAST_SIGMA_PX / self.sigma.max()))
            accepted &= image <= REJECT * scale
            height = self.residuals(state)[1]
            off = np.abs(height - np.median(height))
            accepted &= self.free | (off <= REJECT * robust_sigma(off, self.terms, 1.0))
            state = replace(state, scale=scale)
        fit = sigmas[self.ties :]
        limit = REJECT * robust_sigma(fit, self.terms, 1.0) if fit.size else np.inf
        return replace(state, accepted=accepted, control=fit <= limit)

    def check_joined(self, state: _State) -> None:
        """Refuse a block of which parts are joined neither by ties nor, through the ground, by control."""
        count = len(self.scenes)
        tie = self.of_tie & self.believed(state)
        links = (np.ones(int(tie.sum())), (self.scene[tie], count + self.point[tie]))
        _, part = connected_components(sparse.coo_matrix(links, shape=(count + self.ties, count + self.ties)), False)
        part = part[:count]
        held = self.scene[~self.of_tie][state.control]
        part[np.isin(part, part[held])] = -1
        parts = [[s.name for s, p in zip(self.scenes, part, strict=True) if p == one] for one in np.unique(part)]
        if len(parts) > 1:
            raise SensorModelError(
                f"block adjustment: nothing joins {' with '.join(', '.join(names) for names in parts)}; add tie points "
                "between them or control points to each, or adjust them apart"
            )

    def unit_sigma(self, state: _State, prior: Floats) -> float:
        """Root of the weighted squares over the redundancy; 1 where there is none."""
        image, height = self.residuals(state)
        weight, of_height = self.weights(state, image, height)
        believed = self.believed(state)
        squares = np.sum((weight * np.sum(image**2, axis=1))[believed]) + np.sum(prior * state.change**2)
        squares += np.sum((of_height * height**2)[state.accepted])
        redundancy = 2 * int(believed.sum()) - (3 if self.free else 2) * int(state.accepted.sum())
        return float(np.sqrt(squares / redundancy)) if redundancy > 0 else 1.0

    def believed(self, state: _State) -> NDArray[np.bool_]:
        """Which observations the state stands on."""
        return np.concatenate([state.accepted, state.control])[self.point]

    def told(self, number: int, state: _State, off: Sequence[Floats], sigma: Floats) -> AdjustedScene:
        """What became of a scene, from how far each observation was and is off, px."""
        scene = self.scenes[number]
        correction = _correction(scene, state.change[number])
        rpc, refit_px = correction.folded(scene.rpc)
        here = (self.scene == number) & self.believed(state)
        rmse = [float(np.sqrt(np.mean(one[here] ** 2))) if here.any() else None for one in off]
        return AdjustedScene(
            name=scene.name,
            rpc=rpc,
            correction=correction,
            refit_px=refit_px,
            ties=int((here & self.of_tie).sum()),
            control=int((here & ~self.of_tie).sum()),
            rmse_before_px=rmse[0],
            rmse_px=rmse[1],
            sigma_px=(float(sigma[0]), float(sigma[1])),
        )


def _correction(scene: BlockScene, change: Floats) -> Correction:
    slopes = change[1:] / (max(scene.height, scene.width) / 2) if len(change) > 1 else np.zeros((2, 2))
    middle = np.array([(scene.height - 1) / 2, (scene.width - 1) / 2])
    constant = change[0] - middle @ slopes
    (a1, b1), (a2, b2) = (np.eye(2) + slopes).tolist()
    return Correction(row=(float(constant[0]), a1, a2), col=(float(constant[1]), b1, b2))


def _check_names(
    scenes: Sequence[BlockScene],
    ties: Sequence[TiePoint],
    control: Mapping[str, Sequence[ControlPoint]],
    number: Mapping[str, int],
) -> None:
    if len(number) < len(scenes):
        names = [scene.name for scene in scenes]
        twice = next(name for name in names if names.count(name) > 1)
        raise SensorModelError(f"block adjustment: two scenes are called {twice}; give each a name of its own")
    said = {one.scene: f"tie point {tie.id}" for tie in ties for one in tie.seen} | dict.fromkeys(control, "control")
    strange = sorted(set(said) - set(number))
    if strange:
        raise SensorModelError(
            f"block adjustment: {said[strange[0]]} is of the scene {strange[0]!r}, which is none of the block's: "
            f"{', '.join(number)[:200]}"
        )
