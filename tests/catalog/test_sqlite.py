"""The embedded catalog against brute force with shapely, and under threads, processes and sudden ends."""

import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import sqlite, sqlite_search, sqlite_write
from catalog.errors import CatalogError, InvalidExtentError, InvalidItemError, InvalidSearchError, NotFoundError
from catalog.extent import BBox, TimeWindow
from catalog.search import BASE, MAX_LIMIT, Search, SortKey
from catalog.sqlite import SqliteCatalog
from tests.catalog.documents import box, collection, item
from tests.catalog.test_contract import SCOPES, fill, some_searches, unknown, walk, worlds

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path):
    store = SqliteCatalog(tmp_path / "deep" / "catalog.db")
    store.put([collection()])
    yield store
    store.close()


def ids(page):
    return [json.loads(body)["id"] for body in page.items]


# --- put, get, delete ---


def test_a_document_comes_back_with_the_links_of_the_tree(store):
    licence = {"rel": "license", "href": "https://example.org/licence"}
    store.put([{**item("a b&c"), "links": [licence, {"rel": "self", "href": "file:///elsewhere.json"}]}])
    document = json.loads(store.view().get("scenes", "a b&c").body)
    links = {link["rel"]: link["href"] for link in document["links"]}
    assert links == {
        "self": f"{BASE}/stac/collections/scenes/items/a%20b%26c",
        "root": f"{BASE}/stac",
        "parent": f"{BASE}/stac/collections/scenes",
        "collection": f"{BASE}/stac/collections/scenes",
        "license": licence["href"],
    }
    assert json.loads(store.view().get("scenes").body)["links"][3]["href"] == f"{BASE}/stac/collections/scenes/items"


def test_putting_again_replaces(store):
    store.put([item(geometry={"type": "Point", "coordinates": [10, 10]})])
    store.put([item(geometry={"type": "Point", "coordinates": [20, 20]}, at="2026-02-01T00:00:00Z", gsd=2)])
    assert json.loads(store.view().get("scenes", "one").body)["properties"]["gsd"] == 2
    assert ids(store.view().search(Search())) == ["one"]
    assert ids(store.view().search(Search(bbox=BBox.of([9, 9, 11, 11])))) == []
    assert ids(store.view().search(Search(bbox=BBox.of([19, 19, 21, 21])))) == ["one"]
    store.put([collection(title="renamed")])
    assert ids(store.view().search(Search())) == ["one"]
    assert json.loads(store.view().collections()[0])["title"] == "renamed"


def test_all_or_none(store):
    with pytest.raises(InvalidItemError, match=r"'two'.*'nowhere' is unknown"):
        store.put([item("one"), item("two", collection="nowhere")])
    assert store.view().search(Search()).items == ()
    assert store.put([collection("nowhere"), item("two", collection="nowhere")]) == 2


def test_items_of_one_name_in_two_collections(store):
    store.put([collection("other"), item(), item(collection="other")])
    page = store.view().search(Search(ids=("one",)))
    assert [json.loads(body)["collection"] for body in page.items] == ["scenes", "other"]
    store.delete("other", "one")
    assert ids(store.view().search(Search())) == ["one"]


def test_delete_leaves_nothing(store, tmp_path):
    store.put([item(str(number), geometry=box(179, 0, -179, 1), bbox=[179, 0, -179, 1]) for number in range(5)])
    store.delete("scenes", "3")
    assert ids(store.view().search(Search())) == ["4", "2", "1", "0"]
    store.delete("scenes")
    with sqlite3.connect(tmp_path / "deep" / "catalog.db") as raw:
        for table in ("collections", "items", "documents", "places"):
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    raw.close()


@pytest.mark.parametrize(("name", "of"), [("scenes", "none"), ("none", None), ("none", "one"), ("a\ud800", "b\x00")])
def test_what_is_not_there(store, name, of):
    with pytest.raises(NotFoundError):
        store.view().get(name, of)
    with pytest.raises(NotFoundError):
        store.delete(name, of)


