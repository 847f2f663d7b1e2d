"""The audit trail cannot be changed by statements, and what is changed past them is found."""

# ruff: noqa: S608 - statements of somebody who tampers, made of positions in the chain

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from app.access import audit, audit_chain
from app.access.audit_chain import GENESIS, Head, verify
from app.access.audit_tables import AuditEntry, AuditEvent
from app.cli import app as cli
from app.core.database import Database
from app.core.ids import new_id
from app.core.migrate import alembic_config, upgrade
from app.settings import get_settings

NASTY = [
    {
        "text": 'quotes " and \\ and ☃ and \U0001f600',
        "é": [1, 1.50, 1e-7, 10**25, -0.0, None, True],
    },
    {},
    {"nested": {"b": 1, "a": {"long key": 2, "k": 3}}},
]


def add(database: Database, *names: str, **values: Any) -> None:
    with database.unit_of_work() as session:
        for name in names:
            audit.record(
                session, **{"actor": "ada", "action": "thing.done", "subject_id": name, **values}
            )


def tamper(database: Database, *statements: str) -> None:
    """As somebody who may switch triggers off."""
    with database.unit_of_work() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            assert session.execute(text(statement)).rowcount, statement


def found(database: Database, expected: Head | None = None) -> list[tuple[str, int | None]]:
    return [(f.kind, f.position) for f in verify(database, expected).findings]


@pytest.fixture
def trail(database: Database) -> Database:
    """Six entries, in three transactions."""
    add(database, "one", "two", "three", detail=NASTY[0])
    add(database, "four", actor="grace", model="bot", detail=NASTY[1])
    add(database, "five", "six", detail=NASTY[2])
    return database


def event_at(position: int) -> str:
    return f"(SELECT event_id FROM audit_chain WHERE position = {position})"


def test_a_trail_that_nobody_touched_is_whole(trail: Database) -> None:
    result = verify(trail)

    assert result.whole
    assert result.entries == 6
    assert result.head is not None
    assert result.head.position == 6
    assert verify(trail, result.head).whole
    assert verify(trail, Head(0, GENESIS)).whole
    with trail.unit_of_work() as session:
        order = session.scalars(
            select(AuditEvent.subject_id)
            .join(AuditEntry, AuditEntry.event_id == AuditEvent.id)
            .order_by(AuditEntry.position)
        ).all()
    assert order == ["one", "two", "three", "four", "five", "six"]


def test_an_empty_trail_is_whole(database: Database) -> None:
    result = verify(database)

    assert result.whole
    assert result.head == Head(0, GENESIS)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'mallory'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_chain SET hash = 'x'",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain",
        f"INSERT INTO audit_chain VALUES (7, '{UUID(int=7)}', 'x')",
        "UPDATE audit_head SET position = 3",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
        "INSERT INTO audit_head VALUES (true, 1, 'x')",
    ],
)
def test_the_database_refuses_to_change_it(trail: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="only added to"), trail.unit_of_work() as session:
        session.execute(text(statement))

    assert verify(trail).whole


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'mallory'",
        "action = 'thing.undone'",
        "detail = '{}'",
        "at = at + interval '1 microsecond'",
        "principal = 'x'",
        "model = 'x'",
        "subject_id = 'x'",
        "subject_kind = 'x'",
        f"key_id = '{UUID(int=7)}'",
    ],
)
def test_a_changed_event_is_named(trail: Database, change: str) -> None:
    tamper(trail, f"UPDATE audit_events SET {change} WHERE id = {event_at(2)}")

    result = verify(trail)

    assert [(f.kind, f.position) for f in result.findings] == [("changed", 2)]
    with trail.unit_of_work() as session:
        event = session.get_one(AuditEntry, 2).event_id
    assert result.findings[0].event_id == str(event)
    assert str(event) in result.findings[0].detail


def test_removed_events_are_named(trail: Database) -> None:
    tamper(trail, f"DELETE FROM audit_events WHERE id = {event_at(3)}")
    assert found(trail) == [("removed", 3)]


