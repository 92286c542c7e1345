"""What a plan must hold, written anew from the rules and over all pairs; and the optimum by trying everything out."""

from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from tasking.planning.problem import Limit, Problem


def together(problem: Problem, one: int, other: int) -> bool:
    """Whether two candidates can both be acquired, as far as time goes."""
    if problem.satellite[one] != problem.satellite[other]:
        return True
    early, late = sorted((one, other), key=lambda c: problem.start[c])
    turn = np.linalg.norm(problem.attitude_deg[late, :2] - problem.attitude_deg[early, 2:])
    satellite = problem.satellite[one]
    needed = problem.settle_s[satellite] + turn / problem.slew_deg_s[satellite]
    return bool(problem.start[late] - problem.end[early] >= needed - 1e-9)


def broken(problem: Problem, taken: list[int]) -> str | None:
    """Which rule a set of candidates breaks, if any."""
    strips = [problem.strip[one] for one in taken]
    if len(set(strips)) < len(strips):
        return "a strip twice"
    for one, other in combinations(taken, 2):
        if not together(problem, one, other):
            return f"{one} and {other} are too close"
    for limit in problem.limits:
        level = 0.0
        for slot in range(limit.release.size):
            level += sum(limit.use[one] for one in taken if limit.slot[one] == slot)
            if level > limit.capacity[slot] + 1e-9:
                return f"{limit.name} runs over in slot {slot}"
            level = 0.0 if np.isinf(limit.release[slot]) else max(0.0, level - limit.release[slot])
    for group in problem.forbidden:
        if set(group) <= set(taken):
            return f"the forbidden set {group}"
    return None


def optimum(problem: Problem) -> float:
    """The most that any allowed set of candidates is worth: every set that grows within the rules is looked at."""
    best = 0.0
    ways: list[tuple[list[int], int, float]] = [([], 0, 0.0)]
    while ways:
        taken, after, value = ways.pop()
        best = max(best, value)
        ways.extend(
            ([*taken, one], one + 1, value + float(problem.value[one]))
            for one in range(after, problem.size)
            if broken(problem, [*taken, one]) is None
        )
    return best


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Small problems with everything in them: rotation, limits of all kinds, forbidden sets."""
    size, strips, fleet = draw(st.integers(1, 11)), draw(st.integers(1, 7)), draw(st.integers(1, 2))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    satellite = np.sort(random.integers(fleet, size=size))
    start = random.integers(0, 120, size).astype(float)
    start = start[np.lexsort((start, satellite))]
    end = start + random.integers(2, 12, size)
    attitude = random.integers(-20, 21, (size, 4)).astype(float)
    attitude[:, 2:] = attitude[:, :2] + random.uniform(-4, 4, (size, 2))
    slot = (satellite * 4 + (start // 30).astype(int)).astype(np.int32)
    release = random.integers(0, 8, fleet * 4).astype(float)
    release[3::4] = np.inf
    release[random.random(release.size) < 0.2] = np.inf
    limits = [
        Limit(
            name="storage",
            use=(end - start) * random.choice([0.5, 1.0], size),
            slot=np.where(random.random(size) < 0.9, slot, -1).astype(np.int32),
            release=release,
            capacity=random.integers(0, 20, fleet * 4).astype(float),
        ),
        Limit(
            name="on-time",
            use=end - start,
            slot=slot,
            release=np.full(fleet * 4, np.inf),
            capacity=np.full(fleet * 4, 15.0),
        ),
    ][: draw(st.integers(0, 2))]
    groups = {
        tuple(sorted(random.choice(size, draw(st.integers(2, 3)), replace=False).tolist()))
        for _ in range(draw(st.integers(0, 3)) if size > 3 else 0)
    }
    return Problem(
        strips=strips,
        satellite=satellite.astype(np.int32),
        strip=random.integers(strips, size=size).astype(np.int32),
        start=start,
        end=end,
        attitude_deg=attitude,
        value=random.integers(1, 30, size).astype(float) * random.choice([1.0, 0.37]),
        settle_s=np.full(fleet, 4.0),
        slew_deg_s=np.full(fleet, 2.0),
        limits=tuple(limits),
        forbidden=tuple(sorted(groups)),
    )