def test_durable_and_readable_by_a_second_instance(store, tmp_path):
    store.put([item()])
    again = SqliteCatalog(tmp_path / "deep" / "catalog.db")
    assert again.view().get("scenes", "one") == store.view().get("scenes", "one")
    again.close()
    with sqlite3.connect(tmp_path / "deep" / "catalog.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    assert store.database.connection().execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_file_of_a_newer_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "new.db") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(CatalogError, match="newer"):
        SqliteCatalog(tmp_path / "new.db")


# --- places by name ---


@pytest.mark.parametrize(("bbox", "found"), [
    ([178, -1, -178, 2], ["across", "east", "west"]),
    ([179.5, 0, 180, 1], ["across", "west"]),
    ([-180, 0, -179.75, 1], ["across", "west"]),
    ([-179, -1, 179, 2], ["across", "east", "far"]),
    ([0, -1, 170, 2], ["far"]),
    ([-180, -90, 180, 90], ["across", "east", "far", "west"]),
    ([-180, 80, 180, 90], []),
])  # fmt: skip
def test_boxes_at_the_antimeridian(store, bbox, found):
    """A peer returned 199 wrong items and missed the right one for such a box."""
    store.put([
        item("across", geometry=box(179, 0, -179, 1), bbox=[179, 0, -179, 1]),
        item("west", geometry={"type": "Point", "coordinates": [180, 0.5]}),
        item("east", geometry=box(-179.5, 0, -178.5, 1)),
        item("far", geometry=box(100, 0, 101, 1)),
    ])  # fmt: skip
    assert sorted(ids(store.view().search(Search(bbox=BBox.of(bbox))))) == found


def test_every_meridian_meets_at_the_pole(store):
    store.put([item("pole", geometry=box(10, 89, 20, 90)), item("near", geometry=box(10, 88, 20, 89.5))])
    assert ids(store.view().search(Search(bbox=BBox.of([-100, 89.75, -90, 90])))) == ["pole"]
    point = {"type": "Point", "coordinates": [-170, 90]}
    assert ids(store.view().search(Search(intersects=point))) == ["pole"]


def test_a_wide_box_that_its_bbox_confirms_is_not_turned_inside_out(store):
    """Climate data from -180 to 179.75 is nearly the whole Earth, not the quarter degree that is left."""
    store.put([item("globe", geometry=box(-180, -90, 179.75, 90))])
    assert ids(store.view().search(Search(bbox=BBox.of([0, 0, 1, 1])))) == ["globe"]


def test_an_outline_that_crosses_itself_is_mended(store):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    store.put([item("bow", geometry=bow)])
    assert ids(store.view().search(Search(intersects={"type": "Point", "coordinates": [1.75, 1]}))) == ["bow"]
    assert ids(store.view().search(Search(intersects={"type": "Point", "coordinates": [1, 1.75]}))) == []
    with pytest.raises(InvalidExtentError, match="crossing itself"):
        store.view().search(Search(intersects=bow))


def test_the_outline_decides_not_its_box(store):
    store.put([item("triangle", geometry={"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [0, 10], [0, 0]]]})])
    assert ids(store.view().search(Search(bbox=BBox.of([6, 6, 9, 9])))) == []
    assert ids(store.view().search(Search(bbox=BBox.of([4, 4, 9, 9])))) == ["triangle"]


# --- tokens and pages ---


def test_tokens_belong_to_their_search_and_catalog(store, tmp_path):
    store.put([item(str(number)) for number in range(5)])
    token = store.view().search(Search(limit=2)).next_token
    assert ids(store.view().search(Search(limit=3, token=token))) == ["2", "1", "0"]
    other = SqliteCatalog(tmp_path / "other.db")
    with pytest.raises(InvalidSearchError, match="token"):
        other.view().search(Search(token=token))
    other.close()
    with pytest.raises(InvalidSearchError, match="token"):
        store.view().search(Search(collections=("scenes",), token=token))
    for altered in ("", "x", "é", "A" * 10_000, token[:-2], token + "AAAA", token.swapcase(), f"{token}\x00"):
        with pytest.raises(InvalidSearchError, match="token"):
            store.view().search(Search(token=altered))


def test_an_empty_page_leads_back(store):
    store.put([item(str(number)) for number in range(4)])
    token = store.view().search(Search(limit=2)).next_token
    for name in ("0", "1"):
        store.delete("scenes", name)
    page = store.view().search(Search(limit=2, token=token))
    assert page.items == ()
    assert page.next_token is None
    assert ids(store.view().search(Search(limit=2, token=page.previous_token))) == ["3", "2"]


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 10**9])
def test_limits_out_of_bounds(limit):
    with pytest.raises(InvalidSearchError, match="limit"):
        Search(limit=limit)


def test_pages_stay_whole_while_items_are_written(store):
    """What was there when the walk began, and stays, is seen exactly once, whatever else comes and goes."""
    kept = [f"kept-{number:03}" for number in range(200)]
    store.put([item(name, at=f"2026-01-{1 + number % 28:02}T00:00:00Z") for number, name in enumerate(kept)])
    stop = threading.Event()
    written = []

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            at = f"2026-01-{1 + number % 28:02}T00:00:00Z"
            store.put([item(f"new-{number:05}", at=at)])
            if number % 3 == 0:
                store.delete("scenes", f"new-{number - 1:05}")
            written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        rounds = 0
        while rounds < 5 or len(written) < 20:
            rounds += 1
            seen = []
            page = store.view().search(Search(limit=7))
            while True:
                seen += ids(page)
                if page.next_token is None:
                    break
                page = store.view().search(Search(limit=7, token=page.next_token))
            assert len(seen) == len(set(seen))
            assert sorted(name for name in seen if name in kept) == kept
            back = ids(page)
            while page.previous_token is not None:
                page = store.view().search(Search(limit=7, token=page.previous_token))
                back = ids(page) + back
            assert sorted(name for name in back if name in kept) == kept
    finally:
        stop.set()
        writer.join()


# --- threads, processes, sudden ends ---


def _put_from_a_process(path, worker, count):
    store = SqliteCatalog(path)
    store.put([collection()])
    for number in range(count):
        store.put([item(f"{worker}-{number}")])
    store.close()


@pytest.mark.slow
def test_processes_make_and_fill_one_file_together(tmp_path):
    path = tmp_path / "catalog.db"
    workers = [SPAWN.Process(target=_put_from_a_process, args=(path, worker, 20)) for worker in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = SqliteCatalog(path)
    assert len(store.view().search(Search(limit=100)).items) == 40
    store.close()


def test_threads_write_and_read_at_once(store):
    errors = []

    def work(thread):
        try:
            for number in range(15):
                store.put([item(f"{thread}-{number}")])
                assert json.loads(store.view().get("scenes", f"{thread}-{number}").body)["id"] == f"{thread}-{number}"
        except Exception as error:  # noqa: BLE001 - whatever a thread meets is the finding
            errors.append(error)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.view().search(Search(limit=1000)).items) == 120


def _put_for_ever(path, ready):
    store = SqliteCatalog(path)
    store.put([collection()])
    number = 0
    while True:
        store.put([item(f"{number:06}-{part}") for part in "abc"])
        with ready.get_lock():
            ready.value = number + 1
        number += 1


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.2])
def test_killed_while_writing(tmp_path, delay_s):
    """Every put that returned is there, whole; the one that was cut short is there whole or not at all."""
    path = tmp_path / "catalog.db"
    ready = SPAWN.Value("i", 0)
    writer = SPAWN.Process(target=_put_for_ever, args=(path, ready))
    writer.start()
    while ready.value == 0:
        time.sleep(0.01)
    time.sleep(delay_s)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    acknowledged = ready.value
    store = SqliteCatalog(path)
    found = ids(store.view().search(Search(limit=MAX_LIMIT)))
    store.close()
    assert len(found) % 3 == 0
    assert acknowledged * 3 <= len(found) <= (acknowledged + 1) * 3


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_a_forked_process_opens_its_own_connection(store):
    import warnings

    store.put([item()])
    before = store.database.connection()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking with threads about is what this is for
        child = os.fork()
    if child == 0:
        good = store.database.connection() is not before and store.view().get("scenes", "one") is not None
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert store.database.connection() is before


def test_a_full_disk_changes_nothing(store):
    """SQLite reports the limit on its pages exactly as it reports a full disk."""
    store.put([item()])
    connection = store.database.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(CatalogError, match="full"):
        store.put([item(f"big-{number}", note="x" * 5000) for number in range(100)])
    connection.execute("PRAGMA max_page_count = 1000000")
    assert ids(store.view().search(Search())) == ["one"]
    store.put([item("two")])


def test_a_reader_does_not_wait_for_a_writer(store):
    store.put([item()])
    with store.database.writing() as connection:
        connection.execute("DELETE FROM items")
        seen = []
        reader = threading.Thread(target=lambda: seen.append(ids(store.view().search(Search()))))
        reader.start()
        reader.join(timeout=5)
        assert seen == [["one"]]


# --- plans ---


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A file in which properties of every type have an index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_write, "INDEXED", ("gsd", "eo:cloud_cover", "n", "t", "flag"))
        store = SqliteCatalog(tmp_path_factory.mktemp("plans") / "catalog.db")
        store.database.connection().execute("PRAGMA synchronous = OFF")  # what is tested here is not durability
        yield store
        store.close()


