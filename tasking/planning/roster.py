"""What each satellite is to acquire, in order of time; the kernels that put in, take out, and fill greedily."""

from typing import NamedTuple

import numpy as np
from numba import njit

from tasking.planning.problem import Floats, Indices, Integers, Marks, Problem, Tables


class Roster(NamedTuple):
    """A plan that grows and shrinks."""

    place: Integers
    """(satellites + 1) where each satellite's part of `row` begins."""

    row: Indices
    """The acquisitions of each satellite by time; behind `length` of them unused."""

    length: Integers
    """(satellites) how many."""

    chosen: Indices
    """(strips) the candidate that is taken, -1 where none is."""

    used: Floats
    """(slots) how much of each slot's limit is used."""

    hits: Integers
    """(forbidden sets) how many of its candidates are taken."""


def empty_roster(problem: Problem) -> Roster:
    """A plan of nothing, with room for as many acquisitions as fit on each satellite."""
    t, fleet = problem.tables, problem.settle_s.size
    room = np.zeros(fleet, dtype=np.int64)
    for one in range(fleet):
        mine = slice(t.first[one], t.first[one + 1])
        if mine.start < mine.stop:
            shortest = float((t.end[mine] - t.start[mine]).min()) + float(t.settle_s[one])
            most = (float(t.start[mine].max()) - float(t.start[mine].min())) / shortest
            room[one] = min(mine.stop - mine.start, int(most) + 2)
    place = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    return Roster(
        place=place,
        row=np.zeros(int(place[-1]), dtype=np.int32),
        length=np.zeros(fleet, dtype=np.int64),
        chosen=np.full(problem.strips, -1, dtype=np.int32),
        used=np.zeros(t.release.size),
        hits=np.zeros(t.set_first.size - 1, dtype=np.int64),
    )


def copied(roster: Roster) -> Roster:
    """A roster of its own."""
    return Roster(
        place=roster.place,
        row=roster.row.copy(),
        length=roster.length.copy(),
        chosen=roster.chosen.copy(),
        used=roster.used.copy(),
        hits=roster.hits.copy(),
    )


@njit(cache=True, nogil=True)
def follows(t: Tables, early: int, late: int) -> bool:
    """Whether the satellite of both can acquire one after the other."""
    satellite = t.satellite[early]
    spare = t.start[late] - t.end[early] - t.settle_s[satellite]
    if spare < 0:
        return False
    if t.start[late] - t.end[early] >= t.widest_s[satellite]:
        return True
    reach = spare * t.slew_deg_s[satellite]
    roll, pitch = t.roll[late] - t.end_roll[early], t.pitch[late] - t.end_pitch[early]
    return bool(roll * roll + pitch * pitch <= reach * reach)


@njit(cache=True, nogil=True)
def gap_in(t: Tables, r: Roster, candidate: int) -> int:
    """Where in its satellite's row a candidate would stand: the number of those that start before it."""
    base = r.place[t.satellite[candidate]]
    low, high = 0, r.length[t.satellite[candidate]]
    start = t.start[candidate]
    while low < high:
        middle = (low + high) // 2
        if t.start[r.row[base + middle]] < start:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def headroom(t: Tables, used: Floats, slot: int) -> float:
    """How much more may be used in a slot: no later slot of the chain may run over either."""
    begin = slot
    while begin > 0 and t.release[begin - 1] < np.inf:
        begin -= 1
    level = 0.0
    for k in range(begin, slot + 1):
        level = max(0.0, level - (t.release[k - 1] if k > begin else 0.0)) + used[k]
    room = t.capacity[slot] - level
    k = slot
    while t.release[k] < np.inf:
        level += used[k + 1] - t.release[k]
        k += 1
        room = min(room, t.capacity[k] - level)
    return float(room)


@njit(cache=True, nogil=True)
def within_limits(t: Tables, r: Roster, candidate: int) -> bool:
    """Whether all limits and forbidden sets leave room for a candidate."""
    for k in range(t.use.shape[0]):
        slot, use = t.slot[k, candidate], t.use[k, candidate]
        if slot >= 0 and use > 0 and use > headroom(t, r.used, slot):
            return False
    for one in range(t.of_candidate[candidate], t.of_candidate[candidate + 1]):
        group = t.candidate_sets[one]
        if r.hits[group] + 1 >= t.set_first[group + 1] - t.set_first[group]:
            return False
    return True


@njit(cache=True, nogil=True)
def fits(t: Tables, r: Roster, candidate: int) -> bool:
    """Whether a candidate can be put in, whatever its strip."""
    satellite = t.satellite[candidate]
    base, gap = r.place[satellite], gap_in(t, r, candidate)
    if gap > 0 and not follows(t, r.row[base + gap - 1], candidate):
        return False
    if gap < r.length[satellite] and not follows(t, candidate, r.row[base + gap]):
        return False
    return within_limits(t, r, candidate)


@njit(cache=True, nogil=True)
def put(t: Tables, r: Roster, candidate: int) -> None:
    """Put a candidate in that fits."""
    satellite = t.satellite[candidate]
    base, gap, count = r.place[satellite], gap_in(t, r, candidate), r.length[satellite]
    for k in range(base + count, base + gap, -1):
        r.row[k] = r.row[k - 1]
    r.row[base + gap] = candidate
    r.length[satellite] = count + 1
    r.chosen[t.strip[candidate]] = candidate
    _account(t, r, candidate, 1)


@njit(cache=True, nogil=True)
def take(t: Tables, r: Roster, candidate: int) -> None:
    """Take a candidate out."""
    satellite = t.satellite[candidate]
    base, gap = r.place[satellite], gap_in(t, r, candidate)
    r.length[satellite] -= 1
    for k in range(base + gap, base + r.length[satellite]):
        r.row[k] = r.row[k + 1]
    r.chosen[t.strip[candidate]] = -1
    _account(t, r, candidate, -1)


@njit(cache=True, nogil=True)
def _account(t: Tables, r: Roster, candidate: int, sign: int) -> None:
    for k in range(t.use.shape[0]):
        slot = t.slot[k, candidate]
        if slot >= 0:
            r.used[slot] += sign * t.use[k, candidate]
    for one in range(t.of_candidate[candidate], t.of_candidate[candidate + 1]):
        r.hits[t.candidate_sets[one]] += sign


@njit(cache=True, nogil=True)
def fill(t: Tables, r: Roster, order: Indices) -> None:
    """Put in what still fits, in this order of candidates; strips that have one stay as they are."""
    for candidate in order:
        if r.chosen[t.strip[candidate]] < 0 and fits(t, r, candidate):
            put(t, r, candidate)


@njit(cache=True, nogil=True)
def fitting(t: Tables, r: Roster, candidates: Integers) -> Marks:
    """Which candidates fit, each by itself."""
    marks = np.zeros(candidates.size, dtype=np.bool_)
    for k in range(candidates.size):
        marks[k] = fits(t, r, candidates[k])
    return marks


@njit(cache=True, nogil=True)
def take_all(t: Tables, r: Roster, candidates: Indices) -> None:
    """Take these out."""
    for candidate in candidates:
        take(t, r, candidate)


def greedy(problem: Problem, *, kept: Indices | None = None) -> Roster:
    """Fill by value, the highest first, around what is kept (as far as it fits)."""
    roster = empty_roster(problem)
    if kept is not None:
        fill(problem.tables, roster, kept)
    fill(problem.tables, roster, np.argsort(-problem.value, kind="stable").astype(np.int32))
    return roster


def worth(problem: Problem, chosen: Indices) -> float:
    """Value of a choice."""
    return float(problem.value[chosen[chosen >= 0]].sum())
