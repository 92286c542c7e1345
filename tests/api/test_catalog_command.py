"""`overflight catalog` as a user runs it: in from every format, out to every format, killed in between."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import orjson
import pyarrow.parquet as pq
import pystac
import pytest

from catalog.search import Search
from catalog.sqlite import SqliteCatalog
from tests.api.conftest import ENVIRONMENT
from tests.catalog.documents import box, collection, item


@pytest.fixture
def source(tmp_path):
    """Ten items in a file, and their collection in another one."""
    items, about = tmp_path / "items.ndjson", tmp_path / "collection.json"
    documents = [
        item(f"{place}", geometry=box(place, 0, place + 0.5, 1), at=f"2026-01-{place + 1:02}T00:00:00Z", gsd=place)
        for place in range(10)
    ]
    items.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in documents))
    about.write_bytes(orjson.dumps(collection()))
    return items, about


@pytest.fixture
def loaded(source, tmp_path, overflight_here):
    """A data folder with these items."""
    answer = overflight_here("catalog", "import", source[0], "--collection", source[1], "--data", tmp_path / "data")
    assert answer.stdout == "10 imported, 0 rejected\n"
    return tmp_path / "data"


def exported(path):
    return sorted(json.loads(line)["id"] for line in path.read_text().splitlines())


# ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_does_not_fit_is_told_and_kept(source, tmp_path, overflight_here):
    items, about = source
    lines = items.read_bytes().splitlines(keepends=True)
    lines[3] = b"{broken\n"
    lines += [orjson.dumps(item("far", geometry=box(0, 0, 1, 1), bbox=[0, 1, 1, 0])) + b"\n" for _ in range(25)]
    items.write_bytes(b"".join(lines))
    answer = overflight_here("catalog", "import", items, "--collection", about, "--data", tmp_path / "data")
    assert answer.returncode == 1
    assert answer.stdout == "9 imported, 26 rejected\n"
    told = answer.stderr.splitlines()
    assert told[0].startswith("items.ndjson:4: no JSON")
    assert told[20:22] == ["and 6 more", f"what was rejected is in {items}.rejects.ndjson"]
    kept = [json.loads(line) for line in (tmp_path / "items.ndjson.rejects.ndjson").read_text().splitlines()]
    assert [one["place"] for one in kept] == ["line 4", *(f"line {line}" for line in range(11, 36))]
    assert kept[0]["document"] == "{broken"
    assert all(one["reason"] for one in kept)


def test_rejects_go_where_they_are_wanted(source, tmp_path, overflight_here):
    items, about = source
    items.write_bytes(b"[]\n")
    wanted = tmp_path / "wrong.ndjson"
    answer = overflight_here(
        "catalog", "import", items, "--collection", about, "--data", tmp_path / "data", "--rejects", wanted
    )
    assert answer.returncode == 1
    assert json.loads(wanted.read_text())["place"] == "line 1"
    assert not (tmp_path / "items.ndjson.rejects.ndjson").exists()


def test_without_a_collection_it_has_to_be_there(source, loaded, tmp_path, overflight_here):
    items, _ = source
    again = overflight_here("catalog", "import", items, "--data", loaded)
    assert (again.returncode, again.stdout) == (0, "10 imported, 0 rejected\n")
    answer = overflight_here("catalog", "import", items, "--data", tmp_path / "other")
    assert answer.returncode == 1
    assert "'scenes' is unknown; put it first" in answer.stderr


def test_a_compressed_file(source, tmp_path, overflight_here):
    items, about = source
    packed = tmp_path / "items.ndjson.gz"
    packed.write_bytes(gzip.compress(items.read_bytes()))
    answer = overflight_here("catalog", "import", packed, "--collection", about, "--data", tmp_path / "data")
    assert answer.stdout == "10 imported, 0 rejected\n"


@pytest.mark.parametrize("name", ["nothing.ndjson", "a folder"])
def test_a_source_that_is_none(tmp_path, overflight_here, name):
    if name == "a folder":
        (tmp_path / name).mkdir()
    answer = overflight_here("catalog", "import", tmp_path / name, "--data", tmp_path / "data")
    assert answer.returncode in (1, 2)
    assert len(answer.stderr.splitlines()) == 1
    assert name in answer.stderr


@pytest.mark.slow
def test_killed_and_called_again_nothing_is_lost_or_doubled(source, tmp_path, overflight):
    items, about = source
    items.write_bytes(b"".join(orjson.dumps(item(f"{place:06}", note="x" * 300)) + b"\n" for place in range(40_000)))
    arguments = ["catalog", "import", str(items), "--collection", str(about), "--data", str(tmp_path / "data")]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", *arguments], env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "data" / "imports").glob("*.json")):  # the first batch is in
        assert process.poll() is None, "it ended before it could be killed; give it more to do"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    answer = overflight(*arguments)
    assert answer.returncode == 0, answer.stderr
    assert "went on behind the" in answer.stderr
    imported = int(answer.stdout.split()[0])
    assert 0 < imported < 40_000
    store = SqliteCatalog(tmp_path / "data" / "catalog.db")
    assert store.view().search(Search(collections=("scenes",), count=True, limit=1)).matched == 40_000
    assert store.view().get("scenes", "000000").body
    assert store.view().get("scenes", "039999").body
    store.close()
    assert list((tmp_path / "data" / "imports").iterdir()) == []


# ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), "0123456789"),
        (("--collection", "scenes"), "0123456789"),
        (("--collection", "sandbox-scenes"), ""),
        (("--ids", "3,5,77"), "35"),
        (("--bbox", "2.2,0,3.1,1"), "23"),
        (("--datetime", "2026-01-08T00:00:00Z/.."), "789"),
        (("--filter", "gsd BETWEEN 4 AND 6"), "456"),
        (("--filter", "gsd > 4", "--bbox", "0,0,6,1", "--collection", "scenes"), "56"),
    ],
)
def test_the_conditions_of_a_search_choose(loaded, tmp_path, overflight_here, options, found):
    answer = overflight_here("catalog", "export", tmp_path / "out.ndjson", *options, "--data", loaded)
    assert answer.returncode == 0, answer.stderr
    assert exported(tmp_path / "out.ndjson") == list(found)
    assert answer.stdout == f"{len(found)} exported to {tmp_path / 'out.ndjson'}\n"


def test_geoparquet_goes_out_and_comes_in(source, loaded, tmp_path, overflight_here):
    target = tmp_path / "out.parquet"
    assert overflight_here("catalog", "export", target, "--collection", "scenes", "--data", loaded).returncode == 0
    held = pq.read_table(target)
    assert sorted(held["id"].to_pylist()) == list("0123456789")
    assert "scenes" in json.loads(held.schema.metadata[b"stac-geoparquet"])["collections"]
    other = tmp_path / "other"
    answer = overflight_here("catalog", "import", target, "--collection", source[1], "--data", other)
    assert answer.stdout == "10 imported, 0 rejected\n"
    for data, name in ((loaded, "one.ndjson"), (other, "two.ndjson")):
        overflight_here("catalog", "export", tmp_path / name, "--collection", "scenes", "--data", data)
    one, two = ((tmp_path / name).read_text().splitlines() for name in ("one.ndjson", "two.ndjson"))
    assert list(map(json.loads, one)) == list(map(json.loads, two))


def test_a_format_wins_over_a_name(loaded, tmp_path, overflight_here):
    target = tmp_path / "out.dat"
    answer = overflight_here("catalog", "export", target, "--format", "geoparquet", "--data", loaded)
    assert answer.returncode == 0
    assert pq.read_table(target).num_rows == 10


def test_a_static_catalog_goes_out_and_comes_in(loaded, tmp_path, overflight_here):
    target = tmp_path / "static"
    assert overflight_here("catalog", "export", target, "--collection", "scenes", "--data", loaded).returncode == 0
    read = pystac.Catalog.from_file(str(target / "catalog.json"))
    assert sorted(one.id for one in read.get_items(recursive=True)) == list("0123456789")
    assert overflight_here("catalog", "import", target, "--data", tmp_path / "other").returncode == 0
    overflight_here("catalog", "export", tmp_path / "o.ndjson", "--collection", "scenes", "--data", tmp_path / "other")
    assert exported(tmp_path / "o.ndjson") == list("0123456789")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--bbox", "1,2,3"), "bbox"),
        (("--bbox", "a,b,c,d"), "bbox"),
        (("--bbox", "0,5,1,4"), "bbox"),
        (("--datetime", "yesterday"), "datetime"),
        (("--filter", "gsd >"), "filter"),
        (("--filter", "gsdd > 1"), "gsdd"),
        (("--format", "shapefile"), "shapefile"),
    ],
)
def test_a_wrong_condition_is_one_line_and_leaves_no_file(loaded, tmp_path, overflight_here, options, word):
    before = set(tmp_path.iterdir())
    answer = overflight_here("catalog", "export", tmp_path / "out.parquet", *options, "--data", loaded)
    assert answer.returncode in (1, 2)
    assert len(answer.stderr.splitlines()) == 1
    assert word in answer.stderr
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["import", "export"])
def test_help_teaches_with_an_example(overflight_here, command):
    answer = overflight_here("catalog", command, "--help")
    assert answer.returncode == 0
    assert f"overflight catalog {command} " in answer.stdout
