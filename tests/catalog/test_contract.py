"""What every catalog has to do, whatever it keeps its items in: one suite over all stores, against brute force."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from catalog.aggregate import aggregation
from catalog.errors import (
    ExistsError,
    InvalidExtentError,
    InvalidItemError,
    InvalidSearchError,
    NotFoundError,
    PreconditionError,
)
from catalog.extent import BBox, TimeWindow
from catalog.filter import CORE, GEOMETRY, properties_of
from catalog.filter_reader import read_filter
from catalog.queryables import STANDARD
from catalog.search import BASE, Condition, Search, SortKey
from catalog.sqlite import SqliteCatalog
from catalog.summary import MAX_VALUE_LENGTH
from tests.catalog import strategies
from tests.catalog.documents import box, collection, item
from tests.catalog.known import microseconds
from tests.catalog.oracle import Oracle, arc_around, arc_of, recount

COLLECTIONS = {"a": None, "b": "tenant-b", "c": "tenant-c"}
"""Whose they are."""

SCOPES = [None, frozenset(), frozenset({"tenant-b"}), frozenset({"tenant-b", "tenant-c"}), frozenset({"nobody"})]


# --- stores: one of each kind for the whole suite, refilled rather than made anew ---


@pytest.fixture(scope="module", params=["sqlite", "pgstac"])
def make_catalog(request, tmp_path_factory):
    """Make an empty catalog; close it at the end."""
    opened = []

    def make():
        if request.param == "sqlite":
            made = SqliteCatalog(tmp_path_factory.mktemp("contract") / "catalog.db")
            made.database.connection().execute("PRAGMA synchronous = OFF")  # what is tested here is not durability
        else:
            from catalog.pgstac import PgstacCatalog

            made = PgstacCatalog(request.getfixturevalue("postgres")())
        opened.append(made)
        return made

    yield make
    for made in opened:
        made.close()


@pytest.fixture(scope="module")
def kept(make_catalog):
    return make_catalog()


@pytest.fixture(scope="module")
def other(make_catalog):
    """Another one of the same kind."""
    return make_catalog()


@pytest.fixture
def catalog(kept):
    """With the collection ``scenes``, and empty but for it."""
    empty(kept)
    kept.put([collection()])
    return kept


def empty(catalog):
    for body in catalog.view().collections():
        catalog.delete(json.loads(body)["id"])


def fill(catalog, oracle, tenants=None):
    """Have a catalog hold what some tenants see of an oracle's items, or all of them."""
    seen = oracle.visible(tenants)
    there = {json.loads(body)["id"] for body in catalog.view().collections()}
    if there != seen:
        empty(catalog)
        for name in sorted(seen):
            catalog.put([collection(name)], tenant=oracle.tenants[name])
    wanted = {name: known.document for name, known in oracle.items.items() if name[0] in seen}
    for where, name in set(names(everything(catalog))) - wanted.keys():
        catalog.delete(where, name)
    catalog.put(wanted.values())


def everything(catalog):
    return catalog.view().search(Search(limit=10_000))


def names(page):
    return [(document["collection"], document["id"]) for document in map(json.loads, page.items)]


def ids(page):
    return [name for _, name in names(page)]


def walk(view, search):
    """All pages forwards, then all pages back; both must tell the same."""
    forwards, page, token = [], None, None
    while True:
        page = view.search(replace(search, token=token))
        forwards.append(names(page))
        if page.next_token is None:
            break
        token = page.next_token
    backwards = [forwards[-1]]
    while page.previous_token is not None:
        page = view.search(replace(search, token=page.previous_token))
        backwards.append(names(page))
    assert [name for some in reversed(backwards) for name in some] == [name for some in forwards for name in some]
    assert all(len(some) == search.limit for some in forwards[:-1])
    assert len(forwards) == 1 or forwards[-1]
    return [name for some in forwards for name in some]


# --- searches ---


def unknown(search, oracle, tenants):
    """Names in a search that nothing has which it looks at."""
    where = oracle.visible(tenants) & set(oracle.tenants if search.collections is None else search.collections)
    asked = {key.property for key in search.sortby} | set(properties_of(search.filter))
    return asked - oracle.held(where) - STANDARD - CORE.keys() - {GEOMETRY}


