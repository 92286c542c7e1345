"""The durable loop: claim a step, do it, record what came of it.

Every step may run again after a crash at any moment: it first does its effects, each of which may be repeated (a
command with the attempt's id, a file renamed into place, an item upserted under its own id), and only then marks them,
in one transaction with what follows from them. What an event means for an order is decided in `tasking.course`.
"""

import json
import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from catalog.assets import AssetFolder
from catalog.errors import NotFoundError
from catalog.extent import Footprint, TimeWindow
from catalog.item import OrderReference
from catalog.search import BASE, Catalog, Search
from processing.delivery import read_delivery
from processing.dem import Dem
from processing.errors import DeliveryError, HeightsError, SensorModelError
from processing.names import DERIVED, MULTISPECTRAL, PANCHROMATIC
from processing.produce import Produced, produce
from processing.scene import Scene
from tasking import course
from tasking.errors import (
    ConflictError,
    InvalidOrderError,
    LeaseLostError,
    ProviderError,
    UnknownProductError,
)
from tasking.intake import Intake
from tasking.opportunity import Opportunity, find_opportunities
from tasking.order import FINAL, Attempt, AttemptStatus
from tasking.product import Product
from tasking.provider import Delivered, Failed, Pending, Provider
from tasking.provider.inbox import InboxProvider
from tasking.schedule import plan
from tasking.step import Dossier, Outcome, Step, StepKind
from tasking.store import Store

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("overflight.worker")

LEASE = timedelta(seconds=30)
"""How long a dead worker's step waits for another one; renewed three times as often."""

IDLE_S = 0.25
"""How often an idle worker looks for work that another process left."""

ORPHANS_AFTER = timedelta(days=1)
"""Unfinished files that nobody has touched for so long were left by a worker that died."""

LONGEST_WAIT = timedelta(hours=1)
"""A provider is asked again at least this often, whatever it says."""

TURN = timedelta(minutes=10)
"""More than any satellite takes to turn and settle: acquisitions that far from a window matter to a plan in it."""

Progress = Callable[[Step, str, int, int], None]
"""Step in hand, what it does, done, total."""


MOST_NEIGHBOURS = 3
"""By so many items of the same ground a new one is measured."""


