"""``kill -9`` at any moment: no acknowledged order is lost, nothing is published twice."""

import hashlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shapely import box

from catalog.assets import AssetFolder
from catalog.extent import Footprint, TimeWindow
from catalog.item import to_collection
from catalog.search import BASE, Search
from catalog.sqlite import SqliteCatalog
from tasking.customer import submit_order
from tasking.order import TRANSITIONS, AttemptStatus, Constraints, OrderStatus
from tasking.provider.sandbox.constellation import PRODUCTS
from tasking.store import Store

PRODUCT = PRODUCTS[0]
POINTS = (
    *("within finish of plan", "after finish of plan", "before finish of plan"),
    *("before finish of task", "within finish of task", "after finish of task"),
    *("before finish of collect", "within finish of collect", "after finish of collect"),
    *("before thumbnail.png", "after panchromatic.tif", "before put", "after put"),
    *("before finish of produce", "within finish of produce", "after finish of produce"),
)
RANDOM_KILLS = 8
SEED = 20260301


class Workers:
    """A process that forks workers one after the other."""

    def __init__(self, data: Path, warm: Path) -> None:
        self.data = data
        root = Path(__file__).resolve().parents[2]
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("crashing_worker.py")), str(warm)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )

    def start(self, point: str | None = None) -> int:
        self.process.stdin.write(json.dumps({"data": str(self.data), "point": point}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Exit code of the worker: 0, or minus the signal that ended it."""
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


def prepare(folder: Path, migrated: Path) -> Path:
    """A fresh installation."""
    folder.mkdir()
    (folder / "tasking.db").write_bytes(migrated.read_bytes())
    catalog = SqliteCatalog(folder / "catalog.db")
    made = to_collection(PRODUCT.collection, PRODUCT.title, PRODUCT.description, PRODUCT.license)
    catalog.put([made.to_dict(include_self_link=False)])
    catalog.close()
    return folder


def submit(data: Path, lons: Iterable[int]) -> list[str]:
    store, now = Store(f"sqlite:///{data / 'tasking.db'}"), datetime.now(UTC)
    ids = [
        submit_order(
            store,
            PRODUCT,
            area=Footprint.of(box(lon, 44, lon + 0.002, 44.002)),
            window=TimeWindow(start=now, end=now + timedelta(days=8)),
            constraints=Constraints(),
            request={},
            user="u",
            now=now,
        ).id
        for lon in lons
    ]
    store.close()
    return ids


def check(data: Path, ids: list[str]) -> None:
    """Every order at its end; one item, one credit, one delivery for each attempt; every file as its item says."""
    store, catalog = Store(f"sqlite:///{data / 'tasking.db'}"), SqliteCatalog(data / "catalog.db")
    found = catalog.view().search(Search(limit=1000)).items
    items = {item["id"]: item for item in map(json.loads, found)}
    assert len(found) == len(items) == len(ids)
    assert {order.id for order in store.orders().orders} == set(ids)
    for order_id in ids:
        seen = store.dossier(order_id)
        assert seen.order.status is OrderStatus.COMPLETED, seen.last
        (attempt,) = seen.attempts
        assert attempt.status is AttemptStatus.COMPLETED
        assert items.pop(attempt.item_id)["properties"]["order:id"] == order_id
        lines = store.history(order_id).changes[::-1]
        assert [line.status for line in lines] == [
            *("received", "accepted", "scheduled", "tasked", "processing", "completed")
        ]
        assert all(after.status in TRANSITIONS[before.status] for before, after in itertools.pairwise(lines))
        assert sorted(line.at for line in lines) == [line.at for line in lines]
    assert store.dead_steps() == ()
    store.close()
    catalog.close()
    check_files(data, [json.loads(item) for item in found])
    for database in ("tasking.db", "catalog.db"):
        with sqlite3.connect(data / database) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
            assert connection.execute("pragma foreign_key_check").fetchall() == []
            if database == "tasking.db":
                assert connection.execute("select count(*) from credits").fetchone() == (len(ids),)
        connection.close()


def check_files(data: Path, items: list[dict]) -> None:
    assets, kept = AssetFolder(data / "assets"), set()
    for item in items:
        for asset in item["assets"].values():
            path = assets.path(asset["href"].removeprefix(f"{BASE}/files/"))
            assert asset["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
            kept.add(path)
    there = {path for path in (data / "assets" / PRODUCT.collection).rglob("*") if path.is_file()}
    assert there == kept
    assert len(list((data / "sandbox" / "deliveries").iterdir())) == len(items)


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing_and_publishes_nothing_twice(tmp_path, migrated):
    data, warm = prepare(tmp_path / "data", migrated), prepare(tmp_path / "warm", migrated)
    ids = submit(data, range(0, 100, 20))
    submit(warm, [0])
    workers, luck = Workers(data, warm), random.Random(SEED)
    try:
        for point in POINTS:
            workers.start(point)
            assert workers.end() == -signal.SIGKILL, f"no worker came to the point {point!r}"
        ids += submit(data, range(-160, 0, 20))  # enough work that no worker is done before it is killed
        killed = 0
        for _ in range(RANDOM_KILLS):
            pid = workers.start()
            time.sleep(luck.uniform(0.02, 1.0))
            with suppress(ProcessLookupError):  # it was quicker
                os.kill(pid, signal.SIGKILL)
            killed += workers.end() == -signal.SIGKILL
        assert killed > RANDOM_KILLS // 2
        workers.start()
        assert workers.end() == 0
    finally:
        workers.close()
    check(data, ids)
