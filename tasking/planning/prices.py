"""Prices and a proven bound, by Lagrangian relaxation.

"Each strip once" and all limits are relaxed: strips, slots of limits and forbidden sets get prices of at least 0, and
what is left is a best path for each satellite alone (`tasking.planning.paths`). For any prices

    bound  =  Σ strip prices  +  Σ interval prices · limits  +  Σ set prices · (size - 1)  +  Σ best paths

is at least what the best plan is worth. The prices follow its slope with steps that the best known plan scales
(Polyak 1969; Held, Wolfe & Crowder 1974, "Validation of subgradient optimization"). On these problems averaged slopes,
as in the volume algorithm, took longer to the same bound.
"""

from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
from numba import njit

from tasking.planning.paths import best_path, profits
from tasking.planning.problem import Floats, Indices, Integers, Problem, Tables

LEAST_PACE = 2e-3
"""Steps this small lead nowhere: start again from the best prices, with larger ones."""


class Intervals(NamedTuple):
    """Runs of slots a to b of one chain, whose use together is limited."""

    first: Integers
    last: Integers
    limit: Floats
    of_slot: Integers
    """(slots + 1) where each slot's intervals begin in `items`."""

    items: Integers


def intervals(t: Tables) -> Intervals:
    """All runs of slots that are limited at all."""
    rows = []
    begin = 0
    for slot in range(t.release.size):
        rows += [(a, slot, t.capacity[slot] + t.release[a:slot].sum()) for a in range(begin, slot + 1)]
        if np.isinf(t.release[slot]):
            begin = slot + 1
    first = np.array([row[0] for row in rows], dtype=np.int64)
    last = np.array([row[1] for row in rows], dtype=np.int64)
    covers = [np.arange(a, b + 1) for a, b, _ in rows]
    slots = np.concatenate([np.zeros(0, dtype=np.int64), *covers])
    owner = np.repeat(np.arange(len(rows)), last - first + 1)
    order = np.argsort(slots, kind="stable")
    return Intervals(
        first=first,
        last=last,
        limit=np.array([row[2] for row in rows], dtype=float),
        of_slot=np.searchsorted(slots[order], np.arange(t.release.size + 1)).astype(np.int64),
        items=owner[order].astype(np.int64),
    )


@njit(cache=True, nogil=True)
def _paths(
    t: Tables,
    strip_price: Floats,
    slot_price: Floats,
    set_price: Floats,
    satellites: tuple[int, int],
    scratch: "Scratch",
) -> None:
    for satellite in range(satellites[0], satellites[1]):
        profits(t, strip_price, slot_price, set_price, t.first[satellite], t.first[satellite + 1], scratch.w)
        scratch.last[satellite] = best_path(t, satellite, scratch.w, scratch.before, scratch.previous, False)


class Scratch(NamedTuple):
    """What the kernels write: a candidate's profit, the best before it, and which one that is; each path's end."""

    w: Floats
    before: Floats
    previous: Indices
    last: Integers


def scratch(t: Tables) -> Scratch:
    """Room for one evaluation."""
    n = t.start.size
    return Scratch(
        w=np.zeros(n),
        before=np.zeros(n),
        previous=np.full(n, -1, dtype=np.int32),
        last=np.full(t.first.size - 1, -1, dtype=np.int64),
    )


@njit(cache=True, nogil=True)
def _tally(t: Tables, s: Scratch, strips: Floats, slots: Floats, sets: Floats) -> float:
    """Count what the paths take of strips, slots and sets; what they are worth together."""
    strips[:], slots[:], sets[:] = 0.0, 0.0, 0.0
    total = 0.0
    for last in s.last:
        one = last
        if one >= 0:
            total += s.before[one] + s.w[one]
        while one >= 0:
            strips[t.strip[one]] += 1.0
            for k in range(t.use.shape[0]):
                if t.slot[k, one] >= 0:
                    slots[t.slot[k, one]] += t.use[k, one]
            for group in range(t.of_candidate[one], t.of_candidate[one + 1]):
                sets[t.candidate_sets[group]] += 1.0
            one = s.previous[one]
    return total


