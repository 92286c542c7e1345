"""The worker on real parts: store, catalog, files, sandbox, inbox, production; only time is ours."""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely import box

from catalog.assets import AssetFolder
from catalog.extent import Footprint, TimeWindow
from catalog.item import to_collection
from catalog.search import Search
from catalog.sqlite import SqliteCatalog
from processing.dem import Dem
from tasking import course
from tasking.customer import cancel_order, submit_order
from tasking.errors import ProviderError
from tasking.order import FINAL, Attempt, AttemptStatus, Constraints, Order
from tasking.product import Product
from tasking.provider import Delivered, Failed, Pending
from tasking.provider.inbox import InboxProvider
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.constellation import PRODUCTS, SATELLITES
from tasking.provider.sandbox.provider import SandboxProvider
from tasking.store import Store
from tasking.worker import Worker, back_off

SANDBOX = PRODUCTS[0]
INBOX = Product(
    id="vendor",
    title="Vendor",
    description="A vendor's pictures.",
    provider="inbox",
    collection="vendor-scenes",
    max_area_km2=500.0,
    max_days=10.0,
    gsd_m=2.0,
)
SPOT = Footprint.of(box(5.0, 44.0, 5.003, 44.003))


class House:
    """An installation in a folder, with a clock of its own."""

    def __init__(self, folder: Path, store: Store, now: datetime) -> None:
        self.folder, self.store, self.now = folder, store, now
        self.catalog, self.assets = SqliteCatalog(folder / "catalog.db"), AssetFolder(folder / "assets")
        for product in (SANDBOX, INBOX):
            made = to_collection(product.collection, product.title, product.description, product.license)
            self.catalog.put([made.to_dict(include_self_link=False)])
        self.inbox = InboxProvider(folder / "inbox", clock=self.clock, settle_s=0.0)
        sandbox = SandboxProvider(folder / "sandbox", rate=1e9, satellites=SATELLITES, clock=self.clock)
        self.providers = {"sandbox": sandbox, "inbox": self.inbox}

    def clock(self) -> datetime:
        return self.now

    def worker(self, **changes) -> Worker:
        parts = {
            "store": self.store,
            "catalog": self.catalog,
            "assets": self.assets,
            "providers": self.providers,
            "products": {product.id: product for product in (SANDBOX, INBOX)},
            "inbox": self.inbox,
            "clock": self.clock,
            "threads": 1,
        }
        return Worker(**(parts | changes))

    def order(self, product: Product, **changes) -> Order:
        fields = {
            "area": SPOT,
            "window": TimeWindow(start=self.now, end=self.now + timedelta(days=8)),
            "constraints": Constraints(),
            "request": {},
            "user": "u",
            "now": self.now,
        }
        return submit_order(self.store, product, **(fields | changes))

    def work(self, worker: Worker, until: Callable[[], bool], most: int = 600) -> None:
        """Work, and let time jump to the next thing due when there is nothing to do now."""
        for _ in range(most):
            if until():
                return
            if not worker.run_once():
                self.now = max(self.now + timedelta(seconds=3), self.store.next_due() or self.now)
        raise AssertionError(f"not reached; open: {self.store.open_steps()}, dead: {self.store.dead_steps()}")

    def finish(self, worker: Worker, order: Order) -> None:
        self.work(worker, lambda: self.store.order(order.id).status in FINAL)

    def story(self, order: Order) -> list[tuple[str, str | None]]:
        return [(line.status, line.reason_code) for line in self.store.history(order.id).changes[::-1]]

    def items(self) -> list[dict]:
        return [json.loads(item) for item in self.catalog.view().search(Search(limit=100)).items]

    def drop(self, delivery: Path, name: str, **manifest) -> Path:
        """Put a delivery into the inbox, with another identity."""
        target = self.folder / "inbox" / "drop" / name
        shutil.copytree(delivery, target)
        path = target / "delivery.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | {"id": name} | manifest))
        return target


