"""the request, and its trace, that caused an evaluation, a shard, a message

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

TABLES = ('evaluations', 'shards', 'outbox')


def upgrade() -> None:
    # Nullable and without a default: no row is rewritten, and processes of the last release go on.
    for table in TABLES:
        op.add_column(table, sa.Column('request_id', sa.Text(), nullable=True))
        op.add_column(table, sa.Column('traceparent', sa.Text(), nullable=True))


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_column(table, 'traceparent')
        op.drop_column(table, 'request_id')
