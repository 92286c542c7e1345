"""Searches among collections, each condition against what it says."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.collection_search import CollectionSearch, find_collections
from catalog.errors import InvalidSearchError
from catalog.extent import BBox, TimeWindow
from catalog.search import SortKey
from tests.catalog.documents import collection


def extent(*boxes, interval=(None, None)):
    return {"spatial": {"bbox": list(map(list, boxes))}, "temporal": {"interval": [list(interval)]}}


ALPS = collection("alps", title="Snow", keywords=["Mont Blanc"], gsd=2, extent=extent(
    (5, 44, 16, 48), interval=("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")))  # fmt: skip
FIJI = collection("fiji", description="Reefs of the Pacific", gsd=10.5, extent=extent(
    (177, -20, -178, -15), interval=("2021-01-01T00:00:00Z", None)))  # fmt: skip
TWO = collection("two", title="Zwei Orte", extent=extent(
    (0, 0, 60, 60), (0, 0, 1, 1), (59, 59, 60, 60), interval=(None, "1999-12-31T00:00:00Z")))  # fmt: skip
ODD = {**collection("odd"), "extent": {"spatial": {"bbox": [["a"]]}, "temporal": {"interval": []}}}
ALL = tuple(map(orjson.dumps, (ALPS, FIJI, ODD, TWO)))


def found(**conditions):
    page = find_collections(CollectionSearch(**conditions), ALL)
    assert page.matched == len(page.collections)
    return [orjson.loads(one)["id"] for one in page.collections]


@pytest.mark.parametrize(("box", "names"), [
    ([6, 45, 7, 46], ["alps"]), ([179, -17, 180, -16], ["fiji"]), ([-179, -17, -178.5, -16], ["fiji"]),
    ([179, -17, -179, -16], ["fiji"]), ([-180, -17, -180, -16], ["fiji"]), ([30, 30, 31, 31], []),
    ([0.5, 0.5, 2, 2], ["two"]), ([-180, -90, 180, 90], ["alps", "fiji", "two"]),
])  # fmt: skip
def test_places(box, names):
    assert found(bbox=BBox.of(box)) == names


@pytest.mark.parametrize(("window", "names"), [
    ("2020-06-01T00:00:00Z", ["alps"]), ("2021-01-01T00:00:00Z", ["alps", "fiji"]),
    ("2030-01-01T00:00:00Z/..", ["fiji"]),
    ("../1990-01-01T00:00:00Z", ["two"]), ("2000-01-01T00:00:00Z/2019-12-31T23:59:59Z", []),
])  # fmt: skip
def test_times(window, names):
    assert found(datetime=TimeWindow.parse(window)) == names


@pytest.mark.parametrize(("terms", "names"), [
    (["snow"], ["alps"]), (["MONT blanc"], ["alps"]), (["blanc mont"], []), (["reefs of", "orte"], ["fiji", "two"]),
    (["fiji"], ["fiji"]), (["sno"], []), (["!"], []), (["snow mont"], []),
])  # fmt: skip
def test_words(terms, names):
    assert found(text=tuple(terms)) == names


def test_orders():
    assert found(sortby=(SortKey("id", descending=True),)) == ["two", "odd", "fiji", "alps"]
    assert found(sortby=(SortKey("gsd"),)) == ["alps", "fiji", "odd", "two"]
    assert found(sortby=(SortKey("gsd", descending=True), SortKey("id"))) == ["fiji", "alps", "odd", "two"]
    with pytest.raises(InvalidSearchError, match="nothing"):
        found(sortby=(SortKey("nothing"),))


@given(st.integers(0, 12), st.integers(1, 13))
def test_pages(count, limit):
    documents = [orjson.dumps(collection(f"c{number:02}")) for number in range(count)]
    pages = [find_collections(CollectionSearch(limit=limit), documents)]
    while pages[-1].next_token is not None:
        pages.append(find_collections(CollectionSearch(limit=limit, token=pages[-1].next_token), documents))
    assert [one for page in pages for one in page.collections] == documents
    assert pages[0].previous_token is None
    for before, after in pairwise(pages):
        assert find_collections(CollectionSearch(limit=limit, token=after.previous_token), documents) == before


@pytest.mark.parametrize("token", ["", "-1", "x", "１", "1" * 10, "1.5"])
def test_tokens_that_are_none(token):
    with pytest.raises(InvalidSearchError, match="token"):
        find_collections(CollectionSearch(token=token), ALL)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_limits_that_are_none(limit):
    with pytest.raises(InvalidSearchError, match="limit"):
        CollectionSearch(limit=limit)