worlds = strategies.oracles(tenants=COLLECTIONS, min_size=10, max_size=25)
some_searches = st.lists(strategies.searches(collections=(*COLLECTIONS, "nowhere")), min_size=10, max_size=10)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(oracle=worlds, searches=some_searches, scope=st.sampled_from(SCOPES))
def test_a_search_finds_what_brute_force_finds(kept, oracle, searches, scope):
    fill(kept, oracle)
    view = kept.view(scope)
    for search in searches:
        if unknown(search, oracle, scope):
            with pytest.raises(InvalidSearchError, match="no item here has a property"):
                view.search(search)
        else:
            expected = oracle.find(search, scope)
            assert walk(view, search) == expected
            assert view.search(search).matched == (len(expected) if search.count else None)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(oracle=worlds, search=strategies.searches(collections=tuple(COLLECTIONS)), changes=st.data())
def test_pages_stay_whole_while_items_come_and_go(kept, oracle, search, changes):
    """What is there when a walk begins, and stays as it is, is seen exactly once, in order, whatever else happens."""
    assume(not unknown(search, oracle, None))
    fill(kept, oracle)
    view, touched, seen, token = kept.view(), set(), [], None
    found = oracle.find(search)
    for _ in range(100):
        page = view.search(replace(search, token=token))
        seen += names(page)
        token = page.next_token
        if token is None:
            break
        known = changes.draw(strategies.known_items(collections=tuple(COLLECTIONS)))
        if changes.draw(st.booleans()):
            kept.put([known.document])
            touched.add(known.name)
        elif oracle.items.keys() - touched:
            gone = changes.draw(st.sampled_from(sorted(oracle.items.keys() - touched)))
            kept.delete(*gone)
            touched.add(gone)
    assert [name for name in seen if name not in touched] == [name for name in found if name not in touched]


