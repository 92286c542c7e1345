"""Loading in bulk: how fast against pypgstac, how large the file becomes, and what readers notice of it."""

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.errors import LeftOutError
from tests.bench.servers import Server, environment, overflight
from tests.bench.stac import post
from tests.bench.stand import Stand, import_command, read_back
from tests.bench.workload import ROOT, Workload, copied
from tests.bench.wrk import measure

READERS = 8
"""Connections that search while a load runs."""

LOAD_S = 900
"""No load takes longer."""


def run(stand: Stand) -> None:
    """Print all three."""
    workload, ours = stand.workload, Path(stand.ours.place)
    with overflight(ours) as server:
        compared = read_back(server, workload)
    print(f"{workload.count:,} items, whole commands; {compared:,} of ours read back and found as they were")
    ours_s = workload.count / stand.ours.seconds
    print(f"overflight catalog import            {ours_s:8,.0f} items/s")
    # What we do is the upsert: to load the same file once more does no harm.
    for method, seconds in (("upsert", stand.upsert_seconds), ("insert", stand.pgstac.seconds)):
        theirs_s = workload.count / seconds
        print(f"pypgstac load items --method {method}  {theirs_s:8,.0f} items/s", end="")
        print(f"   ours is {ours_s / theirs_s:4.1f} ×   (goal: 10 ×)")
    size, text = sum(file.stat().st_size for file in ours.glob("catalog.db*")), workload.items.stat().st_size
    print(f"file / ndjson   {size / 1e6:8,.1f} MB / {text / 1e6:,.1f} MB = {size / text:.2f}   (goal: 1.2)")
    with tempfile.TemporaryDirectory(prefix="overflight-bench-") as folder:
        _readers(stand, Path(folder))


def _readers(stand: Stand, folder: Path) -> None:
    """Search one collection, idle and while the same items are loaded into another one beside it."""
    data, other = folder / "data", folder / "copies"
    shutil.copytree(stand.ours.place, data)
    other.mkdir()
    copies = copied(stand.workload, other, "hr-copies")
    with overflight(data) as server:
        _searches(stand, server)
        idle = _searches(stand, server)
        busy = _while_loading(stand, server, copies, data)
        read_back(server, copies)
    share = statistics.fmean(busy) / idle
    print(f"search10, {READERS} connections, idle               {idle:8,.0f} requests/s")
    print(f"the same while a load runs ({len(busy)} cells)   {statistics.fmean(busy):8,.0f} requests/s", end="")
    print(f"   {share:.0%}   (goal: 50 %)")


def _while_loading(stand: Stand, server: Server, copies: Workload, data: Path) -> list[float]:
    """Requests a second of every cell that began and ended while the load ran."""
    cells = []
    with subprocess.Popen(
        import_command(copies, data), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as load:
        try:
            _await_collection(server, "hr-copies", load)
            end = time.monotonic() + LOAD_S
            while time.monotonic() < end:
                requests_s = _searches(stand, server)
                if load.poll() is not None:
                    break
                cells.append(requests_s)
        finally:
            load.kill()
    assert load.returncode == 0
    if not cells:
        raise LeftOutError("the load ended within one cell; take more --items or fewer --seconds")
    return cells


def _await_collection(server: Server, name: str, load: subprocess.Popen) -> None:
    """The command puts the Collection first, then its Items."""
    while load.poll() is None and not server.client.get(f"{server.root}/collections/{name}").is_success:
        time.sleep(0.01)


def _searches(stand: Stand, server: Server) -> float:
    bodies = stand.workload.bodies("search10")
    requests = [post(server, body) for body in bodies]
    return measure(server.origin, requests, connections=READERS, seconds=stand.seconds).requests_s