def test_removed_with_its_entry(trail: Database) -> None:
    tamper(
        trail,
        f"DELETE FROM audit_events WHERE id = {event_at(3)}",
        "DELETE FROM audit_chain WHERE position = 3",
    )
    assert found(trail) == [("removed", 3)]


def test_removed_at_the_beginning_and_closed_up(trail: Database) -> None:
    tamper(
        trail,
        f"DELETE FROM audit_events WHERE id = {event_at(1)}",
        "DELETE FROM audit_chain WHERE position = 1",
        "UPDATE audit_chain SET position = -position",
        "UPDATE audit_chain SET position = -position - 1",
    )
    kinds = found(trail)
    # No entry is where it was, and the end is missing.
    assert ("cut_off", 6) in kinds
    assert {("changed", n) for n in (1, 2, 3, 4, 5)} <= set(kinds)


def test_cut_off_at_the_end(trail: Database) -> None:
    tamper(
        trail,
        f"DELETE FROM audit_events WHERE id IN ({event_at(5)}, {event_at(6)})",
        "DELETE FROM audit_chain WHERE position > 4",
    )
    assert found(trail) == [("cut_off", 5)]


def test_cut_off_with_the_head_is_found_by_a_head_from_earlier(trail: Database) -> None:
    kept = verify(trail).head
    tamper(
        trail,
        f"DELETE FROM audit_events WHERE id IN ({event_at(5)}, {event_at(6)})",
        "DELETE FROM audit_chain WHERE position > 4",
        "UPDATE audit_head SET (position, hash) = "
        "(SELECT position, hash FROM audit_chain WHERE position = 4)",
    )
    assert found(trail) == []
    assert found(trail, kept) == [("cut_off", 5)]


def test_written_anew_from_somewhere_is_found_by_a_head_from_earlier(trail: Database) -> None:
    kept = verify(trail).head
    with trail.unit_of_work() as session:
        rows = session.execute(
            select(AuditEvent, AuditEntry.position)
            .join(AuditEntry, AuditEntry.event_id == AuditEvent.id)
            .order_by(AuditEntry.position)
        ).all()
        events = [
            {c.name: getattr(event, c.name) for c in AuditEvent.__table__.c} for event, _ in rows
        ]
    tamper(
        trail,
        "DELETE FROM audit_events",
        "DELETE FROM audit_chain",
        f"UPDATE audit_head SET position = 0, hash = '{GENESIS}'",
    )
    with trail.unit_of_work() as session:
        for event in events:
            session.add(AuditEvent(**{**event, "actor": "somebody else"}))
            session.flush()

    assert found(trail) == []
    assert found(trail, kept) == [("changed", 6)]


def test_events_that_changed_places_are_named(trail: Database) -> None:
    tamper(
        trail,
        "CREATE TEMPORARY TABLE swap ON COMMIT DROP AS SELECT position, event_id FROM audit_chain "
        "WHERE position IN (2, 5)",
        "UPDATE audit_chain SET event_id = gen_random_uuid() WHERE position IN (2, 5)",
        "UPDATE audit_chain SET event_id = swap.event_id FROM swap "
        "WHERE swap.position = 7 - audit_chain.position",
    )
    assert found(trail) == [("moved", 2), ("moved", 5)]


def test_an_event_put_in_past_the_trigger_is_named(trail: Database) -> None:
    inserted = new_id()
    tamper(
        trail,
        "INSERT INTO audit_events (id, actor, action, subject_kind, subject_id, detail) "
        f"VALUES ('{inserted}', 'mallory', 'repair.accepted', 'repair', 'x', '{{}}')",
    )
    (finding,) = verify(trail).findings
    assert (finding.kind, finding.event_id) == ("inserted", str(inserted))


def test_an_entry_put_in_between_is_found(trail: Database) -> None:
    inserted = new_id()
    tamper(
        trail,
        "INSERT INTO audit_events (id, actor, action, subject_kind, subject_id, detail) "
        f"VALUES ('{inserted}', 'mallory', 'repair.accepted', 'repair', 'x', '{{}}')",
        "UPDATE audit_chain SET position = -position WHERE position > 3",
        f"INSERT INTO audit_chain VALUES (4, '{inserted}', repeat('a', 64))",
        "UPDATE audit_chain SET position = -position + 1 WHERE position < 0",
    )
    kinds = found(trail)
    assert ("changed", 4) in kinds
    assert ("head", 7) in kinds


