"""the evidence: controls, baselines, diagnosis, pages, and the mark benign

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

_EVIDENCE = (
    'controls', 'baselines', 'causal', 'robustness', 'trend', 'pages', 'diagnosis_evidence'
)
_COLUMNS = ('token_level', 'earns_keep', 'paged', 'slow_drift', 'causal_verdict', *_EVIDENCE)


def upgrade() -> None:
    op.create_table('page_budget',
    sa.Column('monitor_id', sa.Uuid(), nullable=False),
    sa.Column('quarter', sa.Date(), nullable=False),
    sa.Column('ordinal', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('evaluation_id', sa.Uuid(), nullable=True),
    sa.Column('planned', sa.Boolean(), nullable=False),
    sa.Column('alpha', sa.Double(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['evaluation_id'], ['evaluations.id'], name=op.f('fk_page_budget_evaluation_id_evaluations'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['monitor_id'], ['monitors.id'], name=op.f('fk_page_budget_monitor_id_monitors'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('monitor_id', 'quarter', 'ordinal', name=op.f('pk_page_budget')),
    sa.UniqueConstraint('evaluation_id', name=op.f('uq_page_budget_evaluation_id'))
    )

    op.add_column('checkpoints', sa.Column('benign_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('checkpoints', sa.Column('benign_note', sa.Text(), nullable=True))
    op.add_column('checkpoints', sa.Column('version', sa.Integer(), server_default=sa.text('1'), nullable=False))
    op.execute('UPDATE checkpoints SET benign_at = created_at WHERE benign')

    op.add_column('verdicts', sa.Column('token_level', sa.Boolean(), nullable=True))
    op.add_column('verdicts', sa.Column('earns_keep', sa.Text(), nullable=True))
    op.add_column('verdicts', sa.Column('paged', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('verdicts', sa.Column('slow_drift', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('verdicts', sa.Column('causal_verdict', sa.Text(), nullable=True))
    for name in _EVIDENCE:
        op.add_column('verdicts', sa.Column(name, postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True))
    op.create_check_constraint(op.f('ck_verdicts_earns_keep'), 'verdicts', "earns_keep IS NULL OR earns_keep IN ('yes', 'no', 'not_shown')")
    op.create_check_constraint(op.f('ck_verdicts_causal_verdict'), 'verdicts', "causal_verdict IS NULL OR causal_verdict IN ('causal', 'correlational', 'not_shown', 'not_applicable')")

    op.alter_column('controls', 'passed', existing_type=sa.Boolean(), nullable=True)
    op.drop_constraint(op.f('ck_controls_control'), 'controls', type_='check')
    op.create_check_constraint(op.f('ck_controls_control'), 'controls', "control IN ('no_op', 'numerics', 'randomised_model', 'random_features', 'permuted_labels', 'shuffled_pairing')")

    op.drop_constraint(op.f('ck_evaluation_snapshots_role'), 'evaluation_snapshots', type_='check')
    op.create_check_constraint(op.f('ck_evaluation_snapshots_role'), 'evaluation_snapshots', "role IN ('candidate', 'baseline', 'previous', 'no_op', 'random_top', 'random_blocks', 'random_all', 'numerics_dtype', 'numerics_batch', 'numerics_attention', 'causal_candidate', 'causal_baseline') OR role ~ '^benign:[1-8]$'")


def downgrade() -> None:
    # What the tables of before cannot hold goes; verdicts stay.
    op.execute("DELETE FROM evaluation_snapshots WHERE role NOT IN ('candidate', 'baseline', 'previous', 'no_op')")
    op.drop_constraint(op.f('ck_evaluation_snapshots_role'), 'evaluation_snapshots', type_='check')
    op.create_check_constraint(op.f('ck_evaluation_snapshots_role'), 'evaluation_snapshots', "role IN ('candidate', 'baseline', 'previous', 'no_op')")

    op.execute("DELETE FROM controls WHERE control <> 'no_op' OR passed IS NULL")
    op.drop_constraint(op.f('ck_controls_control'), 'controls', type_='check')
    op.create_check_constraint(op.f('ck_controls_control'), 'controls', "control IN ('no_op')")
    op.alter_column('controls', 'passed', existing_type=sa.Boolean(), nullable=False)

    op.drop_constraint(op.f('ck_verdicts_causal_verdict'), 'verdicts', type_='check')
    op.drop_constraint(op.f('ck_verdicts_earns_keep'), 'verdicts', type_='check')
    for name in reversed(_COLUMNS):
        op.drop_column('verdicts', name)

    op.drop_column('checkpoints', 'version')
    op.drop_column('checkpoints', 'benign_note')
    op.drop_column('checkpoints', 'benign_at')

    op.drop_table('page_budget')
