"""alerts

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'alerts',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('monitor_id', sa.Uuid(), nullable=False),
        sa.Column('subject_kind', sa.Text(), nullable=False),
        sa.Column('subject', sa.Text(), nullable=False),
        sa.Column('condition', sa.Text(), nullable=False),
        sa.Column('severity', sa.Text(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('opened_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('resolved_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('acknowledged_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('acknowledged_by', sa.Text(), nullable=True),
        sa.Column('note', sa.Text(), nullable=True),
        sa.Column('occurrences', sa.Integer(), server_default=sa.text('1'), nullable=False),
        sa.Column('first_evaluation_id', sa.Uuid(), nullable=True),
        sa.Column('last_evaluation_id', sa.Uuid(), nullable=True),
        sa.Column('detail', sa.Text(), nullable=False),
        sa.Column('evidence', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("subject_kind IN ('feature', 'control', 'dictionary', 'evaluation')", name=op.f('ck_alerts_subject_kind')),
        sa.CheckConstraint("condition IN ('drifted', 'slow_drift', 'untrusted', 'failed', 'stale')", name=op.f('ck_alerts_condition')),
        sa.CheckConstraint("severity IN ('page', 'warning')", name=op.f('ck_alerts_severity')),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name=op.f('ck_alerts_state')),
        sa.CheckConstraint("(subject = '') = (subject_kind = 'evaluation')", name=op.f('ck_alerts_subject')),
        sa.CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name=op.f('ck_alerts_resolved')),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL) "
            "AND (state <> 'open' OR acknowledged_at IS NULL) "
            "AND (state <> 'acknowledged' OR acknowledged_at IS NOT NULL)",
            name=op.f('ck_alerts_acknowledged'),
        ),
        sa.CheckConstraint('occurrences >= 1', name=op.f('ck_alerts_occurrences')),
        sa.ForeignKeyConstraint(['first_evaluation_id'], ['evaluations.id'], name=op.f('fk_alerts_first_evaluation_id_evaluations'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['last_evaluation_id'], ['evaluations.id'], name=op.f('fk_alerts_last_evaluation_id_evaluations'), ondelete='SET NULL'),
        sa.ForeignKeyConstraint(['monitor_id'], ['monitors.id'], name=op.f('fk_alerts_monitor_id_monitors'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_alerts')),
    )
    op.create_index('ix_alerts_monitor_id', 'alerts', ['monitor_id'])
    op.create_index(
        'uq_alerts_unresolved', 'alerts', ['monitor_id', 'subject_kind', 'subject'],
        unique=True, postgresql_where=sa.text("state <> 'resolved'"),
    )


def downgrade() -> None:
    op.drop_index('uq_alerts_unresolved', table_name='alerts')
    op.drop_index('ix_alerts_monitor_id', table_name='alerts')
    op.drop_table('alerts')
