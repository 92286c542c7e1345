"""Oracle: every order of passes and strips, tried out. Property: no plan asks what a satellite cannot do."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, box

from catalog.extent import Footprint, TimeWindow
from tasking.opportunity import Opportunity, find_opportunities
from tasking.provider.sandbox.acquisition import Acquisition as Picture
from tasking.provider.sandbox.constellation import SATELLITES as SANDBOX
from tasking.provider.sandbox.earth import terrain_height
from tasking.schedule import NEGLIGIBLE_SHARE, OVERLAP_M, Acquisition, Plan, _tasks, plan, turning_time
from tasking.strip import TrackPlane
from tests.tasking.fleet import EPOCH, FLEET, KOMPSAT, PLEIADES, SENTINEL, satellite

SATELLITES = {one.id: one for one in FLEET}

PLACES = {
    "small": Footprint.of(box(5.2, 44.1, 5.36, 44.24)),
    "two strips": Footprint.of(box(5.0, 44.0, 5.4, 44.2)),
    "wide": Footprint.of(box(5.0, 44.0, 6.0, 44.7)),
    "antimeridian": Footprint.of(box(179.7, -17.2, 180.2, -16.9)),
    "north": Footprint.of(box(10, 80.0, 13, 80.4)),
    "north pole": Footprint.of(Polygon([(lon, 89.8) for lon in range(0, 360, 10)])),
    "crooked": Footprint.of(Polygon([(5, 44), (6, 44), (6, 44.1), (5.1, 44.1), (5.1, 44.7), (5, 44.7)])),
}


def _passes(area: Footprint, days: float = 7, off_nadir: float = 35, late: float = 0) -> tuple[Opportunity, ...]:
    start = EPOCH + timedelta(days=late)
    window = TimeWindow(start=start, end=start + timedelta(days=days))
    return find_opportunities(area, window, FLEET, max_off_nadir_deg=off_nadir, min_sun_elevation_deg=-90)


def _covered_km2(areas: Sequence[Footprint]) -> float:
    whole: Footprint | None = None
    for area in areas:
        whole = area if whole is None else whole.union(area)
    return whole.area_km2 if whole else 0.0


def _check(made: Plan, area: Footprint, opportunities: Sequence[Opportunity], committed: Sequence[Acquisition]) -> None:
    """What every plan must hold, whatever it is worth."""
    held = [*committed]
    used: set[tuple[str, datetime]] = set()
    for task in made.tasks:
        (seen,) = [
            one
            for one in opportunities
            if one.satellite_id == task.satellite_id
            and one.window.start <= task.window.start
            and task.window.end <= one.window.end
        ]
        assert (seen.satellite_id, seen.best) not in used
        used.add((seen.satellite_id, seen.best))
        inside = task.area.intersection(area)
        assert inside is not None
        assert inside.area_km2 == pytest.approx(task.area.area_km2, rel=1e-6)
        agility = SATELLITES[task.satellite_id].agility
        assert task.off_nadir_deg <= agility.max_off_nadir_deg + 1e-3
        _, _, left, right = TrackPlane.over(task.area, task.opportunity.heading_deg).extent(task.area)
        assert right - left <= seen.swath_m * 1.01
        for other, start, end, off_nadir in held:
            if other == task.satellite_id:
                turn_s = agility.settle_s + (task.off_nadir_deg + off_nadir) / agility.slew_deg_s
                rest_s = max((task.window.start - end).total_seconds(), (start - task.window.end).total_seconds())
                assert rest_s >= turn_s - 1e-5
        held.append(task.acquisition)
    assert [task.window.start for task in made.tasks] == sorted(task.window.start for task in made.tasks)
    areas = [task.area for task in made.tasks]
    assert _covered_km2(areas) == pytest.approx(sum(one.area_km2 for one in areas), rel=1e-6)
    left_km2 = made.left.area_km2 if made.left else 0.0
    assert left_km2 + _covered_km2(areas) == pytest.approx(area.area_km2, rel=2 * NEGLIGIBLE_SHARE)


@pytest.mark.parametrize("name", PLACES)
def test_all_is_assigned_where_passes_allow(name: str):
    area = PLACES[name]
    opportunities = _passes(area, days=1.5 if "north" in name else 12, off_nadir=58 if "pole" in name else 35)
    made = plan(uncovered=area, opportunities=opportunities, satellites=FLEET, committed=())
    _check(made, area, opportunities, ())
    assert made.left is None
    if name == "small":
        assert [task.area for task in made.tasks] == [area]


def test_without_passes_all_is_left():
    area = PLACES["small"]
    assert plan(uncovered=area, opportunities=(), satellites=FLEET, committed=()) == Plan(tasks=(), left=area)


def test_one_pass_takes_one_strip():
    area = PLACES["wide"]
    one = _passes(area)[0]
    made = plan(uncovered=area, opportunities=[one], satellites=FLEET, committed=())
    (task,) = made.tasks
    assert made.left is not None
    assert task.opportunity.footprint.intersection(task.area).area_km2 == pytest.approx(task.area.area_km2, rel=0.02)
    # As long as the strip at the speed of the ground, and the run-in: 80 km in 12 s.
    assert (task.window.end - task.window.start).total_seconds() == pytest.approx(
        81_000 / one.ground_speed_m_s + 1, abs=1.0
    )
    assert task.window.start < task.opportunity.best < task.window.end
    assert task.off_nadir_deg == pytest.approx(task.opportunity.off_nadir_deg, abs=0.05)


def test_sharper_and_sooner_is_better():
    area = PLACES["small"]
    opportunities = _passes(area, days=12)
    (task,) = plan(uncovered=area, opportunities=opportunities, satellites=FLEET, committed=()).tasks
    worths = {
        one.id: 0.9 ** ((one.best - opportunities[0].best).total_seconds() / 86400) / one.gsd_m**2
        for one in opportunities
    }
    assert task.opportunity.id == max(opportunities, key=lambda one: worths[one.id]).id


def test_a_satellite_that_is_busy_is_left_alone():
    area = PLACES["small"]
    one = _passes(area)[0]
    agility = SATELLITES[one.satellite_id].agility
    free = plan(uncovered=area, opportunities=[one], satellites=FLEET, committed=()).tasks[0]
    gap = turning_time(agility, free.off_nadir_deg, 20.0)
    assert gap.total_seconds() == pytest.approx(6 + (free.off_nadir_deg + 20) / 2)
    for late, fits in ((timedelta(milliseconds=1), True), (timedelta(milliseconds=-1), False)):
        after = Acquisition(one.satellite_id, free.window.end + gap + late, free.window.end + gap + 2 * gap, 20.0)
        before = Acquisition(one.satellite_id, free.window.start - 3 * gap, free.window.start - gap - late, 20.0)
        for busy in (after, before):
            made = plan(uncovered=area, opportunities=[one], satellites=FLEET, committed=[busy])
            assert bool(made.tasks) == fits
            others = plan(uncovered=area, opportunities=[one], satellites=FLEET, committed=[("x", *busy[1:])])
            assert others.tasks == (free,)


def test_every_strip_has_to_suit():
    """At the area's centre 12 degrees is within the limit, at its far side it is not."""
    area = PLACES["wide"]
    opportunities = _passes(area, days=4)
    limit = opportunities[0].off_nadir_deg + 0.5
    made = plan(
        uncovered=area,
        opportunities=opportunities[:1],
        satellites=FLEET,
        committed=(),
        suits=lambda one: one.off_nadir_deg <= limit,
    )
    assert [task.opportunity.off_nadir_deg <= limit for task in made.tasks] == [True]
    nothing = plan(uncovered=area, opportunities=opportunities, satellites=FLEET, committed=(), suits=lambda _: False)
    assert nothing == Plan(tasks=(), left=area)


