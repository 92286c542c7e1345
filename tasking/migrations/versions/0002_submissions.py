"""Keys of submissions, so that one that is sent again is not another order."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "submissions",
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_submissions_order_id"),
        sa.PrimaryKeyConstraint("customer", "key", name="pk_submissions"),
    )


def downgrade() -> None:
    op.drop_table("submissions")
