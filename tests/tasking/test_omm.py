"""Messages against the two-line sets that they say the same as, by what SGP4 makes of both."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tasking.errors import ElementSetError
from tasking.omm import read_elements, write_omm
from tasking.orbit import ecef_state
from tests.tasking.fleet import EPOCH, GAOFEN_4, KOMPSAT, PLEIADES, SENTINEL

CELESTRAK = {  # as CelesTrak writes it, of the same moment as KOMPSAT
    "OBJECT_NAME": "KOMPSAT-3A",
    "OBJECT_ID": "2015-014A",
    "EPOCH": "2026-04-13T21:56:31.830720",
    "MEAN_MOTION": 15.50789011,
    "ECCENTRICITY": 0.0062126,
    "INCLINATION": 97.6891,
    "RA_OF_ASC_NODE": 90.736,
    "ARG_OF_PERICENTER": 53.1654,
    "MEAN_ANOMALY": 307.5273,
    "EPHEMERIS_TYPE": 0,
    "CLASSIFICATION_TYPE": "U",
    "NORAD_CAT_ID": 40536,
    "ELEMENT_SET_NO": 999,
    "REV_AT_EPOCH": 61184,
    "BSTAR": 0.00032606,
    "MEAN_MOTION_DOT": 0.00020275,
    "MEAN_MOTION_DDOT": 0,
}

XML = """<?xml version="1.0" encoding="UTF-8"?>
<ndm><omm id="CCSDS_OMM_VERS" version="2.0"><header/><body><segment>
<metadata><OBJECT_NAME>KOMPSAT-3A</OBJECT_NAME><OBJECT_ID>2015-014A</OBJECT_ID><CENTER_NAME>EARTH</CENTER_NAME>
<REF_FRAME>TEME</REF_FRAME><TIME_SYSTEM>UTC</TIME_SYSTEM><MEAN_ELEMENT_THEORY>SGP4</MEAN_ELEMENT_THEORY></metadata>
<data><meanElements>{mean}</meanElements><tleParameters>{tle}</tleParameters></data>
</segment></body></omm></ndm>"""


def _xml() -> str:
    mean = list(CELESTRAK)[2:9]
    inside = ("".join(f"<{key}>{CELESTRAK[key]}</{key}>" for key in keys) for keys in (mean, list(CELESTRAK)[9:]))
    return XML.format(mean=next(inside), tle=next(inside))


def _csv() -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, CELESTRAK)
    writer.writeheader()
    writer.writerow(CELESTRAK)
    return text.getvalue()


@pytest.mark.parametrize("text", [json.dumps([CELESTRAK]), json.dumps(CELESTRAK), _xml(), _csv()])
def test_every_form_says_what_the_two_lines_say(text: str):
    ((name, elements),) = read_elements(text)
    assert name == "KOMPSAT-3A"
    assert elements.number == "40536"
    times = EPOCH.timestamp() + np.linspace(0, 5 * 86400, 50)
    np.testing.assert_allclose(ecef_state(elements, times)[0], ecef_state(KOMPSAT, times)[0], atol=1)


@pytest.mark.parametrize("elements", [PLEIADES, KOMPSAT, SENTINEL, GAOFEN_4])
def test_written_and_read_again(elements):
    ((name, back),) = read_elements(json.dumps(write_omm("a name", elements)))
    assert name == "a name"
    assert back.epoch == elements.epoch
    times = EPOCH.timestamp() + np.linspace(0, 86400, 20)
    np.testing.assert_allclose(ecef_state(back, times)[0], ecef_state(elements, times)[0], atol=1)


def test_all_that_celestrak_publishes_goes_through(shared: Path):
    text = next((shared / "data" / "tle").glob("*.tle")).read_text()
    sets = read_elements(text)
    back = read_elements(json.dumps([write_omm(name, elements) for name, elements in sets]))
    assert [name for name, _ in back] == [name for name, _ in sets]
    for (_, there), (_, here) in zip(back, sets, strict=True):
        assert there.epoch == here.epoch
        assert there.line2[:63] == here.line2[:63]


def test_catalog_numbers_of_six_digits():
    ((_, elements),) = read_elements(json.dumps({**CELESTRAK, "NORAD_CAT_ID": 270001}))
    assert elements.number == "T0001"
    assert write_omm("x", elements)["NORAD_CAT_ID"] == 270001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            json.dumps({**CELESTRAK, "MEAN_ELEMENT_THEORY": "DSST"}),
            r"OMM 1 \(KOMPSAT-3A\): MEAN_ELEMENT_THEORY is 'DSST'",
        ),
        (json.dumps({**CELESTRAK, "REF_FRAME": "ICRF"}), "REF_FRAME is 'ICRF'; SGP4 takes TEME only"),
        (json.dumps([CELESTRAK, {**CELESTRAK, "BSTAR": None}]), r"OMM 2 \(KOMPSAT-3A\): BSTAR is missing"),
        (json.dumps({**CELESTRAK, "INCLINATION": "steep"}), "OMM 1 .*steep"),
        (json.dumps({**CELESTRAK, "EPOCH": "yesterday"}), "OMM 1 .*yesterday"),
        (json.dumps({**CELESTRAK, "MEAN_MOTION": 99}), "40536"),
        ("{", "no JSON"),
        ("[1]", "one object, or a list"),
        ("<ndm>", "no XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "no XML"),
        ("FIRST,SECOND\n1,2\n", "OMM 1 .*is missing"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, message: str):
    with pytest.raises(ElementSetError, match=message):
        read_elements(text)