@pytest.mark.parametrize(
    ("few", "walk_speed"),
    [(10**9, 1.0), (-(10**9), 1e30), (0, 1.0)],
    ids=["everything is listed", "nothing is listed", "by the shorter way"],
)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(oracle=worlds, searches=some_searches, scope=st.sampled_from(SCOPES))
def test_every_way_finds_the_same(  # noqa: PLR0917 - each one drawn
    indexed, few, walk_speed, oracle, searches, scope
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_search, "FEW", few)
        patch.setattr(sqlite_search, "WALK_SPEED", walk_speed)
        sqlite_search._CROWDS.clear()
        fill(indexed, oracle)
        for search in searches:
            if not unknown(search, oracle, scope):
                assert walk(indexed.view(scope), search) == oracle.find(search, scope)
    sqlite_search._CROWDS.clear()


def test_a_quick_search_gives_up_and_a_patient_one_does_not(store, monkeypatch):
    store.put([item(str(number), note=f"n{number}") for number in range(300)])
    search = Search(sortby=(SortKey("note"),), limit=3)
    assert store.view().search_quickly(search) == store.view().search(search)
    monkeypatch.setattr(sqlite, "QUICK_STEPS", 1)
    monkeypatch.setattr(sqlite, "_STEPS_AT_ONCE", 1)
    assert store.view().search_quickly(search) is None
    assert ids(store.view().search(search)) == ["0", "1", "10"]


