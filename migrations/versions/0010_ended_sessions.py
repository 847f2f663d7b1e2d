"""sessions of the web pages that somebody signed out of

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'ended_sessions',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('until', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_ended_sessions')),
    )
    op.create_index('ix_ended_sessions_until', 'ended_sessions', ['until'])


def downgrade() -> None:
    # The last release reads no cookie of this one: whoever has signed out stays so.
    op.drop_table('ended_sessions')
