"""repairs, the audit trail, and how many documents of a corpus each perturbation has

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        'repairs',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('evaluation_id', sa.Uuid(), nullable=False),
        sa.Column('monitor_id', sa.Uuid(), nullable=False),
        sa.Column('comparison', sa.Text(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('base_feature_set_version_id', sa.Uuid(), nullable=True),
        sa.Column('features', _json(), nullable=False),
        sa.Column('changes', _json(), nullable=False),
        sa.Column('dictionaries', _json(), nullable=False),
        sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_by', sa.Text(), nullable=True),
        sa.Column('note', sa.Text(), nullable=True),
        sa.Column('feature_set_version_id', sa.Uuid(), nullable=True),
        sa.CheckConstraint("comparison IN ('baseline', 'previous')", name=op.f('ck_repairs_comparison')),
        sa.CheckConstraint("state IN ('proposed', 'accepted', 'rejected')", name=op.f('ck_repairs_state')),
        sa.CheckConstraint("(state = 'proposed') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name=op.f('ck_repairs_decided')),
        sa.CheckConstraint("(feature_set_version_id IS NOT NULL) = (state = 'accepted' AND base_feature_set_version_id IS NOT NULL)", name=op.f('ck_repairs_version_of_accepted')),
        sa.ForeignKeyConstraint(['base_feature_set_version_id'], ['feature_set_versions.id'], name=op.f('fk_repairs_base_feature_set_version_id_feature_set_versions')),
        sa.ForeignKeyConstraint(['evaluation_id'], ['evaluations.id'], name=op.f('fk_repairs_evaluation_id_evaluations'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['feature_set_version_id'], ['feature_set_versions.id'], name=op.f('fk_repairs_feature_set_version_id_feature_set_versions')),
        sa.ForeignKeyConstraint(['monitor_id'], ['monitors.id'], name=op.f('fk_repairs_monitor_id_monitors'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_repairs')),
        sa.UniqueConstraint('evaluation_id', 'comparison', name=op.f('uq_repairs_evaluation_id_comparison')),
    )
    op.create_index(op.f('ix_repairs_monitor_id'), 'repairs', ['monitor_id'])
    op.create_table(
        'audit_events',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('actor', sa.Text(), nullable=False),
        sa.Column('action', sa.Text(), nullable=False),
        sa.Column('subject_kind', sa.Text(), nullable=False),
        sa.Column('subject_id', sa.Text(), nullable=False),
        sa.Column('detail', _json(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_events')),
    )
    op.create_index(op.f('ix_audit_events_actor'), 'audit_events', ['actor'])
    op.create_index('ix_audit_events_subject', 'audit_events', ['subject_kind', 'subject_id'])
    op.execute("""
        CREATE FUNCTION refuse_change_of_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit_events are only added to; % is refused', TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_events()
    """)
    # Corpora that are there may hold variants, but what they hold is only in their artifacts.
    op.add_column('corpora', sa.Column('perturbations', _json(), server_default='{}', nullable=False))


def downgrade() -> None:
    op.drop_column('corpora', 'perturbations')
    op.drop_index('ix_audit_events_subject', table_name='audit_events')
    op.drop_index(op.f('ix_audit_events_actor'), table_name='audit_events')
    op.drop_table('audit_events')
    op.execute('DROP FUNCTION refuse_change_of_audit_events()')
    op.drop_index(op.f('ix_repairs_monitor_id'), table_name='repairs')
    op.drop_table('repairs')
