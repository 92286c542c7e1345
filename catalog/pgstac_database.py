"""Connections to PostgreSQL, shared by threads: what a search and a write run in, and what happens when one is lost."""

import os
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg_pool import ConnectionPool, PoolTimeout

from catalog.errors import CatalogError, InvalidSearchError, UnavailableError
from catalog.pgstac_schema import Connection, address

SEARCH_S = 20.0
"""How long one search may take."""

WAIT_S = 60.0
"""How long a writer waits for another one."""

CONNECT_S = 10.0
"""How long anybody waits for a connection: for a turn, or for a server that starts anew."""

MAX_CONNECTIONS = 16
"""Of one process; more threads take turns."""

ATTEMPTS = 8
"""Of what others got in the way of, with longer and longer pauses."""

T = TypeVar("T")

_SETTINGS = """
    SET search_path TO pgstac, public;
    SET client_min_messages TO error;
    SET plan_cache_mode TO force_custom_plan;
    SET jit TO off;
    SET max_parallel_workers_per_gather TO 0;
    SET enable_bitmapscan TO off;
    SET enable_memoize TO off;
    SET statement_timeout TO {timeout};
    DO $$ BEGIN
        IF 'lz4' = ANY (SELECT unnest(enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
            SET default_toast_compression TO lz4;
        END IF;
    END $$
"""
"""Of a connection. A plan is made for the values at hand: how selective a box and a span are decides which index
serves, and making it takes a third of a millisecond. PostGIS says that ST_Intersects costs as much as reading a dozen
pages, for which a bitmap of half the table looks cheap beside trying a hundred items; it is not. Nor does it pay to
remember what was unpacked of an item that comes once, or to start a second process for a page of items. LZ4 packs a
document in less time, and halves that of looking into it.
"""

_DISTURBED = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.UniqueViolation,
    errors.CheckViolation,  # pgstac draws a partition's bounds closer while we write
    errors.UndefinedTable,
    errors.ForeignKeyViolation,
)


class _Json(Loader):
    """JSON as the bytes that PostgreSQL sends; what is to be looked into is parsed where that is done."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class Postgres:
    """A database for many threads and processes at once."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None
        self._process = 0

    def close(self) -> None:
        """Close every connection; who asks afterwards gets a new one."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.close()

    def read(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run statements that change nothing; ``snapshot`` where all of them are to see the same state.

        Raises
        ------
        InvalidSearchError
            They took longer than `SEARCH_S`.
        CatalogError
            The server cannot be reached.
        """
        try:
            return self._repeated(
                _in_snapshot(work) if snapshot else work, (errors.DeadlockDetected, errors.SerializationFailure)
            )
        except errors.QueryCanceled:
            raise InvalidSearchError(
                f"search: it took too long, more than {SEARCH_S:.0f} s; narrow it down by collections, bbox or datetime"
            ) from None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run statements that take effect, durably, or none; again where another writer got in the way.

        Raises
        ------
        CatalogError
            The server cannot be reached, or others were in the way for too long; nothing was written.
        """
        return self._repeated(_in_transaction(work), _DISTURBED)

    def _repeated(self, work: Callable[[Connection], T], disturbances: tuple[type[psycopg.Error], ...]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return self._once(work)
            except disturbances as error:
                if attempt == ATTEMPTS - 1:
                    raise UnavailableError(f"{address(self.dsn)}: {_line(error)}; try again") from error
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - no secret
        raise AssertionError

    def _once(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._connections().connection(CONNECT_S) as connection:
                try:
                    return work(connection)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
            # It was closed while nobody used it, as all are when the server starts anew.
            self._connections().check()
            with self._connections().connection(CONNECT_S) as connection:
                return work(connection)
        except (errors.QueryCanceled, *_DISTURBED):
            raise  # the server is there
        except PoolTimeout:
            raise UnavailableError(f"{address(self.dsn)}: it gave no connection for {CONNECT_S:.0f} s") from None
        except psycopg.OperationalError as error:
            raise UnavailableError(f"{address(self.dsn)}: {_line(error)}") from error

    def _connections(self) -> "ConnectionPool[Connection]":
        """The pool of this process: connections do not survive a fork."""
        with self._lock:
            if self._pool is None or self._process != os.getpid():
                self._process = os.getpid()
                self._pool = ConnectionPool(
                    self.dsn,
                    kwargs={"autocommit": True, "prepare_threshold": 2},
                    min_size=1,
                    max_size=MAX_CONNECTIONS,
                    configure=_configure,
                    name="catalog",
                    open=True,
                )
            return self._pool


def _configure(connection: Connection) -> None:
    for name in ("json", "jsonb"):
        connection.adapters.register_loader(name, _Json)
    connection.execute(_SETTINGS.format(timeout=int(SEARCH_S * 1000)).encode())


def _in_snapshot(work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    def run(connection: Connection) -> T:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return work(connection)
        finally:
            if not connection.closed:
                connection.execute("ROLLBACK")

    return run


def _in_transaction(work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    def run(connection: Connection) -> T:
        connection.execute(_BEGIN_WRITING)
        try:
            result = work(connection)
        except BaseException:
            if not connection.closed:
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            # Not again: our own documents could be taken for somebody else's.
            raise CatalogError(
                f"the connection was lost while a write was being made durable ({_line(error)}); see if it is there"
            ) from error
        return result

    return run


_BEGIN_WRITING = f"""
    BEGIN;
    SET LOCAL statement_timeout TO 0;
    SET LOCAL lock_timeout TO {int(WAIT_S * 1000)};
    SET LOCAL enable_bitmapscan TO on;
    SET LOCAL plan_cache_mode TO auto
""".encode()


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
