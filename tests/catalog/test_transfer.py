"""Everything in a source is imported or reported, whatever its format; what goes out comes back the same."""

import gzip
import json
import multiprocessing
import os
import signal
import time

import orjson
import pystac
import pytest

from catalog.errors import CatalogError, InvalidItemError, InvalidSearchError
from catalog.extent import BBox
from catalog.search import BASE, Search
from catalog.sqlite import SqliteCatalog
from catalog.transfer.exporting import export_items, format_of
from catalog.transfer.importing import Rejected, import_source
from tests.catalog.documents import box, collection, item

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path):
    store = SqliteCatalog(tmp_path / "catalog.db")
    yield store
    store.close()


@pytest.fixture
def write(tmp_path):
    def write(lines, document=None):
        items, about = tmp_path / "items.ndjson", tmp_path / "collection.json"
        items.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines))
        about.write_bytes(orjson.dumps(document or collection()))
        return items, about

    return write


def many(count):
    return [item(f"{number:04}", gsd=number) for number in range(count)]


def held(store, **search):
    return {json.loads(body)["id"] for body in store.view().search(Search(limit=10_000, **search)).items}


# --- in ---


def test_import_and_import_again(store, write):
    items, about = write(many(250))
    steps = []
    report = import_source(
        store, items, collection=about, batch=100, progress=lambda _what, done, total: steps.append((done, total))
    )
    assert (report.imported, report.rejected, report.resumed) == (250, [], 0)
    assert len(held(store)) == 250
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (items.stat().st_size,) * 2
    import_source(store, items, collection=about)
    assert len(held(store)) == 250


def test_every_bad_line_is_reported_and_no_good_one_lost(store, write, tmp_path):
    lines = many(100)
    lines[3] = b"{broken"
    lines[10] = b'{"type": "Feature", "id": NaN}'
    lines[11] = [1, 2]
    lines[12] = collection("other")
    lines[40] = item("0040", at="2026-01-01T00:00:00")
    lines[41] = item("0041", collection="another")
    lines[42] = b"   "
    lines[99] = {**item("0099"), "assets": None}
    items, about = write(lines)
    report = import_source(store, items, collection=about, batch=30, rejects=tmp_path / "rejects.ndjson")
    reasons = {one.place: one.reason for one in report.rejected}
    assert list(reasons) == [f"line {number}" for number in (4, 11, 12, 13, 41, 42, 100)]
    assert "no JSON" in reasons["line 4"]
    assert "no STAC Item" in reasons["line 12"]
    assert "no UTC offset" in reasons["line 41"]
    assert "'another'" in reasons["line 42"]
    assert "assets" in reasons["line 100"]
    assert report.imported == len(held(store)) == 92
    kept = [orjson.loads(line) for line in (tmp_path / "rejects.ndjson").read_bytes().splitlines()]
    assert [Rejected(place=one["place"], reason=one["reason"]) for one in kept] == report.rejected
    assert kept[0]["document"] == "{broken"


def test_what_the_catalog_refuses_is_found_in_its_batch(store, write):
    """Without a collection of its own, an item of an unknown one is refused only when it is written."""
    store.put([collection()])
    lines = many(20)
    lines[7] = item("0007", collection="nowhere")
    items, _ = write(lines)
    report = import_source(store, items)
    assert [one.place for one in report.rejected] == ["line 8"]
    assert "put it first" in report.rejected[0].reason
    assert len(held(store)) == report.imported == 19


def test_an_item_without_a_collection_joins_it(store, write):
    lonely = item("lonely")
    del lonely["collection"]
    items, about = write([lonely])
    assert import_source(store, items, collection=about).imported == 1
    assert json.loads(store.view().get("scenes", "lonely").body)["collection"] == "scenes"


@pytest.mark.parametrize("document", [item(), {"type": "Collection", "id": "x"}, [1]])
def test_a_collection_that_is_none(store, write, document):
    items, about = write([item()], document)
    with pytest.raises(InvalidItemError):
        import_source(store, items, collection=about)
    assert store.view().collections() == ()


def test_a_collection_that_is_no_json(store, write):
    items, about = write([])
    about.write_text("{")
    with pytest.raises(InvalidItemError, match="no JSON"):
        import_source(store, items, collection=about)


def test_a_compressed_file_and_a_feature_collection(store, write, tmp_path):
    items, about = write(many(10))
    packed = tmp_path / "items.ndjson.gz"
    packed.write_bytes(gzip.compress(items.read_bytes()))
    assert import_source(store, packed, collection=about).imported == 10
    whole = tmp_path / "items.json"
    features = [item("a"), {"type": "Feature"}, item("b")]
    whole.write_bytes(orjson.dumps({"type": "FeatureCollection", "features": features}))
    report = import_source(store, whole)
    assert report.imported == 2
    assert [one.place for one in report.rejected] == ["features/1"]
    whole.write_text('{"type": "FeatureCollection"}')
    with pytest.raises(InvalidItemError, match="features"):
        import_source(store, whole)