@pytest.fixture
def house(tmp_path, store, now):
    made = House(tmp_path, store, now)
    yield made
    made.catalog.close()


@pytest.fixture(scope="session")
def delivery(tmp_path_factory) -> Path:
    """A raw scene of the spot under a clear sky."""
    folder = tmp_path_factory.mktemp("delivery")
    start = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)
    window = TimeWindow(start=start, end=start + timedelta(minutes=30))
    acquire(SATELLITES[2], SPOT, window, folder=folder, clouds=False)
    return folder


def overcast(dropped: Path) -> None:
    """Cover a dropped delivery with clouds."""
    with rasterio.open(dropped / "clouds.tif", "r+") as mask:
        mask.write(np.ones((1, mask.height, mask.width), dtype=np.uint8))
    path = dropped / "delivery.json"
    manifest = json.loads(path.read_bytes())
    digest = hashlib.sha256((dropped / "clouds.tif").read_bytes()).hexdigest()
    manifest["checksums"]["clouds.tif"] = f"sha256:{digest}"
    path.write_text(json.dumps(manifest))


# ── the whole way ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_becomes_an_item(house):
    order = house.order(SANDBOX)
    house.finish(house.worker(), order)
    assert house.story(order) == [
        ("received", None),
        ("accepted", None),
        ("scheduled", "pass_planned"),
        ("tasked", "attempt_tasked"),
        ("processing", "scene_delivered"),
        ("completed", "area_covered"),
    ]
    (attempt,) = house.store.attempts(order.id)
    (item,) = house.items()
    assert (item["id"], item["collection"]) == (attempt.item_id, SANDBOX.collection)
    assert item["properties"]["order:id"] == order.id
    scheduled = house.store.history(order.id).changes[-3].reason_text
    assert scheduled.startswith(f"{attempt.satellite_id} passes at 2026-03-0")
    assert scheduled.endswith(f"{attempt.off_nadir_deg:.1f}° off nadir.")
    house.now += timedelta(days=9)
    while house.worker(inbox=None).run_once():
        pass
    assert house.store.open_steps() == ()


def test_clouds_end_the_attempt_and_a_clear_scene_completes_the_order(house, delivery):
    order = house.order(INBOX, constraints=Constraints(max_cloud_cover_pct=10))
    worker = house.worker()
    overcast(house.drop(delivery, "CLOUDY", order=order.id))
    house.work(worker, lambda: len(house.store.attempts(order.id)) == 2)
    assert house.story(order)[-1] == ("scheduled", "pass_planned")
    assert ("accepted", "cloud_cover") in house.story(order)
    assert [path for path in (house.folder / "assets").rglob("*") if path.is_file()] == []
    for _ in range(20):  # the cloudy scene still names the order, and is not looked at again
        worker.run_once()
    assert [a.status for a in house.store.attempts(order.id)] == [AttemptStatus.FAILED, AttemptStatus.TASKED]
    house.drop(delivery, "CLEAR", attempt=f"{order.id}-2")
    house.finish(worker, order)
    assert house.story(order)[-1] == ("completed", "area_covered")
    assert [item["id"] for item in house.items()] == ["CLEAR"]


def test_a_scene_from_outside_the_window_does_not_answer_an_order(house, delivery):
    order = house.order(INBOX)
    past = {"start": "2025-01-01T10:00:00Z", "end": "2025-01-01T10:00:02Z"}
    house.drop(delivery, "ARCHIVE", order=order.id, acquired=past)
    house.work(house.worker(), lambda: ("accepted", "invalid_delivery") in house.story(order))
    assert house.items() == []


def test_a_delivery_that_nobody_ordered_is_published_once(house, delivery):
    house.drop(delivery, "FOUND")
    house.drop(delivery, "STRAY", order="00000000-0000-4000-8000-000000000000")
    house.work(house.worker(), lambda: len(house.items()) == 2)
    assert {item["id"] for item in house.items()} == {"FOUND", "STRAY"}
    assert {item["collection"] for item in house.items()} == {"vendor-scenes"}
    again = house.worker()  # another process comes later
    house.now += timedelta(seconds=10)
    assert not again.run_once()


