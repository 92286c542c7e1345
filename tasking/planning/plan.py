"""A plan at any time: what is chosen, what no plan can exceed, and how far apart the two are.

greedy at once ─► prices, a bound, greedy by loss ─► ruin and recreate ─► exact where little is left open
                                                                       └► small programs until the time is over
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tasking.planning.exact import solve
from tasking.planning.narrow import narrowed
from tasking.planning.prices import Pricing
from tasking.planning.problem import Floats, Indices, Integers, Problem
from tasking.planning.repair import field, repair
from tasking.planning.roster import Roster, copied, empty_roster, fill, greedy, worth
from tasking.planning.search import search, seed

STEPS = 400
"""Steps of the prices; more of them hardly lower the bound any more."""

ALTERNATIVES = 6
"""Ruin and recreate chooses among so many candidates of each strip, those of least loss."""

EXACT = 8_000
"""So few open candidates are left to the exact solver."""

MOVES = 200_000
"""Of ruin and recreate, some seconds."""

LARGE = 1_000_000
"""With more candidates than that, the plan is made of the promising ones; the bound still counts all."""

KEEPING = 0.2
"""A kept acquisition counts that much more than its value: so much must a move bring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is acquired."""

    chosen: Indices
    """(strips) the candidate that is taken, -1 where none is."""

    value: float

    bound: float
    """No plan whatever is worth more; ∞ before anything is proven."""

    @property
    def gap(self) -> float:
        """By what share of the bound a better plan could exceed this one, 0 to 1; 1 before anything is proven."""
        if not np.isfinite(self.bound):
            return 1.0
        return 0.0 if self.bound <= 0 else max(0.0, 1.0 - self.value / self.bound)

    @property
    def optimal(self) -> bool:
        """Whether it is proven, to seven digits, that no plan is worth more."""
        return self.gap <= 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to plan. The same plan comes out for the same rounds where time is not what ends it."""

    seconds: float = 30.0
    rounds: int = 10_000
    """Rounds of small programs."""

    steps: int = STEPS
    moves: int = MOVES
    most_moved: float = 0.05
    """Share of the kept acquisitions that may go elsewhere or fall out for others."""


def plan(
    problem: Problem,
    effort: Effort | None = None,
    *,
    previous: Indices | None = None,
    seed: int = 0,
    better: Callable[[Plan], None] = lambda _: None,
) -> Plan:
    """Find a plan and a bound; the best so far is told to `better` whenever there is a better one.

    `previous` (strips) is what was planned before, as candidates of this problem, -1 for none: it stays but for what no
    longer fits, and for what moves for much more value.
    """
    effort = effort or Effort()
    with ThreadPoolExecutor(2) as pool:
        if problem.size <= LARGE:
            return _Planner(problem, effort, previous, seed, better, pool).run()
        began = time.monotonic()
        first = greedy(problem, kept=None if previous is None else previous[previous >= 0]).chosen
        value = worth(problem, first)
        better(Plan(chosen=first, value=value, bound=np.inf))
        ids, loss, bound = narrowed(problem, value, until=began + 0.5 * effort.seconds, pool=pool)
        kept = first if previous is None else np.concatenate([first, previous])
        ids = np.union1d(ids, kept[kept >= 0])

        def whole(made: Plan) -> Plan:
            chosen = np.where(made.chosen >= 0, ids[made.chosen], -1).astype(np.int32)
            return replace(made, chosen=chosen)

        before = None if previous is None else np.where(previous >= 0, np.searchsorted(ids, previous), -1)
        rest = replace(effort, seconds=effort.seconds - (time.monotonic() - began))
        part = _Planner(
            problem.subset(ids), rest, before, seed, lambda one: better(whole(one)), pool, proven=(bound, loss[ids])
        )
        return whole(part.run())


