"""What is open to planning: nothing before the frozen horizon, nothing in a zone that is another party's alone."""

from dataclasses import dataclass, replace

import numpy as np

from tasking.planning.problem import Indices, Integers, Limit, Marks, Problem
from tasking.planning.roster import follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The part of a problem that is still to be decided, beside what is fixed."""

    problem: Problem
    """Its candidates go with all that is fixed; its limits hold what that leaves."""

    candidates: Integers
    """(n of the part) their numbers in the whole problem."""

    fixed: Indices
    """Candidates of the whole problem that will be acquired whatever is decided."""

    fixed_strips: Indices
    """Their strips."""

    def whole(self, chosen: Indices) -> Indices:
        """A choice (strips) for the part as one for the whole problem, with what is fixed."""
        result = np.full(chosen.size, -1, dtype=np.int32)
        taken = chosen[chosen >= 0]
        ids = np.concatenate([self.candidates[taken], self.fixed])
        strips = np.concatenate([self.problem.strip[taken], self.fixed_strips])
        result[strips] = ids
        return result


def open_part(problem: Problem, chosen: Indices, *, frozen_until: float, closed: Marks | None = None) -> Open:
    """Fix what a plan acquires before the horizon, and leave open what goes with that.

    Parameters
    ----------
    chosen
        (strips) what is planned, -1 for nothing.
    frozen_until
        Seconds: acquisitions that start earlier stay as they are, none is added.
    closed
        (n) candidates that may not be chosen anew: over a zone that is reserved for another party at that time.
    """
    fixed = np.sort(chosen[(chosen >= 0) & (problem.start[np.maximum(chosen, 0)] < frozen_until)])
    free = (problem.start >= frozen_until) & ~np.isin(problem.strip, problem.strip[fixed])
    if closed is not None:
        free &= ~closed
    for one in fixed:
        free &= ~_ruled_out(problem, int(one))
    groups: set[tuple[int, ...]] = set()
    for group in problem.forbidden:
        rest = tuple(one for one in group if one not in fixed)
        if len(rest) == 1:
            free[rest[0]] = False
        elif len(rest) > 1:
            groups.add(rest)
    kept = np.flatnonzero(free)
    number = {int(one): k for k, one in enumerate(kept)}
    sets = [tuple(number[one] for one in group) for group in sorted(groups) if all(one in number for one in group)]
    part = replace(
        problem.subset(kept),
        limits=tuple(_left(limit, fixed, kept) for limit in problem.limits),
        forbidden=tuple(sets),
    )
    return Open(problem=part, candidates=kept, fixed=fixed, fixed_strips=problem.strip[fixed])


def _ruled_out(problem: Problem, fixed: int) -> Marks:
    """Candidates that the satellite cannot acquire beside one."""
    t, satellite = problem.tables, problem.satellite[fixed]
    marks = np.zeros(problem.size, dtype=bool)
    low, high = t.first[satellite], t.first[satellite + 1]
    near = (t.start[low:high] < t.end[fixed] + t.widest_s[satellite]) & (
        t.end[low:high] > t.start[fixed] - t.widest_s[satellite]
    )
    for one in low + np.flatnonzero(near):
        marks[one] = not (follows(t, one, fixed) or follows(t, fixed, one))
    return marks


def _left(limit: Limit, fixed: Indices, kept: Integers) -> Limit:
    """What a limit leaves: over slots a to b, use(a … b) + fixed(a … b) ≤ capacity(b) + release(a … b-1)."""
    held = np.zeros(limit.release.size)
    inside = fixed[limit.slot[fixed] >= 0]
    np.add.at(held, limit.slot[inside], limit.use[inside])
    return Limit(
        name=limit.name,
        use=limit.use[kept],
        slot=limit.slot[kept],
        release=limit.release - held,
        capacity=np.maximum(0.0, limit.capacity - held),
    )
