"""The fleet at the command line and over HTTP: what comes in goes out again, and mistakes are told in one line."""

import json

import pytest

from api.app import create_app
from api.settings import Settings
from tasking.fleet_file import write_elements, write_fleet_file
from tasking.provider.sandbox.constellation import SATELLITES
from tests.tasking.fleet import FLEET, KOMPSAT, PLEIADES


@pytest.fixture
def fleet_file(tmp_path):
    path = tmp_path / "fleet.json"
    path.write_text(write_fleet_file(FLEET, []))
    return path


def test_import_list_show_export_remove(overflight_here, tmp_path, fleet_file):
    data = ("--data", tmp_path / "var")
    answer = overflight_here("satellites", "import", fleet_file, *data)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("3 satellites, 0 stations")
    lines = overflight_here("satellites", "list", *data).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["kompsat", "pleiades", "sentinel"]
    assert lines[1].split()[1] == "40536"
    shown = json.loads(overflight_here("satellites", "show", "pleiades", *data).stdout)
    assert shown["elements"] == shown["history"][0]["elements"] == [PLEIADES.line1, PLEIADES.line2]
    again = tmp_path / "again.json"
    assert overflight_here("satellites", "export", "-o", again, *data).returncode == 0
    assert json.loads(again.read_text()) == json.loads(write_fleet_file(sorted(FLEET, key=lambda one: one.id), []))
    tle = overflight_here("satellites", "export", "kompsat", "--format", "tle", *data).stdout
    assert tle == f"kompsat\n{KOMPSAT.line1}\n{KOMPSAT.line2}\n"
    assert overflight_here("satellites", "remove", "kompsat", *data).returncode == 0
    assert len(json.loads(overflight_here("satellites", "export", *data).stdout)["satellites"]) == 2


def test_element_sets_update_and_add(overflight_here, tmp_path):
    data = ("--data", tmp_path / "var")
    sets = tmp_path / "sets.json"
    sets.write_text(write_elements(FLEET, "omm"))
    answer = overflight_here("satellites", "import", sets, *data)
    assert "3 of satellites that are not in the fleet" in answer.stdout
    answer = overflight_here("satellites", "import", sets, "--like", "sandbox-1", *data)
    assert answer.stdout.startswith("3 satellites")
    assert "0 of satellites that are not" in answer.stdout
    found = json.loads(overflight_here("satellites", "export", *data).stdout)["satellites"]
    assert [one["id"] for one in found] == ["kompsat-40536", "pleiades-38012", "sentinel-40697"]
    assert {one["sensor"]["swath_m"] for one in found} == {SATELLITES[0].sensor.swath_m}
    assert "3 sets not newer" in overflight_here("satellites", "import", sets, *data).stdout


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (f"{PLEIADES.line1[:-1]}0\n{PLEIADES.line2}\n", "line 1"),
        ('{"satellites": [{"id": "x"}]}', "satellite x"),
        ('{"satellites": 5}', "must be a list"),
        ("[{}]", "OMM 1"),
    ],
)
def test_a_damaged_file_is_told_in_one_line_and_changes_nothing(overflight_here, tmp_path, text, word):
    source = tmp_path / "damaged"
    source.write_text(text)
    answer = overflight_here("satellites", "import", source, "--data", tmp_path / "var")
    assert answer.returncode == 1
    (line,) = answer.stderr.strip().splitlines()
    assert word in line
    assert "no satellites yet" in overflight_here("satellites", "list", "--data", tmp_path / "var").stderr


def test_unknown_satellites_are_told(overflight_here, tmp_path):
    for words in (("show", "x"), ("remove", "x"), ("export", "x")):
        answer = overflight_here("satellites", *words, "--data", tmp_path / "var")
        assert answer.returncode == 1
        assert "'x' is not in the fleet" in answer.stderr


def test_over_http(serving, tmp_path):
    settings = Settings(data=tmp_path / "var", embedded_worker=False, fleet_writes=True)
    client = serving(create_app(settings))
    assert client.get("/satellites").json() == {"satellites": [], "stations": []}
    document = json.loads(write_fleet_file(FLEET, []))
    document["stations"] = [{"id": "kiruna", "lon": 21.06, "lat": 67.88, "mask": [[0, 5], [180, 12]]}]
    answer = client.post("/satellites", json=document)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"satellites": 3, "stations": 1, "newer": [], "older": [], "foreign": 0}
    listed = client.get("/satellites").json()
    assert [one["id"] for one in listed["satellites"]] == ["kompsat", "pleiades", "sentinel"]
    assert listed["stations"][0]["mask"] == [[0, 5], [180, 12]]
    one = client.get("/satellites/pleiades").json()
    assert one["elements"] == [PLEIADES.line1, PLEIADES.line2]
    assert len(one["history"]) == 1
    assert one["history"][0]["epoch"] == PLEIADES.epoch.isoformat().replace("+00:00", "Z")
    sent = client.post("/satellites", json={"tle": write_elements(FLEET[:1], "tle")})
    assert sent.status_code == 200, sent.text
    assert sent.json()["older"] == ["pleiades"]
    assert client.delete("/satellites/pleiades").status_code == 204
    gone = client.get("/satellites/pleiades")
    assert gone.status_code == 404
    assert gone.headers["content-type"] == "application/problem+json"
    wrong = client.post("/satellites", json={"satellites": [{"id": "x"}]})
    assert wrong.status_code == 422
    assert "satellite x" in wrong.json()["detail"]
    assert client.post("/satellites", content=b"\xff\xfe{").status_code == 400
    assert client.post("/satellites", json={"tle": 5}).status_code == 422
    assert client.post("/satellites", json=[{"OBJECT_NAME": "x"}]).status_code == 422


def test_over_http_nothing_is_written_unless_it_is_allowed(serving, tmp_path):
    client = serving(create_app(Settings(data=tmp_path / "var", embedded_worker=False)))
    assert client.get("/satellites").status_code == 200
    for answer in (client.post("/satellites", json={"satellites": []}), client.delete("/satellites/x")):
        assert answer.status_code == 403
        assert "OVERFLIGHT_FLEET_WRITES" in answer.json()["detail"]