FIGURES = ["total_count", "datetime_min", "datetime_max", "collection_frequency", "terms:platform", "histogram:gsd"]


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(oracle=worlds, searches=some_searches, scope=st.sampled_from(SCOPES))
def test_figures_are_those_of_what_brute_force_finds(kept, oracle, searches, scope):
    fill(kept, oracle)
    wanted = [aggregation(name) for name in FIGURES]
    for search in searches:
        if unknown(search, oracle, scope):
            with pytest.raises(InvalidSearchError, match="no item here has a property"):
                kept.view(scope).aggregate(search, wanted)
            continue
        found = [oracle.items[name] for name in oracle.find(search, scope)]
        count, first, last, where, platforms, histogram = kept.view(scope).aggregate(search, wanted)
        moments = [known.times[0] for known in found]
        assert count.value == len(found)
        assert (microseconds(first.value), microseconds(last.value)) == (
            min(moments, default=None),
            max(moments, default=None),
        )
        assert frequencies(where) == Counter(known.name[0] for known in found)
        held = [known.properties["platform"] for known in found if "platform" in known.properties]
        assert frequencies(platforms) == Counter(held)
        steps = [float(known.properties["gsd"]) // 10 for known in found if "gsd" in known.properties]
        assert {bucket.start: bucket.frequency for bucket in histogram.buckets} == {
            10 * step: often for step, often in Counter(steps).items()
        }


def frequencies(aggregate):
    return {bucket.key: bucket.frequency for bucket in aggregate.buckets}


# --- tokens ---


def test_tokens_belong_to_their_search_and_catalog(catalog, other):
    catalog.put([item(str(number), gsd=number) for number in range(5)])
    view = catalog.view()
    asked = Search(limit=2, filter=read_filter("gsd >= 0"))
    page = view.search(asked)
    token = page.next_token
    assert ids(page) + ids(view.search(replace(asked, limit=3, token=token))) == ["4", "3", "2", "1", "0"]
    empty(other)
    other.put([collection(), *(item(str(number), gsd=number) for number in range(5))])
    with pytest.raises(InvalidSearchError, match="token"):
        other.view().search(replace(asked, token=token))
    with pytest.raises(InvalidSearchError, match="token"):
        catalog.view(frozenset()).search(replace(asked, token=token))
    for change in (
        {"collections": ("scenes",)}, {"ids": ("1",)}, {"bbox": BBox.of([0, 0, 9, 50])}, {"text": ("x",)},
        {"filter": None}, {"datetime": TimeWindow.parse("2020-01-01T00:00:00Z/..")},
        {"sortby": (SortKey("gsd"),)}, {"filter": read_filter("gsd >= 1")},
        {"intersects": {"type": "Point", "coordinates": [5, 44]}},
    ):  # fmt: skip
        with pytest.raises(InvalidSearchError, match="token"):
            view.search(replace(asked, token=token, **change))


@st.composite
def alterations(draw, token):
    at = draw(st.integers(0, len(token) - 1))
    before, after = token[:at], token[at + 1 :]
    cuts = st.sampled_from([before, before + after, token + token[at], token[::-1], token.swapcase()])
    return draw(cuts | st.characters().map(lambda char: before + char + after) | st.text())


@given(data=st.data())
def test_altered_tokens_are_refused(kept, data):
    if len(everything(kept).items) < 3:
        kept.put([collection(), *(item(str(number)) for number in range(3))])
    token = kept.view().search(Search(limit=1)).next_token
    altered = data.draw(alterations(token))
    assume(altered != token)
    with pytest.raises(InvalidSearchError, match="token"):
        kept.view().search(Search(limit=1, token=altered))


def test_an_empty_page_leads_back(catalog):
    catalog.put([item(str(number)) for number in range(4)])
    view = catalog.view()
    token = view.search(Search(limit=2)).next_token
    for name in ("0", "1"):
        catalog.delete("scenes", name)
    page = view.search(Search(limit=2, token=token))
    assert page.items == ()
    assert page.next_token is None
    assert ids(view.search(Search(limit=2, token=page.previous_token))) == ["3", "2"]


# --- who sees what ---


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(oracle=worlds, searches=some_searches, scope=st.sampled_from(SCOPES[1:]))
def test_what_is_invisible_is_as_if_it_were_not_there(kept, other, oracle, searches, scope):
    """A catalog that holds only the visible part says the same of everything."""
    empty(kept)  # a summary remembers that there were too many values to list
    empty(other)
    fill(kept, oracle)
    fill(other, oracle, scope)
    view, alone = kept.view(scope), other.view()
    assert view.collections() == alone.collections()
    assert view.summaries() == alone.summaries()
    for search in searches:
        told, tells = said(view, search), said(alone, search)
        assert told == tells
    for where in COLLECTIONS:
        for name in (None, *"abc", "none"):
            assert got(view, where, name) == got(alone, where, name)


def said(view, search):
    try:
        page = view.search(search)
    except InvalidSearchError as error:
        return str(error)
    return page.items, page.matched, page.next_token is None


def got(view, where, name):
    try:
        document = view.get(where, name)
    except NotFoundError as error:
        return str(error)
    return document.body, document.etag


def test_a_tenant_writes_into_no_collection_of_another(kept):
    empty(kept)
    kept.put([collection("mine")], tenant="me")
    kept.put([collection("open")])
    kept.put([item("one", collection="mine"), item("one", collection="open")], tenant="me")
    messages = []
    for where in ("mine", "nowhere"):
        with pytest.raises(InvalidItemError, match="is unknown") as caught:
            kept.put([item("two", collection=where)], tenant="you")
        messages.append(str(caught.value).replace(where, "…"))
    assert messages[0] == messages[1]
    with pytest.raises(ExistsError):
        kept.put([collection("mine", title="yours")], tenant="you")
    assert sorted(names(everything(kept))) == [("mine", "one"), ("open", "one")]
    kept.put([collection("mine", title="new")])  # by nobody in particular: it stays whose it is
    assert [json.loads(body)["id"] for body in kept.view(frozenset({"you"})).collections()] == ["open"]
    assert [json.loads(body)["id"] for body in kept.view(frozenset({"me"})).collections()] == ["mine", "open"]


# --- unknown properties ---


@pytest.mark.parametrize(("asked", "meant"), [
    ({"filter": read_filter("eo:clod_cover < 5")}, "did you mean eo:cloud_cover"),
    ({"filter": read_filter("cloud_cover < 5")}, "did you mean eo:cloud_cover"),
    ({"filter": read_filter("NOT zzz IS NULL")}, "'zzz'"),
    ({"filter": read_filter("A_CONTAINS(zzz, ('x'))")}, "'zzz'"),
    ({"filter": read_filter("T_AFTER(datetime, INTERVAL(zzz, '..'))")}, "'zzz'"),
    ({"sortby": (SortKey("secret"),)}, "sortby: no item here has a property 'secret'"),
    ({"sortby": (SortKey("gsd"),), "collections": ("scenes",)}, None),
    ({"sortby": (SortKey("mine"),), "collections": ("scenes",)}, None),
    ({"sortby": (SortKey("mine"),), "collections": ("others",)}, "'mine'"),
])  # fmt: skip
def test_unknown_properties(catalog, asked, meant):
    catalog.put([item("one", mine=1), collection("others"), item("two", collection="others")])
    catalog.put([collection("hidden")], tenant="somebody")
    catalog.put([item("three", collection="hidden", secret=1)])
    view = catalog.view(frozenset())
    if meant is None:
        assert ids(view.search(Search(**asked)))
    else:
        with pytest.raises(InvalidSearchError, match=meant):
            view.search(Search(**asked))


def test_a_property_is_known_as_long_as_an_item_has_it(catalog):
    asked = Search(sortby=(SortKey("mine"),))
    for _ in range(2):
        with pytest.raises(InvalidSearchError, match="'mine'"):
            catalog.view().search(asked)
        catalog.put([item("one", mine=1), item("two")])
        assert ids(catalog.view().search(asked)) == ["one", "two"]
        catalog.put([item("one")])


# --- documents ---


foreign = st.dictionaries(
    st.sampled_from(["x", "é", 'a"b', "stac_extensions", "private", "content", "_x"]),
    strategies.values | st.just({"b": [1.5, None, "ü"]}),
)


@given(known=strategies.known_items(collections=("scenes",)), more=foreign)
def test_a_document_comes_back_as_it_was_put(kept, known, more):
    if "scenes" not in {json.loads(body)["id"] for body in kept.view().collections()}:
        kept.put([collection()])
    asset = {"href": "https://example.org/é?a=1&b", "roles": ["data"], "proj:shape": [1, 2], "x": {"y": None}}
    link = {"rel": "license", "href": "https://example.org", "title": "Ü"}
    document = {**more, **known.document, "assets": {"a b": asset, "": {"href": "./x"}}, "links": [link]}
    kept.put([document])
    back = json.loads(kept.view().get("scenes", known.name[1]).body)
    page = kept.view().search(Search(ids=(known.name[1],), collections=("scenes",)))
    assert json.loads(page.items[0]) == back
    assert page.items[0] == kept.view().get("scenes", known.name[1]).body
    links = back.pop("links")
    assert back == {name: value for name, value in document.items() if name != "links"}
    assert [one for one in links if one["rel"] == "license"] == [link]
    assert {one["rel"] for one in links} == {"self", "root", "parent", "collection", "license"}


def test_a_document_has_the_links_of_the_tree(catalog):
    licence = {"rel": "license", "href": "https://example.org/licence"}
    catalog.put([{**item("a b&c"), "links": [licence, {"rel": "self", "href": "file:///elsewhere.json"}]}])
    document = json.loads(catalog.view().get("scenes", "a b&c").body)
    assert {link["rel"]: link["href"] for link in document["links"]} == {
        "self": f"{BASE}/stac/collections/scenes/items/a%20b%26c",
        "root": f"{BASE}/stac",
        "parent": f"{BASE}/stac/collections/scenes",
        "collection": f"{BASE}/stac/collections/scenes",
        "license": licence["href"],
    }
    links = json.loads(catalog.view().get("scenes").body)["links"]
    assert f"{BASE}/stac/collections/scenes/items" in [link["href"] for link in links]


def test_documents_may_be_given_as_their_json(catalog):
    catalog.put([json.dumps(item("one")).encode(), item("two")])
    assert ids(everything(catalog)) == ["two", "one"]
    with pytest.raises(InvalidItemError, match="no JSON"):
        catalog.put([b"{"])


# --- writing ---


def test_putting_again_replaces(catalog):
    catalog.put([item(geometry={"type": "Point", "coordinates": [10, 10]})])
    catalog.put([item(geometry={"type": "Point", "coordinates": [20, 20]}, at="2026-02-01T00:00:00Z", gsd=2)])
    view = catalog.view()
    assert json.loads(view.get("scenes", "one").body)["properties"]["gsd"] == 2
    assert ids(everything(catalog)) == ["one"]
    assert ids(view.search(Search(bbox=BBox.of([9, 9, 11, 11])))) == []
    assert ids(view.search(Search(bbox=BBox.of([19, 19, 21, 21])))) == ["one"]
    catalog.put([collection(title="renamed")])
    assert ids(everything(catalog)) == ["one"]
    assert json.loads(view.collections()[0])["title"] == "renamed"


def test_of_two_of_one_name_the_last_one_stays(catalog):
    assert catalog.put([item(gsd=1), item(gsd=2)]) == 2
    assert json.loads(catalog.view().get("scenes", "one").body)["properties"]["gsd"] == 2
    assert catalog.view().summaries()["scenes"].count == 1


def test_all_or_none(catalog):
    with pytest.raises(InvalidItemError, match=r"'two'.*'nowhere' is unknown"):
        catalog.put([item("one"), item("two", collection="nowhere")])
    with pytest.raises(InvalidItemError):
        catalog.put([item("one"), {**item("two"), "assets": None}])
    assert everything(catalog).items == ()
    assert catalog.view().summaries()["scenes"].count == 0
    assert catalog.put([collection("nowhere"), item("two", collection="nowhere")]) == 2


def test_items_of_one_name_in_two_collections(catalog):
    catalog.put([collection("other"), item(), item(collection="other")])
    assert names(catalog.view().search(Search(ids=("one",)))) == [("scenes", "one"), ("other", "one")]
    catalog.delete("other", "one")
    assert names(everything(catalog)) == [("scenes", "one")]


def test_a_collection_goes_with_its_items(catalog):
    catalog.put([collection("other"), item(), item(collection="other")])
    catalog.delete("scenes")
    assert names(everything(catalog)) == [("other", "one")]
    with pytest.raises(NotFoundError):
        catalog.view().get("scenes", "one")
    catalog.put([collection()])
    assert catalog.view().summaries()["scenes"].count == 0
    assert names(everything(catalog)) == [("other", "one")]


@pytest.mark.parametrize(("name", "of"), [
    ("scenes", "none"), ("none", None), ("none", "one"), ("a\ud800", "b\x00"), ("scenes", "\x00"), ("a\x00", None),
    ("", ""),
])  # fmt: skip
def test_what_is_not_there(catalog, name, of):
    with pytest.raises(NotFoundError):
        catalog.view().get(name, of)
    with pytest.raises(NotFoundError):
        catalog.delete(name, of)


@pytest.mark.parametrize("name", ["\x00", "\ud800", "'", '"', "%", "\\", "𒀀", "a" * 10_000])
def test_names_that_no_document_has(catalog, name):
    catalog.put([item()])
    view = catalog.view(frozenset({name}))
    assert view.search(Search(ids=(name,))).items == ()
    assert view.search(Search(collections=(name,))).items == ()
    assert view.search(Search(text=(name,))).items == ()
    assert ids(view.search(Search(ids=(name, "one")))) == ["one"]


# --- conditions ---

NAMES = [("scenes", "one"), ("scenes", None)]


def written(catalog, name, **more):
    catalog.put([item("one", **more) if name[1] else collection("scenes", **more)])


@pytest.mark.parametrize("name", NAMES, ids=["an item", "a collection"])
def test_conditions_of_what_is_there(kept, name):
    empty(kept)
    kept.put([collection(), item(), item("two", gsd=5)])
    document = item(title="new") if name[1] else collection(title="new")
    view = kept.view()
    etag, body = view.get(*name).etag, view.get(*name).body
    with pytest.raises(ExistsError):
        kept.put([document], condition=Condition(absent=True))
    with pytest.raises(PreconditionError):
        kept.put([document], condition=Condition(etags=frozenset({"other"})))
    with pytest.raises(PreconditionError):
        kept.delete(*name, condition=Condition(etags=frozenset()))
    assert view.get(*name).body == body
    kept.put([document], condition=Condition(etags=frozenset({"other", etag})))
    assert b'"title":"new"' in view.get(*name).body.replace(b'": "', b'":"')
    with pytest.raises(PreconditionError):
        kept.put([document], condition=Condition(etags=frozenset({etag})))
    kept.put([document], condition=Condition(present=True))
    kept.delete(*name, condition=Condition(etags=frozenset({view.get(*name).etag})))
    with pytest.raises(NotFoundError):
        view.get(*name)


@pytest.mark.parametrize("name", NAMES, ids=["an item", "a collection"])
def test_conditions_of_what_is_not_there(kept, name):
    empty(kept)
    if name[1]:
        kept.put([collection()])
    document = item() if name[1] else collection()
    with pytest.raises(NotFoundError):
        kept.put([document], condition=Condition(present=True))
    with pytest.raises(PreconditionError):
        kept.put([document], condition=Condition(etags=frozenset({"any"})))
    with pytest.raises(PreconditionError):
        kept.delete(*name, condition=Condition(etags=frozenset({"any"})))
    with pytest.raises(NotFoundError):
        kept.delete(*name, condition=Condition(present=True))
    with pytest.raises(NotFoundError):
        kept.view().get(*name)
    kept.put([document], condition=Condition(absent=True))
    assert kept.view().get(*name)


def test_a_condition_holds_for_all_or_nothing_is_written(catalog):
    catalog.put([item("two")])
    with pytest.raises(ExistsError, match="two"):
        catalog.put([item("one"), item("two"), item("three")], condition=Condition(absent=True))
    assert ids(everything(catalog)) == ["two"]
    with pytest.raises(NotFoundError, match="one"):
        catalog.put([item("two", gsd=1), item("one")], condition=Condition(present=True))
    assert "gsd" not in json.loads(catalog.view().get("scenes", "two").body)["properties"]


@pytest.mark.parametrize("name", NAMES, ids=["an item", "a collection"])
def test_an_etag_and_a_time_change_with_the_document_and_only_then(catalog, name):
    catalog.put([item()])
    view = catalog.view()
    before = view.get(*name)
    assert before.etag.isascii()
    assert before.etag.isprintable()
    assert '"' not in before.etag
    assert datetime.now(UTC) - before.modified < timedelta(minutes=1)
    written(catalog, name)
    assert view.get(*name) == before
    written(catalog, name, title="new")
    after = view.get(*name)
    assert after.etag != before.etag
    assert after.modified > before.modified
    written(catalog, name)
    again = view.get(*name)
    assert (again.etag, again.body) == (before.etag, before.body)
    assert again.modified > after.modified


def test_a_collection_changes_with_what_its_items_say_of_it(catalog):
    view = catalog.view()
    before = view.get("scenes")
    catalog.put([item(gsd=1)])
    after = view.get("scenes")
    assert after.etag != before.etag
    assert after.modified >= before.modified
    catalog.delete("scenes", "one")
    assert view.get("scenes").etag == before.etag
    assert view.get("scenes").body == before.body


# --- what a collection holds ---


@st.composite
def stories(draw):
    """Writes, one after the other, to two collections."""
    steps = st.one_of(
        st.lists(strategies.known_items(ids=tuple("abcd")), min_size=1, max_size=4),
        st.tuples(st.sampled_from("ab"), st.sampled_from("abcd")),
        st.sampled_from(["look", "again"]),
    )
    return draw(st.lists(steps, max_size=8))


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(story=stories())
def test_summaries_are_what_a_recount_says(kept, story):
    oracle, crowded = Oracle(tenants={"a": None, "b": None}), set()
    fill(kept, oracle)
    for step in story:
        if isinstance(step, list):
            kept.put([known.document for known in step])
            for known in step:
                oracle.put(known)
                crowded |= {(known.name[0], name) for name, held in recount([known]).items() if is_crowded(held)}
        elif step == "again":
            kept.put([known.document for known in oracle.items.values()])
        elif step == "look":
            kept.view().summaries()
        elif step in oracle.items:
            kept.delete(*step)
            del oracle.items[step]
    summaries = kept.view().summaries()
    assert sorted(summaries) == ["a", "b"]
    for where, summary in summaries.items():
        items = [known for known in oracle.items.values() if known.name[0] == where]
        held = recount(items)
        assert summary.count == len(items)
        assert not summary.stale
        assert {name: told(one) for name, one in summary.properties.items() if (where, name) not in crowded} == {
            name: one for name, one in held.items() if (where, name) not in crowded
        }
        assert summary.properties.keys() == held.keys()
        check_extent(summary.extent, items)
        check_collection(json.loads(kept.view().get(where).body), items)


def is_crowded(held):
    """A text too long to be listed: once there was one, the values are no longer listed."""
    return any(len(text) > MAX_VALUE_LENGTH for text in held["values"])


def told(one):
    return {
        "kinds": one.kinds,
        "range": (one.low, one.high),
        "moments": (one.first, one.last),
        "values": one.values,
    }


def check_extent(extent, items):
    spans = [known.times[1:] for known in items]
    assert (extent.since, extent.until) == (
        min((since for since, _ in spans), default=None),
        max((until for _, until in spans), default=None),
    )
    shapes = [known.shape for known in items if known.shape is not None]
    if not shapes:
        assert extent.bbox is None
        return
    west, south, east, north = extent.bbox
    assert south == min(shape.bounds[1] for shape in shapes)
    assert north == max(shape.bounds[3] for shape in shapes)
    arcs = [arc_of(shape) for shape in shapes]
    width = 360 if (west, east) == (-180, 180) else (east - west) % 360
    assert width == pytest.approx(min(360, arc_around(arcs)[1]), abs=1e-9)
    assert all((start - west) % 360 + length <= width + 1e-9 for start, length in arcs if width < 360)


def check_collection(document, items):
    """Its extent and its summaries are those of its items; without any, they are as they were put."""
    if not items:
        assert document["extent"] == collection()["extent"]
        assert "summaries" not in document
        return
    since, until = document["extent"]["temporal"]["interval"][0]
    assert microseconds(since) == min(known.times[1] for known in items)
    assert microseconds(until) == max(known.times[2] for known in items)
    for name, held in recount(items).items():
        low, high = held["range"]
        if low is not None and name in ("gsd", "eo:cloud_cover", "n"):
            assert document["summaries"][name] == {"minimum": low, "maximum": high}


# --- places by name ---


@pytest.mark.parametrize(("bbox", "found"), [
    ([178, -1, -178, 2], ["across", "east", "west"]),
    ([179.5, 0, 180, 1], ["across", "west"]),
    ([-180, 0, -179.75, 1], ["across", "west"]),
    ([180, 0, -179.75, 1], ["across", "west"]),
    ([-179, -1, 179, 2], ["across", "east", "far"]),
    ([0, -1, 170, 2], ["far"]),
    ([-180, -90, 180, 90], ["across", "east", "far", "west"]),
    ([-180, 80, 180, 90], []),
])  # fmt: skip
def test_boxes_at_the_antimeridian(catalog, bbox, found):
    """pgstac 0.10 returned 199 wrong items and missed the right one for such a box."""
    catalog.put([
        item("across", geometry=box(179, 0, -179, 1), bbox=[179, 0, -179, 1]),
        item("west", geometry={"type": "Point", "coordinates": [180, 0.5]}),
        item("east", geometry=box(-179.5, 0, -178.5, 1)),
        item("far", geometry=box(100, 0, 101, 1)),
        {**item("nowhere"), "geometry": None},
    ])  # fmt: skip
    assert sorted(ids(catalog.view().search(Search(bbox=BBox.of(bbox))))) == found
    within = read_filter({"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": bbox}]})
    assert sorted(ids(catalog.view().search(Search(filter=within)))) == found


