"""What a plan chooses from: candidate acquisitions of strips, and what limits each satellite.

Two acquisitions of a satellite go together when the later one starts no sooner than the earlier one ends, plus the
time to settle, plus the angle between the two attitudes over the rate of rotation. Over a chain a → b → c this is
transitive, so that only neighbours in time need to be looked at, as long as no acquisition rotates faster than the
satellite could:

    start(c) - end(a)  ≥  settle + |ab|/rate + duration(b) + settle + |bc|/rate
                       ≥  settle + |ac|/rate        while  rotation(b) ≤ rate · (settle + duration(b))

A limit is a row of vessels, one a satellite, that acquisitions fill and that is emptied between slots of time:

    level(k) = max(0, level(k-1) - release(k-1)) + use(k)  ≤  capacity(k)          (Lindley 1952)

On-time an orbit empties all (release ∞), storage what a ground contact takes down, energy what the sun charges.
Unrolled, it says that for all slots a ≤ b: use(a) + … + use(b) ≤ capacity(b) + release(a) + … + release(b-1).
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tasking.errors import PlanError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
Marks = npt.NDArray[np.bool_]


class Tables(NamedTuple):
    """A problem as the kernels read it: n candidates by satellite and start, m strips, K limits with S slots."""

    first: Integers
    """(satellites + 1) where each satellite's candidates begin."""

    satellite: Indices
    strip: Indices
    start: Floats
    end: Floats
    roll: Floats
    """Degrees, when the acquisition starts."""

    pitch: Floats
    end_roll: Floats
    """Degrees, when it ends."""

    end_pitch: Floats
    value: Floats
    settle_s: Floats
    slew_deg_s: Floats
    widest_s: Floats
    """(satellites) time to settle and to turn through the largest angle between any two candidates."""

    by_start: Indices
    by_end: Indices
    """(n) both satellite by satellite."""

    use: Floats
    """(K, n)."""

    slot: Indices
    """(K, n), -1 where the limit does not hold."""

    release: Floats
    capacity: Floats
    """(S) both."""

    of_strip: Integers
    """(m + 1) where each strip's candidates begin in `strip_items`."""

    strip_items: Indices
    set_first: Integers
    set_items: Indices
    """Forbidden sets, and which candidates each holds."""

    of_candidate: Integers
    candidate_sets: Indices
    """The inverse: which sets each candidate is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a satellite can do only so much of: on-time, storage, energy."""

    name: str

    use: Floats
    """(n) how much each candidate takes, at least 0."""

    slot: Indices
    """(n) in which slot; -1 for candidates that it does not limit."""

    release: Floats
    """(slots) how much is given back after each slot, less what is committed already in it; ∞ where the next slot
    starts anew, as the last slot must."""

    capacity: Floats
    """(slots) the highest level, less what is committed already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Candidates in order of satellite and start. At most one candidate of each strip is chosen.

    Raises
    ------
    PlanError
        Arrays that do not fit together, times out of order, or a rotation for which the look at neighbours in time
        would not do.
    """

    strips: int
    """How many; numbered from 0."""

    satellite: Indices
    """(n) numbered from 0."""

    strip: Indices
    """(n)."""

    start: Floats
    """(n) seconds."""

    end: Floats
    """(n) seconds."""

    attitude_deg: Floats
    """(n, 4): roll and pitch at the start, roll and pitch at the end."""

    value: Floats
    """(n) priority × clear chance × quality × remaining need."""

    settle_s: Floats
    """(satellites)."""

    slew_deg_s: Floats
    """(satellites)."""

    limits: tuple[Limit, ...] = ()

    forbidden: tuple[tuple[int, ...], ...] = ()
    """Sets of two or more candidates that cannot all be chosen."""

    tables: Tables = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "tables", _tables(self))

    @property
    def size(self) -> int:
        """How many candidates."""
        return int(self.start.size)

    def subset(self, kept: Integers) -> "Self":
        """The same problem with these candidates only, in rising order; strips and satellites keep their numbers."""
        number = np.full(self.size, -1)
        number[kept] = np.arange(kept.size)
        sets = (tuple(int(number[one]) for one in group) for group in self.forbidden)
        return type(self)(
            strips=self.strips,
            satellite=self.satellite[kept],
            strip=self.strip[kept],
            start=self.start[kept],
            end=self.end[kept],
            attitude_deg=self.attitude_deg[kept],
            value=self.value[kept],
            settle_s=self.settle_s,
            slew_deg_s=self.slew_deg_s,
            limits=tuple(
                Limit(
                    name=one.name,
                    use=one.use[kept],
                    slot=one.slot[kept],
                    release=one.release,
                    capacity=one.capacity,
                )
                for one in self.limits
            ),
            forbidden=tuple(group for group in sets if min(group) >= 0),
        )

    def _check(self) -> None:
        n = self.size
        arrays: list[tuple[str, npt.NDArray[Any], tuple[int, ...]]] = [
            ("satellite", self.satellite, (n,)),
            ("strip", self.strip, (n,)),
            ("end", self.end, (n,)),
            ("attitude_deg", self.attitude_deg, (n, 4)),
            ("value", self.value, (n,)),
            ("slew_deg_s", self.slew_deg_s, self.settle_s.shape),
            *((f"limit {one.name}", array, (n,)) for one in self.limits for array in (one.use, one.slot)),
        ]
        for name, array, shape in arrays:
            if array.shape != shape:
                raise PlanError(f"{name}: its shape is {array.shape}, it must be {shape}")
        if not n:
            return
        _within("satellite", self.satellite, self.settle_s.size)
        _within("strip", self.strip, self.strips)
        order = np.lexsort((self.start, self.satellite))
        wrong = np.flatnonzero(order != np.arange(n))
        if wrong.size:
            raise PlanError(f"candidate {wrong[0]}: it stands before earlier ones; sort by satellite, then by start")
        for name, bad in (
            ("ends before it starts", ~(self.end > self.start)),
            ("has a value that is no number of at least 0", ~((self.value >= 0) & np.isfinite(self.value))),
            ("rotates faster than its satellite can", self._rotates_too_fast()),
        ):
            if bad.any():
                raise PlanError(f"candidate {np.flatnonzero(bad)[0]} {name}")
        for limit in self.limits:
            _check_limit(limit)
        for group in self.forbidden:
            if len(set(group)) < 2 or not all(0 <= one < n for one in group):
                raise PlanError(f"forbidden set {group}: it must hold two or more candidates of 0 to {n - 1}")

    def _rotates_too_fast(self) -> Marks:
        turned = np.hypot(*(self.attitude_deg[:, 2:] - self.attitude_deg[:, :2]).T)
        time = self.settle_s[self.satellite] + self.end - self.start
        too_fast: Marks = ~(turned <= self.slew_deg_s[self.satellite] * time)
        return too_fast


