"""Everything at once: ndjson and GeoParquet of a whole collection over HTTP, against paging through its JSON."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pystac_client
from pyarrow import parquet

from tests.bench.errors import LeftOutError
from tests.bench.memory import Watch
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


def _print(
    server: Server,
    media_type: str,
    read: Callable[[httpx.Response], tuple[list[str], int]],
    ids: list[str],
    paging: float,
) -> None:
    address, headers = f"{server.root}/search?collections={COLLECTION}", PLAIN | {"Accept": media_type}
    began = time.perf_counter()
    with Watch(server.pid) as watch, server.client.stream("GET", address, headers=headers) as answer:
        kind = answer.headers.get("content-type", "")
        if not answer.is_success or not kind.startswith(media_type):
            raise LeftOutError(f"asked for {media_type}, the server answers {answer.status_code} {kind}")
        found, size = read(answer)
        seconds = time.perf_counter() - began
    if len(found) != len(ids) or set(found) != set(ids):
        raise LeftOutError(f"{len(found):,} ids came, {len(set(found)):,} distinct, of {len(ids):,}")
    print(f"{seconds:7.2f} s {paging / seconds:6.1f} ×  (goal: 5 ×)   {size / 1e6:6.1f} MB", end="")
    print(f"   server's memory above idle {watch.above_idle_mb:4.0f} MB  (goal: 200 MB)")


def _paged(server: Server) -> list[str]:
    """As its users do: each Item a dict, page after page."""
    client = pystac_client.Client.open(server.origin + server.root, headers=PLAIN)
    return [item["id"] for item in client.search(collections=[COLLECTION], limit=PAGE).items_as_dicts()]


def _ids_of_ndjson(answer: httpx.Response) -> tuple[list[str], int]:
    """Each Item a dict as it comes in; who reads lines is free to choose a fast parser."""
    ids, rest, size = [], b"", 0
    for some in answer.iter_bytes():
        size += len(some)
        *lines, rest = (rest + some).split(b"\n")
        ids += [orjson.loads(line)["id"] for line in lines]
    return ids, size


def _ids_of_parquet(answer: httpx.Response) -> tuple[list[str], int]:
    with tempfile.NamedTemporaryFile() as file:
        for some in answer.iter_bytes():
            file.write(some)
        file.flush()
        return parquet.read_table(file.name, columns=["id"])["id"].to_pylist(), file.tell()
