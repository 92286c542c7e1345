"""Workers that die. Reads lines of JSON, forks a worker for each, and prints its process id and then its end.

    {"data": folder, "point": null}                      works until it is killed or everything is done
    {"data": folder, "point": "before finish of task"}   kills itself there

The forking process first works through the folder named on its command line: to load libraries and compiled code takes
seconds, which are spent once. Each worker is a process of its own with connections of its own.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from catalog.assets import AssetFolder
from catalog.sqlite import SqliteCatalog
from tasking.order import FINAL
from tasking.provider.sandbox.constellation import PRODUCTS, SATELLITES
from tasking.provider.sandbox.provider import SandboxProvider
from tasking.store import Store
from tasking.worker import Worker

LEASE = timedelta(seconds=0.4)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def reach(here: str, point: str | None) -> None:
    if here == point:
        die()


class CrashingStore(Store):
    """The real store, which kills its process around the end of a step."""

    def __init__(self, url: str, point: str | None) -> None:
        super().__init__(url)
        self.point, self.kind = point, None
        sa.event.listen(self._engine, "commit", lambda _: reach(f"within finish of {self.kind}", point))

    def finish(self, step, **recorded) -> None:
        reach(f"before finish of {step.kind}", self.point)
        self.kind = step.kind
        super().finish(step, **recorded)
        self.kind = None
        reach(f"after finish of {step.kind}", self.point)


class CrashingCatalog(SqliteCatalog):
    def __init__(self, path: Path, point: str | None) -> None:
        super().__init__(path)
        self.point = point

    def put(self, documents) -> int:
        reach("before put", self.point)
        count = super().put(documents)
        reach("after put", self.point)
        return count


class CrashingAssets(AssetFolder):
    """Dies when some of an item's files have their names and others do not."""

    point: str | None = None

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        with super().writing(key) as path:
            yield path
            reach(f"before {path.name}", CrashingAssets.point)
        reach(f"after {path.name}", CrashingAssets.point)


def work(data: Path, point: str | None) -> None:
    store = CrashingStore(f"sqlite:///{data / 'tasking.db'}", point)
    CrashingAssets.point = point
    worker = Worker(
        store=store,
        catalog=CrashingCatalog(data / "catalog.db", point),
        assets=CrashingAssets(data / "assets"),
        providers={
            "sandbox": SandboxProvider(
                data / "sandbox", rate=1e9, satellites=SATELLITES, clock=lambda: datetime.now(UTC)
            )
        },
        products={product.id: product for product in PRODUCTS},
        lease=LEASE,
        threads=1,
    )
    while not all(order.status in FINAL for order in store.orders().orders):
        if not worker.run_once():
            time.sleep(0.02)


def main(warm: Path) -> None:
    # In a thread of its own: dask keeps a pool for each thread that asks, and a forked one has no threads in it.
    warming = threading.Thread(target=work, args=(warm, None))
    warming.start()
    warming.join()
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(Path(task["data"]), task["point"])
                code = 0
            finally:
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
