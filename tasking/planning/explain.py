"""Why a strip is not in a plan, or where it went: what stands in the way of each of its candidates."""

from dataclasses import dataclass

import numpy as np

from tasking.planning.problem import Indices, Problem
from tasking.planning.roster import Roster, empty_roster, fill, follows, headroom


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What keeps one candidate of a strip out of a plan."""

    candidate: int

    strips: tuple[int, ...]
    """Whose acquisitions leave the satellite no time to turn and settle."""

    limits: tuple[str, ...]
    """Which limits have no room left for it."""

    forbidden: bool
    """Whether a forbidden set would be complete."""

    cost: float
    """What the acquisitions in the way are worth together, less what the candidate is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A strip whose acquisition is another one than before, or none."""

    strip: int
    before: int
    after: int
    """-1 where it fell out."""

    displaced_by: tuple[int, ...]
    """The strips whose new acquisitions stand in the way of the old one; none where a limit does, or where the old one
    is worth less than the new one."""

    limits: tuple[str, ...]
    """The limits that have no room left for the old one."""


def roster_of(problem: Problem, chosen: Indices) -> Roster:
    """The roster of a plan's choice."""
    roster = empty_roster(problem)
    fill(problem.tables, roster, chosen[chosen >= 0])
    return roster


def obstacles(problem: Problem, chosen: Indices, strip: int) -> tuple[Obstacle, ...]:
    """What stands in the way of each candidate of a strip, the least costly first."""
    t, roster = problem.tables, roster_of(problem, chosen)
    found = [_obstacle(problem, roster, int(c)) for c in t.strip_items[t.of_strip[strip] : t.of_strip[strip + 1]]]
    return tuple(sorted(found, key=lambda one: (one.cost, one.candidate)))


def moves(problem: Problem, before: Indices, after: Indices) -> tuple[Move, ...]:
    """What changed for the strips that were planned before, and through whom."""
    roster, found = roster_of(problem, after), []
    for strip in np.flatnonzero((before >= 0) & (after != before)):
        old = _obstacle(problem, roster, int(before[strip]))
        found.append(
            Move(
                strip=int(strip),
                before=int(before[strip]),
                after=int(after[strip]),
                displaced_by=tuple(one for one in old.strips if one != strip and before[one] != after[one]),
                limits=old.limits,
            )
        )
    return tuple(found)


def _obstacle(problem: Problem, roster: Roster, candidate: int) -> Obstacle:
    t, satellite = problem.tables, problem.satellite[candidate]
    row = roster.row[roster.place[satellite] :][: roster.length[satellite]]
    apart = [follows(t, one, candidate) or follows(t, candidate, one) for one in row]
    blocking = [int(one) for one, free in zip(row, apart, strict=True) if not free and one != candidate]
    own = int(roster.chosen[problem.strip[candidate]])
    limits = []
    for limit, use, slot in zip(problem.limits, t.use[:, candidate], t.slot[:, candidate], strict=True):
        if slot >= 0 and use > headroom(t, roster.used, slot) and own != candidate:
            limits.append(limit.name)
    groups = t.candidate_sets[t.of_candidate[candidate] : t.of_candidate[candidate + 1]]
    return Obstacle(
        candidate=candidate,
        strips=tuple(int(problem.strip[one]) for one in blocking),
        limits=tuple(limits),
        forbidden=any(
            roster.hits[one] + 1 >= t.set_first[one + 1] - t.set_first[one] for one in groups if own != candidate
        ),
        cost=float(problem.value[blocking].sum() - problem.value[candidate]),
    )
