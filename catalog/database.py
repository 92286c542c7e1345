"""One SQLite file for many threads and processes: who reads never waits, who writes waits for other writers only."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.errors import CatalogError

BUSY_S = 60.0
"""How long a writer waits for another one."""

_SETTINGS = (
    "synchronous = FULL",  # what was written is there after a power failure
    "foreign_keys = ON",
    "cache_size = -65536",
    "mmap_size = 2147418112",
    "temp_store = MEMORY",
    "wal_autocheckpoint = 250",
)


_BULK = ("synchronous = NORMAL", "cache_size = -262144", "wal_autocheckpoint = 4000")


class Database:
    """Connections to one file in write-ahead mode, one for each thread."""

    def __init__(self, path: Path, prepare: Callable[[sqlite3.Connection], None] = lambda _: None) -> None:
        """Connections to the file; each is prepared before its first statement."""
        self.path = path
        self._prepare = prepare
        self._local = threading.local()
        self._open: weakref.WeakSet[_Connection] = weakref.WeakSet()
        path.parent.mkdir(parents=True, exist_ok=True)

    def connection(self) -> sqlite3.Connection:
        """The thread's own; a process that was forked opens a new one (SQLite, How To Corrupt, 2.6)."""
        mine: _Connection | None = getattr(self._local, "connection", None)
        if mine is None or mine.process != os.getpid():
            mine = self._local.connection = _Connection(self.path)
            self._prepare(mine.sqlite)
            self._open.add(mine)
        return mine.sqlite

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block see the same state."""
        connection = self.connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All statements of the block take effect, durably, or none.

        Raises
        ------
        CatalogError
            The disk is full, or another process did not finish writing for `BUSY_S`.
        """
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise CatalogError(f"{self.path.name}: {error}; nothing was written") from error
            raise

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Let this thread's transactions of the block be synced when the log is, not each by itself.

        A power failure may take the last ones, whole; none is ever half there (SQLite, PRAGMA synchronous = NORMAL).
        """
        connection = self.connection()
        for setting in _BULK:
            connection.execute(f"PRAGMA {setting}")
        try:
            yield
        finally:
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connections of every thread; who asks afterwards gets a new one."""
        self._local = threading.local()
        for connection in list(self._open):
            connection.close()


class _Connection:
    """One thread's connection; closed when the thread is gone."""

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        self.sqlite = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=1024
        )
        # Documents of some 3 kB leave less of a large page unused; settled when the file is made.
        self.sqlite.execute("PRAGMA page_size = 65536")
        use_write_ahead_log(self.sqlite)
        for setting in _SETTINGS:
            self.sqlite.execute(f"PRAGMA {setting}")

    def close(self) -> None:
        self.sqlite.close()

    def __del__(self) -> None:
        if hasattr(self, "sqlite"):
            self.close()


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Try again while it is locked: where two processes make the file, SQLite lets one fail without waiting."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
