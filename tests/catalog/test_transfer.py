"""Every line of a file is imported or reported."""

import json

import orjson
import pytest

from catalog.errors import InvalidItemError
from catalog.search import Search
from catalog.sqlite import SqliteCatalog
from catalog.transfer import ImportReport, import_ndjson
from tests.catalog.documents import collection, item


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


def test_import_and_import_again(store, write):
    files = write([item(f"{number:04}") for number in range(250)])
    steps = []
    report = import_ndjson(store, *files, batch=100, progress=lambda _what, done, total: steps.append((done, total)))
    assert report == ImportReport(imported=250, rejected=())
    assert len(store.search(Search(limit=1000)).items) == 250
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (files[0].stat().st_size,) * 2
    import_ndjson(store, *files)
    assert len(store.search(Search(limit=1000)).items) == 250


def test_every_bad_line_is_reported_and_no_good_one_lost(store, write):
    lines = [item(f"{number:04}") for number in range(100)]
    lines[3] = b"{broken"
    lines[10] = b'{"type": "Feature", "id": NaN}'
    lines[11] = [1, 2]
    lines[12] = collection("other")
    lines[40] = item("0040", at="2026-01-01T00:00:00")
    lines[41] = item("0041", collection="another")
    lines[42] = b"   "
    lines[99] = {**item("0099"), "assets": None}
    report = import_ndjson(store, *write(lines), batch=30)
    assert [line for line, _ in report.rejected] == [4, 11, 12, 13, 41, 42, 100]
    reasons = dict(report.rejected)
    assert "no JSON" in reasons[4]
    assert "no STAC Item" in reasons[12]
    assert "no UTC offset" in reasons[41]
    assert "'another'" in reasons[42]
    assert "assets" in reasons[100]
    assert report.imported == 92
    assert len(store.search(Search(limit=1000)).items) == 92


def test_an_item_without_a_collection_joins_it(store, write):
    lonely = item("lonely")
    del lonely["collection"]
    assert import_ndjson(store, *write([lonely])).imported == 1
    assert json.loads(store.get("scenes", "lonely"))["collection"] == "scenes"


@pytest.mark.parametrize("document", [item(), {"type": "Collection", "id": "x"}, [1]])
def test_a_collection_that_is_none(store, write, document):
    with pytest.raises(InvalidItemError):
        import_ndjson(store, *write([item()], document))
    assert store.collections() == ()


def test_a_collection_that_is_no_json(store, write):
    items, about = write([])
    about.write_text("{")
    with pytest.raises(InvalidItemError, match="no JSON"):
        import_ndjson(store, items, about)
