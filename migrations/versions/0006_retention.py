"""retention: what snapshots weigh, what is marked and collected; histories by index

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('snapshots', sa.Column('bytes', sa.BigInteger(), nullable=True))
    op.add_column('snapshots', sa.Column('marked_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('snapshots', sa.Column('collected_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f('ck_snapshots_state'), 'snapshots', type_='check')
    op.create_check_constraint(op.f('ck_snapshots_state'), 'snapshots', "state IN ('pending', 'complete', 'failed', 'collected')")
    op.create_check_constraint(op.f('ck_snapshots_collected'), 'snapshots', "collected_at IS NULL OR state = 'collected'")
    op.create_index('ix_snapshots_checkpoint_id', 'snapshots', ['checkpoint_id'])
    op.create_table(
        'retired_artifacts',
        sa.Column('key', sa.Text(), nullable=False),
        sa.Column('kind', sa.Text(), nullable=False),
        sa.Column('reason', sa.Text(), nullable=False),
        sa.Column('bytes', sa.BigInteger(), nullable=False),
        sa.Column('marked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.PrimaryKeyConstraint('key', name=op.f('pk_retired_artifacts')),
    )
    op.create_table(
        'retention_runs',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('scope', sa.Text(), nullable=False),
        sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('outcome', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("scope IN ('policies', 'all')", name=op.f('ck_retention_runs_scope')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_retention_runs')),
    )
    # A feature's history was found by feature alone, and all its rows read for every page.
    op.create_index(
        'ix_verdicts_feature_history', 'verdicts', ['feature_id', 'evaluation_id', 'comparison'],
        postgresql_where=sa.text('feature_id IS NOT NULL'),
    )
    op.drop_index('ix_verdicts_feature_id', table_name='verdicts')


def downgrade() -> None:
    op.create_index('ix_verdicts_feature_id', 'verdicts', ['feature_id'])
    op.drop_index('ix_verdicts_feature_history', table_name='verdicts')
    op.drop_table('retention_runs')
    op.drop_table('retired_artifacts')
    op.drop_index('ix_snapshots_checkpoint_id', table_name='snapshots')
    op.drop_constraint(op.f('ck_snapshots_collected'), 'snapshots', type_='check')
    # A failed snapshot is captured again when it is needed, just as a collected one.
    op.execute("""
        UPDATE snapshots SET state = 'failed',
            error = '{"code": "collected", "detail": "retention removed its artifact"}'
        WHERE state = 'collected'
    """)
    op.drop_constraint(op.f('ck_snapshots_state'), 'snapshots', type_='check')
    op.create_check_constraint(op.f('ck_snapshots_state'), 'snapshots', "state IN ('pending', 'complete', 'failed')")
    op.drop_column('snapshots', 'collected_at')
    op.drop_column('snapshots', 'marked_at')
    op.drop_column('snapshots', 'bytes')
