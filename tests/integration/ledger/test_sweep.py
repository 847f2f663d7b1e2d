"""The outbox and the sweep: what is forgotten is announced again, but never in floods."""

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import OperationalError as ConnectionLost
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.core.database import Database
from app.evaluations import outbox, sweep
from app.evaluations.broker import Broker, BrokerUnavailable
from app.evaluations.dispatcher import _Dispatcher
from app.evaluations.tables import OutboxMessage, Shard
from app.settings import Settings
from tests.integration.ledger.conftest import CAP, ERROR, Actor

AFTER = 30.0


@pytest.fixture
def shard_id(actor: Actor) -> UUID:
    """A queued shard with its first message still in the outbox."""
    return actor.shards(evaluation_id=actor.accept())[0].id


def _publish(database: Database) -> list[UUID]:
    with database.unit_of_work() as session:
        messages = outbox.due(session, 100)
        outbox.mark_published(session, [message.id for message in messages])
    return [message.shard_id for message in messages]


def _age(database: Database, shard_id: UUID, **columns: float) -> None:
    with database.unit_of_work() as session:
        ages = {name: func.now() - timedelta(seconds=age) for name, age in columns.items()}
        session.execute(update(Shard).where(Shard.id == shard_id).values(**ages))


def _reannounce(database: Database) -> list[UUID]:
    with database.unit_of_work() as session:
        return sweep.reannounce_unclaimed(session, AFTER)


def test_a_message_is_due_until_it_is_published(database: Database, shard_id: UUID) -> None:
    assert _publish(database) == [shard_id]
    assert _publish(database) == []


def test_a_delayed_message_is_not_due_yet(actor: Actor, database: Database, shard_id: UUID) -> None:
    from app.evaluations import ledger

    _publish(database)
    claim = actor.claimed(shard_id)
    with database.unit_of_work() as session:
        ledger.requeue(session, claim, ERROR)
    assert _publish(database) == []
    with database.unit_of_work() as session:
        session.execute(update(OutboxMessage).values(available_at=func.now()))
    assert _publish(database) == [shard_id]


def test_an_unclaimed_shard_is_announced_again_after_ever_longer_waits(
    database: Database, shard_id: UUID
) -> None:
    _publish(database)
    assert _reannounce(database) == []
    _age(database, shard_id, queued_at=31, announced_at=31)
    assert _reannounce(database) == [shard_id]
    _publish(database)
    _age(database, shard_id, queued_at=91, announced_at=60)
    assert _reannounce(database) == [shard_id]
    _publish(database)
    _age(database, shard_id, queued_at=400, announced_at=100)
    assert _reannounce(database) == []


def test_a_shard_whose_message_waits_for_the_broker_is_not_announced_twice(
    actor: Actor, database: Database, shard_id: UUID
) -> None:
    _age(database, shard_id, queued_at=1000, announced_at=1000)
    assert _reannounce(database) == []
    with database.unit_of_work() as session:
        assert outbox.announce_all_queued(session) == 0
    _publish(database)
    with database.unit_of_work() as session:
        assert outbox.announce_all_queued(session) == 1
    assert actor.messages(shard_id) == 2


def test_a_claimed_shard_is_never_announced_again(
    actor: Actor, database: Database, shard_id: UUID
) -> None:
    _publish(database)
    actor.claimed(shard_id)
    _age(database, shard_id, queued_at=1000, announced_at=1000)
    assert _reannounce(database) == []
    with database.unit_of_work() as session:
        assert outbox.announce_all_queued(session) == 0
        assert sweep.exhausted(session, CAP) == []


def test_old_published_messages_are_deleted(database: Database, shard_id: UUID) -> None:
    _publish(database)
    with database.unit_of_work() as session:
        outbox.purge_published(session)
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 1
        old = func.now() - 2 * outbox.KEEP_PUBLISHED
        session.execute(update(OutboxMessage).values(published_at=old))
        outbox.purge_published(session)
        assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


def test_a_dispatcher_that_dies_over_an_emptied_broker_leaves_the_rest_to_the_next(
    database: Database,
    settings: Settings,
    shard_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _publish(database)
    queue = settings.model_copy(update={"queue": f"emptied-{shard_id}"})

    def die(_session: Session) -> int:
        raise ConnectionLost("postgres went away")

    with Broker(queue) as broker:
        dispatcher = _Dispatcher(queue, database, broker, threading.Event())
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "announce_all_queued", die)
            with pytest.raises(ConnectionLost):
                dispatcher._remind()
        dispatcher._remind()
        assert _publish(database) == [shard_id]
        dispatcher._remind()
        assert _publish(database) == []


def test_what_the_broker_did_not_take_stays_in_the_outbox(
    database: Database, settings: Settings, shard_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokerUnavailable("it is away")

    monkeypatch.setattr(Broker, "publish", refuse)
    with Broker(settings) as broker:
        dispatcher = _Dispatcher(settings, database, broker, threading.Event())
        with pytest.raises(BrokerUnavailable):
            dispatcher._publish()
    assert _publish(database) == [shard_id]