class _Planner:
    def __init__(
        self,
        problem: Problem,
        effort: Effort,
        previous: Indices | None,
        seed_: int,
        better: Callable[[Plan], None],
        pool: ThreadPoolExecutor,
        proven: tuple[float, Floats] | None = None,
    ) -> None:
        self._problem, self._effort, self._pool, self._better = problem, effort, pool, better
        self._end = time.monotonic() + effort.seconds
        self._seed, self._random = seed_, np.random.default_rng(seed_)
        self._roster = empty_roster(problem)
        self._part = None if proven is None else proven[1]
        """The losses, if there are more candidates than these: nothing that is proven here holds for all of them."""
        self._bound = np.inf if proven is None else proven[0]
        self._gain = problem.value
        self._kept = np.zeros(0, dtype=np.int32)
        if previous is not None:
            kept = previous[previous >= 0].astype(np.int32)
            fill(problem.tables, self._roster, kept[np.argsort(-problem.value[kept], kind="stable")])
            self._kept = np.sort(self._roster.chosen[self._roster.chosen >= 0])
            self._gain = problem.value.copy()
            self._gain[self._kept] *= 1 + KEEPING

    def run(self) -> Plan:
        by_value = np.argsort(-self._problem.value, kind="stable").astype(np.int32)
        fill(self._problem.tables, self._roster, by_value)
        self._tell()
        loss = self._price()
        for stage in (self._prove, self._search, self._prove, self._repair):
            if self._done():
                break
            stage(loss)
        return self._plan()

    # ── what there is so far ────────────────────────────────────────────────────────────────────────────────────────

    def _plan(self) -> Plan:
        chosen = self._roster.chosen.copy()
        value = worth(self._problem, chosen)
        return Plan(chosen=chosen, value=value, bound=max(self._bound, value))

    def _tell(self) -> None:
        self._better(self._plan())

    def _left_s(self) -> float:
        return self._end - time.monotonic()

    def _done(self) -> bool:
        return self._left_s() <= 0 or self._plan().optimal

    def _take(self, roster: Roster) -> None:
        """Adopt a roster that gains more, unless it moves too much of what is to be kept."""
        new, old = roster.chosen, self._roster.chosen
        if self._gained(new) <= self._gained(old) + 1e-9:
            return
        strips = self._problem.strip[self._kept]
        if np.count_nonzero(new[strips] != self._kept) > self._effort.most_moved * self._kept.size:
            return
        self._roster = roster
        self._tell()

    def _gained(self, chosen: Indices) -> float:
        return float(self._gain[chosen[chosen >= 0]].sum())

    # ── the stages ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _price(self) -> Floats:
        """Lower the bound; on the way fill by loss, which is already a good plan. The losses."""
        if self._part is not None:
            self._take(self._by_loss(self._part))
            return self._part
        pricing = Pricing(self._problem, pool=self._pool)
        until = time.monotonic() + 0.5 * self._effort.seconds
        loss = np.zeros(self._problem.size)
        for step in range(1, self._effort.steps + 1):
            pricing.step(self._plan().value)
            self._bound = pricing.bound
            last = step == self._effort.steps or time.monotonic() > until
            if last or step % 100 == 0:
                loss = pricing.losses()
                self._take(self._by_loss(loss))
            if last or self._plan().optimal:
                break
        return loss

    def _by_loss(self, loss: Floats) -> Roster:
        """Filled by loss, around what is kept."""
        roster = empty_roster(self._problem)
        fill(self._problem.tables, roster, self._kept)
        fill(self._problem.tables, roster, np.argsort(loss, kind="stable").astype(np.int32))
        return roster

    def _search(self, loss: Floats) -> None:
        """Ruin and recreate among the few best candidates of each strip."""
        problem = self._problem
        order = np.lexsort((loss, problem.strip))
        rank = np.arange(problem.size) - problem.tables.of_strip[problem.strip[order]]
        marked = np.zeros(problem.size, dtype=bool)
        marked[order[rank < ALTERNATIVES]] = True
        now = self._roster.chosen[self._roster.chosen >= 0]
        marked[now] = marked[self._kept] = True
        ids = np.flatnonzero(marked)
        part, number = problem.subset(ids), np.full(problem.size, -1, dtype=np.int32)
        number[ids] = np.arange(ids.size)
        t = part.tables._replace(strip_items=np.lexsort((loss[ids], part.strip)).astype(np.int32))
        roster = empty_roster(part)
        fill(t, roster, number[now])
        best = roster.chosen.copy()
        typical = float(problem.value[now].mean()) if now.size else 1.0
        slices, heat, cooled = 40, 0.05, 0.002
        until = time.monotonic() + 0.5 * self._left_s()
        self._pool.submit(seed, self._seed).result()
        for k in range(slices):
            warm, cool = (typical * heat * (cooled / heat) ** (j / slices) for j in (k, k + 1))
            moves = max(1, self._effort.moves // slices)
            seed(self._seed + k)
            search(t, roster, self._gain[ids], loss[ids], best, moves, warm, cool, 0.02 * typical)
            if time.monotonic() > until:
                break
        self._take(self._of(ids[best[best >= 0]]))

    def _of(self, chosen: Integers | Indices) -> Roster:
        """The roster of these candidates."""
        roster = empty_roster(self._problem)
        fill(self._problem.tables, roster, chosen.astype(np.int32))
        return roster

    def _repair(self, loss: Floats) -> None:
        """Choose some orbits at a time anew, exactly."""
        place = field(self._problem, self._gain, loss, candidates=3 * int((self._roster.chosen >= 0).sum()) + 100)
        for _ in range(self._effort.rounds):
            if self._done():
                break
            trial = copied(self._roster)
            if repair(place, trial, self._random, size=1_500, seconds=self._left_s(), pool=self._pool) > 0:
                self._take(trial)

    def _prove(self, loss: Floats) -> None:
        """Solve exactly, if few candidates are left that a better plan could hold; what is kept is not kept by this."""
        open_ = np.flatnonzero(loss <= self._bound - self._plan().value + 1e-9)
        if self._part is not None or self._kept.size or open_.size > EXACT:
            return
        new, bound = solve(
            self._problem, empty_roster(self._problem), open_, gain=self._problem.value, seconds=0.5 * self._left_s()
        )
        # A better plan than the one known holds open candidates only; any other is worth no more than that one.
        self._bound = min(self._bound, max(bound, self._plan().value))
        if new is not None:
            self._take(self._of(new))
