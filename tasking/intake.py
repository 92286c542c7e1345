"""What is dropped into the inbox: an order's own step collects what answers it, all else is ingested as it is."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasking.course import ingest_step
from tasking.errors import UnknownOrderError
from tasking.order import FINAL
from tasking.product import Product
from tasking.provider.inbox import Accepted, InboxProvider, Rejected
from tasking.step import Dossier
from tasking.store import Store

log = logging.getLogger("overflight.intake")

LOOK_EVERY = timedelta(seconds=2)


class Intake:
    """Looks into the inbox now and then; any number of processes may do so."""

    def __init__(
        self, *, store: Store, inbox: InboxProvider, products: Mapping[str, Product], clock: Callable[[], datetime]
    ) -> None:
        self._store, self._inbox, self._clock = store, inbox, clock
        ours = sorted(product.collection for product in products.values() if product.provider == "inbox")
        self._collection = ours[0] if ours else None
        self._next = datetime.min.replace(tzinfo=UTC)
        self._settled: set[str] = set()

    def look(self) -> None:
        """Accept or refuse what was dropped, and see that every accepted delivery has a step; at once if too early."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + LOOK_EVERY
        try:
            for found in self._inbox.scan():
                if isinstance(found, Rejected):
                    log.warning("a delivery was refused, it lies in %s: %s", found.folder, found.reason)
            # All that was ever accepted: the process that accepted it may have ended before it recorded the step.
            for delivery in self._inbox.accepted():
                if delivery.folder.name not in self._settled:
                    self._settle(delivery, now)
        except OSError:
            log.exception("the inbox cannot be read; looking again later")

    def place(self, name: str) -> Path | None:
        """Where an accepted delivery lies now."""
        return next((one.folder for one in self._inbox.accepted() if one.folder.name == name), None)

    def _settle(self, delivery: Accepted, now: datetime) -> None:
        name = delivery.folder.name
        ordered = self._ordered(delivery)
        if ordered is not None and ordered.order.status not in FINAL:
            return  # its order's own step collects it
        taken = ordered is not None and any(attempt.delivery == name for attempt in ordered.attempts)
        if self._collection is not None and not taken:
            self._store.add_step(ingest_step(delivery.folder, self._collection, now))
        self._settled.add(name)

    def _ordered(self, delivery: Accepted) -> Dossier | None:
        """The order that a delivery says it is for; None where it names none of ours."""
        order_id = delivery.order or (delivery.attempt or "").rpartition("-")[0]
        try:
            return self._store.dossier(order_id)
        except UnknownOrderError:
            return None
