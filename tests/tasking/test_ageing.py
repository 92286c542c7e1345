import dataclasses

import pytest
from sgp4.api import WGS72, Satrec
from sgp4.conveniences import sat_epoch_datetime

from tasking.ageing import Ageing
from tests.tasking.fleet import GAOFEN_4, KOMPSAT, PLEIADES, SENTINEL

DAY_S = 86400.0


@pytest.mark.parametrize("elements", [PLEIADES, KOMPSAT, SENTINEL, GAOFEN_4])
def test_epoch_and_motion_are_those_that_sgp4_reads(elements):
    there = Satrec.twoline2rv(elements.line1, elements.line2, WGS72)
    assert abs((elements.epoch - sat_epoch_datetime(there)).total_seconds()) < 1e-5
    assert elements.revolutions_day == pytest.approx(there.no_kozai * 720 / 3.141592653589793)
    assert elements.drag_revolutions_day2 == pytest.approx(there.ndot * 1036800 / 3.141592653589793)
    assert elements.number == str(there.satnum)


def test_it_grows_with_age_either_way_and_fastest_with_drag():
    epoch = PLEIADES.epoch.timestamp()
    fresh, later, before = (Ageing.of(PLEIADES, epoch + days * DAY_S) for days in (0, 10, -10))
    assert (fresh.age_days, fresh.along_track_m) == (0, 1000)
    assert fresh.widening_s == pytest.approx(2000 / 7500, rel=0.02)
    assert later.along_track_m == before.along_track_m > 3000
    assert before.age_days == -later.age_days
    dragged = Ageing.of(KOMPSAT, KOMPSAT.epoch.timestamp() + 10 * DAY_S)
    # 2 · 0.00020275 rev/day² · 100 day² / 2 = 0.02 revolutions of 42,700 km are 866 km; a quarter of them
    assert dragged.along_track_m == pytest.approx(0.25 * 0.020275 * 42_700e3, rel=0.01)
    assert later.along_track_m < dragged.along_track_m
    assert dataclasses.asdict(later).keys() == {"age_days", "along_track_m", "widening_s"}