def test_heights_that_lack_wait_for_the_operator(house, delivery):
    order = house.order(INBOX)
    house.drop(delivery, "BARE", order=order.id, dem=None)
    house.work(house.worker(), lambda: bool(house.store.dead_steps()))
    (dead,) = house.store.dead_steps()
    assert dead.error.startswith("HeightsError")
    assert house.story(order)[-1] == ("processing", "operator_needed")
    assert house.store.requeue(dead.id, now=house.now)
    dem = Dem.open(delivery / "dem.tif", vertical_datum="ellipsoid", geoid=None)
    house.finish(house.worker(dem=dem), order)
    assert house.story(order)[-1] == ("completed", "area_covered")


def test_a_delivery_that_breaks_after_it_was_accepted_fails_its_attempt(house, delivery):
    order = house.order(INBOX)
    house.drop(delivery, "BROKEN", order=order.id)
    worker = house.worker()
    house.work(worker, lambda: house.store.order(order.id).status == "processing")
    with (house.folder / "inbox" / "accepted" / "BROKEN" / "ms.tif").open("r+b") as file:
        file.truncate(1000)
    house.work(worker, lambda: ("accepted", "invalid_delivery") in house.story(order))
    assert "ms.tif" in next(
        c.reason_text for c in house.store.history(order.id).changes if c.reason_code == "invalid_delivery"
    )


# ── without a pass ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_without_a_pass_waits_and_expires_with_its_reason(house):
    never = Constraints(filter={"op": "=", "args": [{"property": "platform"}, "sputnik"]})
    window = TimeWindow(start=house.now, end=house.now + timedelta(hours=5))
    order = house.order(SANDBOX, constraints=never, window=window)
    house.finish(house.worker(), order)
    assert house.story(order) == [("received", None), ("accepted", "no_opportunity"), ("expired", "window_ended")]
    last = house.store.history(order.id).changes[0]
    assert "0% of the area was covered" in last.reason_text
    assert "No pass" in last.reason_text
    assert last.at == order.window.end


def test_an_order_whose_window_is_over_when_it_is_planned_expires_at_once(house):
    order = house.order(SANDBOX)
    house.now += timedelta(days=8)
    assert house.worker().run_once()
    assert house.story(order)[-1] == ("expired", "window_ended")


def test_parts_too_far_from_each_other_are_refused(house):
    far = Footprint.of(box(0, 0, 0.05, 0.05)).union(Footprint.of(box(90, 0, 90.05, 0.05)))
    order = house.order(SANDBOX, area=far)
    house.finish(house.worker(), order)
    assert house.store.order(order.id).status == "rejected"


# ── providers and other workers ─────────────────────────────────────────────────────────────────────────────────────


