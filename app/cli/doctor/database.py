"""Postgres: does it answer, may we work in it, has it our schema, does its clock agree."""

import time
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.cli.doctor.finding import Finding, Status, first_line
from app.core.database import make_engine
from app.core.migrate import current_and_head
from app.settings import Settings, redact

OLDEST_POSTGRES = 14
_SLOW_MS = 50.0
_SKEW_WARN, _SKEW_FAIL = 2.0, 300.0
_PINGS = 5
_TABLES_WITHOUT_RIGHTS = """
SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
  AND NOT (has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT')
       AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'INSERT')
       AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'UPDATE')
       AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename), 'DELETE'))
ORDER BY tablename
"""


def check_database(settings: Settings) -> Iterator[Finding]:
    """Reachable, version, latency, rights, revision, clock."""
    engine = make_engine(settings, pool_size=1, application="doctor")
    place = redact(settings.database_url)
    try:
        with engine.connect() as connection:
            yield _answers(connection, place)
            yield _rights(connection)
            yield _clock(connection)
        yield _revision(engine)
    except SQLAlchemyError as error:
        reason = first_line(getattr(error, "orig", None) or error)
        yield Finding(
            "database",
            "fail",
            f"{place}: {reason}",
            "start it, or set DATABASE_URL to one that runs and lets this user in",
        )
    finally:
        engine.dispose()


def judge_skew(seconds: float) -> Finding:
    """The finding for a difference of clocks; positive where the database's is ahead."""
    seen = f"this machine's clock differs from the database's by {seconds:+.3f} s"
    if abs(seconds) < _SKEW_WARN:
        return Finding("clock", "ok", seen)
    status: Status = "fail" if abs(seconds) >= _SKEW_FAIL else "warn"
    return Finding(
        "clock",
        status,
        seen,
        "let NTP set both clocks: signatures of webhooks and of object stores expire by them",
    )


def _answers(connection: Connection, place: str) -> Finding:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    version = connection.scalar(text("SHOW server_version"))
    taken = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        connection.execute(text("SELECT 1"))
        taken.append(1000 * (time.perf_counter() - began))
    latency = sorted(taken)[_PINGS // 2]
    seen = f"{place}: Postgres {version}, answers in {latency:.1f} ms"
    if number // 10_000 < OLDEST_POSTGRES:
        advice = f"use Postgres {OLDEST_POSTGRES} or newer; 18 is what releases are tested with"
        return Finding("database", "fail", seen, advice)
    if latency > _SLOW_MS:
        advice = "put the processes nearer to it: each claim and heartbeat is a round trip"
        return Finding("database", "warn", seen, advice)
    return Finding("database", "ok", seen)


def _rights(connection: Connection) -> Finding:
    name = "database rights"
    user = connection.scalar(text("SELECT current_user"))
    if connection.scalar(text("SHOW transaction_read_only")) == "on":
        return Finding(
            name,
            "fail",
            "it is read-only: a standby, or default_transaction_read_only is on",
            "name the primary in DATABASE_URL",
        )
    refused = list(connection.scalars(text(_TABLES_WITHOUT_RIGHTS)))
    if refused:
        shown = ", ".join(refused[:5]) + (", …" if len(refused) > 5 else "")
        return Finding(
            name,
            "fail",
            f"{user} may not read and write {len(refused)} tables: {shown}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}",
        )
    creates = "has_schema_privilege(current_schema(), 'CREATE')"
    if not connection.scalar(text(f"SELECT coalesce({creates}, false)")):
        return Finding(
            name,
            "warn",
            f"{user} may read and write, but not create tables",
            "run `featuredrift migrate` as a user that may",
        )
    return Finding(name, "ok", f"{user} may read, write and migrate")


def _clock(connection: Connection) -> Finding:
    before = time.time()
    theirs = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
    after = time.time()
    return judge_skew(float(theirs or 0.0) - (before + after) / 2)


def _revision(engine: Engine) -> Finding:
    current, head = current_and_head(engine)
    if current == head:
        return Finding("migrations", "ok", f"the database is at revision {current}, the newest")
    return Finding(
        "migrations",
        "fail",
        f"the database is at revision {current or '(empty)'}, this release needs {head}",
        "run `featuredrift migrate`",
    )
