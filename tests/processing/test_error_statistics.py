"""The figures against their definitions, written out by hand, and against what they are for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.error_statistics import PlanarErrors, ce90, nmad, rmse
from processing.errors import ProcessingError

FLOATS = st.floats(-1e3, 1e3)


@settings(max_examples=40, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=40), FLOATS)
def test_nmad_is_a_median_of_medians_and_knows_no_place(values, by):
    middle = sorted(values)
    n = len(values)
    median = (middle[(n - 1) // 2] + middle[n // 2]) / 2
    off = sorted(abs(one - median) for one in values)
    assert nmad(values) == pytest.approx(1.4826 * (off[(n - 1) // 2] + off[n // 2]) / 2, abs=1e-9)
    assert nmad(np.array(values) + by) == pytest.approx(nmad(values), abs=1e-8)


def test_nmad_is_the_standard_deviation_of_a_normal_law_and_keeps_to_it():
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 2.0, 200_000)
    assert nmad(values) == pytest.approx(2.0, rel=0.01)
    values[:20_000] = 1e6
    assert nmad(values) == pytest.approx(2.0, rel=0.2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=60))
def test_at_least_nine_of_ten_keep_ce90(distances):
    found = ce90(distances)
    assert found in distances
    assert sum(one <= found for one in distances) >= 0.9 * len(distances)
    assert sum(one < found for one in distances) <= 0.9 * (len(distances) - 1) + 1


def test_ce90_of_a_circular_normal_law():
    """FGDC-STD-007.3-1998, appendix 3-D: 2.1460 times the standard deviation of one coordinate."""
    rng = np.random.default_rng(1)
    found = PlanarErrors.of(*rng.normal(0, 1.5, (2, 200_000)))
    assert found.ce90_m == pytest.approx(2.1460 * 1.5, rel=0.01)
    assert found.rmse_m == pytest.approx(1.5 * math.sqrt(2), rel=0.01)


def test_golden():
    found = PlanarErrors.of([1.0, 2.0, 3.0, 4.0, 100.0], [0.0, 0.0, 0.0, 0.0, 0.0])
    assert found.count == 5
    assert (found.mean_east_m, found.median_east_m, found.nmad_east_m) == (22.0, 3.0, 1.4826)
    assert found.rmse_m == pytest.approx(math.sqrt((1 + 4 + 9 + 16 + 10_000) / 5))
    assert found.ce90_m == 100.0
    assert found.axis_deg == 90.0
    assert (found.nmad_along_m, found.nmad_across_m) == (pytest.approx(1.4826), pytest.approx(0.0, abs=1e-12))
    assert found.nmad_m == 1.4826
    assert found.bias_m == 3.0


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 179.9), st.floats(1.5, 50), st.integers(0, 9))
def test_the_line_along_which_errors_lie(azimuth, length, seed):
    rng = np.random.default_rng(seed)
    along, across = rng.normal(0, length, 3000), rng.normal(0, 0.5, 3000)
    sin, cos = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
    found = PlanarErrors.of(7 + sin * along + cos * across, -3 + cos * along - sin * across)
    turned = (found.axis_deg - azimuth + 90) % 180 - 90
    assert abs(turned) < 60 / length + 0.5
    assert found.nmad_across_m == pytest.approx(0.5, rel=0.15)
    assert found.nmad_along_m == pytest.approx(length, rel=0.1)


@pytest.mark.parametrize("errors", [([], []), ([1.0], [float("nan")]), ([float("inf")], [0.0])])
def test_what_is_no_error(errors):
    with pytest.raises(ProcessingError, match="not all finite"):
        PlanarErrors.of(*errors)


def test_root_mean_square():
    assert rmse([3.0, 4.0]) == pytest.approx(math.sqrt(12.5))
