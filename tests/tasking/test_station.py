"""Oracle: skyfield's own altitude and azimuth, without refraction, every four seconds."""

import numpy as np
from skyfield.api import load, wgs84

from tasking.station import Station, contacts
from tests.tasking.fleet import EPOCH, GAOFEN_4, KOMPSAT, PLEIADES, in_skyfield

START = EPOCH.timestamp()
HILLS = ((0.0, 5.0), (90.0, 25.0), (180.0, 2.0), (300.0, 12.0))


def _heard(station: Station, elements, seconds: np.ndarray) -> np.ndarray:
    scale = load.timescale(builtin=True)
    place = wgs84.latlon(station.lat, station.lon, elevation_m=station.height_m)
    at = (in_skyfield(elements, scale) - place).at(scale.utc(EPOCH.year, EPOCH.month, EPOCH.day, 0, 0, seconds))
    altitude, azimuth, _ = at.altaz()
    corners, least = np.array([*HILLS, (360.0, 5.0)]).T
    return altitude.degrees >= np.interp(azimuth.degrees, corners, least)


def test_contacts_are_those_of_skyfield():
    station = Station(id="svalbard", title="Svalbard", lon=15.4, lat=78.2, height_m=450.0, mask=HILLS)
    seconds = np.arange(0, 28800.0, 4.0)
    for elements in (PLEIADES, KOMPSAT):
        spans = contacts(station, elements, start=START, end=START + 28800)
        assert len(spans) >= 3
        inside, edge = np.zeros((2, seconds.size), dtype=bool)
        for first, last in spans:
            inside |= (first - START <= seconds) & (seconds <= last - START)
            edge |= (abs(seconds - first + START) < 0.1) | (abs(seconds - last + START) < 0.1)
        assert (inside == _heard(station, elements, seconds))[~edge].all()


def test_a_hill_parts_a_contact():
    open_, walled = ((0.0, 5.0),), ((0.0, 5.0), (100.0, 5.0), (110.0, 80.0), (120.0, 5.0), (250.0, 5.0))
    walled = (*walled, (260.0, 80.0), (270.0, 5.0))
    spans = [
        contacts(Station(id="x", title="x", lon=5.0, lat=45.0, mask=mask), PLEIADES, start=START, end=START + 3 * 86400)
        for mask in (open_, walled)
    ]
    assert len(spans[1]) > len(spans[0])
    whole, parted = (sum(last - first for first, last in each) for each in spans)
    assert 0.5 * whole < parted < whole
    for first, last in spans[1]:
        assert any(a - 0.01 <= first < last <= b + 0.01 for a, b in spans[0])


def test_always_and_never():
    for lon, expected in ((105.0, [(START, START + 3600)]), (-75.0, [])):
        assert (
            contacts(Station(id="x", title="x", lon=lon, lat=0.0), GAOFEN_4, start=START, end=START + 3600) == expected
        )
