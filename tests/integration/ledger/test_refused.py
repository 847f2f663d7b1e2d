"""Messages that a worker cannot even begin to act on spend attempts, and so come to an end."""

from app.core.database import Database
from app.evaluations.tables import Evaluation
from app.settings import Settings
from tests.integration.ledger.conftest import CAP, Actor
from workers.refusal import refuse

ERROR = ImportError("libtorch.so: cannot open shared object file")


def test_an_error_before_the_claim_ends_at_the_cap_and_says_why(
    actor: Actor, database: Database, settings: Settings
) -> None:
    evaluation_id = actor.accept()
    (shard,) = actor.shards(evaluation_id=evaluation_id)
    for attempt in range(1, CAP + 1):
        assert refuse(settings, shard.id, ERROR)
        assert actor.shard(shard.id).attempt == attempt
    assert not refuse(settings, shard.id, ERROR)
    assert actor.shard(shard.id).state == "failed"
    with database.unit_of_work() as session:
        evaluation = session.get_one(Evaluation, evaluation_id)
    assert evaluation.state == "failed"
    assert evaluation.error is not None
    assert evaluation.error["code"] == "attempts_exhausted"
    assert "could not begin: ImportError: libtorch.so" in evaluation.error["detail"]


def test_a_shard_that_somebody_has_is_not_refused(actor: Actor, settings: Settings) -> None:
    (shard,) = actor.shards(evaluation_id=actor.accept())
    actor.claimed(shard.id)
    assert not refuse(settings, shard.id, ERROR)
    assert (actor.shard(shard.id).attempt, actor.shard(shard.id).error) == (1, None)
