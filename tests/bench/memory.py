"""A process's own memory, watched from outside."""

import threading
from pathlib import Path
from typing import Self

from tests.bench.errors import LeftOutError


class Watch:
    """Looks at a process's memory again and again: what is its own, without the pages of files that it has mapped.

    Those the kernel keeps for everybody, and takes back whenever it wants (proc(5): RssAnon).
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        if not self._status.exists():
            raise LeftOutError("needs Linux, which tells a process's memory")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._idle = self._peak = self._own_mb()

    @property
    def above_idle_mb(self) -> float:
        """The most so far."""
        return self._peak - self._idle

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._peak = max(self._peak, self._own_mb())

    def _own_mb(self) -> float:
        """Nothing once it has ended."""
        try:
            lines = self._status.read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)
