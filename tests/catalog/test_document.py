"""What a catalog takes in, and what it refuses by name and reason."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.document import microseconds, read_document
from catalog.errors import InvalidItemError
from tests.catalog.documents import box, collection, item


def changed(document, **more):
    return {**document, **more}


def without(document, key):
    return {name: value for name, value in document.items() if name != key}


BAD = {
    "nothing": ({}, "type None"),
    "a catalog": (changed(collection(), type="Catalog"), "type 'Catalog'"),
    "no id": (without(item(), "id"), "id: None"),
    "an id that is a number": (changed(item(), id=5), "id: 5"),
    "an id with a slash": (changed(item(), id="a/b"), "id: 'a/b' cannot"),
    "an id that climbs": (changed(item(), id=".."), "cannot"),
    "an id that cannot be printed": (changed(item(), id="a\nb"), "cannot"),
    "an id that is half a character": (changed(item(), id="a\ud800"), "surrogates"),
    "a character that ends texts": (item(note="a\0b"), "U+0000"),
    "an id without end": (changed(item(), id="a" * 513), "cannot"),
    "no collection": (without(item(), "collection"), "collection: None"),
    "STAC 0.9": (changed(item(), stac_version="0.9.0"), "stac_version: '0.9.0'"),
    "no assets": (without(item(), "assets"), "assets: missing"),
    "an asset without a href": (changed(item(), assets={"b1": {"title": "x"}}), "assets/b1: it has no href"),
    "no properties": (without(item(), "properties"), "properties/datetime"),
    "no datetime": (changed(item(), properties={}), "properties/datetime: missing"),
    "a datetime of null alone": (changed(item(), properties={"datetime": None}), "start_datetime and end_datetime"),
    "a naive datetime": (item(at="2026-01-01T00:00:00"), "no UTC offset"),
    "a datetime that is a number": (item(at=2026), "2026 is no RFC 3339"),
    "a reversed span": (
        item(start_datetime="2026-02-01T00:00:00Z", end_datetime="2026-01-01T00:00:00Z"),
        "after end_datetime",
    ),
    "a geometry without a bbox": (without(item(), "bbox"), "bbox: missing"),
    "a bbox of text": (item(bbox=["a", 0, 1, 1]), "bbox"),
    "a bbox of NaN": (item(bbox=[math.nan, 0, 1, 1]), "not JSON compliant"),
    "a reversed bbox": (item(bbox=[0, 5, 1, 1]), "south 5.0 lies above"),
    "a geometry off the Earth": (item(geometry=box(0, 0, 1, 95), bbox=[0, 0, 1, 90]), "leave"),
    "a geometry of no type": (changed(item(), geometry={"type": "Circle", "coordinates": [0, 0]}), "type 'Circle'"),
    "links that are none": (changed(item(), links=[1]), "links"),
    "a link without a href": (changed(item(), links=[{"rel": "about"}]), "links"),
    "NaN": (item(gsd=math.nan), "no JSON"),
    "half a character": (item(note="\ud800"), "no JSON"),
    "what JSON has not": (item(when=datetime(2026, 1, 1, tzinfo=UTC)), "no JSON"),
    "a collection without an extent": (without(collection(), "extent"), "extent: missing"),
    "a collection without a licence": (without(collection(), "license"), "license: missing"),
}


@pytest.mark.parametrize(("document", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_documents_are_named_with_the_reason(document, reason):
    with pytest.raises(InvalidItemError) as caught:
        read_document(document)
    assert reason in str(caught.value)
    assert str(document.get("id"))[:5].encode("unicode_escape").decode() in str(caught.value)


def test_an_item_that_contains_itself_is_no_json():
    endless = item()
    endless["properties"]["self"] = endless
    with pytest.raises(InvalidItemError, match="no JSON"):
        read_document(endless)


def test_moment_and_span():
    def times(**properties):
        read = read_document(changed(item(), properties=properties))
        return [
            value - microseconds(datetime(2026, 1, 1, tzinfo=UTC)) for value in (read.moment, read.since, read.until)
        ]

    start, middle, end = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02.5Z"
    assert times(datetime=middle) == [1_000_000] * 3
    assert times(datetime=middle, start_datetime=start, end_datetime=end) == [1_000_000, 0, 2_500_000]
    assert times(datetime=None, start_datetime=start, end_datetime=end) == [0, 0, 2_500_000]
    assert times(datetime=middle, start_datetime=start) == [1_000_000] * 3


def test_what_is_given_is_not_changed():
    document = item()
    copy = json.loads(json.dumps(document))
    read_document(document)
    assert document == copy


def test_everything_but_the_links_is_kept():
    document = item(title="Ventoux ☀", **{"eo:cloud_cover": 12.5})
    kept = json.loads(read_document(document).body)
    assert without(kept, "links") == without(document, "links")
    assert "☀" in read_document(document).body.decode()


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*item(), "new"]), values, st.sampled_from([item, collection]))
def test_whatever_stands_in_a_field_is_taken_or_named(field, value, kind):
    try:
        read = read_document({**kind(), field: value})
    except InvalidItemError:
        pass  # named; any other error would end the test
    else:
        assert json.loads(read.body)["id"] == read.id