def test_nothing_is_acquired_outside_the_asked_time():
    """The window ends within the pass: the acquisition is moved into it, or the pass is not used."""
    area = PLACES["small"]
    whole = _passes(area)[0]
    for after_s, planned in ((30.0, 1), (-10.0, 1)):
        end = whole.best + timedelta(seconds=after_s)
        window = TimeWindow(start=EPOCH, end=end)
        cut = find_opportunities(area, window, FLEET, max_off_nadir_deg=35, min_sun_elevation_deg=-90)
        made = plan(uncovered=area, opportunities=cut, satellites=FLEET, committed=())
        assert len(made.tasks) == planned
        assert made.tasks[0].window.end <= end
    brief = TimeWindow(start=whole.best, end=whole.best + timedelta(seconds=1))
    cut = find_opportunities(area, brief, FLEET, max_off_nadir_deg=35, min_sun_elevation_deg=-90)
    assert len(cut) == 1
    assert plan(uncovered=area, opportunities=cut, satellites=FLEET, committed=()).tasks == ()


lons, lats = (st.floats(-edge, edge).map(lambda value: round(value, 9)) for edge in (180, 70))


@settings(max_examples=12, deadline=None)
@given(data=st.data(), lon=lons, lat=lats, width=st.floats(0.1, 0.8), height=st.floats(0.1, 0.8))
def test_no_plan_asks_too_much(data, lon, lat, width, height):
    area = Footprint.of(box(lon, lat, lon + width, lat + height))
    opportunities = _passes(area, days=4)
    committed = [
        Acquisition(
            one.satellite_id,
            one.best + timedelta(seconds=shift),
            one.best + timedelta(seconds=shift + data.draw(st.floats(0, 20))),
            data.draw(st.floats(0, 35)),
        )
        for one in opportunities
        if (shift := data.draw(st.one_of(st.none(), st.floats(-60, 60)))) is not None
    ]
    made = plan(uncovered=area, opportunities=opportunities, satellites=FLEET, committed=committed)
    _check(made, area, opportunities, committed)
    # A plan that leaves something leaves nothing that an unused pass could still take.
    if made.left is not None:
        used = {(task.satellite_id, task.opportunity.best.date(), task.opportunity.best.hour) for task in made.tasks}
        spare = [one for one in opportunities if (one.satellite_id, one.best.date(), one.best.hour) not in used]
        held = [*committed, *(task.acquisition for task in made.tasks)]
        again = plan(uncovered=made.left, opportunities=spare, satellites=FLEET, committed=held)
        assert sum(task.area.area_km2 for task in again.tasks) <= NEGLIGIBLE_SHARE * area.area_km2 * len(spare) + 1e-9


