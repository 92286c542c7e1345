"""The real stereo pair through the whole report: what tie points mend, and that SRTM's heights are what is left."""

import numpy as np
import pytest

from processing.error_statistics import nmad
from tests.bench.stereo import measure, orthoimages, read_pair, right_to, without_srtm


@pytest.fixture(scope="module")
def measured(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stereo")
    found = read_pair(shared / "data")
    apart = [
        measure(found, orthoimages(found, rpcs, folder, label))
        for label, rpcs in (("delivered", found.delivered), ("adjusted", found.adjusted))
    ]
    return found, *apart


def test_errors_lie_along_the_epipolar_line_that_the_sensor_models_have(measured):
    """Two ways to it that share nothing: statistics of the matches, and the slopes of the two rays."""
    found, before, after = measured
    azimuth = np.degrees(np.arctan2(*found.line)) % 180
    for apart in (before, after):
        assert apart.measured.errors.axis_deg == pytest.approx(azimuth, abs=1.5)
        assert len(apart.along) > 150


def test_across_it_the_adjusted_orthoimages_agree(measured):
    """What no height can move: from some 5 px of bias to less than a tenth, and half a pixel is kept by far."""
    _, before, after = measured
    assert abs(np.median(before.across)) > 3
    assert abs(np.median(after.across)) < 0.15
    assert nmad(after.across) < 0.25
    assert after.measured.nmad_across_px < 0.25


def test_along_it_they_agree_where_srtm_is_right(measured):
    _, _, after = measured
    good = right_to(after, 1.0)
    assert good.sum() >= 5
    assert nmad(after.along[good]) < 0.5
    assert nmad(after.along) > 2, "elsewhere they cannot"


def test_what_is_left_is_what_the_rays_make_of_srtm_s_mistakes(measured):
    """Everywhere inside the tie points: the line of 0.71 px a metre, neither moved nor turned."""
    found, _, after = measured
    clean = without_srtm(found, after)
    assert len(clean.along) > 150
    assert nmad(clean.along) < 0.5
    assert abs(np.median(clean.along)) < 0.2
    known = np.isfinite(after.wrong_m)
    slope = np.polyfit(after.wrong_m[known], after.along[known], 1)[0]
    assert slope == pytest.approx(np.hypot(*found.line) / 0.5, rel=0.05)