class Vendor:
    """A provider whose every answer is told beforehand."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.on_task: Callable[[], None] = lambda: None
        self.answer: Callable[[], Pending | Delivered | Failed] = lambda: Failed(reason_code="x", reason_text="No.")

    def task(self, attempt: Attempt) -> None:
        self.calls.append(("task", attempt.id))
        self.on_task()

    def poll(self, attempt: Attempt) -> Pending | Delivered | Failed:
        self.calls.append(("poll", attempt.id))
        return self.answer()

    def cancel(self, attempt: Attempt) -> None:
        self.calls.append(("cancel", attempt.id))


def fail() -> None:
    raise ProviderError("vendor: nobody answers; look at the cable")


def test_a_provider_out_of_reach_is_tried_again_later_each_time(house):
    vendor, order = Vendor(), house.order(INBOX)
    vendor.on_task = fail
    worker = house.worker(providers={"inbox": vendor}, inbox=None)
    waits = []
    assert worker.run_once()
    for _ in range(4):
        before = house.now
        assert worker.run_once()
        assert not worker.run_once()
        (step,) = (s for s in house.store.open_steps(order.id) if s.kind == "task")
        waits.append(step.due - before)
        assert "look at the cable" in step.error
        house.now = step.due
    assert waits == [timedelta(seconds=s) for s in (2, 4, 8, 16)]
    vendor.on_task = lambda: None
    worker.run_once()
    assert house.store.order(order.id).status == "tasked"
    assert max(back_off(tries) for tries in range(1000)) == timedelta(hours=1)


def test_a_cancellation_between_the_command_and_its_mark_calls_the_command_off(house):
    vendor, order = Vendor(), house.order(INBOX)
    vendor.on_task = lambda: cancel_order(house.store, order.id, now=house.now)
    worker = house.worker(providers={"inbox": vendor}, inbox=None)
    while worker.run_once():
        pass
    attempt = f"{order.id}-1"
    assert vendor.calls == [("task", attempt), ("cancel", attempt)]
    assert house.story(order)[-1] == ("user_cancelled", "user_request")
    assert house.store.open_steps() == house.store.dead_steps() == ()


def test_what_failed_at_the_provider_is_planned_again_and_expires_in_the_end(house):
    vendor, order = Vendor(), house.order(INBOX)
    worker = house.worker(providers={"inbox": vendor}, inbox=None)
    house.work(worker, lambda: ("accepted", "x") in house.story(order))
    assert not worker.run_once()  # not at once: it would be refused again
    house.work(worker, lambda: len(house.store.attempts(order.id)) == 2)
    assert house.now == house.store.order(order.id).created + course.REPLAN_AFTER
    vendor.answer = lambda: Pending(check_again=house.now + timedelta(days=30))
    house.finish(worker, order)
    last = house.store.history(order.id).changes[0]
    assert (last.status, last.at) == ("expired", order.window.end + course.DELIVERY_GRACE)
    while worker.run_once():
        pass
    assert vendor.calls[-1] == ("cancel", f"{order.id}-2")


def test_a_slow_step_stays_with_its_worker(house):
    """The step takes three leases; the heartbeat holds it while a second worker looks for work."""
    vendor = Vendor()
    house.order(INBOX)
    lease = timedelta(seconds=0.4)
    vendor.on_task = lambda: time.sleep(1.2)
    parts = {"providers": {"inbox": vendor}, "inbox": None, "lease": lease, "clock": lambda: datetime.now(UTC)}
    house.store.finish(  # plan by hand: the house's clock is not that of the workers
        house.store.claim("hand", now=house.now, lease=lease), now=house.now, **_planned(house)
    )
    slow = threading.Thread(target=house.worker(**parts).run_once)
    slow.start()
    while not vendor.calls:
        time.sleep(0.01)
    claimed = 0
    while slow.is_alive():
        step = house.store.claim("other", now=datetime.now(UTC), lease=lease)
        claimed += step is not None and step.kind == "task"
        time.sleep(0.02)
    slow.join()
    assert claimed == 0
    assert len(vendor.calls) == 1


def _planned(house: House) -> dict:
    dossier = house.store.dossier(house.store.orders().orders[0].id)
    future = TimeWindow(start=datetime.now(UTC), end=datetime.now(UTC) + timedelta(days=1))
    attempt = course.new_attempt(dossier, 0, area=SPOT, window=future)
    return {"dossier": dossier, "outcome": course.planned(dossier, [attempt], versions={}, now=house.now)}


def test_a_product_that_is_no_longer_offered_waits_for_the_operator(house):
    order = house.order(replace(INBOX, id="gone"))
    assert house.worker().run_once()
    assert "no longer offered" in house.store.dead_steps()[0].error
    assert house.story(order)[-1] == ("received", "operator_needed")


def test_run_works_until_it_is_told_to_stop(house):
    order, stop = house.order(INBOX), threading.Event()
    thread = threading.Thread(target=house.worker(inbox=None).run, args=(stop,))
    thread.start()
    patience = time.monotonic() + 20
    while house.store.order(order.id).status != "tasked" and time.monotonic() < patience:
        time.sleep(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert house.store.order(order.id).status == "tasked"
