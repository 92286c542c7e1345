"""The sandbox as a provider: it takes the picture when its satellite passes, on a clock that may run faster than ours.

Under its folder: ``requests/`` what was tasked and when, ``deliveries/`` what was acquired, ``building/`` what is being
made. A picture follows from its attempt alone, so that a restart continues, and making it again gives the same files.
"""

import json
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.extent import format_time, parse_time
from tasking.errors import ProviderError
from tasking.order import Attempt
from tasking.provider import Delivered, Failed, Pending
from tasking.provider.durable import flush, move_folder, name_of, write_json
from tasking.provider.sandbox.acquire import acquire
from tasking.provider.sandbox.acquisition import Acquisition
from tasking.satellite import Satellite

LATENCY = timedelta(hours=1)
"""From the last line to the delivery, on the sandbox's clock: downlink and handling."""

_ABANDONED_S = 3600.0
"""What has been building for longer was left by a process that ended."""


class SandboxProvider:
    """Carries out attempts with made-up satellites; several processes may share one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        rate: float,
        satellites: Sequence[Satellite],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep everything in a folder, which is made when it is needed.

        Parameters
        ----------
        rate
            Seconds of the sandbox in one second of ours: at 3600, what tomorrow brings is here in 24 s.
        """
        if rate <= 0:
            raise ValueError(f"rate: {rate} does not bring the future; give a number above 0")
        self._folder, self._rate, self._clock = folder, rate, clock
        self._satellites = {satellite.id: satellite for satellite in satellites}

    def task(self, attempt: Attempt) -> None:
        """Command the acquisition; see `tasking.provider.Provider`."""
        path = self._request(attempt)
        if path.exists():
            return
        acquisition = self._plan(attempt)
        now = self._clock()
        wait = max(acquisition.times[1] + LATENCY - now, timedelta(0)) / self._rate
        document = {
            "attempt": attempt.id,
            "order": attempt.order_id,
            "satellite": attempt.satellite_id,
            "area": attempt.area.geojson,
            "acquisition": format_time(acquisition.times[0]),
            "tasked": format_time(now),
            "due": format_time(now + wait),
            "cancelled": False,
        }
        write_json(path, document)

    def poll(self, attempt: Attempt) -> Pending | Delivered | Failed:
        """Take the picture once it is due; see `tasking.provider.Provider`."""
        folder = self._folder / "deliveries" / name_of(attempt.id)
        if folder.is_dir():
            return Delivered(folder=folder)
        request = self._read(attempt)
        if request is None:
            text = "The sandbox knows nothing of this attempt; its folder was emptied."
            return Failed(reason_code="acquisition_failed", reason_text=text)
        if request["cancelled"]:
            return Failed(reason_code="cancelled", reason_text="The acquisition was called off.")
        due = parse_time(request["due"])
        if self._clock() < due:
            return Pending(check_again=due)
        self._build(attempt, folder)
        return Delivered(folder=folder)

    def cancel(self, attempt: Attempt) -> None:
        """Call it off; see `tasking.provider.Provider`."""
        request = self._read(attempt)
        acquired = request is not None and self._clock() >= parse_time(request["due"])
        if request is not None and not acquired:
            write_json(self._request(attempt), request | {"cancelled": True})

    def _plan(self, attempt: Attempt) -> Acquisition:
        return Acquisition.plan(self._satellite(attempt), attempt.area, attempt.window)

    def _satellite(self, attempt: Attempt) -> Satellite:
        try:
            return self._satellites[attempt.satellite_id or ""]
        except KeyError:
            known = ", ".join(self._satellites)
            message = f"attempt {attempt.id}: no satellite {attempt.satellite_id!r}; there are {known}"
            raise ProviderError(message) from None

    def _request(self, attempt: Attempt) -> Path:
        return self._folder / "requests" / f"{name_of(attempt.id)}.json"

    def _read(self, attempt: Attempt) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._request(attempt).read_bytes()))
        except FileNotFoundError:
            return None

    def _build(self, attempt: Attempt, folder: Path) -> None:
        """Make the delivery beside its place, then rename it whole; another process may have been first."""
        building = self._folder / "building"
        building.mkdir(parents=True, exist_ok=True)
        for left in building.iterdir():
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
        draft = building / f"{name_of(attempt.id)}-{uuid.uuid4().hex[:8]}"
        draft.mkdir()
        try:
            acquire(
                self._satellite(attempt),
                attempt.area,
                attempt.window,
                folder=draft,
                attempt=attempt.id,
                order=attempt.order_id,
            )
            for path in (*draft.iterdir(), draft):
                flush(path)
            try:
                move_folder(draft, folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
