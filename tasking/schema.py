"""The tables of orders, attempts and steps, alike on SQLite and PostgreSQL.

`tasking/migrations` builds them; a test holds the two equal. Times are microseconds of the Unix epoch, UTC; documents
are JSON text.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import shapely
from shapely.geometry import MultiPolygon
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.types import TypeDecorator

from catalog.extent import Footprint

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in, a UTC datetime out; a naive one is our own bug."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Microseconds since 1970."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no UTC offset; times are stored in UTC")
        return (value - EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The moment, UTC."""
        return None if value is None else EPOCH + value * _MICROSECOND


class JsonText(TypeDecorator[Mapping[str, Any]]):
    """A JSON object as text: read as it was written on either database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Compact JSON."""
        return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, Any] | None:  # noqa: ARG002
        """The object."""
        return None if value is None else json.loads(value)


class Area(TypeDecorator[Footprint]):
    """A footprint as GeoJSON text, to the last bit."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Footprint | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Compact GeoJSON."""
        return None if value is None else json.dumps(value.geojson, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Footprint | None:  # noqa: ARG002
        """The footprint; it was valid when it was written."""
        if value is None:
            return None
        drawn = shapely.from_geojson(value)
        return Footprint(polygons=drawn if isinstance(drawn, MultiPolygon) else MultiPolygon([drawn]))


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up an INTEGER PRIMARY KEY only, PostgreSQL should not run out at 2³¹.
_COUNTER = BigInteger().with_variant(Integer(), "sqlite")

orders = Table(
    "orders",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("product_id", String(100), nullable=False),
    Column("customer", String(200), nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("window_start", UtcTime),
    Column("window_end", UtcTime),
    Column("area", Area, nullable=False),
    Column("filter", JsonText),
    Column("max_cloud_cover_pct", Float, nullable=False),
    Column("request", JsonText, nullable=False),
    Index(None, "created", "id"),
)

submissions = Table(
    "submissions",
    METADATA,
    Column("customer", String(200), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("order_id", ForeignKey("orders.id"), nullable=False),
)

order_history = Table(
    "order_history",
    METADATA,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason_code", String(100)),
    Column("reason_text", Text),
    Column("details", JsonText),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("id", String(50), primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("product_id", String(100), nullable=False),
    Column("satellite_id", String(100)),
    Column("area", Area, nullable=False),
    Column("window_start", UtcTime),
    Column("window_end", UtcTime),
    Column("off_nadir_deg", Float),
    Column("status", String(16), nullable=False),
    Column("delivery", String(200)),
    Column("item_id", String(200)),
    UniqueConstraint("order_id", "number"),
    Index(None, "satellite_id", "window_end"),
)

credits_ = Table(
    "credits",
    METADATA,
    Column("attempt_id", ForeignKey("attempts.id"), primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("area", Area, nullable=False),
)

schedules = Table(
    "schedules",
    METADATA,
    Column("satellite_id", String(100), primary_key=True),
    Column("version", Integer, nullable=False),
)

steps = Table(
    "steps",
    METADATA,
    Column("id", _COUNTER, primary_key=True, autoincrement=True),
    Column("key", String(300), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("order_id", ForeignKey("orders.id"), index=True),
    Column("attempt_id", ForeignKey("attempts.id")),
    Column("payload", JsonText, nullable=False),
    Column("state", String(8), nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("owner", String(100)),
    Column("claims", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("error", Text),
    CheckConstraint("state in ('open', 'done', 'dead')", name="state"),
    # A claim looks at open steps only, however many are done.
    Index("ix_steps_open", "due", "id", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    Index("ix_steps_dead", "id", sqlite_where=text("state = 'dead'"), postgresql_where=text("state = 'dead'")),
    sqlite_autoincrement=True,
)

satellites = Table(
    "satellites",
    METADATA,
    Column("id", String(100), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("number", String(5), nullable=False, unique=True),
    Column("description", JsonText, nullable=False),
)

element_sets = Table(
    "element_sets",
    METADATA,
    Column("satellite_id", ForeignKey("satellites.id"), primary_key=True),
    Column("epoch", UtcTime, primary_key=True, autoincrement=False),
    Column("line1", String(69), nullable=False),
    Column("line2", String(69), nullable=False),
    Column("added", UtcTime, nullable=False),
)

stations = Table(
    "stations",
    METADATA,
    Column("id", String(100), primary_key=True),
    Column("description", JsonText, nullable=False),
)

APPEND_ONLY: Mapping[str, tuple[str, ...]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER order_history_no_{verb} BEFORE {verb} ON order_history"
        " BEGIN SELECT RAISE(ABORT, 'order_history is append-only'); END"
        for verb in ("update", "delete")
    ),
    "postgresql": (
        (
            "CREATE FUNCTION order_history_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''order_history is append-only''; END'"
        ),
        (
            "CREATE TRIGGER order_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_history"
            " FOR EACH STATEMENT EXECUTE FUNCTION order_history_append_only()"
        ),
    ),
}
"""What keeps the history append-only in the database itself, by dialect."""


@event.listens_for(order_history, "after_create")
def _make_append_only(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in APPEND_ONLY[connection.dialect.name]:
        connection.execute(text(statement))
