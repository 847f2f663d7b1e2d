"""An evaluation whose end cannot be written keeps no other from its own."""

import threading

from sqlalchemy import text, update

from app.core.database import Database
from app.core.ids import new_id
from app.evaluations.dispatcher import run_dispatcher
from app.evaluations.tables import Evaluation, Shard
from app.settings import Settings
from app.webhooks.tables import Webhook
from tests.integration.ledger.conftest import CAP, Actor
from tests.support.deployment import wait_for


def test_a_policy_that_cannot_be_read_stops_neither_dispatcher_nor_other_evaluations(
    actor: Actor, database: Database, settings: Settings
) -> None:
    poisoned, sound = actor.accept(), actor.accept()
    with database.unit_of_work() as session:
        session.add(
            Webhook(
                id=new_id(),
                url="http://127.0.0.1:9/",
                events=["evaluation.finished"],
                models=[],
                monitors=[],
                secret="whsec_AAAA",
            )
        )
        session.execute(
            update(Evaluation)
            .where(Evaluation.id == poisoned)
            .values(policy=text('\'{"gate": "open"}\'::jsonb'))
        )
        session.execute(update(Shard).values(attempt=CAP))
    stop = threading.Event()
    capped = settings.model_copy(update={"max_attempts": CAP})
    dispatcher = threading.Thread(target=run_dispatcher, args=(capped, stop))
    dispatcher.start()
    try:
        wait_for(lambda: actor.evaluation(sound).state == "failed", 20)
        assert actor.evaluation(poisoned).state == "queued"
        assert dispatcher.is_alive()
    finally:
        stop.set()
        dispatcher.join(20)
