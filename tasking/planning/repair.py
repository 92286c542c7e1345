"""Search by small programs: take out some orbits' acquisitions and choose them anew, exactly, beside all the others."""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from tasking.planning.exact import solve
from tasking.planning.problem import Floats, Indices, Integers, Problem
from tasking.planning.roster import Roster, copied, fits, fitting, put, take, take_all

BIN_S = 3_000.0
"""The day of a satellite is taken out in parts of half an orbit."""

NODES = 60
"""A program that needs more is left with the best that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What the search moves in."""

    problem: Problem
    gain: Floats
    bins: Integers
    """(n) in which part of which satellite's day each candidate lies."""

    promising: Integers
    """Candidates of little loss against the prices, rising: the others are left where they are."""


def field(problem: Problem, gain: Floats, loss: Floats, *, candidates: int) -> Field:
    """The field with so many candidates of least loss."""
    bins = problem.satellite.astype(np.int64) * (int(problem.end.max() / BIN_S) + 2) + (problem.start // BIN_S).astype(
        int
    )
    least = np.argsort(loss, kind="stable")[:candidates]
    return Field(problem=problem, gain=gain, bins=bins, promising=np.sort(least))


def repair(
    field: Field, roster: Roster, random: np.random.Generator, *, size: int, seconds: float, pool: Executor
) -> float:
    """One round: two parts of the plan, of different satellites, chosen anew; what was gained."""
    fleet = field.problem.settle_s.size
    side = random.permutation(fleet) % 2 if fleet > 1 else np.zeros(1, dtype=np.int64)
    mine = random.random(field.problem.strips) < 0.5  # whose strip a waiting one is
    jobs = []
    for half in range(min(2, fleet)):
        parts = _parts(field, random, np.flatnonzero(side == half), size)
        out, free = _free(field, roster, parts, mine == bool(half))
        jobs.append((out, free))
    rosters = [_without(field.problem, roster, out) for out, _ in jobs]
    tasks = [pool.submit(_solve, field, held, free, seconds) for held, (_, free) in zip(rosters, jobs, strict=True)]
    return sum(_exchange(field, roster, out, task.result()) for (out, _), task in zip(jobs, tasks, strict=True))


def _solve(field: Field, held: Roster, free: Integers, seconds: float) -> Indices | None:
    t = field.problem.tables
    return solve(field.problem, held, free[fitting(t, held, free)], gain=field.gain, seconds=seconds, nodes=NODES)[0]


def _parts(field: Field, random: np.random.Generator, satellites: Integers, size: int) -> Integers:
    """Parts of the satellites' days that see the same strips, with about so many promising candidates together."""
    problem, among = field.problem, field.promising
    among = among[np.isin(problem.satellite[among], satellites)]
    if not among.size:
        return np.zeros(0, dtype=np.int64)
    bins, count = np.unique(field.bins[among], return_counts=True)
    first = field.bins[random.choice(among)]
    seen = np.zeros(problem.strips, dtype=bool)
    seen[problem.strip[among[field.bins[among] == first]]] = True
    shared = np.bincount(
        np.searchsorted(bins, field.bins[among]), weights=seen[problem.strip[among]], minlength=bins.size
    )
    likely = shared * random.random(bins.size) + 1e-3 * random.random(bins.size)
    likely[np.searchsorted(bins, first)] = np.inf
    order = np.argsort(-likely, kind="stable")
    return bins[order[: 1 + int(np.searchsorted(np.cumsum(count[order]), size))]]


def _free(field: Field, roster: Roster, parts: Integers, mine: Integers) -> tuple[Indices, Integers]:
    """What is taken out, and what may be put in instead."""
    problem = field.problem
    taken = roster.chosen[roster.chosen >= 0]
    out = taken[np.isin(field.bins[taken], parts)]
    strips = mine & (roster.chosen < 0)
    strips[problem.strip[out]] = True
    among = field.promising[np.isin(field.bins[field.promising], parts)]
    return out, np.union1d(among[strips[problem.strip[among]]], out).astype(np.int64)


def _without(problem: Problem, roster: Roster, out: Indices) -> Roster:
    held = copied(roster)
    take_all(problem.tables, held, out)
    return held


def _exchange(field: Field, roster: Roster, out: Indices, new: Indices | None) -> float:
    """Put the new ones in the place of the old ones where that gains and fits; nothing otherwise."""
    t = field.problem.tables
    if new is None or field.gain[new].sum() <= field.gain[out].sum() + 1e-9:
        return 0.0
    take_all(t, roster, out)
    done: list[int] = []
    for one in new:
        if roster.chosen[t.strip[one]] >= 0 or not fits(t, roster, one):
            for back in done:
                take(t, roster, back)
            for back in out:
                put(t, roster, back)
            return 0.0
        put(t, roster, one)
        done.append(one)
    return float(field.gain[new].sum() - field.gain[out].sum())
