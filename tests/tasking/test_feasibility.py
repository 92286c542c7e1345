"""Against throwing dice, and by arithmetic that fits on a napkin."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from catalog.extent import Footprint, TimeWindow
from tasking.feasibility import feasibility
from tasking.opportunity import find_opportunities
from tests.tasking.fleet import EPOCH, FLEET

WINDOW = TimeWindow(start=EPOCH, end=EPOCH + timedelta(days=7))
AREA = Footprint.of(box(5.2, 44.1, 5.3, 44.2))


@pytest.fixture(scope="module")
def pattern():
    return find_opportunities(AREA, WINDOW, FLEET[:1], max_off_nadir_deg=30.0, min_sun_elevation_deg=-90.0)[0]


def _passes(pattern, given):
    """Hours, share and chance of each."""
    return [
        replace(pattern, best=EPOCH + timedelta(hours=hours), covered_share=share, clear_sky=clear)
        for hours, share, clear in given
    ]


def _judge(passes, clouds=0.0, **forgone):
    return feasibility(passes, WINDOW, max_cloud_cover_pct=clouds, forgone=forgone)


def test_independent_passes_over_a_small_area(pattern):
    found = _judge(_passes(pattern, [(10, 1, 0.3), (30, 1, 0.5), (50, 1, 0.2)]))
    assert found.chance == pytest.approx(1 - 0.7 * 0.5 * 0.8)
    assert found.expected == EPOCH + timedelta(hours=30)  # 0.3 after the first, half of 0.72 only after the second
    assert found.passes == 3
    assert "clear in 33%" in " ".join(found.reasons)


def test_the_same_clouds_are_met_once(pattern):
    assert _judge(_passes(pattern, [(10, 1, 0.4), (10.2, 1, 0.4)])).chance == pytest.approx(0.4)
    together = _judge(_passes(pattern, [(10, 0.5, 0.4), (10.2, 0.5, 0.4)]))
    assert together.chance == pytest.approx(0.4)  # two satellites take half each


def test_two_halves_need_two_clear_passes(pattern):
    found = _judge(_passes(pattern, [(10, 0.5, 0.6), (30, 0.5, 0.6), (50, 0.5, 0.6)]))
    assert found.chance == pytest.approx(3 * 0.6**2 * 0.4 + 0.6**3)
    assert found.reasons[0].startswith("One pass shows at most 50% of the area; 2 clear ones are needed, there are 3")


def test_any_clouds_will_do(pattern):
    found = _judge(_passes(pattern, [(10, 1, 0.1)]), clouds=100)
    assert (found.chance, found.reasons) == (1.0, ())


def test_no_pass_and_why():
    found = feasibility([], WINDOW, max_cloud_cover_pct=20, forgone={"the sun is lower than 10°": 3, "it is far": 0})
    assert (found.chance, found.expected) == (0.0, None)
    assert found.reasons == (
        "No pass meets the conditions before 2026-04-21T00:00:00Z",
        "3 more passes would do, but the sun is lower than 10°",
    )


@settings(max_examples=20, deadline=None)
@given(
    given=st.lists(st.tuples(st.integers(0, 99), st.floats(0.02, 1)), min_size=1, max_size=7),
    clouds=st.floats(0, 100),
)
def test_as_dice_have_it(pattern, given, clouds):
    passes = _passes(pattern, [(10 * i, share / 100, clear) for i, (share, clear) in enumerate(given)])
    shares, clear = np.array(given, float).T
    dice = np.random.default_rng(1).random((20000, clear.size)) < clear + (1 - clear) * clouds / 100
    often = ((dice * shares).sum(axis=1) >= 99).mean()
    assert _judge(passes, clouds).chance == pytest.approx(often, abs=0.02)