def test_files_that_are_none(store, tmp_path):
    (tmp_path / "wrong.parquet").write_text("no")
    with pytest.raises(InvalidItemError, match="no Parquet"):
        import_source(store, tmp_path / "wrong.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidItemError, match=r"catalog\.json"):
        import_source(store, tmp_path / "empty")


# --- going on ---


def _import_for_ever(folder):
    store = SqliteCatalog(folder / "catalog.db")
    import_source(store, folder / "items.ndjson", collection=folder / "collection.json", state=folder / "imports",
                  rejects=folder / "rejects.ndjson", batch=50)  # fmt: skip


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(store, write, tmp_path):
    lines = many(20_000)
    lines[5] = b"broken"
    items, about = write(lines)
    process = SPAWN.Process(target=_import_for_ever, args=(tmp_path,))
    process.start()
    notes = tmp_path / "imports"
    until = time.monotonic() + 60
    while not list(notes.glob("*.json")):
        assert time.monotonic() < until, process.exitcode
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (note,) = notes.glob("*.json")
    done = orjson.loads(note.read_bytes())["done"]
    assert 0 < done < 20_000
    report = import_source(store, items, collection=about, state=notes, rejects=tmp_path / "rejects.ndjson")
    assert (report.resumed, report.rejected_before) == (done, 1)
    assert report.imported + len(report.rejected) == 20_000 - done
    assert store.view().summaries()["scenes"].count == 19_999
    assert not list(notes.glob("*.json"))
    assert import_source(store, items, collection=about, state=notes).resumed == 0


# --- out ---


def filled(store):
    store.put([collection(title="Scenes"), collection("other")])
    store.put(many(30))
    store.put([item("across", geometry=box(179, 0, -179, 1), bbox=[179, 0, -179, 1], collection="other")])
    store.put([{**item("nowhere", collection="other"), "geometry": None}])


def documents(store):
    found = store.view().search(Search(limit=1000)).items
    return {(one["collection"], one["id"]): {**one, "links": []} for one in map(json.loads, found)}


@pytest.mark.parametrize("name", ["items.ndjson", "items.parquet", "static"])
def test_what_goes_out_comes_back(store, tmp_path, name):
    filled(store)
    target = tmp_path / name
    assert export_items(store.view(), Search(), target, format_of(target)) == 32
    assert not list(tmp_path.glob(".*.unfinished"))
    again = SqliteCatalog(tmp_path / "again.db")
    if name != "static":
        again.put([collection(title="Scenes"), collection("other")])
    report = import_source(again, target)
    assert report.rejected == []
    assert documents(again) == documents(store)
    again.close()


def test_a_static_catalog_is_read_by_pystac(store, tmp_path):
    filled(store)
    export_items(store.view(), Search(collections=("scenes",)), tmp_path / "static", "static")
    read = pystac.Catalog.from_file(str(tmp_path / "static" / "catalog.json"))
    assert len(list(read.get_items(recursive=True))) == 30
    assert [one.id for one in read.get_children()] == ["scenes"]
    with pytest.raises(CatalogError, match="already"):
        export_items(store.view(), Search(), tmp_path / "static", "static")


def test_a_search_bounds_what_goes_out(store, tmp_path):
    filled(store)
    target = tmp_path / "some.ndjson"
    assert export_items(store.view(), Search(bbox=BBox.of([170, -1, -170, 2])), target, "ndjson") == 1
    with pytest.raises(InvalidSearchError):
        export_items(store.view(), Search(token="wrong"), tmp_path / "none.ndjson", "ndjson")
    assert not list(tmp_path.glob("*none*"))


def test_files_of_this_installation_are_found_elsewhere(store, tmp_path):
    store.put([collection()])
    store.put([{**item("one"), "assets": {"a": {"href": f"{BASE}/files/scenes/one/a.tif"}}}])
    target = tmp_path / "items.ndjson"
    export_items(store.view(), Search(), target, "ndjson", files="https://example.org/files")
    assert orjson.loads(target.read_bytes())["assets"]["a"]["href"] == "https://example.org/files/scenes/one/a.tif"


def test_links_of_a_static_catalog_that_lead_nowhere_are_told(store, tmp_path):
    filled(store)
    export_items(store.view(), Search(collections=("scenes",)), tmp_path / "static", "static")
    (tmp_path / "static" / "scenes" / "0003" / "0003.json").unlink()
    (tmp_path / "outside.json").write_bytes(orjson.dumps(item("outside")))
    about = tmp_path / "static" / "scenes" / "collection.json"
    document = orjson.loads(about.read_bytes())
    document["links"].append({"rel": "item", "href": "../../outside.json"})
    about.write_bytes(orjson.dumps(document))
    again = SqliteCatalog(tmp_path / "again.db")
    report = import_source(again, tmp_path / "static")
    reasons = {one.place: one.reason for one in report.rejected}
    assert "no such file" in reasons["scenes/0003/0003.json"]
    assert "outside" in reasons["../outside.json"]
    assert len(held(again)) == 29
    again.close()


def test_rejects_are_those_of_the_last_import(store, write, tmp_path):
    items, about = write([b"broken", item("good")])
    for _ in range(2):
        import_source(store, items, collection=about, rejects=tmp_path / "rejects.ndjson")
    assert len((tmp_path / "rejects.ndjson").read_bytes().splitlines()) == 1