class Pricing:
    """Prices that are improved step by step; `bound` is the best proven so far."""

    def __init__(self, problem: Problem, *, pool: Executor | None = None) -> None:
        self._t, self._pool = problem.tables, pool
        self._scratch = scratch(self._t)
        self._runs = intervals(self._t)
        self._halves = _halves(self._t)
        m, runs, sets = problem.strips, self._runs.limit.size, self._t.set_first.size - 1
        # One vector of all that is relaxed: strips, intervals, sets. Uses are counted in typical acquisitions.
        typical = np.ones(self._t.release.size)
        for use, slot in zip(self._t.use, self._t.slot, strict=True):
            held = slot >= 0
            typical[np.unique(slot[held])] = max(float(use[held].mean()) if held.any() else 1.0, 1e-12)
        typical = typical[self._runs.last] if runs else np.zeros(0)
        self._typical = np.sqrt(typical * np.maximum(typical, self._runs.limit)) / 3.0
        self._right = np.concatenate([np.ones(m), self._runs.limit / self._typical, np.diff(self._t.set_first) - 1.0])
        self._parts = np.cumsum([m, runs, sets])
        self._strips, self._slots, self._sets = np.zeros(m), np.zeros(self._t.release.size), np.zeros(sets)
        self.steps = 0
        self._pace, self._decay = 1.0, 0.98
        self._steepness = np.zeros(self._right.size)
        self._here = self.prices = self._start(problem)
        self.bound, self._slope = self._evaluate(self.prices)
        self._height = self.bound

    def _start(self, problem: Problem) -> Floats:
        best = np.zeros(problem.strips)
        np.maximum.at(best, problem.strip, problem.value)
        return np.concatenate([0.5 * best, np.zeros(self._right.size - problem.strips)])

    def step(self, target: float) -> None:
        """One step towards a bound of `target`, what the best known plan is worth."""
        along = np.where((self._here <= 0) & (self._slope > 0), 0.0, self._slope)
        self.steps += 1
        # Each price has a scale of its own, from how steep it has been: a limit is over by many, a strip by one or two.
        self._steepness = 0.95 * self._steepness + 0.05 * along**2
        scale = 1.0 / np.sqrt(np.maximum(self._steepness / (1 - 0.95**self.steps), 0.05))
        norm = float(along @ (scale * along))
        if norm <= 1e-18 or self.bound <= target:
            return
        self._here = np.maximum(0.0, self._here - self._pace * (self._height - target) / norm * scale * along)
        self._height, self._slope = self._evaluate(self._here)
        if self._height < self.bound:
            self.prices, self.bound = self._here, self._height
        self._pace *= self._decay
        if self._pace < LEAST_PACE:
            self._here, self._pace, self._decay = self.prices, 0.05, 0.98
            self._height, self._slope = self._evaluate(self._here)

    @property
    def by_unit(self) -> tuple[Floats, Floats, Floats]:
        """The best prices of strips, of intervals by unit used, and of sets."""
        strips, runs, sets = np.split(self.prices, self._parts[:-1])
        return strips, runs / self._typical, sets

    def start_from(self, other: "Pricing") -> None:
        """Go on from the prices of the same strips and limits with other candidates, by small steps."""
        strips, runs, sets = other.by_unit
        if sets.size != self._sets.size:  # sets with candidates that the other does not know
            sets = np.zeros(self._sets.size)
        self._here = np.concatenate([strips, runs * self._typical, sets])
        self._height, self._slope = self._evaluate(self._here)
        if self._height < self.bound:
            self.prices, self.bound = self._here, self._height
        self._pace = 0.3

    def losses(self) -> Floats:
        """By how much, at least, the bound falls when a candidate must be taken: (n), for the best prices.

        Not taking a candidate costs nothing that is known here; one whose loss exceeds the gap is in no better plan.
        """
        t, s = self._t, self._scratch
        strips, slots, sets = self.split(self.prices)
        forward = [self._through(one, t, strips, slots, sets) for one in range(t.first.size - 1)]
        length, ahead = np.array(forward), s.before.copy()
        back = mirrored(t)
        for one in range(t.first.size - 1):
            self._through(one, back, strips, slots, sets)
        return np.maximum(0.0, length[t.satellite] - (ahead + s.w + s.before))

    def _through(self, satellite: int, t: Tables, strips: Floats, slots: Floats, sets: Floats) -> float:
        """Find what can precede every candidate of a satellite; the length of its best path."""
        s = self._scratch
        profits(t, strips, slots, sets, t.first[satellite], t.first[satellite + 1], s.w)
        last = best_path(t, satellite, s.w, s.before, s.previous, True)
        return 0.0 if last < 0 else float(s.before[last] + s.w[last])

    def split(self, prices: Floats) -> tuple[Floats, Floats, Floats]:
        """Prices of strips, slots (by unit used) and sets."""
        strips, runs, sets = np.split(prices, self._parts[:-1])
        per_unit = np.append(runs / self._typical, 0.0)
        held = np.append(per_unit[self._runs.items], 0.0)
        slots = np.add.reduceat(held, self._runs.of_slot[:-1]) if self._slots.size else np.zeros(0)
        return strips, slots, sets

    def _evaluate(self, prices: Floats) -> tuple[float, Floats]:
        """The bound that prices prove, and its slope by each of them."""
        strips, slots, sets = self.split(prices)
        self._run(strips, slots, sets)
        paths = _tally(self._t, self._scratch, self._strips, self._slots, self._sets)
        reached = np.concatenate([[0.0], np.cumsum(self._slots)])
        used = (reached[self._runs.last + 1] - reached[self._runs.first]) / self._typical
        slope = self._right - np.concatenate([self._strips, used, self._sets])
        return float(prices @ self._right) + paths, slope

    def _run(self, strips: Floats, slots: Floats, sets: Floats) -> None:
        if self._pool is None:
            _paths(self._t, strips, slots, sets, (0, self._t.first.size - 1), self._scratch)
            return
        for done in [
            self._pool.submit(_paths, self._t, strips, slots, sets, half, self._scratch) for half in self._halves
        ]:
            done.result()


def _halves(t: Tables) -> list[tuple[int, int]]:
    """Satellites in two runs of about as many candidates."""
    fleet = t.first.size - 1
    middle = int(np.searchsorted(t.first, t.first[-1] / 2))
    return [(0, min(middle, fleet)), (min(middle, fleet), fleet)]


def mirrored(t: Tables) -> Tables:
    """The same problem with time running backwards."""
    fleet = range(t.first.size - 1)

    def reverse(order: Indices) -> Indices:
        return np.concatenate([order[t.first[one] : t.first[one + 1]][::-1] for one in fleet])

    return t._replace(
        start=-t.end,
        end=-t.start,
        roll=t.end_roll,
        pitch=t.end_pitch,
        end_roll=t.roll,
        end_pitch=t.pitch,
        by_start=reverse(t.by_end),
        by_end=reverse(t.by_start),
    )
