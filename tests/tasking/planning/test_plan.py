"""Oracle: every choice tried out. Property: a plan keeps the rules, and no bound lies below the optimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasking.errors import PlanError
from tasking.planning.exact import solve
from tasking.planning.generator import generate
from tasking.planning.plan import Effort, Plan, plan
from tasking.planning.prices import Pricing
from tasking.planning.problem import Limit, Problem
from tasking.planning.roster import empty_roster, greedy, worth
from tests.tasking.planning.rules import broken, optimum, problems, together

BRIEF = Effort(seconds=60, rounds=3, steps=60, moves=400)


def _taken(chosen: np.ndarray) -> list[int]:
    return [int(one) for one in chosen if one >= 0]


@settings(max_examples=25)
@given(problem=problems())
def test_the_optimum_is_found_and_proven(problem: Problem) -> None:
    best = optimum(problem)
    told: list[Plan] = []
    made = plan(problem, BRIEF, better=told.append)
    assert made.optimal
    assert made.value == pytest.approx(best)
    for one in [*told, made]:
        assert broken(problem, _taken(one.chosen)) is None
        assert one.value == pytest.approx(sum(problem.value[k] for k in _taken(one.chosen)))
        assert one.bound >= best - 1e-9


@settings(max_examples=25)
@given(problem=problems(), steps=st.integers(0, 40))
def test_any_prices_bound_the_optimum_and_no_loss_is_too_large(problem: Problem, steps: int) -> None:
    pricing, best = Pricing(problem), optimum(problem)
    for _ in range(steps):
        pricing.step(0.0)
    assert pricing.bound >= best - 1e-9
    for one, loss in enumerate(pricing.losses()):
        forced = _forced(problem, one)
        if forced is not None:
            assert pricing.bound - loss >= forced - 1e-9


def _forced(problem: Problem, candidate: int) -> float | None:
    """The optimum with a candidate in it, None where the candidate alone is not allowed."""
    if broken(problem, [candidate]):
        return None
    best, ways = 0.0, [([candidate], 0, float(problem.value[candidate]))]
    while ways:
        taken, after, value = ways.pop()
        best = max(best, value)
        ways.extend(
            ([*taken, one], one + 1, value + float(problem.value[one]))
            for one in range(after, problem.size)
            if one != candidate and broken(problem, [*taken, one]) is None
        )
    return best


@settings(max_examples=25)
@given(problem=problems())
def test_time_goes_along_a_chain_as_it_goes_between_neighbours(problem: Problem) -> None:
    order = np.lexsort((problem.end, problem.start))
    for a in order:
        for b in order:
            for c in order:
                one_satellite = problem.satellite[a] == problem.satellite[b] == problem.satellite[c]
                if one_satellite and problem.start[a] < problem.start[b] < problem.start[c]:
                    assert not (together(problem, a, b) and together(problem, b, c)) or together(problem, a, c)


@settings(max_examples=15)
@given(problem=problems())
def test_small_programs_beside_a_plan_keep_the_rules(problem: Problem) -> None:
    made = plan(problem, Effort(seconds=60, rounds=2, steps=0, moves=200))
    assert broken(problem, _taken(made.chosen)) is None
    new, bound = solve(problem, empty_roster(problem), np.arange(problem.size), gain=problem.value, seconds=30)
    assert new is not None
    assert problem.value[new].sum() == pytest.approx(optimum(problem))
    assert bound >= optimum(problem) - 1e-6


@pytest.mark.parametrize("limits", [("on-time",), ("on-time", "storage", "energy")])
def test_a_day_is_planned_nearly_to_the_bound(limits: tuple[str, ...]) -> None:
    problem = generate(300, 3, limits=limits, on_time_s=60)
    told: list[Plan] = []
    made = plan(problem, Effort(seconds=60, rounds=4, moves=20_000), better=told.append)
    assert broken(problem, _taken(made.chosen)) is None
    assert made.gap < 0.02
    assert told[0].value < made.value
    assert [one.value for one in told] == sorted(one.value for one in told)
    assert told[0].value == pytest.approx(worth(problem, greedy(problem).chosen))


def test_narrowed_to_the_promising_the_bound_still_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = generate(120, 3, on_time_s=40)
    whole = plan(problem, Effort(seconds=60, rounds=2, moves=8_000))
    monkeypatch.setattr("tasking.planning.plan.LARGE", 100)
    monkeypatch.setattr("tasking.planning.narrow.BEST", 3)
    made = plan(problem, Effort(seconds=60, rounds=1, moves=8_000))
    assert broken(problem, _taken(made.chosen)) is None
    assert made.value <= whole.bound + 1e-9
    assert made.bound >= whole.value - 1e-9
    assert made.gap < 0.02


def test_the_same_seed_gives_the_same_plan() -> None:
    problem = generate(250, 2, on_time_s=40)
    effort = Effort(seconds=600, rounds=1, steps=80, moves=4_000)
    first, again = (plan(problem, effort, seed=5) for _ in range(2))
    assert np.array_equal(first.chosen, again.chosen)
    assert first.bound == again.bound


def test_what_was_planned_stays_and_new_orders_find_a_place() -> None:
    problem = generate(250, 2, on_time_s=80)
    random = np.random.default_rng(3)
    new, failed = random.choice(250, 40, replace=False).reshape(2, 20)
    known = problem.subset(np.flatnonzero(~np.isin(problem.strip, new)))
    old = plan(known, Effort(seconds=60, rounds=1, steps=100, moves=8_000))
    number = np.flatnonzero(~np.isin(problem.strip, new))
    previous = np.where(old.chosen >= 0, number[old.chosen], -1).astype(np.int32)
    previous[failed] = -1
    made = plan(problem, Effort(seconds=60, rounds=1, steps=100, moves=8_000), previous=previous)
    kept = previous >= 0
    assert broken(problem, _taken(made.chosen)) is None
    assert np.mean(made.chosen[kept] != previous[kept]) <= 0.05
    assert made.value > worth(problem, previous)
    assert (made.chosen[new] >= 0).any()


def _tiny(**changes: object) -> Problem:
    given: dict[str, object] = {
        "strips": 2,
        "satellite": np.zeros(2, dtype=np.int32),
        "strip": np.arange(2, dtype=np.int32),
        "start": np.array([0.0, 20.0]),
        "end": np.array([5.0, 25.0]),
        "attitude_deg": np.zeros((2, 4)),
        "value": np.ones(2),
        "settle_s": np.full(1, 6.0),
        "slew_deg_s": np.full(1, 2.0),
    }
    return Problem(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": np.array([20.0, 0.0]), "end": np.array([25.0, 5.0])}, "sort by satellite"),
        ({"end": np.array([0.0, 25.0])}, "candidate 0 ends before it starts"),
        ({"value": np.array([1.0, np.nan])}, "candidate 1 has a value"),
        ({"attitude_deg": np.array([[0, 0, 0, 0], [0, 0, 22.1, 0.0]])}, "candidate 1 rotates faster"),
        ({"strip": np.array([0, 2], dtype=np.int32)}, "strip: 0 to 2"),
        ({"value": np.ones(3)}, "its shape is"),
        ({"forbidden": ((1,),)}, "forbidden set"),
        (
            {
                "limits": (
                    Limit(
                        name="x",
                        use=np.ones(2),
                        slot=np.zeros(2, dtype=np.int32),
                        release=np.ones(1),
                        capacity=np.ones(1),
                    ),
                )
            },
            "the last release infinite",
        ),
    ],
)
def test_a_wrong_problem_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        _tiny(**changes)


def test_the_fastest_rotation_that_is_allowed_is_allowed() -> None:
    assert plan(_tiny(attitude_deg=np.array([[0, 0, 0, 0], [0, 0, 22.0, 0.0]])), BRIEF).value == 2
