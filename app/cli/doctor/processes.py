"""Who works: what Postgres tells of dispatchers and workers, and Redis of who waits."""

from collections.abc import Iterator
from dataclasses import dataclass

import redis
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.cli.doctor.finding import Finding
from app.core.database import make_engine
from app.core.reachable import redis_client
from app.settings import Settings

_SEEN = """
SELECT count(*) FILTER (WHERE application_name = 'featuredrift-dispatcher') AS dispatchers,
       count(*) FILTER (WHERE application_name = 'featuredrift-heartbeat') AS workers
FROM pg_stat_activity WHERE datname = current_database()
"""
_SHARDS = """
SELECT count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (
         WHERE state = 'running' AND lease_expires_at >= clock_timestamp()) AS running,
       coalesce(extract(epoch FROM clock_timestamp()
         - min(queued_at) FILTER (WHERE state = 'queued')), 0) AS oldest
FROM shards
"""
_LONG = 300.0


@dataclass(frozen=True)
class Work:
    """What the ledger and the broker tell.

    Attributes:
        dispatchers: connections of dispatchers.
        held: shards under a lease that holds.
        connected: worker children that have worked and are connected still.
        consumers: processes that wait for messages at the broker, of any queue; None: unknown.
        queued: shards that nobody has claimed.
        oldest: seconds that the oldest of them has waited.
    """

    dispatchers: int
    held: int
    connected: int
    consumers: int | None
    queued: int
    oldest: float


def check_processes(settings: Settings) -> Iterator[Finding]:
    """Is there a dispatcher, is there a worker."""
    engine = make_engine(settings, pool_size=1, application="doctor")
    try:
        with engine.connect() as connection:
            seen = connection.execute(text(_SEEN)).one()
            shards = connection.execute(text(_SHARDS)).one()
    except SQLAlchemyError:
        advice = "mend the database or its schema first"
        yield Finding("processes", "warn", "the database does not tell who works", advice)
        return
    finally:
        engine.dispose()
    yield from judge_work(
        Work(
            dispatchers=seen.dispatchers,
            held=shards.running,
            connected=seen.workers,
            consumers=_consumers(settings),
            queued=shards.queued,
            oldest=float(shards.oldest),
        )
    )


def judge_work(work: Work) -> Iterator[Finding]:
    """The findings for who works on what."""
    waiting = work.queued > 0
    if work.dispatchers:
        yield Finding("dispatcher", "ok", f"{work.dispatchers} connections of dispatchers")
    else:
        yield Finding(
            "dispatcher",
            "fail" if waiting else "warn",
            f"none is connected to the database; {work.queued} shards are queued",
            "start one: `featuredrift dispatcher`",
        )
    told = "unknown" if work.consumers is None else str(work.consumers)
    seen = (
        f"{work.held} shards under lease, {work.connected} children connected, {told} waiting at "
        f"the broker, {work.queued} shards queued"
    )
    if not (work.held or work.connected or work.consumers):
        yield Finding(
            "worker",
            "fail" if waiting else "warn",
            f"none is seen: {seen}",
            "start one: `featuredrift worker`",
        )
    elif waiting and work.oldest > _LONG and not work.held:
        yield Finding(
            "worker",
            "fail",
            f"the oldest queued shard has waited {work.oldest:.0f} s and none is worked on: {seen}",
            "see that workers and dispatcher share REDIS_URL and FEATUREDRIFT_QUEUE, and their log",
        )
    else:
        yield Finding("worker", "ok", seen)


def _consumers(settings: Settings) -> int | None:
    """Clients that wait for messages; which queue they wait for, Redis does not tell."""
    try:
        with redis_client(settings) as client:
            return sum(1 for one in client.client_list() if one.get("cmd") == "brpop")
    except (redis.exceptions.RedisError, ValueError, OSError):
        return None
