"""Plans and their bounds: made-up days of `tasking.planning.generator`, HiGHS beside us on what it can solve.

The compiled code is loaded before anything is timed, as it is in a worker.
"""

import resource
import time
from dataclasses import dataclass

import numpy as np

from tasking.planning.exact import solve
from tasking.planning.generator import generate
from tasking.planning.plan import Effort, Plan, plan
from tasking.planning.problem import Problem
from tasking.planning.roster import empty_roster, worth
from tests.bench.agreement import DifferError

ALL = ("on-time", "storage", "energy")
HIGHS_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Case:
    strips: int
    satellites: int
    seconds: float
    limits: tuple[str, ...] = ("on-time",)
    on_time_s: float = 240.0
    marks_s: tuple[float, ...] = ()
    """When the plan so far is looked at."""

    peer: bool = False


CASES = (
    Case(strips=200, satellites=10, seconds=5, peer=True),
    Case(strips=1_000, satellites=10, seconds=15, marks_s=(1.5, 3), peer=True),
    Case(strips=5_000, satellites=10, seconds=30, marks_s=(1, 5, 15)),
    Case(strips=5_000, satellites=10, seconds=30, marks_s=(15,), limits=ALL),
    Case(strips=20_000, satellites=100, seconds=60, marks_s=(30,), on_time_s=60.0),
)


def run() -> None:
    _warm_up()
    print("   strips × satellites    s       value       bound   of bound")
    for case in CASES:
        problem = generate(case.strips, case.satellites, limits=case.limits, on_time_s=case.on_time_s)
        made = _measure(case, problem)
        if case.peer:
            _compare(problem, made)
    _replan()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def _warm_up() -> None:
    for limits in (ALL, ("on-time",)):
        plan(generate(150, 2, limits=limits, on_time_s=30), Effort(seconds=60, steps=10, moves=400, rounds=1))


def _measure(case: Case, problem: Problem) -> Plan:
    began = time.perf_counter()
    told: list[tuple[float, Plan]] = []
    made = plan(
        problem,
        Effort(seconds=case.seconds),
        better=lambda one: told.append((time.perf_counter() - began, one)),
    )
    end = time.perf_counter() - began
    print(f"   {case.strips:,} × {case.satellites}, {', '.join(case.limits)}; {problem.size:,} candidates")
    print(f"   first plan after {told[0][0]:.2f} s, worth {told[0][1].value / made.bound:.2%} of the last bound")
    for mark in case.marks_s:
        before = [one for at, one in told if at <= mark]
        if before and end > mark:
            _row(case, mark, before[-1])
    _row(case, end, made)
    return made


def _row(case: Case, seconds: float, made: Plan) -> None:
    state = "optimal" if made.optimal else f"{1 - made.gap:.3%}"
    print(
        f"   {case.strips:>6} × {case.satellites:<4} {seconds:>11.2f} {made.value:>12.2f} {made.bound:>12.2f}   {state}"
    )


def _compare(problem: Problem, made: Plan) -> None:
    """HiGHS on the whole problem: the same optimum."""
    began = time.perf_counter()
    empty = empty_roster(problem)
    new, bound = solve(problem, empty, np.arange(problem.size), gain=problem.value, seconds=HIGHS_S)
    seconds = time.perf_counter() - began
    value = 0.0 if new is None else float(problem.value[new].sum())
    solved = bound - value <= 1e-6 * bound
    state = "optimal" if solved else f"{value / bound:.3%}"
    print(f"   HiGHS alone {seconds:14.2f} {value:12.2f} {bound:12.2f}   {state}")
    if value > made.bound * (1 + 1e-6) or made.value > bound * (1 + 1e-6):
        raise DifferError(f"a plan lies above the other's bound: {made.value} ≤ {bound}, {value} ≤ {made.bound}")
    if solved and made.optimal and abs(value - made.value) > 1e-6 * value:
        raise DifferError(f"two optima: {made.value} and {value}")


def _replan() -> None:
    """50 new orders, 20 failures at 5,000 strips."""
    problem = generate(5_050, 10)
    random = np.random.default_rng(7)
    new = random.choice(problem.strips, 50, replace=False)
    number = np.flatnonzero(~np.isin(problem.strip, new))
    old = plan(problem.subset(number), Effort(seconds=15))
    before = np.where(old.chosen >= 0, number[old.chosen], -1).astype(np.int32)
    failed = random.choice(np.flatnonzero(before >= 0), 20, replace=False)
    before[failed] = -1
    began = time.perf_counter()
    made = plan(problem, Effort(seconds=1.8), previous=before)
    seconds = time.perf_counter() - began
    kept = before >= 0
    moved = np.mean(made.chosen[kept] != before[kept])
    print("   replan after 50 new orders and 20 failures at 5,000 strips")
    print(
        f"   {seconds:.2f} s; {moved:.2%} of the others moved; worth {worth(problem, before):.1f} → {made.value:.1f},"
        f" {1 - made.gap:.2%} of the bound; {np.count_nonzero(made.chosen[new] >= 0)} of 50 new orders planned"
    )
