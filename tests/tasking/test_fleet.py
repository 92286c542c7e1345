"""The fleet on real SQLite: what is written is read, and history stays; its files, and what is refused."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from tasking.errors import InvalidSatelliteError, UnknownSatelliteError
from tasking.fleet_file import read_fleet_file, write_elements, write_fleet_file
from tasking.orbit import geodetic_to_ecef
from tasking.provider.sandbox.constellation import SATELLITES
from tasking.satellite import ElementSet, Resources, checksum
from tasking.satellite_document import read_satellite, read_station, satellite_document
from tasking.station import Station
from tests.tasking.fleet import FLEET, KOMPSAT, PLEIADES, SENTINEL

STATION = Station(
    id="kiruna", title="Kiruna", lon=21.06, lat=67.88, height_m=400.0, mask=((0.0, 5.0), (90.0, 12.5), (350.0, 4.0))
)


def later(elements: ElementSet, days: float) -> ElementSet:
    line = f"{elements.line1[:20]}{float(elements.line1[20:32]) + days:012.8f}{elements.line1[32:68]}"
    return ElementSet(line1=f"{line}{checksum(line)}", line2=elements.line2)


@pytest.fixture
def fleet(store):
    return store.fleet


def test_what_is_put_is_read(fleet, now):
    fuller = replace(FLEET[0], resources=Resources(on_time_s=240.0, storage_gbit=600.0, downlink_mbit_s=450.0))
    fleet.put([fuller, *FLEET[1:], *SATELLITES], now=now)
    assert fleet.satellites() == tuple(sorted([fuller, *FLEET[1:], *SATELLITES], key=lambda one: one.id))
    assert fleet.satellite("pleiades") == fuller
    fleet.put([FLEET[0]], now=now)
    assert fleet.satellite("pleiades") == FLEET[0]
    fleet.put_stations([STATION])
    assert fleet.stations() == (STATION,)


def test_history_is_kept_and_the_newest_flies(fleet, now):
    fleet.put(FLEET, now=now)
    newer, older, corrected = later(PLEIADES, 2), later(PLEIADES, -3), later(PLEIADES, 2)
    done = fleet.update([newer, older, later(KOMPSAT, -1)], now=now + timedelta(days=1))
    assert (done.newer, done.older, done.foreign) == (("pleiades",), ("pleiades", "kompsat"), 0)
    assert fleet.satellite("pleiades").elements == newer
    assert fleet.satellite("kompsat").elements == KOMPSAT
    assert [kept.elements for kept in fleet.history("pleiades")] == [newer, PLEIADES, older]
    assert [kept.added - now for kept in fleet.history("pleiades")] == [
        timedelta(days=1),
        timedelta(0),
        timedelta(days=1),
    ]
    assert fleet.update([corrected], now=now).older == ("pleiades",)
    assert len(fleet.history("pleiades")) == 3


def test_sets_of_strangers_are_left_out(fleet, now):
    fleet.put(FLEET[:1], now=now)
    assert fleet.update([KOMPSAT, SENTINEL, later(PLEIADES, 1)], now=now).foreign == 2
    assert [one.id for one in fleet.satellites()] == ["pleiades"]


def test_all_or_nothing(fleet, now):
    fleet.put(FLEET[:1], now=now)
    twin = replace(FLEET[1], id="twin", elements=PLEIADES)
    with pytest.raises(InvalidSatelliteError, match="twin: pleiades has the catalog number 38012"):
        fleet.put([FLEET[1], twin], now=now)
    assert [one.id for one in fleet.satellites()] == ["pleiades"]


def test_removed_with_its_history(fleet, store, now):
    fleet.put(FLEET, now=now)
    fleet.remove("pleiades")
    for ask in (fleet.remove, fleet.history, fleet.satellite):
        with pytest.raises(UnknownSatelliteError, match="'pleiades' is not in the fleet"):
            ask("pleiades")
    with store._engine.begin() as connection:
        assert connection.execute(sa.text("select count(*) from element_sets")).scalar() == 2


def test_three_hundred_added_while_others_read(fleet, now):
    many = [replace(FLEET[0], id=f"s{i}", elements=_numbered(PLEIADES, 10000 + i)) for i in range(300)]
    for part in np.array_split(np.arange(300), 3):
        fleet.put([many[i] for i in part], now=now)
        assert len(fleet.satellites()) == part[-1] + 1
    done = fleet.update([later(one.elements, 1) for one in many], now=now)
    assert len(done.newer) == 300


def _numbered(elements: ElementSet, number: int) -> ElementSet:
    lines = (f"{line[:2]}{number:05d}{line[7:68]}" for line in (elements.line1, elements.line2))
    line1, line2 = (f"{line}{checksum(line)}" for line in lines)
    return ElementSet(line1=line1, line2=line2)


def test_a_file_is_read_as_it_was_written():
    text = write_fleet_file(FLEET, [STATION])
    found = read_fleet_file(text)
    assert (found.satellites, found.stations, found.sets) == (FLEET, (STATION,), ())
    for form in ("tle", "omm"):
        sets = read_fleet_file(write_elements(FLEET, form)).sets
        assert [name for name, _ in sets] == [one.title for one in FLEET]
        assert [elements.epoch for _, elements in sets] == [one.elements.epoch for one in FLEET]


def test_satellites_equipped_like_another():
    file = read_fleet_file(f"PLEIADES 1A\n{PLEIADES.line1}\n{PLEIADES.line2}\n{KOMPSAT.line1}\n{KOMPSAT.line2}\n")
    (new,) = file.equipped_like(SATELLITES[0], known={"40536"})
    assert (new.id, new.title, new.elements) == ("pleiades-1a-38012", "PLEIADES 1A", PLEIADES)
    assert new.sensor == SATELLITES[0].sensor
    assert {one.id for one in file.equipped_like(SATELLITES[0], known=())} == {"pleiades-1a-38012", "40536"}


DOCUMENT = json.loads(json.dumps(satellite_document(FLEET[0])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "a b"}, "satellite: id 'a b'"),
        ({"title": ""}, "title must be"),
        ({"elements": ["1", "2"]}, "satellite pleiades: element set: line 1 must be 69"),
        ({"elements": 7}, "elements must be two lines, or the members of an OMM"),
        ({"agility": {"slew_deg_s": 2}}, "agility: max_off_nadir_deg, settle_s missing"),
        ({"agility": {**DOCUMENT["agility"], "max_off_nadir_deg": 91}}, "at most 90"),
        ({"agility": {**DOCUMENT["agility"], "slew_deg_s": "2"}}, "slew_deg_s must be a number, not '2'"),
        ({"agility": {**DOCUMENT["agility"], "speed": 2}}, "agility: 'speed' is unknown; there are"),
        ({"resources": {"on_time_s": -1}}, "on_time_s must be greater than 0"),
        ({"sensor": {**DOCUMENT["sensor"], "bands": []}}, "at least one"),
        ({"sensor": {**DOCUMENT["sensor"], "multispectral_ratio": 2.5}}, "multispectral_ratio must be a number"),
        (
            {"sensor": {**DOCUMENT["sensor"], "pan": {**DOCUMENT["sensor"]["pan"], "common_name": "mauve"}}},
            "'mauve'; give one",
        ),
        ({"sensor": None}, "sensor must be an object"),
    ],
)
def test_a_document_is_refused_with_what_is_wrong(change, message: str):
    with pytest.raises(InvalidSatelliteError, match=message):
        read_satellite({**DOCUMENT, **change})


def test_clearance_over_a_mask():
    """Straight up, on the mask at a corner, and between two corners over north."""
    up = geodetic_to_ecef(STATION.lon, STATION.lat, 700e3)
    assert STATION.clearance_deg(up[None])[0] == pytest.approx(85.0, abs=8)
    np.testing.assert_allclose(STATION.least_elevation_deg(np.array([0, 45, 90, 350, 355])), [5, 8.75, 12.5, 4, 4.5])
    for lon, lat, azimuth in ((21.06, 80, 0.0), (60, 67, 90.0)):
        there = geodetic_to_ecef(lon, lat, 700e3)[None]
        bare = Station(id="x", title="x", lon=STATION.lon, lat=STATION.lat, height_m=400.0, mask=((0.0, 0.0),))
        off = bare.clearance_deg(there) - STATION.clearance_deg(there)
        assert off[0] == pytest.approx(float(STATION.least_elevation_deg(np.array([azimuth]))[0]), abs=2)
    for wrong in ({"mask": [[10, 5], [0, 5]]}, {"mask": [[0, 95]]}, {"mask": []}, {"lat": 95}, {"mask": 5}):
        with pytest.raises(InvalidSatelliteError, match="kiruna"):
            read_station({"id": "kiruna", "lon": 21, "lat": 67, **wrong})
