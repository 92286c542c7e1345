"""Durable orders a second at the store: each one a transaction of its own, synced, with its history and steps."""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shapely.geometry import box

from api.installation import Installation
from api.settings import Settings
from catalog.extent import Footprint, TimeWindow
from tasking.customer import submit_order
from tasking.order import Constraints

ORDERS = 500


def run() -> None:
    with tempfile.TemporaryDirectory() as folder, Installation.open(Settings(data=Path(folder))) as installation:
        store, product = installation.store, installation.product("sandbox-multispectral")
        now = datetime.now(UTC)
        window = TimeWindow(start=now, end=now + timedelta(days=3))
        area = Footprint.of(box(13.39, 47.41, 13.43, 47.43))
        began = time.perf_counter()
        for _ in range(ORDERS):
            submit_order(
                store,
                product,
                area=area,
                window=window,
                constraints=Constraints(),
                request={},
                user="bench",
                now=now,
            )
        seconds = time.perf_counter() - began
        stored = 0
        token = None
        while True:
            page = store.orders(limit=100, token=token)
            stored += len(page.orders)
            token = page.next_token
            if token is None:
                break
        assert stored == ORDERS
    print(f"{ORDERS / seconds:7.0f} orders/s, one connection, SQLite WAL synchronous=FULL, validation included")
