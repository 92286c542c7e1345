from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasking.orbit import sun_declination_deg
from tasking.weather import Climatology, Forecast

JANUARY, JULY = (datetime(2026, month, 15, tzinfo=UTC).timestamp() for month in (1, 7))


def test_it_is_what_the_records_say():
    """MODIS: 0.67 cloudy over the globe (King et al. 2013); drier in the subtropics than elsewhere."""
    model: Forecast = Climatology()
    lat = np.degrees(np.arcsin(np.linspace(-1, 1, 2001)))  # by area
    assert model.clear_sky(0, lat, JANUARY).mean() == pytest.approx(0.33, abs=0.03)
    dry, wet, storms = (float(model.clear_sky(0, where, JULY)) for where in (-20, 5, -60))
    assert dry > wet > storms


def test_the_belts_follow_the_sun():
    sahel, queensland = (Climatology().clear_sky(0, lat, [JANUARY, JULY]) for lat in (12, -12))
    assert sahel[0] > sahel[1]
    assert queensland[0] < queensland[1]


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90), posix=st.floats(0, 4e9))
def test_it_is_a_chance_everywhere(lon: float, lat: float, posix: float):
    chance = float(Climatology().clear_sky(lon, lat, posix))
    assert 0 < chance < 1
    assert chance == pytest.approx(float(Climatology().clear_sky(lon, min(lat + 1e-6, 90), posix)), abs=1e-6)


def test_shapes_broadcast():
    assert Climatology().clear_sky(np.zeros(3), np.zeros((2, 1)), JULY).shape == (2, 3)


def test_declination_at_the_solstices_and_equinox():
    moments = ("2026-03-20T14:46Z", "2026-06-21T08:24Z", "2026-12-21T20:50Z")
    posix = [datetime.fromisoformat(one).timestamp() for one in moments]
    np.testing.assert_allclose(sun_declination_deg(posix), [0, 23.44, -23.44], atol=0.01)
