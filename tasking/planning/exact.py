"""The optimum, proven, of what is small enough: a mixed-integer program for HiGHS (Huangfu & Hall 2018, through scipy).

Acquisitions of a satellite go together like the elements of a partial order (`tasking.planning.problem`), so the graph
of conflicts is perfect and its cliques describe the plans of one satellite exactly (Chvátal 1975): the program's
relaxation is then as tight as the Lagrangian bound. Cliques are gathered greedily until every conflict is in one.
"""

import numpy as np
from numba import njit
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from tasking.planning.prices import intervals
from tasking.planning.problem import Floats, Indices, Integers, Problem, Tables
from tasking.planning.roster import Roster, follows


def solve(
    problem: Problem, roster: Roster, free: Integers, *, gain: Floats, seconds: float, nodes: int | None = None
) -> tuple[Indices | None, float]:
    """Choose among free candidates what gains most beside what is in a roster; the choice, and a proven bound of it.

    `free` are candidates, in rising order, of strips that the roster does not hold and that fit into it one by one.
    The bound holds whether or not time or nodes were enough; the choice is None where nothing was found in time.
    """
    if not free.size:
        return np.zeros(0, dtype=np.int32), 0.0
    part = problem.subset(free)
    matrix, most = _rows(part, problem, roster, free)
    options: dict[str, float] = {"mip_rel_gap": 0.0, "time_limit": max(0.01, seconds)}
    if nodes is not None:
        options["node_limit"] = nodes
    result = milp(
        -gain[free],
        integrality=np.ones(free.size),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, -np.inf, most),
        options=options,
    )
    bound = float(gain[free].sum()) if result.mip_dual_bound is None else -float(result.mip_dual_bound)
    if result.x is None:
        return None, bound
    return free[result.x > 0.5].astype(np.int32), bound


def _rows(part: Problem, problem: Problem, roster: Roster, free: Integers) -> tuple[csr_array, Floats]:
    """All constraints as Σ a·x ≤ b: strips, cliques of conflicts, intervals of limits, forbidden sets."""
    t = part.tables
    groups = [t.strip_items[t.of_strip[one] : t.of_strip[one + 1]] for one in np.unique(part.strip)]
    groups = [*(group for group in groups if group.size > 1), *cliques(t)]
    parts: list[tuple[Indices | Integers, Floats, float]] = [(group, np.ones(group.size), 1.0) for group in groups]
    runs = intervals(t)
    reached = np.concatenate([[0.0], np.cumsum(roster.used)])
    for first, last, limit in zip(runs.first, runs.last, runs.limit, strict=True):
        left = float(limit - (reached[last + 1] - reached[first]))
        for use, slot in zip(t.use, t.slot, strict=True):
            within = np.flatnonzero((slot >= first) & (slot <= last) & (use > 0))
            if within.size and use[within].sum() > left:
                parts.append((within, use[within], left))
    number = {int(one): k for k, one in enumerate(free)}
    for group, hits in zip(problem.forbidden, roster.hits, strict=True):
        inside = [number[one] for one in group if one in number]
        if len(inside) + hits >= len(group):
            parts.append((np.array(inside), np.ones(len(inside)), len(group) - 1.0 - float(hits)))
    parts.append((np.zeros(1, dtype=np.int64), np.ones(1), 1.0))  # never no row at all
    columns = np.concatenate([part[0] for part in parts])
    starts = np.cumsum([0, *(part[0].size for part in parts)])
    values = np.concatenate([part[1] for part in parts])
    most = np.array([part[2] for part in parts])
    return csr_array((values, columns, starts), shape=(most.size, part.size)), most


def cliques(t: Tables) -> list[Indices]:
    """Sets of candidates of one satellite of which no two go together; every two that do not are in one of them."""
    first, second = _conflicts(t)
    found, size = _gather(t.start.size, first, second)
    return [found[size[k] : size[k + 1]] for k in range(size.size - 1)]


@njit(cache=True, nogil=True)
def _conflicts(t: Tables) -> tuple[Integers, Indices]:
    """Which later candidates each conflicts with: where each one's begin, and they themselves."""
    begin = np.zeros(t.start.size + 1, dtype=np.int64)
    room = np.empty(1024, dtype=np.int32)
    count = 0
    for a in range(t.start.size):
        satellite = t.satellite[a]
        for b in range(a + 1, t.first[satellite + 1]):
            if t.start[b] - t.end[a] >= t.widest_s[satellite]:
                break
            if not follows(t, a, b):
                if count == room.size:
                    larger = np.empty(2 * count, dtype=np.int32)
                    larger[:count] = room
                    room = larger
                room[count] = b
                count += 1
        begin[a + 1] = count
    return begin, room[:count]


@njit(cache=True, nogil=True)
def _linked(begin: Integers, later: Indices, a: int, b: int) -> int:
    """Where the conflict of a with the later b stands, -1 if there is none."""
    low, high = begin[a], begin[a + 1]
    while low < high:
        middle = (low + high) // 2
        if later[middle] < b:
            low = middle + 1
        else:
            high = middle
    return low if low < begin[a + 1] and later[low] == b else -1


@njit(cache=True, nogil=True)
def _gather(n: int, begin: Integers, later: Indices) -> tuple[Indices, Integers]:
    covered = np.zeros(later.size, dtype=np.bool_)
    items = np.empty(max(1024, 2 * later.size), dtype=np.int32)
    starts = np.zeros(later.size + 1, dtype=np.int64)
    total, count = 0, 0
    for a in range(n):
        for k in range(begin[a], begin[a + 1]):
            if covered[k]:
                continue
            # Grow a clique from the pair (a, later[k]) by whatever conflicts with all of it.
            start = total
            items[total], items[total + 1] = a, later[k]
            total += 2
            for j in range(begin[a], begin[a + 1]):
                other = later[j]
                if j == k or not _joins(begin, later, items[start + 1 : total], other):
                    continue
                if total == items.size:
                    larger = np.empty(2 * total, dtype=np.int32)
                    larger[:total] = items
                    items = larger
                items[total] = other
                total += 1
            members = np.sort(items[start:total])
            items[start:total] = members
            for x in range(members.size):
                for y in range(x + 1, members.size):
                    covered[_linked(begin, later, members[x], members[y])] = True
            if total + 2 > items.size:
                larger = np.empty(2 * total, dtype=np.int32)
                larger[:total] = items[:total]
                items = larger
            count += 1
            starts[count] = total
    return items[:total], starts[: count + 1]


@njit(cache=True, nogil=True)
def _joins(begin: Integers, later: Indices, members: Indices, other: int) -> bool:
    for one in members:  # noqa: SIM110 - compiled code has no generators
        if _linked(begin, later, min(one, other), max(one, other)) < 0:
            return False
    return True
