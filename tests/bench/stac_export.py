"""Everything at once: ndjson and GeoParquet of a whole collection over HTTP, against paging through its JSON."""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import orjson
import pystac_client

from tests.bench.errors import LeftOutError
from tests.bench.servers import Server, overflight
from tests.bench.stand import Stand
from tests.bench.workload import COLLECTION

PLAIN = {"Accept-Encoding": "identity"}
"""Neither side waits for a compressor: on the loopback interface it gains nothing."""

PAGE = 1000


def run(stand: Stand) -> None:
    """Print the time until every id is counted, and what the server needed for it."""
    with overflight(Path(stand.ours.place)) as server:
        began = time.perf_counter()
        ids = _paged(server)
        paging = time.perf_counter() - began
        assert len(ids) == len(set(ids)) == stand.workload.count
        print(f"{len(ids):,} items; seconds until the last id is known\n")
        print(f"pystac-client, pages of {PAGE:,}   {paging:7.2f} s")
        for name, media_type, read in (
            ("ndjson", "application/x-ndjson", _ids_of_ndjson),
            ("GeoParquet", "application/vnd.apache.parquet", _ids_of_parquet),
        ):
            print(f"{name:27} ", end="", flush=True)
            try:
                _print(server, media_type, read, ids, paging)
            except LeftOutError as error:
                print(f"left out: {error}")


def _print(server: Server, media_type: str, read: Callable[[Path], list[str]], ids: list[str], paging: float) -> None:
    with tempfile.NamedTemporaryFile() as file, _Watch(server) as watch:
        began = time.perf_counter()
        _fetch(server, media_type, Path(file.name))
        fetched = time.perf_counter() - began
        found = read(Path(file.name))
        seconds = time.perf_counter() - began
        memory, size = watch.above_idle_mb, Path(file.name).stat().st_size / 1e6
    if len(found) != len(ids) or set(found) != set(ids):
        raise LeftOutError(f"{len(found):,} ids came, {len(set(found)):,} distinct, of {len(ids):,}")
    print(
        f"{seconds:7.2f} s (fetched in {fetched:5.2f}) {paging / seconds:5.1f} ×  (goal: 5 ×)  {size:6.1f} MB", end=""
    )
    print(f"   server's memory above idle {memory:4.0f} MB  (goal: 200 MB)")


def _paged(server: Server) -> list[str]:
    """As its users do: each Item a dict, page after page."""
    client = pystac_client.Client.open(server.origin + server.root, headers=PLAIN)
    return [item["id"] for item in client.search(collections=[COLLECTION], limit=PAGE).items_as_dicts()]


def _fetch(server: Server, media_type: str, path: Path) -> None:
    address, headers = f"{server.root}/search?collections={COLLECTION}", PLAIN | {"Accept": media_type}
    with server.client.stream("GET", address, headers=headers) as answer, path.open("wb") as file:
        kind = answer.headers.get("content-type", "")
        if not answer.is_success or not kind.startswith(media_type):
            raise LeftOutError(f"asked for {media_type}, the server answers {answer.status_code} {kind}")
        for some in answer.iter_bytes():
            file.write(some)


def _ids_of_ndjson(path: Path) -> list[str]:
    """Each Item a dict; unlike with pystac-client, who reads lines is free to choose a fast parser."""
    with path.open("rb") as file:
        return [orjson.loads(line)["id"] for line in file]


def _ids_of_parquet(path: Path) -> list[str]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise LeftOutError("needs pyarrow to read it") from None
    return parquet.read_table(path, columns=["id"])["id"].to_pylist()


class _Watch:
    """Looks at a server's memory again and again: what is its own, without the pages of files that it has mapped.

    Those the kernel keeps for everybody, and takes back whenever it wants (proc(5): RssAnon).
    """

    def __init__(self, server: Server) -> None:
        self._status = Path(f"/proc/{server.pid}/status")
        if not self._status.exists():
            raise LeftOutError("needs Linux, which tells a process's memory")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._idle = self._peak = self._own_mb()

    @property
    def above_idle_mb(self) -> float:
        """The most so far."""
        return self._peak - self._idle

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._peak = max(self._peak, self._own_mb())

    def _own_mb(self) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) / 1024