def _best_by_trial(left: Footprint | None, spare: list[Opportunity], least_km2: float) -> float:
    """Largest area that any order of passes and strips covers."""
    if left is None:
        return 0.0
    best = 0.0
    for index, seen in enumerate(spare):
        rest = spare[:index] + spare[index + 1 :]
        for task in _tasks(left, seen, SATELLITES[seen.satellite_id], least_km2):
            best = max(best, task.area.area_km2 + _best_by_trial(left.minus(task.area), rest, least_km2))
    return best


@pytest.mark.slow
@pytest.mark.parametrize(("name", "late"), [("two strips", 0), ("two strips", 5), ("small", 3), ("antimeridian", 1)])
def test_greedy_against_every_order(name: str, late: float):
    """A greedy cover reaches 1 - 1/e of the best at least (Nemhauser, Wolsey & Fisher 1978)."""
    area = PLACES[name]
    opportunities = _passes(area, days=8, late=late)[:3]
    made = plan(uncovered=area, opportunities=opportunities, satellites=FLEET, committed=())
    _check(made, area, opportunities, ())
    best = _best_by_trial(area, list(opportunities), NEGLIGIBLE_SHARE * area.area_km2)
    covered = sum(task.area.area_km2 for task in made.tasks)
    assert covered <= best * (1 + 1e-6)
    assert covered >= 0.63 * best


@pytest.mark.parametrize("corners", [[(5, 44), (5.22, 44), (5, 44.2)], [(5, 44), (5.6, 44), (5, 44.5)]])
def test_a_camera_that_flies_the_plan_shows_every_strip(corners):
    """The sandbox's rigorous camera, over triangles, whose centroid lies a sixth of their width beside the middle."""
    area = Footprint.of(Polygon(corners))
    window = TimeWindow(start=EPOCH, end=EPOCH + timedelta(days=7))
    found = find_opportunities(area, window, SANDBOX, max_off_nadir_deg=30, min_sun_elevation_deg=10)
    made = plan(uncovered=area, opportunities=found, satellites=SANDBOX, committed=())
    assert made.left is None
    for task in made.tasks:
        flown = Picture.plan(next(one for one in SANDBOX if one.id == task.satellite_id), task.area, task.window)
        lon, lat = shapely.get_coordinates(shapely.segmentize(task.area.polygons.boundary, 0.002)).T
        row, col = flown.camera.image(lon, lat, terrain_height(lon, lat))
        assert -0.5 <= row.min() <= row.max() <= flown.camera.rows - 0.5
        assert -0.5 <= col.min() <= col.max() <= flown.camera.columns - 0.5
        start, end = flown.times
        assert task.window.start <= start < end <= task.window.end
        assert flown.view["off_nadir_deg"] == pytest.approx(task.off_nadir_deg, abs=1.0)


def test_overlap_is_less_than_any_swath():
    assert min(OVERLAP_M, *(one.sensor.swath_m for one in FLEET)) == OVERLAP_M


def test_two_acquisitions_in_one_pass():
    """Orders of neighbouring places share a pass when there is time to turn between them."""
    near, far = (Footprint.of(box(lon, lat, lon + 0.1, lat + 0.1)) for lon, lat in ((5.0, 44.0), (5.0, 48.0)))
    one = satellite("pleiades", PLEIADES)
    quick, slow = (
        [
            satellite("pleiades", PLEIADES, slew_deg_s=speed, settle_s=2),
            satellite("k", KOMPSAT),
            satellite("s", SENTINEL),
        ]
        for speed in (5.0, 0.2)
    )
    window = TimeWindow(start=EPOCH, end=EPOCH + timedelta(days=7))
    first, second = (
        find_opportunities(area, window, [one], max_off_nadir_deg=30, min_sun_elevation_deg=10)[0]
        for area in (near, far)
    )
    assert abs(first.best - second.best) < timedelta(minutes=2)
    held = plan(uncovered=near, opportunities=[first], satellites=quick, committed=()).tasks[0].acquisition
    for fleet, fits in ((quick, True), (slow, False)):
        made = plan(uncovered=far, opportunities=[second], satellites=fleet, committed=[held])
        assert bool(made.tasks) == fits
