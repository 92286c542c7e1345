"""`overflight ingest`: a vendor's delivery into the catalog, now.

The work is a step like any other: where a server works on the same folder, either may do it, and only one does.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from api.installation import INBOX_PRODUCT, Installation
from processing.blocks import Progress
from processing.errors import DeliveryError, ProcessingError
from processing.manifest import MANIFEST
from tasking.course import ingest_step
from tasking.errors import UnknownOrderError
from tasking.order import FINAL, AttemptStatus
from tasking.provider.inbox import Accepted
from tasking.step import Step
from tasking.worker import Worker

LOOK_S = 0.2
"""How often to look whether another worker has finished."""

PATIENCE_S = 60.0
"""How long an order may take to notice its delivery; it looks every few seconds."""


def ingest(installation: Installation, delivery: str, *, progress: Progress) -> str:
    """Accept a delivery and make its item, whose id is returned; one that failed before is tried again.

    Raises
    ------
    DeliveryError
        It is refused.
    ProcessingError
        It cannot be produced: heights are missing, for one.
    """
    folder = installation.inbox.accept(_find(installation, delivery))
    accepted = next(one for one in installation.inbox.accepted() if one.folder == folder)
    worker = installation.worker(progress=lambda _, what, done, total: progress(what, done, total), brief=True)
    order_id = accepted.order or (accepted.attempt or "").rpartition("-")[0]
    try:
        waiting = installation.store.order(order_id).status not in FINAL
    except UnknownOrderError:
        waiting = False
    if waiting:
        return _for_order(installation, worker, order_id, accepted)
    return _for_nobody(installation, worker, accepted)


def _find(installation: Installation, delivery: str) -> Path:
    """The folder, or one of that name in the drop folder."""
    dropped = installation.data / "inbox" / "drop" / delivery
    for candidate in (Path(delivery), dropped):
        if candidate.is_dir():
            return candidate
    raise DeliveryError(
        f"{delivery}: no such folder, nor one in {dropped.parent}; a delivery is a folder with {MANIFEST}"
    )


def _for_nobody(installation: Installation, worker: Worker, accepted: Accepted) -> str:
    """Publish it as it is."""
    store, name = installation.store, accepted.folder.name
    todo = ingest_step(accepted.folder, INBOX_PRODUCT.collection, datetime.now(UTC))
    if not store.add_step(todo):
        for dead in _named(store.dead_steps(), todo.key):
            store.requeue(dead.id, now=datetime.now(UTC))
    claims = [step.claims for step in _named(store.open_steps(), todo.key)]
    while open_ := _named(store.open_steps(), todo.key):
        if open_[0].error is not None and open_[0].owner is None and [open_[0].claims] != claims:
            raise ProcessingError(f"{name}: {_reason(open_[0])}; a worker tries again, `overflight steps` shows when")
        if not worker.run_once():
            time.sleep(LOOK_S)
    for dead in _named(store.dead_steps(), todo.key):
        raise ProcessingError(f"{name}: {_reason(dead)}")
    return name


def _for_order(installation: Installation, worker: Worker, order_id: str, accepted: Accepted) -> str:
    """Let the order's own steps collect it, so that its area is credited."""
    name, until = accepted.folder.name, time.monotonic() + PATIENCE_S
    while True:
        dossier = installation.store.dossier(order_id)
        mine = [attempt for attempt in dossier.attempts if attempt.delivery == name]
        if mine and mine[0].status is AttemptStatus.COMPLETED:
            return str(mine[0].item_id)
        if mine and mine[0].status is not AttemptStatus.DELIVERED:
            raise ProcessingError(f"{name}: {dossier.last.reason_text or mine[0].status}")
        if not mine and time.monotonic() > until:
            raise ProcessingError(f"{name}: accepted, but order {order_id} does not look for it now; see its history")
        if not worker.run_once():
            time.sleep(LOOK_S)


def _named(steps: tuple[Step, ...], key: str) -> list[Step]:
    return [step for step in steps if step.key == key]


def _reason(step: Step) -> str:
    """What went wrong, without the names of the error's class and of the scene, which stand before it already."""
    name, _, message = (step.error or "no reason is known").partition(": ")
    text = message if name.endswith("Error") else step.error or name
    return text.removeprefix(f"{Path(str(step.payload.get('folder', ''))).name}: ")