@pytest.mark.parametrize(
    ("statement", "kind"),
    [("DELETE FROM audit_head", "head"), ("UPDATE audit_head SET hash = 'x'", "head")],
)
def test_a_head_that_was_touched_is_found(trail: Database, statement: str, kind: str) -> None:
    tamper(trail, statement)
    assert [k for k, _ in found(trail)] == [kind]


def test_many_findings_are_counted_and_some_listed(database: Database) -> None:
    add(database, *(str(n) for n in range(audit_chain.MAX_FINDINGS + 50)))
    tamper(database, "UPDATE audit_events SET actor = 'mallory'")

    result = verify(database)

    assert result.found == audit_chain.MAX_FINDINGS + 50
    assert len(result.findings) == audit_chain.MAX_FINDINGS


def test_a_transaction_that_is_rolled_back_leaves_no_gap(trail: Database) -> None:
    with suppress(ZeroDivisionError), trail.unit_of_work() as session:
        audit.record(session, actor="ada", action="thing.done", subject_id="gone")
        raise ZeroDivisionError
    with trail.unit_of_work() as session:
        with session.begin_nested() as inner:
            audit.record(session, actor="ada", action="thing.done", subject_id="gone too")
            inner.rollback()
        audit.record(session, actor="ada", action="thing.done", subject_id="seven")

    result = verify(trail)

    assert result.whole
    assert result.entries == 7


def test_many_writers_at_once_make_one_chain(database: Database) -> None:
    def write(writer: int) -> None:
        for turn in range(20):
            names = [f"{writer}-{turn}-{n}" for n in range(1 + turn % 3)]
            with suppress(ZeroDivisionError), database.unit_of_work() as session:
                for name in names:
                    audit.record(session, actor="ada", action="thing.done", subject_id=name)
                if turn % 5 == 0:
                    raise ZeroDivisionError

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    result = verify(database)
    assert result.whole, result.findings
    assert result.entries == 8 * sum(1 + turn % 3 for turn in range(20) if turn % 5)


def test_rows_of_before_are_chained_by_the_migration(trail: Database, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0008")
        connection.commit()
    with engine.begin() as connection:
        # As the last release does it.
        connection.execute(
            text(
                "INSERT INTO audit_events (id, actor, action, subject_kind, subject_id, detail) "
                f"VALUES ('{new_id()}', 'ada', 'thing.done', 'thing', 'seven', '{{}}')"
            )
        )
    upgrade(engine)
    engine.dispose()
    add(trail, "eight")

    result = verify(trail)

    assert result.whole, result.findings
    assert result.entries == 8


@pytest.fixture
def run(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    get_settings.cache_clear()
    yield lambda *arguments: CliRunner().invoke(cli, ["audit", *arguments])
    get_settings.cache_clear()


def test_the_command_says_what_is_wrong(trail: Database, run: Any) -> None:
    kept = run("head").stdout.strip()
    whole = run("verify", "--expect-head", kept)
    assert whole.exit_code == 0
    assert whole.stdout == f"whole: 6 entries, head {kept}\n"
    position, _, digest = kept.partition(":")
    shown = {"head": kept, "position": int(position), "hash": digest}
    assert json.loads(run("head", "--json").stdout) == shown

    tamper(trail, f"UPDATE audit_events SET actor = 'mallory' WHERE id = {event_at(2)}")
    broken = run("verify")
    assert broken.exit_code == 1
    assert "changed: entry 2" in broken.stdout
    answer = json.loads(run("verify", "--json").stdout)
    assert (answer["whole"], answer["found"]) == (False, 1)
    assert answer["findings"][0]["position"] == 2


def test_a_head_that_is_none_is_refused(run: Any) -> None:
    result = run("verify", "--expect-head", "6")
    assert result.exit_code != 0
    assert "is no head" in str(result.exception)
