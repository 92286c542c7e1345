"""Opportunities → a plan: which pass acquires which strip of an area that is still uncovered.

Greedy by value: take the strip that shows most, take it off the area, cut what is left into strips anew for every
pass, and go on until all is assigned or no pass is left. Values only fall while the area shrinks, so a pass is looked
at again only when its last value comes to the top of the heap (Minoux 1978, "Accelerated greedy algorithms").
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from catalog.extent import Footprint, TimeWindow
from tasking.opportunity import Opportunity, find_opportunities
from tasking.orbit import ecef_state
from tasking.passes import Target
from tasking.satellite import Agility, Satellite
from tasking.strip import TrackPlane, strips

OVERLAP_M = 500.0
"""Neighbouring strips of one cut share at least this, so that no pointing error leaves a gap."""

RUN_IN = timedelta(seconds=0.5)
"""The camera runs before the strip begins and after it ends."""

DAILY_WORTH = 0.9
"""A pass a day later counts that much less: there is less time left to try again after clouds."""

NEGLIGIBLE_SHARE = 1e-3
"""No pass is flown for less of the uncovered area: it would be a thread along an edge."""


class Acquisition(NamedTuple):
    """What a satellite is committed to."""

    satellite_id: str
    start: datetime
    end: datetime
    off_nadir_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One strip to acquire on one pass."""

    area: Footprint
    """The strip: the part of the uncovered area that this pass shall show."""

    window: TimeWindow
    """From the first line to the last, with the run-in; inside the window of the opportunity."""

    off_nadir_deg: float
    """To the strip's centre, in the middle of the window."""

    opportunity: Opportunity
    """The strip's own: its angles are those at the strip's centre."""

    @property
    def satellite_id(self) -> str:
        """Who acquires it."""
        return self.opportunity.satellite_id

    @property
    def acquisition(self) -> Acquisition:
        """What the satellite is then committed to."""
        assert self.window.start is not None
        assert self.window.end is not None
        return Acquisition(self.satellite_id, self.window.start, self.window.end, self.off_nadir_deg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Strips assigned to passes."""

    tasks: tuple[Task, ...]
    """By time; their areas do not overlap."""

    left: Footprint | None
    """What none of the passes can cover; None when that is negligible."""


def plan(
    *,
    uncovered: Footprint,
    opportunities: Sequence[Opportunity],
    satellites: Sequence[Satellite],
    committed: Sequence[tuple[str, datetime, datetime, float]],
    suits: Callable[[Opportunity], bool] = lambda _: True,
) -> Plan:
    """Assign strips of the uncovered area to passes, one strip a pass.

    No two acquisitions of a satellite, planned here or committed before, come closer than the time to turn from one to
    the other and to settle. An area no wider than the swath is taken whole by one pass.

    Parameters
    ----------
    opportunities
        Passes over the uncovered area.
    committed
        Satellite's id, start, end, off-nadir angle in degrees of what is planned already; see `Acquisition`.
    suits
        Whether a strip's own opportunity will do. Its angles differ a little from those at the area's centre.

    Raises
    ------
    InvalidOrderError
        The area reaches too far for one pass.
    """
    fleet = {satellite.id: satellite for satellite in satellites}
    held = [Acquisition(*one) for one in committed]
    begin = min((one.best for one in opportunities), default=datetime.max.replace(tzinfo=UTC))
    # -value or its bound, rank by time, how many tasks there were when it was judged, the candidate
    heap: list[tuple[float, int, int, Task | None]] = []
    passes = sorted(opportunities, key=lambda one: (one.best, one.id))
    for rank, one in enumerate(passes):
        heapq.heappush(heap, (-_value(uncovered, one, begin), rank, -1, None))
    least_km2 = NEGLIGIBLE_SHARE * uncovered.area_km2
    tasks: list[Task] = []
    left: Footprint | None = uncovered
    idle: dict[int, int] = {}  # passes that could take nothing, and how many tasks there were then
    while left is not None:
        if not heap:  # what is left now may suit a pass whose strip was too long, or too close to another one, before
            again = [rank for rank, judged in idle.items() if judged < len(tasks)]
            if not again:
                break
            for rank in again:
                del idle[rank]
                heapq.heappush(heap, (-_value(left, passes[rank], begin), rank, -1, None))
        _, rank, judged, task = heapq.heappop(heap)
        if task is not None and judged == len(tasks):
            tasks.append(task)
            held.append(task.acquisition)
            left = left.minus(task.area)
            if left is not None and left.area_km2 <= least_km2:
                left = None
            continue
        for task in _tasks(left, passes[rank], fleet[passes[rank].satellite_id], least_km2):
            if suits(task.opportunity) and _fits(task.acquisition, fleet[task.satellite_id].agility, held):
                heapq.heappush(heap, (-_value(task.area, task.opportunity, begin), rank, len(tasks), task))
                break
        else:
            idle[rank] = len(tasks)
    return Plan(tasks=tuple(sorted(tasks, key=lambda one: one.acquisition.start)), left=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """What keeps a pass from being used."""

    opportunity: Opportunity

    blocked_by: tuple[str, ...]
    """Names of what the satellite is committed to, too close in time to turn; the fewest that any strip would meet."""

    reason: str
    """One sentence for a person; the first word is lower-case."""


def hindrances(
    *,
    uncovered: Footprint,
    opportunities: Sequence[Opportunity],
    satellites: Sequence[Satellite],
    held: Mapping[str, Acquisition],
    suits: Callable[[Opportunity], bool] = lambda _: True,
) -> tuple[Hindrance, ...]:
    """Say of each pass over an uncovered area why it is not used, by time.

    Parameters
    ----------
    held
        What the satellites are committed to, by name.
    """
    fleet = {satellite.id: satellite for satellite in satellites}
    least_km2 = NEGLIGIBLE_SHARE * uncovered.area_km2
    found = []
    for seen in sorted(opportunities, key=lambda one: (one.best, one.id)):
        satellite = fleet[seen.satellite_id]
        blocked: tuple[str, ...] = ()
        reason = "the strip is too long for the pass"
        if not suits(seen):
            reason = "it does not meet the order's conditions"
        else:
            tasks = [one for one in _tasks(uncovered, seen, satellite, least_km2) if suits(one.opportunity)]
            meets = [_in_the_way(one.acquisition, satellite.agility, held) for one in tasks]
            if meets:
                blocked = min(meets, key=len)
                reason = "the satellite has no time to turn" if blocked else "it is free"
        found.append(Hindrance(opportunity=seen, blocked_by=blocked, reason=reason))
    return tuple(found)


def _in_the_way(new: Acquisition, agility: Agility, held: Mapping[str, Acquisition]) -> tuple[str, ...]:
    return tuple(name for name, one in held.items() if not _fits(new, agility, [one]))


def _value(area: Footprint, seen: Opportunity, begin: datetime) -> float:
    """How many pixels of new ground, those of later days counting less."""
    days = (seen.best - begin) / timedelta(days=1)
    return float(area.area_km2 * 1e6 / seen.gsd_m**2 * DAILY_WORTH**days)


def _tasks(left: Footprint, seen: Opportunity, satellite: Satellite, least_km2: float) -> Iterator[Task]:
    """Yield what a pass could acquire of what is left, the largest strip first, without those that are not worth it."""
    pieces = strips(left, heading_deg=seen.heading_deg, swath_m=seen.swath_m, overlap_m=OVERLAP_M)
    for piece in sorted(pieces, key=lambda one: -one.area_km2):
        if piece.area_km2 > least_km2:
            yield from _acquisitions(piece, seen, satellite)


def _acquisitions(strip: Footprint, seen: Opportunity, satellite: Satellite) -> Iterator[Task]:
    """Yield the acquisition of a strip on a pass, unless the satellite cannot look there, or not for long enough."""
    views = find_opportunities(
        strip,
        seen.window,
        [satellite],
        max_off_nadir_deg=satellite.agility.max_off_nadir_deg,
        min_sun_elevation_deg=-90.0,
    )
    for view in views:
        start, end = view.window.start, view.window.end
        assert start is not None
        assert end is not None
        first, last, *_ = TrackPlane.over(strip, view.heading_deg).extent(strip)
        duration = timedelta(seconds=(last - first) / view.ground_speed_m_s) + 2 * RUN_IN
        if duration > end - start:
            continue
        ideal = view.best + timedelta(seconds=first / view.ground_speed_m_s) - RUN_IN
        begin = min(max(ideal, start), end - duration)
        yield Task(
            area=strip,
            window=TimeWindow(start=begin, end=begin + duration),
            off_nadir_deg=_off_nadir_deg(strip, satellite, begin + duration / 2),
            opportunity=view,
        )


def _off_nadir_deg(area: Footprint, satellite: Satellite, moment: datetime) -> float:
    position, _ = ecef_state(satellite.elements, moment.timestamp())
    return float(Target(*area.centre).off_nadir_deg(position)[0])


def _fits(new: Acquisition, agility: Agility, held: Sequence[Acquisition]) -> bool:
    """Whether the satellite can turn and settle between this acquisition and each that it is committed to."""
    return all(
        one.satellite_id != new.satellite_id
        or max(new.start - one.end, one.start - new.end) >= turning_time(agility, new.off_nadir_deg, one.off_nadir_deg)
        for one in held
    )


def turning_time(agility: Agility, off_nadir_deg: float, other_off_nadir_deg: float) -> timedelta:
    """Time between two acquisitions; the sides to which they look are not known, so they are taken as opposite."""
    angle_deg = abs(off_nadir_deg) + abs(other_off_nadir_deg)
    return timedelta(seconds=agility.settle_s + angle_deg / agility.slew_deg_s)