def test_a_walk_uses_its_index_without_sorting(store):
    """Deep pages and old windows must not cost more than the first page."""
    store.put([item(str(number), at=f"2026-01-{1 + number % 28:02}T00:00:00Z") for number in range(50)])
    statements = []
    connection = store.database.connection()
    window = TimeWindow.parse("2026-01-05T00:00:00Z/2026-01-20T00:00:00Z")
    for chosen in (None, ("scenes",)):
        token = store.view().search(Search(limit=5, datetime=window, collections=chosen)).next_token
        connection.set_trace_callback(statements.append)
        store.view().search(Search(limit=5, datetime=window, collections=chosen, token=token))
        connection.set_trace_callback(None)
    plans = [
        [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in statements
        if "INDEXED BY" in statement
    ]
    document = "SEARCH documents USING INTEGER PRIMARY KEY (rowid=?)"  # and nothing is sorted
    assert plans == [
        ["SEARCH items USING INDEX items_in_order (moment>? AND moment<?)", document],
        ["SEARCH items USING INDEX items_of_collection (collection=? AND moment>? AND moment<?)", document],
    ]


def test_a_long_composite_is_found_by_any_day_of_it(store):
    """The bounds of a walk are widened by the longest span, and narrow again when it goes."""
    store.put([item(f"day-{day}", at=f"2026-01-{day:02}T00:00:00Z") for day in range(1, 29)])
    year = {"datetime": None, "start_datetime": "2025-01-01T00:00:00Z", "end_datetime": "2025-12-31T00:00:00Z"}
    store.put([{**item("year"), "properties": year}])
    assert ids(store.view().search(Search(datetime=TimeWindow.parse("2025-07-01T00:00:00Z")))) == ["year"]
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    assert ids(store.view().search(Search(datetime=TimeWindow(start=moment, end=moment)))) == ["day-5"]


# --- versions of the file ---


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "catalog.db"
    with sqlite3.connect(path) as raw:
        raw.executescript((Path(__file__).parent / "golden" / "first.sql").read_text())
        key = raw.execute("SELECT key FROM secret").fetchone()[0]
    raw.close()
    old = SqliteCatalog(path)
    view = old.view()
    assert old.key == key  # so that tokens that clients hold go on
    assert ids(view.search(Search())) == ["one", "across", "nowhere", "year"]
    assert ids(view.search(Search(bbox=BBox.of([179.5, 0, -179.5, 1])))) == ["across"]
    year = json.loads(view.get("scenes", "year").body)
    assert year["properties"]["eo:cloud_cover"] == 12.5
    assert [link["href"] for link in year["links"] if link["rel"] == "license"] == ["https://example.org/licence"]
    assert view.summaries()["scenes"].count == 3
    old.close()
    fresh = SqliteCatalog(tmp_path / "fresh.db")
    fresh.put([collection(title="Scenes"), item("one", gsd=2)])
    assert sorted(_schema(path)) == sorted(_schema(tmp_path / "fresh.db"))
    fresh.close()


def _schema(path):
    with sqlite3.connect(path) as raw:
        found = {
            (kind, name, table) for kind, name, table in raw.execute("SELECT type, name, tbl_name FROM sqlite_master")
        }
    raw.close()
    return {(kind, name, table) for kind, name, table in found if not name.startswith("items_by_p")}
