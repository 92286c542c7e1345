"""Orders, their attempts and the work still to do: every statement on the tables of `tasking.schema`.

Durable when a method returns. A step is claimed with a lease by one compare-and-set statement and ends only for the
owner of that claim; what its end changes about an order is recorded in the same transaction, and only if the order is
still as it was when that was decided (its version).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from catalog.database import use_write_ahead_log
from catalog.extent import Footprint, TimeWindow
from tasking.errors import ConflictError, IllegalTransitionError, LeaseLostError, UnknownOrderError
from tasking.fleet import Fleet
from tasking.idempotency import SubmissionKey
from tasking.order import (
    ATTEMPT_TRANSITIONS,
    FINAL,
    Attempt,
    AttemptStatus,
    Order,
    OrderStatus,
    StatusChange,
    check_transition,
)
from tasking.rows import (
    attempt_row,
    bounded,
    history_row,
    is_order_id,
    order_row,
    order_token,
    read_attempt,
    read_change,
    read_history_token,
    read_order,
    read_order_token,
    read_step,
    step_row,
)
from tasking.rows import (
    token as page_token,
)
from tasking.schema import attempts, credits_, order_history, orders, schedules, steps, submissions
from tasking.step import Dossier, NewStep, Outcome, Schedule, Step, StepKind

MAX_TRIES = 12
"""With the worker's back-off an hour of trouble, after which a person should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """Some orders, newest first."""

    orders: tuple[Order, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Some lines of an order's history, newest first: the first line of the first page is the current state."""

    changes: tuple[StatusChange, ...]
    next_token: str | None


class Store:
    """The tables behind an address such as ``sqlite:////srv/overflight/tasking.db``; safe for threads and processes."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
        if self._engine.dialect.name == "sqlite":
            _prepare_sqlite(self._engine)
        self._writing = self._engine.execution_options(writes=True)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to a revision of `tasking.migrations`, all or nothing; ``base`` removes them."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self._writing.begin() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if revision == "base" else command.upgrade)(config, revision)

    @cached_property
    def fleet(self) -> Fleet:
        """Satellites and stations, in the same database."""
        return Fleet(self._engine)

    def ping(self) -> None:
        """Raise unless the tables can be read."""
        with self._engine.begin() as connection:
            connection.execute(sa.select(orders.c.id).limit(1)).all()

    # ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(
        self, order: Order, first: StatusChange, todo: Sequence[NewStep], *, key: SubmissionKey | None = None
    ) -> str:
        """Record a new order, the first line of its history and its first steps: all or nothing.

        Returns
        -------
        The order's id; where the customer has used the key before, that of the order it was used for, and nothing is
        recorded.

        Raises
        ------
        IdempotencyError
            The key was used for another request.
        """
        try:
            with self._writing.begin() as connection:
                earlier = None if key is None else _submitted(connection, order.user, key)
                if earlier is not None:
                    return earlier
                connection.execute(sa.insert(orders), order_row(order))
                if key is not None:
                    row = {"customer": order.user, "key": key.text, "digest": key.digest, "order_id": order.id}
                    connection.execute(sa.insert(submissions), row)
                connection.execute(sa.insert(order_history), history_row(order.id, 0, first))
                _insert_steps(connection, todo)
        except sa.exc.IntegrityError:
            earlier = None if key is None else self.submitted(order.user, key)
            if earlier is None:
                raise
            return earlier  # the same was submitted at the same moment, and was faster
        return order.id

    def submitted(self, customer: str, key: SubmissionKey) -> str | None:
        """The order that a customer's key was used for; None where it is new.

        Raises
        ------
        IdempotencyError
            It was used for another request.
        """
        with self._engine.begin() as connection:
            return _submitted(connection, customer, key)

    def order(self, order_id: str) -> Order:
        """One order.

        Raises
        ------
        UnknownOrderError
            There is none of that id.
        """
        with self._engine.begin() as connection:
            return read_order(_order_row_of(connection, order_id))

    def orders(self, *, limit: int = 100, token: str | None = None) -> OrderPage:
        """Orders, newest first; `token` goes on where an earlier page ended.

        Raises
        ------
        InvalidTokenError
            The token is not from a page of orders, or the limit is out of bounds.
        """
        query = sa.select(orders).order_by(orders.c.created.desc(), orders.c.id.desc()).limit(bounded(limit) + 1)
        if token is not None:
            created, order_id = read_order_token(token)
            query = query.where(
                sa.tuple_(sa.type_coerce(orders.c.created, sa.BigInteger), orders.c.id)
                < sa.tuple_(sa.literal(created, sa.BigInteger), sa.literal(order_id))
            )
        with self._engine.begin() as connection:
            rows = connection.execute(query).all()
        page = tuple(read_order(row) for row in rows[:limit])
        more = len(rows) > limit
        return OrderPage(orders=page, next_token=order_token(page[-1]) if more else None)

    def history(self, order_id: str, *, limit: int = 100, token: str | None = None) -> HistoryPage:
        """Lines of an order's history, newest first.

        Raises
        ------
        UnknownOrderError
            There is no order of that id.
        InvalidTokenError
            The token is not from a page of a history, or the limit is out of bounds.
        """
        query = sa.select(order_history).where(order_history.c.order_id == order_id)
        query = query.order_by(order_history.c.number.desc()).limit(bounded(limit) + 1)
        if token is not None:
            query = query.where(order_history.c.number < read_history_token(token))
        with self._engine.begin() as connection:
            _order_row_of(connection, order_id)
            rows = connection.execute(query).all()
        more = len(rows) > limit
        return HistoryPage(
            changes=tuple(read_change(row) for row in rows[:limit]),
            next_token=page_token(rows[limit - 1].number) if more else None,
        )

    def attempts(self, order_id: str) -> tuple[Attempt, ...]:
        """The attempts of an order by running number; none for an unknown order."""
        with self._engine.begin() as connection:
            return _attempts_of(connection, order_id)

    def dossier(self, order_id: str) -> Dossier:
        """Everything that a decision about an order rests on.

        Raises
        ------
        UnknownOrderError
            There is none of that id.
        """
        with self._engine.begin() as connection:
            # The version first: whatever is read later and is newer makes the recording fail, never pass.
            row = _order_row_of(connection, order_id)
            credited = connection.execute(
                sa.select(credits_.c.area).where(credits_.c.order_id == order_id).order_by(credits_.c.attempt_id)
            )
            covered: Footprint | None = None
            for area in credited.scalars():
                covered = area if covered is None else covered.union(area)
            newest = sa.select(order_history).where(order_history.c.order_id == order_id)
            newest = newest.order_by(order_history.c.number.desc()).limit(1)
            return Dossier(
                order=read_order(row),
                version=row.version,
                attempts=_attempts_of(connection, order_id),
                covered=covered,
                last=read_change(connection.execute(newest).one()),
            )

    def record(self, dossier: Dossier, outcome: Outcome, *, now: datetime) -> None:
        """Record a decision that no step made, a cancellation for one.

        Raises
        ------
        ConflictError
            The order is no longer as the dossier has it.
        IllegalTransitionError
            The outcome holds a change that the tables of transitions do not allow.
        """
        with self._writing.begin() as connection:
            _apply(connection, dossier, outcome, now)

    def schedule(self, satellite_ids: Sequence[str], window: TimeWindow) -> Schedule:
        """What the satellites are committed to in the window, by any order."""
        held = sa.select(attempts).where(
            attempts.c.satellite_id.in_(satellite_ids),
            attempts.c.status.not_in((AttemptStatus.FAILED, AttemptStatus.CANCELLED)),
        )
        if window.start is not None:
            held = held.where(attempts.c.window_end >= window.start)
        if window.end is not None:
            held = held.where(attempts.c.window_start <= window.end)
        versions = sa.select(schedules).where(schedules.c.satellite_id.in_(satellite_ids))
        with self._engine.begin() as connection:
            # The versions first, as in `dossier`.
            known = {row.satellite_id: row.version for row in connection.execute(versions)}
            rows = connection.execute(held.order_by(attempts.c.window_start, attempts.c.id)).all()
        return Schedule(
            acquisitions=tuple((r.satellite_id, r.window_start, r.window_end, r.off_nadir_deg or 0.0) for r in rows),
            versions={satellite_id: known.get(satellite_id, 0) for satellite_id in satellite_ids},
        )

    def held(self, satellite_ids: Sequence[str], window: TimeWindow) -> tuple[Attempt, ...]:
        """The attempts that satellites are committed to in the window, by time, of all orders."""
        query = sa.select(attempts).where(
            attempts.c.satellite_id.in_(satellite_ids),
            attempts.c.status.not_in((AttemptStatus.FAILED, AttemptStatus.CANCELLED)),
        )
        if window.start is not None:
            query = query.where(attempts.c.window_end >= window.start)
        if window.end is not None:
            query = query.where(attempts.c.window_start <= window.end)
        with self._engine.begin() as connection:
            rows = connection.execute(query.order_by(attempts.c.window_start, attempts.c.id)).all()
        return tuple(read_attempt(row) for row in rows)

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_step(self, step: NewStep) -> bool:
        """Record a step that belongs to no order; False when one of its key is known already."""
        insert = _insert(self._engine.dialect.name)(steps).on_conflict_do_nothing(index_elements=["key"])
        with self._writing.begin() as connection:
            # Whether a row came back, since PostgreSQL's drivers do not count inserted rows alike.
            return connection.execute(insert.values(step_row(step)).returning(steps.c.id)).first() is not None

    def next_due(self) -> datetime | None:
        """When the next step can be claimed, UTC; None when there is none."""
        query = sa.select(sa.func.min(steps.c.due)).where(steps.c.state == "open")
        with self._engine.begin() as connection:
            return connection.execute(query).scalar()

    def claim(self, owner: str, *, now: datetime, lease: timedelta) -> Step | None:
        """Take the step that has been due the longest, until the lease ends; None when none is due.

        Production goes first: a scene that is here should not wait for those that are still to be fetched.
        A step whose owners died or stalled `MAX_TRIES` times over is dead instead.
        """
        candidate = (
            sa.select(steps.c.id)
            .where(steps.c.state == "open", steps.c.due <= now)
            .order_by(steps.c.kind != StepKind.PRODUCE, steps.c.due, steps.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        take = (
            sa.update(steps)
            .where(steps.c.id == candidate.scalar_subquery(), steps.c.state == "open", steps.c.due <= now)
            .values(owner=owner, due=now + lease, claims=steps.c.claims + 1, tries=steps.c.tries + 1)
            .returning(steps)
        )
        while True:
            with self._writing.begin() as connection:
                row = connection.execute(take).one_or_none()
                if row is None or row.tries <= MAX_TRIES:
                    return None if row is None else read_step(row)
                step = read_step(row)
                error = step.error or f"its worker ended {MAX_TRIES} times without bringing it to an end"
                _held(connection, step, {"state": "dead", "owner": None, "error": error})
                _remark_death(connection, step, error, now)

    def renew(self, step: Step, *, now: datetime, lease: timedelta) -> None:
        """Hold a claimed step for longer.

        Raises
        ------
        LeaseLostError
            Another owner has it, or it has ended.
        """
        with self._writing.begin() as connection:
            _held(connection, step, {"due": now + lease})

    def finish(
        self, step: Step, *, now: datetime, dossier: Dossier | None = None, outcome: Outcome | None = None
    ) -> None:
        """Mark a claimed step as done, or due again, and record what it brought about: all or nothing.

        Raises
        ------
        LeaseLostError
            Another owner has the step, or it has ended.
        ConflictError
            The order or a satellite's schedule is no longer as the decision supposed.
        IllegalTransitionError
            The outcome holds a change that the tables of transitions do not allow.
        """
        outcome = outcome or Outcome()
        after: dict[str, Any] = {"owner": None, "tries": 0, "error": None}
        after |= {"state": "done"} if outcome.again is None else {"due": outcome.again}
        with self._writing.begin() as connection:
            _held(connection, step, after)
            if dossier is not None:
                _apply(connection, dossier, outcome, now)
            else:
                _insert_steps(connection, outcome.steps)

    def retry(self, step: Step, *, error: str, at: datetime | None, now: datetime) -> None:
        """Give a claimed step back after a failure, due at a later time; dead without one, or after `MAX_TRIES`.

        A dead step leaves a remark in its order's history.

        Raises
        ------
        LeaseLostError
            Another owner has the step, or it has ended.
        """
        dead = at is None or step.tries >= MAX_TRIES
        after = {"owner": None, "error": error} | ({"state": "dead"} if dead else {"due": at})
        with self._writing.begin() as connection:
            _held(connection, step, after)
            if dead:
                _remark_death(connection, step, error, now)

    def dead_steps(self) -> tuple[Step, ...]:
        """The steps that need a person, oldest first."""
        query = sa.select(steps).where(steps.c.state == "dead").order_by(steps.c.id)
        with self._engine.begin() as connection:
            return tuple(read_step(row) for row in connection.execute(query))

    def open_steps(self, order_id: str | None = None) -> tuple[Step, ...]:
        """The steps still to do, of one order or of all, the next one first."""
        query = sa.select(steps).where(steps.c.state == "open").order_by(steps.c.due, steps.c.id)
        if order_id is not None:
            query = query.where(steps.c.order_id == order_id)
        with self._engine.begin() as connection:
            return tuple(read_step(row) for row in connection.execute(query))

    def requeue(self, step_id: int, *, now: datetime) -> bool:
        """Open a dead step again, due at once; False when it is not dead."""
        again = sa.update(steps).where(steps.c.id == step_id, steps.c.state == "dead")
        with self._writing.begin() as connection:
            return connection.execute(again.values(state="open", tries=0, due=now)).rowcount == 1


# ── SQLite ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _prepare_sqlite(engine: sa.Engine) -> None:
    """WAL, durable commits, and transactions that begin as writers when they are going to write.

    A deferred transaction that turns into a writer fails at once when another wrote meanwhile; BEGIN IMMEDIATE waits.
    """

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
        connection.isolation_level = None  # SQLAlchemy, not the driver, begins
        connection.execute("PRAGMA busy_timeout=30000")
        use_write_ahead_log(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _insert(dialect: str) -> Any:  # noqa: ANN401 - the two dialects' inserts share no type
    return sqlite.insert if dialect == "sqlite" else postgresql.insert


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _order_row_of(connection: sa.Connection, order_id: str) -> sa.Row[Any]:
    known = sa.select(orders).where(orders.c.id == order_id)
    row = connection.execute(known).one_or_none() if is_order_id(order_id) else None
    if row is None:
        raise UnknownOrderError(f"order {order_id[:80]!r} is unknown; GET /stapi/orders lists them")
    return row


def _attempts_of(connection: sa.Connection, order_id: str) -> tuple[Attempt, ...]:
    query = sa.select(attempts).where(attempts.c.order_id == order_id).order_by(attempts.c.number)
    return tuple(read_attempt(row) for row in connection.execute(query))


# ── recording ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _held(connection: sa.Connection, step: Step, after: Mapping[str, Any]) -> None:
    """Change a step if this claim still holds it."""
    mine = sa.update(steps).where(
        steps.c.id == step.id, steps.c.state == "open", steps.c.owner == step.owner, steps.c.claims == step.claims
    )
    if connection.execute(mine.values(**after)).rowcount != 1:
        raise LeaseLostError(f"step {step.key}: {step.owner} no longer holds it; leave it to the one who does")


def _remark_death(connection: sa.Connection, step: Step, error: str, now: datetime) -> None:
    """Tell the customer, too, that nothing moves until a person has looked."""
    if step.order_id is None:
        return
    newer = sa.update(orders).where(orders.c.id == step.order_id, orders.c.status.not_in(FINAL))
    status = connection.execute(newer.values(version=orders.c.version + 1).returning(orders.c.status)).scalar()
    if status is not None:
        text = f"The step {step.kind} waits for the operator: {error}"
        remark = StatusChange(status=OrderStatus(status), at=now, reason_code="operator_needed", reason_text=text)
        _append_history(connection, step.order_id, (remark,))


def _apply(connection: sa.Connection, dossier: Dossier, outcome: Outcome, now: datetime) -> None:
    """Record an outcome if the order is as the dossier has it."""
    _check(dossier, outcome)
    order = dossier.order
    status = outcome.changes[-1].status if outcome.changes else order.status
    same = sa.update(orders).where(
        orders.c.id == order.id, orders.c.version == dossier.version, orders.c.status == order.status
    )
    if connection.execute(same.values(status=status, version=dossier.version + 1)).rowcount != 1:
        raise ConflictError(f"order {order.id} has changed since it was read; read it again")
    _append_history(connection, order.id, outcome.changes)
    _change_attempts(connection, dossier, outcome)
    if outcome.credit is not None:
        row = {"attempt_id": outcome.credit.attempt_id, "order_id": order.id, "at": now, "area": outcome.credit.area}
        connection.execute(sa.insert(credits_), row)
    _insert_steps(connection, outcome.steps)
    if status in FINAL:
        # Whoever waits for something of this order is woken to call it off.
        waiting = sa.update(steps).where(steps.c.order_id == order.id, steps.c.state == "open", steps.c.owner.is_(None))
        connection.execute(waiting.where(steps.c.due > now).values(due=now))


def _check(dossier: Dossier, outcome: Outcome) -> None:
    before = dossier.order.status
    for change in outcome.changes:
        if change.status != before:
            check_transition(before, change.status)
        elif not change.reason_text:
            raise IllegalTransitionError(f"order status: {before} again says nothing without a reason")
        before = change.status
    for attempt in outcome.attempts:
        was = dossier.attempt(attempt.id).status
        if attempt.status != was and attempt.status not in ATTEMPT_TRANSITIONS[was]:
            raise IllegalTransitionError(f"attempt {attempt.id}: {was} cannot become {attempt.status}")


def _append_history(connection: sa.Connection, order_id: str, changes: Sequence[StatusChange]) -> None:
    if not changes:
        return
    count = sa.select(sa.func.max(order_history.c.number)).where(order_history.c.order_id == order_id)
    newest = connection.execute(count).scalar_one()
    connection.execute(
        sa.insert(order_history),
        [history_row(order_id, newest + 1 + place, change) for place, change in enumerate(changes)],
    )


def _change_attempts(connection: sa.Connection, dossier: Dossier, outcome: Outcome) -> None:
    for satellite_id, version in outcome.versions.items():
        _take_schedule(connection, satellite_id, version)
    if outcome.planned:
        rows = [
            attempt_row(attempt, number) for number, attempt in enumerate(outcome.planned, len(dossier.attempts) + 1)
        ]
        connection.execute(sa.insert(attempts), rows)
    for attempt in outcome.attempts:
        was = dossier.attempt(attempt.id).status
        change = sa.update(attempts).where(attempts.c.id == attempt.id, attempts.c.status == was)
        change = change.values(status=attempt.status, delivery=attempt.delivery, item_id=attempt.item_id)
        if connection.execute(change).rowcount != 1:
            raise ConflictError(f"attempt {attempt.id} has changed since it was read; read it again")


def _take_schedule(connection: sa.Connection, satellite_id: str, version: int) -> None:
    """Two orders planned at the same moment must not both get the satellite: the second one plans again."""
    insert = _insert(connection.dialect.name)(schedules).on_conflict_do_nothing(index_elements=["satellite_id"])
    connection.execute(insert, {"satellite_id": satellite_id, "version": 0})
    same = sa.update(schedules).where(schedules.c.satellite_id == satellite_id, schedules.c.version == version)
    if connection.execute(same.values(version=version + 1)).rowcount != 1:
        raise ConflictError(f"the schedule of {satellite_id} has changed since it was read; plan again")


def _submitted(connection: sa.Connection, customer: str, key: SubmissionKey) -> str | None:
    query = sa.select(submissions).where(submissions.c.customer == customer, submissions.c.key == key.text)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    key.check(row.digest)
    return str(row.order_id)


def _insert_steps(connection: sa.Connection, todo: Sequence[NewStep]) -> None:
    if todo:
        connection.execute(sa.insert(steps), [step_row(step) for step in todo])
