"""Oracle: every choice tried out that holds what is fixed and adds nothing that is not open."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasking.planning.explain import moves, obstacles
from tasking.planning.horizon import open_part
from tasking.planning.plan import Effort, plan
from tasking.planning.problem import Problem
from tasking.planning.roster import greedy
from tests.tasking.planning.rules import broken, problems

BRIEF = Effort(seconds=60, rounds=2, steps=40, moves=200)


def _taken(chosen: np.ndarray) -> list[int]:
    return sorted(int(one) for one in chosen if one >= 0)


def _best_around(problem: Problem, fixed: list[int], allowed: list[int]) -> float:
    best, ways = 0.0, [(fixed, 0)]
    while ways:
        taken, after = ways.pop()
        best = max(best, float(problem.value[taken].sum()))
        ways.extend(
            ([*taken, one], k + 1)
            for k, one in enumerate(allowed)
            if k >= after and one not in taken and broken(problem, [*taken, one]) is None
        )
    return best


@settings(max_examples=25)
@given(problem=problems(), until=st.sampled_from([0.0, 30.0, 60.0, 200.0]), every=st.integers(2, 4))
def test_what_is_frozen_stays_and_the_rest_is_best(problem: Problem, until: float, every: int) -> None:
    before = greedy(problem).chosen
    closed = np.arange(problem.size) % every == 0
    rest = open_part(problem, before, frozen_until=until, closed=closed)
    after = rest.whole(plan(rest.problem, BRIEF).chosen)
    fixed = [one for one in _taken(before) if problem.start[one] < until]
    assert broken(problem, _taken(after)) is None
    assert [one for one in _taken(after) if problem.start[one] < until] == fixed
    assert not any(closed[one] for one in _taken(after) if one not in fixed)
    allowed = [one for one in range(problem.size) if problem.start[one] >= until and not closed[one]]
    assert np.isclose(problem.value[_taken(after)].sum(), _best_around(problem, fixed, allowed))


@settings(max_examples=25)
@given(problem=problems())
def test_whoever_is_left_out_hears_by_whom_or_what(problem: Problem) -> None:
    made = plan(problem, BRIEF)
    for strip in range(problem.strips):
        for one in obstacles(problem, made.chosen, strip):
            if made.chosen[strip] < 0:
                assert one.strips or one.limits or one.forbidden
            without = [k for k in _taken(made.chosen) if problem.strip[k] not in (*one.strips, strip)]
            if not one.limits and not one.forbidden:
                assert broken(problem, [*without, one.candidate]) is None


def test_who_is_displaced_is_told_by_whom() -> None:
    # Strip 1, worth more, comes later and wants the satellite at the moment that strip 0 had.
    problem = Problem(
        strips=2,
        satellite=np.zeros(3, dtype=np.int32),
        strip=np.array([0, 1, 0], dtype=np.int32),
        start=np.array([0.0, 2.0, 40.0]),
        end=np.array([5.0, 7.0, 45.0]),
        attitude_deg=np.zeros((3, 4)),
        value=np.array([3.0, 9.0, 1.0]),
        settle_s=np.full(1, 6.0),
        slew_deg_s=np.full(1, 2.0),
    )
    (told,) = moves(problem, np.array([0, -1], dtype=np.int32), plan(problem, BRIEF).chosen)
    assert (told.strip, told.before, told.after, told.displaced_by) == (0, 0, 2, (1,))
