from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasking.errors import ElementSetError
from tasking.satellite import ElementSet, checksum, read_element_sets
from tests.tasking.fleet import KOMPSAT, PLEIADES

TEXT = f"PLEIADES 1A\n{PLEIADES.line1}\n{PLEIADES.line2}\n0 KOMPSAT-3A\r\n{KOMPSAT.line1}   \n{KOMPSAT.line2}\n\n"


def test_reads_sets_with_names():
    assert read_element_sets(TEXT) == [("PLEIADES 1A", PLEIADES), ("KOMPSAT-3A", KOMPSAT)]


def test_reads_sets_without_names():
    text = "\n".join([PLEIADES.line1, PLEIADES.line2, KOMPSAT.line1, KOMPSAT.line2])
    assert read_element_sets(text) == [("38012", PLEIADES), ("40536", KOMPSAT)]


def test_reads_what_celestrak_publishes(shared: Path):
    text = next((shared / "data" / "tle").glob("*.tle")).read_text()
    found = read_element_sets(text)
    assert len(found) == len(text.splitlines()) / 3
    assert ("PLEIADES 1A", PLEIADES) in found


@given(column=st.integers(0, 68), digit=st.sampled_from("0123456789"), which=st.sampled_from(["line1", "line2"]))
def test_a_changed_digit_is_found(column: int, digit: str, which: str):
    line = getattr(PLEIADES, which)
    damaged = line[:column] + digit + line[column + 1 :]
    other = {"line1": PLEIADES.line1, "line2": PLEIADES.line2, which: damaged}
    # A sum does not see a nought in the place of a blank.
    if damaged == line or (column > 1 and column < 68 and checksum(damaged) == checksum(line)):
        return
    with pytest.raises(ElementSetError):
        ElementSet(**other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("98.1996", "98.1997"), "line 3: element set: line 2 is damaged"),
        (TEXT.replace("26103.91425730", "26103.9142573"), "line 5: element set: line 1 must be 69 characters"),
        (PLEIADES.line1, "line 2: element set: line 2 must be 69 characters"),
        (f"{PLEIADES.line1}\n{KOMPSAT.line2}", "line 1 is of satellite 38012, line 2 of 40536"),
        (PLEIADES.line2, "line 1: .* stands where line 1 of an element set should"),
        ("A\nB\n", "line 2: 'B' stands where"),
        ("A\n", "line 1: the name 'A' has no element set"),
        ("", None),
    ],
)
def test_says_which_line_is_wrong(text: str, message: str | None):
    if message is None:
        assert read_element_sets(text) == []
        return
    with pytest.raises(ElementSetError, match=message):
        read_element_sets(text)


def test_elements_of_no_orbit_are_refused():
    def signed(line: str) -> str:
        return line[:68] + str(checksum(line))

    with pytest.raises(ElementSetError, match="38012"):  # 99 revolutions a day: inside the Earth
        ElementSet(line1=PLEIADES.line1, line2=signed(PLEIADES.line2.replace("14.58569444", "99.58569444")))
    with pytest.raises(ElementSetError, match="38012"):  # letters, with a sum that is right
        ElementSet(line1=PLEIADES.line1, line2=signed(PLEIADES.line2.replace("98.1996", "9x.1996")))