def test_every_meridian_meets_at_the_pole(catalog):
    catalog.put([item("pole", geometry=box(10, 89, 20, 90)), item("near", geometry=box(10, 88, 20, 89.5))])
    assert ids(catalog.view().search(Search(bbox=BBox.of([-100, 89.75, -90, 90])))) == ["pole"]
    point = {"type": "Point", "coordinates": [-170, 90]}
    assert ids(catalog.view().search(Search(intersects=point))) == ["pole"]


def test_a_wide_box_that_its_bbox_confirms_is_not_turned_inside_out(catalog):
    """Climate data from -180 to 179.75 is nearly the whole Earth, not the quarter degree that is left."""
    catalog.put([item("globe", geometry=box(-180, -90, 179.75, 90))])
    assert ids(catalog.view().search(Search(bbox=BBox.of([0, 0, 1, 1])))) == ["globe"]


def test_an_outline_that_crosses_itself_is_mended(catalog):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    catalog.put([item("bow", geometry=bow)])
    assert json.loads(catalog.view().get("scenes", "bow").body)["geometry"] == bow
    assert ids(catalog.view().search(Search(intersects={"type": "Point", "coordinates": [1.75, 1]}))) == ["bow"]
    assert ids(catalog.view().search(Search(intersects={"type": "Point", "coordinates": [1, 1.75]}))) == []
    with pytest.raises(InvalidExtentError, match="crossing itself"):
        catalog.view().search(Search(intersects=bow))


