"""The bundle of rays that joins images, and its equations.

Unknown are the change of each scene's image and the place of each tie point. Ground points are eliminated three
unknowns at a time (Schur complement), so that what is solved has some rows a scene, however many ties there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from processing.correction import Correction
from processing.errors import SensorModelError
from processing.field import LEAST_SIGMA_PX, REJECT, robust_sigma
from processing.refine import ControlPoint, metres_per_degree
from processing.sensor import Floats, SensorModel
from processing.tie_point import TiePoint

HUBER: Final = 2.0
"""Robust standard deviations beyond which an observation loses weight (Huber, Ann. Math. Stat. 35(1), 1964)."""

FREE_HEIGHT_M: Final = 1e3
"""What holds the height of a tie point that no DEM holds: keeps parallel rays from having no point at all."""

CONVERGED_PX: Final = 1e-4
CONVERGED_M: Final = 1e-2
"""Steps smaller than these end it: what a scene is changed by, and how far a tie point moves."""

_MAX_STEPS: Final = 60
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
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
class Bundle:
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
    ) -> "Bundle":
        """All observations of a block.

        Raises
        ------
        SensorModelError
            A name that is unknown or comes twice; nothing observed at all.
        """
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
        """How many control points there are."""
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

    def residuals(self, state: State) -> tuple[Floats, Floats]:
        """Of the image, px, shape (n, 2), and of the tie points' heights, m."""
        seen = self.seen(state.move)
        moved = seen + np.einsum("nt,ntc->nc", self.design(seen), state.change[self.scene])
        return self.measured - moved, -state.move[:, 2]

    def jacobians(self, state: State) -> tuple[sparse.csr_matrix, Floats]:
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

    def weights(self, state: State, image: Floats, height: Floats) -> tuple[Floats, Floats]:
        """Of each observation and each height, 1 / variance times what Huber and the judgement leave of it."""
        miss = np.hypot(*image.T) / self.sigma
        rest = np.minimum(1.0, HUBER * np.where(self.of_tie, state.scale, 1.0) / np.maximum(miss, 1e-12))
        of_height = np.minimum(1.0, HUBER * self.height_sigma_m / np.maximum(np.abs(height), 1e-12))
        believed = np.concatenate([np.where(state.accepted, 1.0, _NO_WEIGHT), np.where(state.control, 1.0, 0.0)])
        return rest * believed[self.point] / self.sigma**2, of_height * believed[: self.ties] / self.height_sigma_m**2

    def solved(self, state: State, prior: Floats | None) -> tuple[State, bool]:
        """Gauss–Newton with weights made anew at each step, and whether it came to an end.

        Without a prior the scenes stay and only places move.
        """
        for _ in range(_MAX_STEPS):
            change, move, _ = self.step(state, prior)
            state = replace(state, change=state.change + change, move=state.move + move)
            if np.abs(change).max() < CONVERGED_PX and np.abs(move[state.accepted]).max(initial=0.0) < CONVERGED_M:
                return state, True
        return state, False

    def step(self, state: State, prior: Floats | None) -> tuple[Floats, Floats, Floats]:
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

    def misses(self, state: State) -> tuple[Floats, Floats]:
        """How far each point's farthest sighting is off, px and standard deviations; control points follow ties."""
        distance = np.hypot(*self.residuals(state)[0].T)
        px, sigmas = np.zeros(len(self.ground)), np.zeros(len(self.ground))
        np.maximum.at(px, self.point, distance)
        np.maximum.at(sigmas, self.point, distance / self.sigma)
        return px, sigmas

    def judged(self, state: State) -> State:
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

    def check_joined(self, state: State) -> None:
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

    def unit_sigma(self, state: State, prior: Floats) -> float:
        """Root of the weighted squares over the redundancy; 1 where there is none."""
        image, height = self.residuals(state)
        weight, of_height = self.weights(state, image, height)
        believed = self.believed(state)
        squares = np.sum((weight * np.sum(image**2, axis=1))[believed]) + np.sum(prior * state.change**2)
        squares += np.sum((of_height * height**2)[state.accepted])
        redundancy = 2 * int(believed.sum()) - (3 if self.free else 2) * int(state.accepted.sum())
        return float(np.sqrt(squares / redundancy)) if redundancy > 0 else 1.0

    def believed(self, state: State) -> NDArray[np.bool_]:
        """Which observations the state stands on."""
        return np.concatenate([state.accepted, state.control])[self.point]

    def correction(self, number: int, state: State) -> Correction:
        """The change of a scene's image as one of the coordinates themselves."""
        scene, change = self.scenes[number], state.change[number]
        slopes = change[1:] / (max(scene.height, scene.width) / 2) if len(change) > 1 else np.zeros((2, 2))
        middle = np.array([(scene.height - 1) / 2, (scene.width - 1) / 2])
        return Correction.around(middle, change[0], slopes)


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
