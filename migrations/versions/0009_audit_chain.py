"""the audit trail is a chain: each entry holds the hash of the one before

Chained by the database when a transaction commits, so that processes of the last release add to
the chain as well, and nobody can leave an event out of it.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

# What `app.access.audit_chain` computes again; the two change together, with a new prefix.
_HASH = """encode(sha256(convert_to(
        {previous} || ' ' || {position} || ' ' || jsonb_build_array(
            'featuredrift-audit-1', {event}.id,
            to_char({event}.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            {event}.actor, {event}.action, {event}.subject_kind, {event}.subject_id, {event}.detail,
            {event}.principal, {event}.key_id, {event}.model
        )::text, 'UTF8')), 'hex')"""


def upgrade() -> None:
    op.create_table(
        'audit_chain',
        sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column('event_id', sa.Uuid(), nullable=False),
        sa.Column('hash', sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint('position', name=op.f('pk_audit_chain')),
        sa.UniqueConstraint('event_id', name=op.f('uq_audit_chain_event_id')),
    )
    op.create_table(
        'audit_head',
        sa.Column('one', sa.Boolean(), server_default=sa.text('true'), nullable=False),
        sa.Column('position', sa.BigInteger(), nullable=False),
        sa.Column('hash', sa.Text(), nullable=False),
        sa.CheckConstraint('one', name=op.f('ck_audit_head_one')),
        sa.PrimaryKeyConstraint('one', name=op.f('pk_audit_head')),
    )
    # One row, replaced at each audited commit: room for its versions beside it, and no index grows.
    op.execute('ALTER TABLE audit_head SET (fillfactor = 10)')
    op.execute("INSERT INTO audit_head (position, hash) VALUES (0, repeat('0', 64))")
    # Nobody adds an event between the last that is chained here and the first that the trigger sees.
    op.execute('LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE')
    op.execute(f"""
        DO $$
        DECLARE
            event audit_events;
            place bigint := 0;
            digest text := repeat('0', 64);
        BEGIN
            FOR event IN SELECT * FROM audit_events ORDER BY at, id LOOP
                place := place + 1;
                digest := {_HASH.format(previous='digest', position='place', event='event')};
                INSERT INTO audit_chain (position, event_id, hash) VALUES (place, event.id, digest);
            END LOOP;
            UPDATE audit_head SET position = place, hash = digest;
        END $$
    """)
    op.execute(f"""
        CREATE FUNCTION chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            head audit_head;
            place bigint;
            digest text;
        BEGIN
            -- Deferred to the commit: the lock that puts entries in order is held for no longer.
            SELECT * INTO STRICT head FROM audit_head FOR UPDATE;
            place := head.position + 1;
            digest := {_HASH.format(previous='head.hash', position='place', event='NEW')};
            INSERT INTO audit_chain (position, event_id, hash) VALUES (place, NEW.id, digest);
            UPDATE audit_head SET position = place, hash = digest;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE CONSTRAINT TRIGGER chained AFTER INSERT ON audit_events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chain_audit_event()
    """)
    op.execute("""
        CREATE FUNCTION refuse_change_of_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is only added to by the trigger of audit_events; % is refused',
                TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    # At depth 0 a statement was sent by somebody; the chain's own come from inside its trigger.
    op.execute("""
        CREATE FUNCTION guard_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF pg_trigger_depth() < 2 THEN
                RAISE EXCEPTION '% is only added to by the trigger of audit_events; % is refused',
                    TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NEW;
        END $$
    """)
    for table, refused, guarded in (
        ('audit_chain', 'UPDATE OR DELETE OR TRUNCATE', 'INSERT'),
        ('audit_head', 'INSERT OR DELETE OR TRUNCATE', 'UPDATE'),
    ):
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE {refused} ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_chain()
        """)
        op.execute(f"""
            CREATE TRIGGER guarded BEFORE {guarded} ON {table}
            FOR EACH ROW EXECUTE FUNCTION guard_audit_chain()
        """)


def downgrade() -> None:
    op.execute('DROP TRIGGER chained ON audit_events')
    op.execute('DROP FUNCTION chain_audit_event()')
    op.drop_table('audit_head')
    op.drop_table('audit_chain')
    op.execute('DROP FUNCTION refuse_change_of_audit_chain()')
    op.execute('DROP FUNCTION guard_audit_chain()')
