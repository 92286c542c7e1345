"""Orders, their history, attempts, credits, satellites' schedules, and steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = {
    "sqlite": (
        (
            "CREATE TRIGGER order_history_no_update BEFORE update ON order_history"
            " BEGIN SELECT RAISE(ABORT, 'order_history is append-only'); END"
        ),
        (
            "CREATE TRIGGER order_history_no_delete BEFORE delete ON order_history"
            " BEGIN SELECT RAISE(ABORT, 'order_history is append-only'); END"
        ),
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


def upgrade() -> None:
    _create_orders()
    _create_attempts()
    _create_steps()
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(sa.text(statement))


def downgrade() -> None:
    for table in ("steps", "schedules", "credits", "attempts", "order_history", "orders"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("DROP FUNCTION order_history_append_only()"))


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("product_id", sa.String(100), nullable=False),
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("window_start", sa.BigInteger()),
        sa.Column("window_end", sa.BigInteger()),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("filter", sa.Text()),
        sa.Column("max_cloud_cover_pct", sa.Float(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index("ix_orders_created_id", "orders", ["created", "id"])
    op.create_table(
        "order_history",
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.String(100)),
        sa.Column("reason_text", sa.Text()),
        sa.Column("details", sa.Text()),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_order_history_order_id"),
        sa.PrimaryKeyConstraint("order_id", "number", name="pk_order_history"),
    )


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(50), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.String(100), nullable=False),
        sa.Column("satellite_id", sa.String(100)),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger()),
        sa.Column("window_end", sa.BigInteger()),
        sa.Column("off_nadir_deg", sa.Float()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("delivery", sa.String(200)),
        sa.Column("item_id", sa.String(200)),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_attempts_order_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("order_id", "number", name="uq_attempts_order_id_number"),
    )
    op.create_index("ix_attempts_satellite_id_window_end", "attempts", ["satellite_id", "window_end"])
    op.create_table(
        "credits",
        sa.Column("attempt_id", sa.String(50), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_credits_attempt_id"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_credits_order_id"),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_credits"),
    )
    op.create_index("ix_credits_order_id", "credits", ["order_id"])
    op.create_table(
        "schedules",
        sa.Column("satellite_id", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("satellite_id", name="pk_schedules"),
    )


def _create_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("order_id", sa.String(36)),
        sa.Column("attempt_id", sa.String(50)),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(100)),
        sa.Column("claims", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint("state in ('open', 'done', 'dead')", name="ck_steps_state"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_steps_order_id"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name="fk_steps_attempt_id"),
        sa.PrimaryKeyConstraint("id", name="pk_steps"),
        sa.UniqueConstraint("key", name="uq_steps_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_steps_order_id", "steps", ["order_id"])
    for name, columns, state in (("ix_steps_open", ["due", "id"], "open"), ("ix_steps_dead", ["id"], "dead")):
        where = sa.text(f"state = '{state}'")
        op.create_index(name, "steps", columns, sqlite_where=where, postgresql_where=where)
