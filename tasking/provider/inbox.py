"""A folder as a provider: an operator passes the requests on, and drops in what the vendor delivers.

Under its folder:

- ``requests/ATTEMPT.json``: what is wanted
- ``drop/NAME/``: a delivery, put here by hand; complete when delivery.json is there and nothing changes any more
- ``accepted/ID/``: checked whole: every file is there, undamaged, and says how to use it
- ``rejects/NAME-n/``: refused whole, with the reason in reason.txt
"""

import fcntl
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.extent import format_time
from processing.delivery import read_delivery
from processing.errors import DeliveryError
from processing.manifest import MANIFEST
from tasking.order import Attempt
from tasking.provider import Delivered, Failed, Pending
from tasking.provider.durable import flush, move_folder, name_of, write_json

LOOK_AGAIN = timedelta(seconds=5)
"""How long to wait for a delivery before looking again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A delivery that was found good."""

    folder: Path
    attempt: str | None
    """Whose delivery its manifest says it is; None where it names none."""

    order: str | None
    """For which order; None where nobody ordered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A delivery that was refused."""

    folder: Path
    reason: str


class InboxProvider:
    """Takes in deliveries; several processes may share one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        settle_s: float = 2.0,
    ) -> None:
        """Keep everything in a folder; the one to drop deliveries into is made at once.

        Parameters
        ----------
        settle_s
            A dropped folder in which something changed more recently is still being copied.
        """
        self._folder, self._clock, self._settle_s = folder, clock, settle_s
        self._manifests: dict[str, dict[str, Any]] = {}
        for part in ("requests", "drop", "accepted", "rejects", ".checking"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    # ── provider ────────────────────────────────────────────────────────────────────────────────────────────────────

    def task(self, attempt: Attempt) -> None:
        """Write down what is wanted; see `tasking.provider.Provider`."""
        path = self._request(attempt)
        if path.exists():
            return
        document = {
            "attempt": attempt.id,
            "order": attempt.order_id,
            "product": attempt.product_id,
            "satellite": attempt.satellite_id,
            "window": str(attempt.window),
            "off_nadir_deg": attempt.off_nadir_deg,
            "area": attempt.area.geojson,
            "requested": format_time(self._clock()),
            "deliver_to": str(self._folder / "drop"),
            "manifest": {"attempt": attempt.id, "order": attempt.order_id},
        }
        write_json(path, document)

    def poll(self, attempt: Attempt) -> Pending | Delivered | Failed:
        """Look for an accepted delivery that names the attempt, else the newest that names its order."""
        for_order = []
        for accepted in self.accepted():
            if accepted.attempt == attempt.id:
                return Delivered(folder=accepted.folder)
            if accepted.attempt is None and accepted.order == attempt.order_id:
                for_order.append(accepted.folder)
        if for_order:
            return Delivered(folder=max(for_order, key=lambda folder: (folder.stat().st_ctime_ns, folder.name)))
        return Pending(check_again=self._clock() + LOOK_AGAIN)

    def cancel(self, attempt: Attempt) -> None:
        """Put the request aside, so that the operator sees it is no longer wanted."""
        path = self._request(attempt)
        if path.exists():
            aside = self._folder / "requests" / "cancelled" / path.name
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
            flush(aside.parent)

    def _request(self, attempt: Attempt) -> Path:
        return self._folder / "requests" / f"{name_of(attempt.id)}.json"

    # ── deliveries ──────────────────────────────────────────────────────────────────────────────────────────────────

    def accepted(self) -> tuple[Accepted, ...]:
        """Every delivery that was found good, by id."""
        found = []
        for folder in sorted((self._folder / "accepted").iterdir()):
            if folder.name not in self._manifests:
                try:
                    self._manifests[folder.name] = json.loads((folder / MANIFEST).read_bytes())
                except (FileNotFoundError, NotADirectoryError):  # being moved away by hand, or none of ours
                    continue
            manifest = self._manifests[folder.name]
            found.append(Accepted(folder=folder, attempt=manifest.get("attempt"), order=manifest.get("order")))
        return tuple(found)

    def scan(self) -> tuple[Accepted | Rejected, ...]:
        """Accept or refuse every complete delivery in the drop folder; nothing while another process does."""
        found: list[Accepted | Rejected] = []
        with self._alone() as alone:
            if not alone:
                return ()
            for left in (self._folder / ".checking").iterdir():  # by a process that ended
                move_folder(left, _free(self._folder / "drop", left.name.rpartition("~")[0]))
            for dropped in sorted((self._folder / "drop").iterdir()):
                if dropped.is_symlink() or not self._is_complete(dropped):
                    continue
                try:
                    folder = self._take(dropped)
                    found += [one for one in self.accepted() if one.folder == folder]
                except _RefusedError as refused:
                    found.append(Rejected(folder=refused.folder, reason=str(refused)))
        return tuple(found)

    def accept(self, delivery: Path) -> Path:
        """Accept one delivery now: move it here from the drop folder, or copy it from anywhere else.

        Returns
        -------
        Path
            ``accepted/ID``; also where the same delivery was accepted before.

        Raises
        ------
        DeliveryError
            It is refused: one from the drop folder lies in ``rejects/`` now, another one stays where it is.
        """
        if not delivery.is_dir():
            raise DeliveryError(f"{delivery}: no folder; a delivery is a folder with {MANIFEST} in it")
        with self._alone(wait=True):
            if delivery.resolve().parent == (self._folder / "drop").resolve():
                return self._take(delivery)
            return self._copy(delivery)

    def _take(self, dropped: Path) -> Path:
        """Move a dropped delivery out of reach, then judge it."""
        checking = self._folder / ".checking" / f"{dropped.name}~{uuid.uuid4().hex[:8]}"
        move_folder(dropped, checking)
        try:
            return self._admit(checking)
        except DeliveryError as error:
            rejected = _free(self._folder / "rejects", dropped.name)
            (checking / "reason.txt").write_text(f"{error}\n", encoding="utf-8")
            move_folder(checking, rejected)
            raise _RefusedError(f"{dropped.name}: {error}", rejected) from error

    def _copy(self, delivery: Path) -> Path:
        copy = self._folder / ".checking" / f"{delivery.resolve().name}~{uuid.uuid4().hex[:8]}"
        try:
            read_delivery(delivery)  # before gigabytes are copied
            shutil.copytree(delivery, copy)
            for path in (*copy.rglob("*"), copy):
                flush(path)
            return self._admit(copy)
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _admit(self, checking: Path) -> Path:
        """Check a delivery whole and give it its place; the same one again is not kept twice."""
        scene = read_delivery(checking)
        if not scene.id.strip("."):
            raise DeliveryError(f"{MANIFEST}: id {scene.id!r} is no name; give letters or digits")
        place = self._folder / "accepted" / scene.id
        if place.exists():
            if (place / MANIFEST).read_bytes() != (checking / MANIFEST).read_bytes():
                raise DeliveryError(f"{MANIFEST}: {scene.id} was accepted before with other contents; ids are unique")
            shutil.rmtree(checking)
            return place
        move_folder(checking, place)
        return place

    def _is_complete(self, dropped: Path) -> bool:
        """Whether the manifest is there and nothing changed of late: a copy may bring it before the pixels."""
        try:
            if not (dropped / MANIFEST).is_file():
                return False
            # The time of change is the disk's own; that of modification is copied along.
            last = max(path.lstat().st_ctime for path in (dropped, *dropped.rglob("*")))
        except FileNotFoundError:
            return False
        return abs(time.time() - last) >= self._settle_s

    @contextmanager
    def _alone(self, *, wait: bool = False) -> Iterator[bool]:
        """Whether no other process works in the drop folder; it stays so inside the block."""
        with (self._folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True


class _RefusedError(DeliveryError):
    """A refused delivery and where it lies now."""

    def __init__(self, reason: str, folder: Path) -> None:
        super().__init__(reason)
        self.folder = folder


def _free(parent: Path, name: str) -> Path:
    """A place for another folder of this name: the name itself, or with a number."""
    number, place = 1, parent / name
    while place.exists():
        number += 1
        place = parent / f"{name}-{number}"
    return place
