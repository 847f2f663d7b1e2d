"""All that an evaluation leaves behind, in a form that a disturbed run can be compared in."""

import hashlib
import json
from collections import Counter
from typing import Any
from uuid import UUID

from redis import Redis
from sqlalchemy import func, select

from app.evaluations.tables import Evaluation, OutboxMessage
from app.monitors.tables import PageBudgetEntry
from app.verdicts.tables import Control, DictionaryHealth, Verdict
from app.webhooks.tables import Delivery
from tests.support.deployment import World

# What another evaluation of the same question has of its own: its id, the keys of its no-op
# control, and its share of the quarter's page budget.
_OWN = {"evaluation_id", "pages", "paged", "trend", "slow_drift"}
_OWN_KEYS = {"baseline_snapshot_key", "candidate_snapshot_key"}


def results(world: World, evaluation_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """The rows of its result set, column by column, bit for bit."""
    found = {}
    with world.database.unit_of_work() as session:
        for table in (Verdict, Control, DictionaryHealth):
            columns = [c for c in table.__table__.columns if c.key not in _OWN | _OWN_KEYS]
            found[table.__tablename__] = [
                dict(row._mapping)
                for row in session.execute(
                    select(*columns)
                    .where(table.__table__.c.evaluation_id == evaluation_id)
                    .order_by(*[c for c in table.__table__.primary_key if c.key not in _OWN])
                )
            ]
    return found


def files(world: World, evaluation_id: UUID) -> Counter[tuple[str, str]]:
    """The store's snapshots and this evaluation's files: name and digest of each.

    Manifests, which name their snapshot's key and inputs, count without these: the no-op control's
    are the evaluation's own.
    """
    found: Counter[tuple[str, str]] = Counter()
    for key in (
        *world.store.list_keys("snapshots"),
        *world.store.list_keys(f"evaluations/{evaluation_id}"),
    ):
        data = world.store.read_bytes(key)
        if key.endswith("manifest.json"):
            manifest = json.loads(data)
            data = json.dumps({k: v for k, v in manifest.items() if k not in ("key", "inputs")})
            data = data.encode()
        found[key.rpartition("/")[2], hashlib.sha256(data).hexdigest()] += 1
    return found


def result_sets(world: World, evaluation_id: UUID) -> dict[str, int]:
    """How often the evaluation was told of, and how many shares of the page budget it took."""
    with world.database.unit_of_work() as session:
        told = session.scalars(
            select(Delivery.body).where(Delivery.event == "evaluation.finished")
        ).all()
        shares = session.scalar(
            select(func.count()).where(PageBudgetEntry.evaluation_id == evaluation_id)
        )
    return {
        "told": sum(json.loads(body)["data"]["evaluation"] == str(evaluation_id) for body in told),
        "page shares": shares or 0,
    }


def stuck(world: World, redis: Redis) -> dict[str, int]:
    """What is left to do anywhere; all zeros once everything has settled."""
    with world.database.unit_of_work() as session:
        evaluations = session.scalar(
            select(func.count()).where(Evaluation.state.in_(("queued", "running")))
        )
        unpublished = session.scalar(
            select(func.count()).where(OutboxMessage.published_at.is_(None))
        )
    open_shards = sum(shard.state in ("queued", "running") for shard in world.shards())
    return {
        "open evaluations": evaluations or 0,
        "open shards": open_shards,
        "messages in the outbox": unpublished or 0,
        "messages in the queue": redis.llen(world.settings.queue),
        "messages unacknowledged": redis.hlen("unacked"),
    }
