"""Ten times as many items: how much longer a search takes, and whether it still finds what is there."""

import json
import shutil
import tempfile
from pathlib import Path

from tests.bench.agreement import DifferError
from tests.bench.errors import LeftOutError
from tests.bench.oracle import Everything
from tests.bench.servers import Server, overflight
from tests.bench.stac import FEW, SEARCHES, post
from tests.bench.stand import Stand, load_ours
from tests.bench.workload import CACHE, Workload, make
from tests.bench.wrk import Cell, measure

COMPARED = 10
"""Bodies of each query whose answers are compared with a look at every item."""

ROOM = 16_000
"""Bytes that an item needs at most: text, file, and what a load writes for a time."""


def run(stand: Stand, items: int) -> None:
    """Print the median time of each query on both sizes."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < items * ROOM:
        raise LeftOutError(f"needs {items * ROOM / 1e9:.0f} GB of disk for {items:,} items; take fewer with --large")
    workload = make(items)
    with tempfile.TemporaryDirectory(prefix="overflight-bench-") as folder:
        loaded = load_ours(workload, Path(folder))
        print(f"{items:,} items loaded at {items / loaded.seconds:,.0f} items/s")
        with overflight(Path(stand.ours.place)) as few, overflight(Path(folder)) as many:
            _compare(stand, few, many, workload)


def _compare(stand: Stand, few: Server, many: Server, workload: Workload) -> None:
    truth = Everything.of(workload.documents())
    heading = (f"{stand.workload.count:,}", f"{workload.count:,}", "ratio")
    print(f"p50 over {FEW} connection, ms; goal: 2 ×\n\n{'query':9} {heading[0]:>10} {heading[1]:>10} {heading[2]:>7}")
    differing = []
    for name in SEARCHES:
        print(f"{name:9} ", end="", flush=True)
        try:
            _agree(many, truth, workload, name)
            _print(*(_measure(stand, server, workload, name) for server in (few, many)))
        except LeftOutError as error:
            print("left out:", error)
        except DifferError as error:
            print("DIFFERS:", error)
            differing.append(name)
    if differing:
        raise DifferError(f"{', '.join(differing)}: not what is there")


def _print(small: Cell, large: Cell) -> None:
    ratio = large.p50_ms / small.p50_ms
    print(f"{small.p50_ms:10.2f} {large.p50_ms:10.2f} {ratio:5.1f} × {'met' if ratio <= 2 else 'NOT'}")


def _measure(stand: Stand, server: Server, workload: Workload, name: str) -> Cell:
    requests = [post(server, body) for body in workload.bodies(name)]
    return measure(server.origin, requests, connections=FEW, seconds=stand.seconds)


def _agree(server: Server, truth: Everything, workload: Workload, name: str) -> None:
    for body in workload.bodies(name)[:COMPARED]:
        found, there = [item["id"] for item in server.search(body)["features"]], truth.search(body)
        if found != there:
            raise DifferError(
                f"{json.dumps(body)}: {found[:3]} of {len(found)} found, {there[:3]} of {len(there)} there"
            )
