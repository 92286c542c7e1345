"""One workload loaded into both stores, once in a run, however many benchmarks ask for it."""

import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Self

import psycopg

from tests.bench.servers import Server, environment
from tests.bench.workload import ROOT, Workload, make
from tests.postgres import SOUND, Cluster, cluster, pypgstac


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A store that holds the workload."""

    place: str
    """Folder of the installation, or address of the database."""

    seconds: float
    """What the whole command took that loaded the items."""


class Stand:
    """What is measured on. Leave its context to stop and remove everything."""

    def __init__(self, *, items: int, seconds: float, bodies: int) -> None:
        self.seconds = seconds
        """Of one measured cell."""
        self.bodies = bodies
        """Of each query, whose answers are compared first."""
        self._items = items
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def workload(self) -> Workload:
        """The files."""
        return make(self._items)

    @cached_property
    def ours(self) -> Loaded:
        """An installation of ours."""
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="overflight-bench-"))
        return load_ours(self.workload, Path(folder))

    @cached_property
    def _cluster(self) -> Cluster:
        return self._stack.enter_context(cluster(SOUND))

    @cached_property
    def upsert_seconds(self) -> float:
        """What pgstac's own command takes where Items that are there already may come again."""
        dsn = self._cluster.create()
        try:
            return _load_theirs(self.workload, dsn, "upsert")
        finally:
            self._cluster.drop(dsn)

    @cached_property
    def pgstac(self) -> Loaded:
        """A database of pgstac, durable and tuned, with an index on what the queries sort by."""
        workload = self.workload
        dsn = self._cluster.create()
        seconds = _load_theirs(workload, dsn, "insert")
        pypgstac("load_queryables", workload.queryables, "--index_fields", '["eo:cloud_cover"]', dsn=dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            assert connection.execute("SELECT count(*) FROM pgstac.items").fetchone() == (workload.count,)
        return Loaded(place=dsn, seconds=seconds)


def _load_theirs(workload: Workload, dsn: str, method: str) -> float:
    pypgstac("load", "collections", workload.collection, dsn=dsn)
    began = time.perf_counter()
    pypgstac("load", "items", workload.items, "--method", method, dsn=dsn)
    return time.perf_counter() - began


def load_ours(workload: Workload, folder: Path) -> Loaded:
    """Fill an installation with our command line."""
    began = time.perf_counter()
    done = subprocess.run(
        import_command(workload, folder), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return Loaded(place=str(folder), seconds=seconds)


def import_command(workload: Workload, folder: Path) -> list[str]:
    """What loads the items into an installation of ours."""
    command = [sys.executable, "-m", "api.cli", "catalog", "import", str(workload.items)]
    return [*command, "--collection", str(workload.collection), "--data", str(folder)]


def read_back(server: Server, workload: Workload) -> int:
    """Compare every 200th Item that a server gives, all but its links, with the line that it came from; how many."""
    documents = list(islice(workload.documents(), 0, None, 200))
    for document in documents:
        answer = server.get(f"/collections/{document['collection']}/items/{document['id']}")
        assert {**answer, "links": []} == {**document, "links": []}, document["id"]
    return len(documents)