def _within(name: str, array: Indices, count: int) -> None:
    if array.min() < 0 or array.max() >= count:
        raise PlanError(f"{name}: {array.min()} to {array.max()}; it must lie between 0 and {count - 1}")


def _check_limit(limit: Limit) -> None:
    slots = limit.release.size
    if limit.capacity.shape != (slots,) or not slots or np.isfinite(limit.release[-1]):
        raise PlanError(f"limit {limit.name}: it needs a capacity and a release a slot, and the last release infinite")
    if limit.slot.size and (limit.slot.min() < -1 or limit.slot.max() >= slots):
        raise PlanError(f"limit {limit.name}: slots {limit.slot.min()} to {limit.slot.max()}; there are {slots}")
    if (limit.use < 0).any() or (limit.capacity < 0).any():
        raise PlanError(f"limit {limit.name}: uses and capacities must be at least 0")


def _tables(problem: Problem) -> Tables:
    n, fleet = problem.size, problem.settle_s.size
    first = np.searchsorted(problem.satellite, np.arange(fleet + 1)).astype(np.int64)
    roll, pitch, end_roll, end_pitch = np.ascontiguousarray(problem.attitude_deg.T)
    by_strip = np.argsort(problem.strip, kind="stable").astype(np.int32)
    members = [np.array(group, dtype=np.int32) for group in problem.forbidden]
    set_first = np.cumsum([0, *(group.size for group in members)]).astype(np.int64)
    set_items = np.concatenate([np.zeros(0, dtype=np.int32), *members])
    owner = np.repeat(np.arange(len(members), dtype=np.int32), np.diff(set_first))
    by_item = np.argsort(set_items, kind="stable")
    slots = np.cumsum([0, *(one.release.size for one in problem.limits)])
    shifted = [
        np.where(one.slot >= 0, one.slot + base, -1).astype(np.int32)
        for one, base in zip(problem.limits, slots[:-1], strict=True)
    ]
    return Tables(
        first=first,
        satellite=problem.satellite.astype(np.int32),
        strip=problem.strip.astype(np.int32),
        start=problem.start,
        end=problem.end,
        roll=roll,
        pitch=pitch,
        end_roll=end_roll,
        end_pitch=end_pitch,
        value=problem.value,
        settle_s=problem.settle_s,
        slew_deg_s=problem.slew_deg_s,
        widest_s=_widest(problem, first),
        by_start=np.arange(n, dtype=np.int32),
        by_end=np.lexsort((problem.end, problem.satellite)).astype(np.int32),
        use=np.array([one.use for one in problem.limits], dtype=float).reshape(len(problem.limits), n),
        slot=np.array(shifted, dtype=np.int32).reshape(len(problem.limits), n),
        release=_joined([one.release for one in problem.limits]),
        capacity=_joined([one.capacity for one in problem.limits]),
        of_strip=np.searchsorted(problem.strip[by_strip], np.arange(problem.strips + 1)).astype(np.int64),
        strip_items=by_strip,
        set_first=set_first,
        set_items=set_items,
        of_candidate=np.searchsorted(set_items[by_item], np.arange(n + 1)).astype(np.int64),
        candidate_sets=owner[by_item],
    )


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *parts])


def _widest(problem: Problem, first: Integers) -> Floats:
    widest = problem.settle_s.copy()
    for one in range(widest.size):
        seen = problem.attitude_deg[first[one] : first[one + 1]]
        if seen.size:
            both: Any = np.concatenate([seen[:, :2], seen[:, 2:]])
            widest[one] += np.hypot(*np.ptp(both, axis=0)) / problem.slew_deg_s[one] + 1e-6
    return widest
