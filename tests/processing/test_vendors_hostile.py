"""Whatever a vendor's file holds, it ends in a model or in a `SensorModelError` that names the file and the remedy."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.errors import SensorModelError
from processing.rpc import Rpc
from processing.vendors import find_metadata, nitf, read, read_metadata, sidecar, til
from processing.vendors.dimap_product import DimapProduct
from processing.vendors.metadata import VendorMetadata
from tests.processing import vendor_descriptions
from tests.processing import vendor_files as files
from tests.processing.vendor_files import blank, random_rpc

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RPC = random_rpc(1)
PRODUCT = files.dimap_product({"IMG_X_R2C1.TIF": (2, 1)}, rpc="RPC_X.XML", more=vendor_descriptions.DIMAP_SCENE)
DOCUMENTS = {
    "a_RPC.TXT": files.rpc_txt(RPC),
    "bare_rpc.txt": files.bare(RPC),
    "a.RPB": files.rpb(RPC),
    "a.geom": files.geom(RPC, adjustments=[("intrack_offset", 50.0, 0.1)]),
    "a.XML": files.isd(RPC, vendor_descriptions.isd_imd()),
    "RPC_a.XML": files.dimap(RPC),
    "RPC_neo.XML": files.dimap(RPC, neo=True, profile="PNEO_SENSOR"),
    "PHRDIMAP.XML": files.phrdimap(RPC, "IMG_R1C1.JP2"),
}
DESCRIPTIONS = {
    "DIM_X.XML": PRODUCT,
    "a.IMD": vendor_descriptions.imd(),
    "a.XML": files.isd(RPC, vendor_descriptions.isd_imd()),
}


def ending(reader, *arguments):
    """What a reader gives, or the one error that it may raise."""
    try:
        return reader(*arguments)
    except SensorModelError as error:
        return error


TOKENS = ["", "nan", "-inf", "1e999", "-0", "0", "1" * 5000, "9" * 300, "1_000", "١", "0x10", "(", ")", "=", ";", ": ",
          "\n", "\r", "\0", "\xff", "<", "</", "&", "&#0;", "<!--", "<![CDATA[", "LINE_OFF: 3\n", "BEGIN_GROUP = X\n",
          "END_GROUP = IMAGE\n"]  # fmt: skip


@st.composite
def mutated(draw, text: str) -> bytes:
    """The text with some pieces cut out, doubled, or replaced, half of the time whole tokens."""
    content = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 1, 5, 30, 400])))
        piece = draw(st.one_of(
            st.sampled_from(TOKENS).map(str.encode), st.binary(max_size=8), st.just(bytes(content[start:stop]) * 2)
        ))  # fmt: skip
        content[start:stop] = piece
    return bytes(content)


@pytest.mark.parametrize("name", DOCUMENTS)
@settings(max_examples=60)
@given(data=st.data())
def test_mutated_models(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(mutated(DOCUMENTS[name])))
    found = ending(read, path)
    assert isinstance(found, Rpc) or (str(found).startswith(name) and len(str(found)) < 600)


@pytest.mark.parametrize("name", DESCRIPTIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_mutated_descriptions(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(mutated(DESCRIPTIONS[name])))
    found = ending(read_metadata, path, path.with_name("IMG_X_R2C1.TIF"))
    assert isinstance(found, VendorMetadata) or (str(found).startswith(name) and len(str(found)) < 600)


@settings(max_examples=60)
@given(data=st.data())
def test_mutated_tile_lists(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "A.TIL"
    path.write_bytes(data.draw(mutated(files.til({"A_R1C1.TIF": (0, 0), "A_R2C1.TIF": (16384, 0)}))))
    found = ending(til.first_pixel, path, "A_R2C1.TIF")
    assert found is None or isinstance(found, tuple) or str(found).startswith("A.TIL: ")


@settings(max_examples=100)
@given(content=st.binary(max_size=300))
def test_binary_junk(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "junk"
    path.write_bytes(content)
    with pytest.raises(SensorModelError, match=r"^junk: "):
        read(path)
    with pytest.raises(SensorModelError, match=r"^junk: "):
        read_metadata(path)


NUMBERS = {
    "a_RPC.TXT": r"(LINE_OFF|SAMP_DEN_COEFF_20|LAT_SCALE): (\S+)",
    "a.RPB": r"(lineOffset|latScale) = (\S+);",
    "a.geom": r"(line_off|samp_den_coeff_19|lat_scale):  (\S+)",
    "a.XML": r"<(LINEOFFSET|LATSCALE)>([^<]+)<",
    "RPC_a.XML": r"<(LINE_OFF|LAT_SCALE)>([^<]+)<",
    "PHRDIMAP.XML": r"<(A|B)>([^<]+)<",
}


@pytest.mark.parametrize("junk", ["nan", "inf", "-Infinity", "1e999", "", "1_0", "0x1F", "1,5", "twelve"])
@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_named(name, junk, tmp_path):
    path = tmp_path / name
    for match in re.finditer(NUMBERS[name], DOCUMENTS[name]):
        text = DOCUMENTS[name]
        path.write_text(text[: match.start(2)] + junk + text[match.end(2) :])
        named = rf"(?i){re.escape(name)}: .*{match[1]}.* (is|holds) .*; give"
        with pytest.raises(SensorModelError, match=named):
            read(path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("a_RPC.TXT", lambda t: t.replace("SAMP_DEN_COEFF_20", "SAMP_DEN_COEFF_21"), r"no SAMP_DEN_COEFF_20 \(1 of 90"),
        ("a_RPC.TXT", lambda t: t.replace("LINE_OFF: ", "LINE_OFF: about "), "LINE_OFF is 'about'"),
        ("a_RPC.TXT", lambda t: t + "LAT_OFF: 3\n", "LAT_OFF comes twice; give it once"),
        ("a_RPC.TXT", lambda t: t.replace("LINE_OFF: ", "LINE_OFF: 1.2."), "LINE_OFF is '1.2."),
        ("a_RPC.TXT", lambda t: re.sub(r"LAT_SCALE: \S+", "LAT_SCALE: 0.0", t), "RPC: lat_scale is 0.0; .* above zero"),
        ("a_RPC.TXT", lambda t: re.sub(r"LAT_OFF: \S+", "LAT_OFF: 4410", t), "latitude 4410°, .* not on the globe"),
        ("a_RPC.TXT", lambda _: "", r"no LINE_OFF \(90 of 90"),
        ("a_RPC.TXT", lambda t: t.encode("utf-16").decode("latin-1"), "no plain text; give lines such as"),
        ("a_RPC.TXT", lambda t: t * 100, "more than 100000 bytes"),
        ("bare_rpc.txt", lambda t: t + "7\n", "91 numbers; give the 90 of RPC00B"),
        ("bare_rpc.txt", lambda t: "\n".join(reversed(t.split())), "line_den does not begin with its largest number"),
        ("a.RPB", lambda t: t.replace("sampDenCoef", "sampDenCof"), "no sampDenCoef in the group IMAGE"),
        ("a.RPB", lambda t: t.replace("latOffset", "lineOffset"), "'image.lineoffset' comes twice"),
        ("a.RPB", lambda t: t.replace(",\n", ",\n0,\n", 1), "lineNumCoef holds 21 values; give 20 numbers"),
        ("a.RPB", lambda t: t[: t.index(");")], "the list 'lineNumCoef' does not end; deliver the whole file"),
        ("a.RPB", lambda t: t.replace("END_GROUP = IMAGE", "END_GROUP = OTHER"), "END_GROUP = 'other' ends no group"),
        ("a.RPB", lambda t: t.replace("RPC00B", "RPC00C"), "polynomials of the kind 'RPC00C'; give RPC00B or RPC00A"),
        ("a.RPB", lambda t: "BEGIN_GROUP = A\n" * 100_000 + t, "groups inside groups|more than"),
        ("a.geom", lambda t: t.replace("samp_den_coeff_19", "samp_den_coeff_20"), "samp_den_coeff_19 is None; give a"),
        ("a.geom", lambda t: t + "lat_off:  3\n", "'lat_off' comes twice"),
        ("a.geom", lambda t: t.replace("polynomial_format:  B", "polynomial_format:  C"), "of the kind 'RPC00C'"),
        ("a.XML", lambda t: t.replace("LATOFFSET", "LINEOFFSET"), "'image.lineoffset' comes twice"),
        ("a.XML", lambda t: t.replace("RPB>", "RPA>"), "0 elements RPB below isd"),
        ("a.XML", lambda t: t.replace("isd>", "other>"), "XML with the root 'other'; give one of Dimap_Document, isd"),
        ("RPC_a.XML", lambda t: t.replace("Inverse_Model", "Other_Model"), "must have one Inverse_Model or Gro"),
        ("RPC_a.XML", lambda t: t.replace("LINE_NUM_COEFF_7", "LINE_NUM_COEFF"), "LINE_NUM_COEFF_7 is None"),
        ("RPC_a.XML", lambda t: t.replace("SAMP_SCALE>", "LINE_SCALE>"), "LINE_SCALE comes 2 times in RFM_Validity"),
        ("RPC_a.XML", lambda t: t.replace("<LAT_OFF>", "<LAT_OFF>x"), "RFM_Validity/LAT_OFF is 'x"),
        ("RPC_a.XML", lambda t: t.replace("Global_RFM", "Local_RFM"), "Rational_Function_Model/Global_RFM; give"),
        ("RPC_a.XML", lambda t: t[:-10], "no readable XML .ParseError"),
        ("RPC_a.XML", lambda t: t.replace("UTF-8", "UTF-99"), "no readable XML"),
        ("RPC_a.XML", lambda t: "<a>" * 100 + t, "no readable XML"),
        ("PHRDIMAP.XML", lambda t: t.replace("<F_ROW>", "<F_ROW>1 "), "Inverse_Model/F_ROW holds 41 values; give 40"),
        ("PHRDIMAP.XML", lambda t: t.replace("Global_RFM", "Local_RFM"), "Geoposition/Rational_Sensor_Model"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(name, change, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(change(DOCUMENTS[name]).encode("latin-1", errors="replace"))
    with pytest.raises(SensorModelError, match=rf"(?s)^{re.escape(name)}: .*({message})"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRODUCT, "this describes the product; give the RPC file that it names, RPC_X.XML"),
        (
            "<Dimap_Document><Data_Strip/></Dimap_Document>",
            "DIMAP 1 of SPOT 5 has a rigorous model only; give an RPC fitted",
        ),
        ("<Dimap_Document/>", "give the RPC_….XML of a DIMAP product"),
    ],
)
def test_other_files_of_a_product_say_which_one_is_meant(text, message, tmp_path):
    path = tmp_path / "METADATA.DIM"
    path.write_text(text)
    with pytest.raises(SensorModelError, match=rf"METADATA.DIM: 0 elements .*; {message}"):
        read(path)


BOMB = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
) + "]><Dimap_Document>&i;</Dimap_Document>"  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><isd>&x;</isd>',
        '<!DOCTYPE d [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><isd/>',
        '<!DOCTYPE d SYSTEM "file:///etc/passwd"><isd/>',
        "<isd>" + "<a>" * 50_000,
        "<isd>" + "<a/>" * 300_000 + "</isd>",
        "<isd a='" + "x" * 1_000_000 + "'>" + "&lt;" * 100_000 + "</isd>",
    ],
    ids=["billion laughs", "external entity", "parameter entity", "external subset", "deep", "wide", "long"],
)
def test_xml_that_would_grow(text, tmp_path):
    path = tmp_path / "a.XML"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(SensorModelError, match=r"^a\.XML: "):
        read(path)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "text",
    ["9" * 99_000, "LINE_OFF: " + "1" * 90_000 + "x", "a = (\n" * 300_000, "x = " + "(" * 900_000, "A:" * 400_000,
     "=" * 900_000],
    ids=["digits", "digits of a key", "open lists", "brackets", "colons", "equals"],
)  # fmt: skip
def test_text_takes_time_in_proportion_to_its_length(text, tmp_path):
    path = tmp_path / "a.RPB"
    started = time.monotonic()
    for sign in ("", "BEGIN_GROUP = A\n", "polynomial_format: B\n"):
        path.write_text(sign + text)
        with pytest.raises(SensorModelError, match=r"^a\.RPB: "):
            read(path)
    assert time.monotonic() - started < 5


def test_files_are_bounded_before_they_are_read(tmp_path):
    path = tmp_path / "RPC_a.XML"
    with path.open("wb") as file:
        file.write(b"<Dimap_Document>")
        file.truncate(50_000_000_000)  # sparse: it takes no room
    with pytest.raises(SensorModelError, match=f"more than {sidecar.MAX_XML_BYTES} bytes"):
        read(path)


def test_what_is_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "missing.RPB", tmp_path / "a\0b"):
        with pytest.raises(SensorModelError, match=r"there is no such file|cannot be read"):
            read(path)


def test_segments_of_another_length(tmp_path):
    segment = files.nitf_segment(files.rounded_for_nitf(RPC), order="RPC00A")
    with pytest.raises(SensorModelError, match=r"a\.ntf: segment RPC00A of 1040 bytes; it has 1041"):
        nitf.decode("a.ntf", segment[:-1], order="RPC00A")
    with pytest.raises(SensorModelError, match=r"a.ntf: RPC00A at byte 15 is '  nan"):
        nitf.decode("a.ntf", segment[:15] + "  nan " + segment[21:], order="RPC00A")


def test_a_product_that_is_another_document(tmp_path):
    path = tmp_path / "DIM_X.XML"
    path.write_text("<Other/>")
    with pytest.raises(SensorModelError, match=r"DIM_X\.XML: its root is 'Other'; give a DIMAP file"):
        DimapProduct.read(path)
    with pytest.raises(SensorModelError, match=r"DIM_X\.XML: its root is 'Other'"):
        find_metadata(blank(tmp_path / "IMG_X_R1C1.TIF"))