def test_the_outline_decides_not_its_box(catalog):
    catalog.put([item("triangle", geometry={"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]})])
    assert ids(catalog.view().search(Search(bbox=BBox.of([6, 6, 9, 9])))) == []
    assert ids(catalog.view().search(Search(bbox=BBox.of([4, 4, 9, 9])))) == ["triangle"]


def test_a_long_composite_is_found_by_any_day_of_it(catalog):
    catalog.put([item(f"day-{day}", at=f"2026-01-{day:02}T00:00:00Z") for day in range(1, 29)])
    year = {"datetime": None, "start_datetime": "2025-01-01T00:00:00Z", "end_datetime": "2025-12-31T00:00:00Z"}
    catalog.put([{**item("year"), "properties": year}])
    assert ids(catalog.view().search(Search(datetime=TimeWindow.parse("2025-07-01T00:00:00Z")))) == ["year"]
    assert ids(catalog.view().search(Search(datetime=TimeWindow.parse("2026-01-05T00:00:00Z")))) == ["day-5"]


# --- order and words by name ---


def test_numbers_come_before_text_and_what_is_missing_last(catalog):
    held = {"low": 1, "high": 10.5, "false": False, "text": "10", "word": "a", "array": [1], "null": None, "object": {}}
    catalog.put([*(item(name, gsd=value) for name, value in held.items()), item("missing")])
    view = catalog.view()
    rest = ["array", "missing", "null", "object"]
    assert ids(view.search(Search(sortby=(SortKey("gsd"),)))) == ["false", "low", "high", "text", "word", *rest]
    down = Search(sortby=(SortKey("gsd", descending=True),))
    assert ids(view.search(down)) == ["word", "text", "high", "low", "false", *reversed(rest)]


def test_ties_go_by_collection_and_id_in_the_direction_of_the_first_key(catalog):
    catalog.put(
        [collection("a"), *(item(name, collection=where, gsd=1) for where in ("a", "scenes") for name in "BbÄ")]
    )
    upwards = [("a", "B"), ("a", "b"), ("a", "Ä"), ("scenes", "B"), ("scenes", "b"), ("scenes", "Ä")]
    assert names(catalog.view().search(Search(sortby=(SortKey("gsd"),)))) == upwards
    down = Search(sortby=(SortKey("gsd", descending=True), SortKey("platform")))
    assert names(catalog.view().search(down)) == upwards[::-1]
    assert names(everything(catalog)) == upwards[::-1]


@pytest.mark.parametrize(("terms", "found"), [
    (["ventoux"], ["title"]),
    (["MONT  ventoux!"], ["title"]),
    (["ventoux mont"], []),
    (["mont", "sensor"], ["description", "title"]),
    (["infra red"], ["keywords"]),
    (["red blue"], []),
    (["strasse"], ["description"]),
    (["vent"], []),
    (["—"], []),
    (["% _"], []),
    ([], []),
])  # fmt: skip
def test_words(catalog, terms, found):
    catalog.put([
        item("title", title="Le Mont-Ventoux"),
        item("description", description="Sensor: Straße"),
        item("keywords", keywords=["infra-red", "blue", 5]),
        item("nothing"),
    ])  # fmt: skip
    assert sorted(ids(catalog.view().search(Search(text=tuple(terms))))) == found


def test_items_are_counted_where_that_is_asked(catalog):
    catalog.put([item(str(number)) for number in range(12)])
    assert catalog.view().search(Search(count=True, limit=5)).matched == 12
    assert catalog.view().search(Search(limit=5)).matched is None