class Worker:
    """One of any number of workers on a store, in this process or in others."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Catalog,
        assets: AssetFolder,
        providers: Mapping[str, Provider],
        products: Mapping[str, Product],
        dem: Dem | None = None,
        client: "Callable[[], Client | None]" = lambda: None,
        inbox: InboxProvider | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lease: timedelta = LEASE,
        threads: int | None = None,
        progress: Progress | None = None,
        derived: Collection[str] = DERIVED,
    ) -> None:
        self._store, self._catalog, self._assets = store, catalog, assets
        self._providers, self._products = providers, products
        self._intake = None if inbox is None else Intake(store=store, inbox=inbox, products=products, clock=clock)
        self._dem, self._client, self._threads, self._derived = dem, client, threads, derived
        self._clock, self._lease, self._progress = clock, lease, progress
        self._owner = f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._handlers: Mapping[StepKind, Callable[[Step], None]] = {
            StepKind.PLAN: self._plan,
            StepKind.TASK: self._task,
            StepKind.COLLECT: self._collect,
            StepKind.PRODUCE: self._produce,
            StepKind.EXPIRE: self._expire,
            StepKind.INGEST: self._ingest,
        }

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; the step in hand is brought to its end."""
        self._assets.sweep(ORPHANS_AFTER.total_seconds())
        while not stop.is_set():
            try:
                worked = self.run_once()
            except Exception:  # the database may be locked or away; the loop outlives it
                log.exception("the store cannot be reached; trying again")
                stop.wait(5)
                continue
            if not worked:
                stop.wait(IDLE_S)

    def run_once(self) -> bool:
        """Do the step that has been due the longest; False when none is due."""
        if self._intake is not None:
            self._intake.look()
        now = self._clock()
        due = self._store.next_due()  # a read: an idle worker takes no write lock
        if due is None or due > now:
            return False
        step = self._store.claim(self._owner, now=now, lease=self._lease)
        if step is None:
            return False
        with self._heartbeat(step):
            self._do(step)
        return True

    def _do(self, step: Step) -> None:
        """Do a claimed step; whatever goes wrong is written on it."""
        try:
            try:
                self._handlers[step.kind](step)
            except LeaseLostError:
                raise
            except ConflictError as error:
                self._retry(step, error, self._clock())
            except (HeightsError, UnknownProductError) as error:  # a person has to mend the installation first
                log.error("step %s needs a person: %s", step.key, error)  # noqa: TRY400 - no fault of the code
                self._retry(step, error, None)
            except ProviderError as error:
                log.warning("step %s will be tried again: %s", step.key, error)
                self._retry(step, error, self._clock() + back_off(step.tries))
            except Exception as error:
                log.exception("step %s failed", step.key)
                self._retry(step, error, self._clock() + back_off(step.tries))
        except LeaseLostError:
            log.warning("step %s was taken over by another worker", step.key)

    def _retry(self, step: Step, error: Exception, at: datetime | None) -> None:
        self._store.retry(step, error=f"{type(error).__name__}: {error}"[:2000], at=at, now=self._clock())

    @contextmanager
    def _heartbeat(self, step: Step) -> Iterator[None]:
        """Renew the lease while the block runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._lease.total_seconds() / 3):
                try:
                    self._store.renew(step, now=self._clock(), lease=self._lease)
                except LeaseLostError:
                    return
                except Exception:
                    log.exception("the lease of step %s was not renewed; trying again", step.key)

        thread = threading.Thread(target=beat, name=f"lease of {step.key}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    # ── the order ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _plan(self, step: Step) -> None:
        """Look for passes over what is neither covered nor under way."""
        dossier, now = self._dossier(step), self._clock()
        area = course.open_area(dossier)
        if dossier.order.status in FINAL or area is None:
            self._store.finish(step, now=now)
            return
        window = course.search_window(dossier, now)
        if course.window_is_over(dossier, now):
            outcome = replace(course.expired(dossier, now=now), again=None)
        elif window is None:
            outcome = course.without_pass(dossier, now=now)
        else:
            try:
                outcome = self._planned(dossier, area, window, now)
            except InvalidOrderError as error:
                outcome = course.refused(dossier, str(error), now=now)
        self._store.finish(step, now=now, dossier=dossier, outcome=outcome)

    def _planned(self, dossier: Dossier, area: Footprint, window: TimeWindow, now: datetime) -> Outcome:
        product = self._product(dossier.order.product_id)
        if not product.satellites:
            whole = course.new_attempt(dossier, 0, area=area, window=window)
            return course.planned(dossier, [whole], versions={}, now=now)
        found = find_opportunities(
            area,
            window,
            product.satellites,
            max_off_nadir_deg=product.max_off_nadir_deg,
            min_sun_elevation_deg=product.min_sun_elevation_deg,
            any_part=True,
        )

        def suits(one: Opportunity) -> bool:
            within = one.off_nadir_deg <= product.max_off_nadir_deg
            return within and dossier.order.constraints.matches(one.properties)

        around = TimeWindow(start=window.start and window.start - TURN, end=window.end and window.end + TURN)
        schedule = self._store.schedule([satellite.id for satellite in product.satellites], around)
        tasks = plan(
            uncovered=area,
            opportunities=[one for one in found if suits(one)],
            satellites=product.satellites,
            committed=schedule.acquisitions,
            suits=suits,
        ).tasks
        attempts = [
            course.new_attempt(
                dossier,
                place,
                area=task.area,
                window=task.window,
                satellite_id=task.satellite_id,
                off_nadir_deg=task.off_nadir_deg,
            )
            for place, task in enumerate(tasks)
        ]
        if not attempts:
            return course.without_pass(dossier, now=now)
        versions = {name: schedule.versions[name] for name in {task.satellite_id for task in tasks}}
        return course.planned(dossier, attempts, versions=versions, now=now)

    def _expire(self, step: Step) -> None:
        """End the order after its window."""
        dossier, now = self._dossier(step), self._clock()
        self._store.finish(step, now=now, dossier=dossier, outcome=course.expired(dossier, now=now))

    # ── its attempts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _task(self, step: Step) -> None:
        """Command the acquisition."""
        dossier, attempt, now = *self._attempt(step), self._clock()
        provider = self._provider(attempt)
        if attempt.status is AttemptStatus.CANCELLED:
            self._call_off(step, attempt)
        elif attempt.status is not AttemptStatus.PLANNED:
            self._store.finish(step, now=now)
        elif attempt.window.end is not None and attempt.window.end <= now:
            text = f"The pass was over before it could be commanded ({step.error or 'no worker ran'})."
            outcome = course.attempt_failed(dossier, attempt, code="acquisition_failed", text=text, now=now)
            self._store.finish(step, now=now, dossier=dossier, outcome=outcome)
        else:
            provider.task(attempt)
            self._store.finish(step, now=now, dossier=dossier, outcome=course.tasked(dossier, attempt, now=now))

    def _collect(self, step: Step) -> None:
        """Ask for the delivery."""
        dossier, attempt = self._attempt(step)
        if attempt.status is AttemptStatus.CANCELLED:
            self._call_off(step, attempt)
            return
        if attempt.status is not AttemptStatus.TASKED:
            self._store.finish(step, now=self._clock())
            return
        answer = self._provider(attempt).poll(attempt)
        now = self._clock()
        if isinstance(answer, Pending):
            again = min(max(answer.check_again, now), now + LONGEST_WAIT)
            self._store.finish(step, now=now, outcome=Outcome(again=again))
        elif isinstance(answer, Failed):
            outcome = course.attempt_failed(dossier, attempt, code=answer.reason_code, text=answer.reason_text, now=now)
            self._store.finish(step, now=now, dossier=dossier, outcome=outcome)
        else:
            outcome = course.delivered(dossier, attempt, answer.folder, now=now)
            self._store.finish(step, now=now, dossier=dossier, outcome=outcome)

    def _call_off(self, step: Step, attempt: Attempt) -> None:
        self._provider(attempt).cancel(attempt)
        self._store.finish(step, now=self._clock())

    def _produce(self, step: Step) -> None:
        """Make the item, judge it, publish it, credit its area."""
        dossier, attempt = self._attempt(step)
        if attempt.status is not AttemptStatus.DELIVERED:
            self._store.finish(step, now=self._clock())
            return
        try:
            scene = read_delivery(self._folder(step, attempt))
            if setback := course.unasked(dossier.order, scene.acquired):
                self._fail(step, dossier, attempt, "invalid_delivery", setback)
                return
            produced = self._make(step, scene, dossier, self._product(attempt.product_id).collection)
        except (DeliveryError, SensorModelError) as error:
            self._fail(step, dossier, attempt, "invalid_delivery", f"The delivery cannot be used: {error}.")
            return
        if setback := course.too_cloudy(dossier.order, produced.cloud_cover_pct):
            self._withdraw(produced)
            self._fail(step, dossier, attempt, "cloud_cover", setback)
        elif dossier.order.area.intersection(produced.footprint) is None:
            self._withdraw(produced)
            self._fail(step, dossier, attempt, "invalid_delivery", "The scene shows nothing of the ordered area.")
        else:
            self._publish(step, dossier, attempt, produced)

    def _publish(self, step: Step, dossier: Dossier, attempt: Attempt, produced: Produced) -> None:
        self._catalog.put([produced.item.to_dict(include_self_link=False)])
        now = self._clock()
        outcome = course.published(
            dossier,
            attempt,
            item_id=produced.item.id,
            collection=str(produced.item.collection_id),
            footprint=produced.footprint,
            now=now,
        )
        self._store.finish(step, now=now, dossier=dossier, outcome=outcome)

    def _fail(self, step: Step, dossier: Dossier, attempt: Attempt, code: str, text: str) -> None:
        now = self._clock()
        outcome = course.attempt_failed(dossier, attempt, code=code, text=text, now=now)
        self._store.finish(step, now=now, dossier=dossier, outcome=outcome)

    def _folder(self, step: Step, attempt: Attempt) -> Path:
        """Where the delivery lies: where it was found, or, if the data folder has moved since, where it is now."""
        folder = Path(step.payload["folder"])
        if folder.is_dir():
            return folder
        answer = self._provider(attempt).poll(attempt)
        if isinstance(answer, Delivered) and answer.folder.name == attempt.delivery:
            return answer.folder
        raise ProviderError(f"attempt {attempt.id}: its delivery {attempt.delivery} is no longer at {folder}")

    def _make(self, step: Step, scene: Scene, dossier: Dossier | None, collection: str) -> Produced:
        def progress(what: str, done: int, total: int) -> None:
            if self._progress is not None:
                self._progress(step, what, done, total)

        order = dossier.order if dossier else None
        return produce(
            scene,
            collection=collection,
            dem=self._dem,
            assets=self._assets,
            derived=self._derived,
            neighbours=lambda seen: self._neighbours(scene.id, collection, seen),
            area=order.area if order else None,
            order=OrderReference(id=order.id, created=order.created) if order else None,
            client=self._client(),
            threads=self._threads,
            progress=progress,
        )

    def _neighbours(self, scene_id: str, collection: str, seen: Footprint) -> dict[str, Path]:
        """The pictures of the newest items that show some of the same ground, by id."""
        search = Search(collections=(collection,), intersects=seen.geojson, limit=MOST_NEIGHBOURS + 1)
        found: dict[str, Path] = {}
        for item in map(json.loads, self._catalog.view().search(search).items):
            if item["id"] == scene_id or len(found) == MOST_NEIGHBOURS:
                continue
            hrefs = [item["assets"][role]["href"] for role in (MULTISPECTRAL, PANCHROMATIC) if role in item["assets"]]
            local = [href.removeprefix(f"{BASE}/files/") for href in hrefs if href.startswith(f"{BASE}/files/")]
            with suppress(NotFoundError):
                if local:
                    found[item["id"]] = self._assets.path(local[0])
        return found

    def _withdraw(self, produced: Produced) -> None:
        """Remove the files of an item that will not be published, unless one of its id is in the catalog already."""
        item = produced.item
        try:
            self._catalog.view().get(str(item.collection_id), item.id)
        except NotFoundError:
            for asset in item.assets.values():
                if asset.href.startswith(f"{BASE}/files/"):
                    self._assets.path(asset.href.removeprefix(f"{BASE}/files/")).unlink(missing_ok=True)

    # ── deliveries that nobody ordered ──────────────────────────────────────────────────────────────────────────────

    def _ingest(self, step: Step) -> None:
        """Publish a delivery as it is."""
        folder = Path(step.payload["folder"])
        if not folder.is_dir() and self._intake is not None:  # the data folder has moved since
            folder = self._intake.place(folder.name) or folder
        produced = self._make(step, read_delivery(folder), None, step.payload["collection"])
        self._catalog.put([produced.item.to_dict(include_self_link=False)])
        self._store.finish(step, now=self._clock())

    # ── what a step is about ────────────────────────────────────────────────────────────────────────────────────────

    def _dossier(self, step: Step) -> Dossier:
        assert step.order_id is not None
        return self._store.dossier(step.order_id)

    def _attempt(self, step: Step) -> tuple[Dossier, Attempt]:
        assert step.attempt_id is not None
        dossier = self._dossier(step)
        return dossier, dossier.attempt(step.attempt_id)

    def _product(self, product_id: str) -> Product:
        if product_id not in self._products:
            raise UnknownProductError(f"product {product_id!r} is no longer offered here; bring it back, then requeue")
        return self._products[product_id]

    def _provider(self, attempt: Attempt) -> Provider:
        return self._providers[self._product(attempt.product_id).provider]


def back_off(tries: int) -> timedelta:
    """Wait after so many tries: 2, 4, 8 s, … at most an hour."""
    return timedelta(seconds=min(3600, 2 ** min(tries, 12)))
