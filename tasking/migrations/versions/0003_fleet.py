"""Satellites with the history of their element sets, and ground stations."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "satellites",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("number", sa.String(5), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_satellites"),
        sa.UniqueConstraint("number", name="uq_satellites_number"),
    )
    op.create_table(
        "element_sets",
        sa.Column("satellite_id", sa.String(100), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line1", sa.String(69), nullable=False),
        sa.Column("line2", sa.String(69), nullable=False),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["satellite_id"], ["satellites.id"], name="fk_element_sets_satellite_id"),
        sa.PrimaryKeyConstraint("satellite_id", "epoch", name="pk_element_sets"),
    )
    op.create_table(
        "stations",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stations"),
    )


def downgrade() -> None:
    for table in ("stations", "element_sets", "satellites"):
        op.drop_table(table)
