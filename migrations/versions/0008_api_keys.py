"""API keys, what their models share, and who was authenticated beside who was named

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'api_keys',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('scope', sa.Text(), nullable=False),
        sa.Column('models', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column('digest', sa.Text(), nullable=False),
        sa.Column('hint', sa.Text(), nullable=False),
        sa.Column('previous_digest', sa.Text(), nullable=True),
        sa.Column('previous_expires_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('rotated_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('created_by', sa.Text(), nullable=False),
        sa.CheckConstraint("scope IN ('read', 'write', 'admin', 'metrics')", name=op.f('ck_api_keys_scope')),
        sa.CheckConstraint('(previous_digest IS NULL) = (previous_expires_at IS NULL)', name=op.f('ck_api_keys_previous_digest')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
        sa.UniqueConstraint('digest', name=op.f('uq_api_keys_digest')),
        sa.UniqueConstraint('previous_digest', name=op.f('uq_api_keys_previous_digest')),
    )
    op.create_index('uq_api_keys_name', 'api_keys', ['name'], unique=True, postgresql_where=sa.text('revoked_at IS NULL'))
    op.create_table(
        'model_access',
        sa.Column('model', sa.Text(), nullable=False),
        sa.Column('subject_id', sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint('model', 'subject_id', name=op.f('pk_model_access')),
    )
    # Nullable and without a default: no row is rewritten, and processes of the last release go on.
    op.add_column('audit_events', sa.Column('principal', sa.Text(), nullable=True))
    op.add_column('audit_events', sa.Column('key_id', sa.Uuid(), nullable=True))
    op.add_column('audit_events', sa.Column('model', sa.Text(), nullable=True))
    op.create_index('ix_audit_events_model', 'audit_events', ['model'])
    op.add_column('repairs', sa.Column('decided_principal', sa.Text(), nullable=True))
    op.add_column('alerts', sa.Column('acknowledged_principal', sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column('alerts', 'acknowledged_principal')
    op.drop_column('repairs', 'decided_principal')
    op.drop_index('ix_audit_events_model', 'audit_events')
    op.drop_column('audit_events', 'model')
    op.drop_column('audit_events', 'key_id')
    op.drop_column('audit_events', 'principal')
    op.drop_table('model_access')
    op.drop_table('api_keys')
