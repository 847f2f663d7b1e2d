"""The evidence's migration, down and up again, on a database that is in use."""

from alembic import command
from sqlalchemy import Engine, create_engine, text

from app.core.database import Database
from app.core.ids import new_id
from app.core.migrate import alembic_config, upgrade
from app.evaluations.tables import EvaluationSnapshot, Snapshot
from app.monitors.page_budget import reserve
from app.monitors.policy import DriftPolicy
from app.registry.tables import Checkpoint
from app.verdicts.tables import Control, Verdict
from tests.support.registry import add_evaluation


def test_the_old_tables_keep_what_they_can_hold(database: Database, database_url: str) -> None:
    with database.unit_of_work() as session:
        evaluation = add_evaluation(session)
        session.get_one(Checkpoint, evaluation.checkpoint_id).benign = True
        for passed, control in ((True, "no_op"), (None, "numerics"), (False, "random_features")):
            session.add(
                Control(
                    evaluation_id=evaluation.id,
                    control=control,
                    passed=passed,
                    detail="It says so.",
                    figures={},
                )
            )
        for role in ("candidate", "benign:8"):
            snapshot = Snapshot(
                id=new_id(), key=role, checkpoint_id=evaluation.checkpoint_id, inputs={}, plan={}
            )
            session.add(snapshot)
            session.flush()
            session.add(
                EvaluationSnapshot(evaluation_id=evaluation.id, role=role, snapshot_id=snapshot.id)
            )
        session.add(
            Verdict(
                evaluation_id=evaluation.id,
                comparison="baseline",
                feature="harm",
                verdict="drifted",
                changes=[],
                reason="It says so.",
                active_documents=1,
                documents=1,
                tokens=1,
                estimates={},
                definition_digest="",
                paged=True,
                earns_keep="no",
                causal_verdict="correlational",
                pages={"alpha": 0.01},
            )
        )
        reserve(session, evaluation, DriftPolicy())
    engine = create_engine(database_url)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0001")
        connection.commit()
    assert _all(engine, "SELECT control FROM controls") == ["no_op"]
    assert _all(engine, "SELECT role FROM evaluation_snapshots") == ["candidate"]
    assert _all(engine, "SELECT verdict FROM verdicts") == ["drifted"]

    upgrade(engine)
    assert _all(engine, "SELECT paged OR slow_drift FROM verdicts") == [False]
    assert _all(engine, "SELECT benign_at = created_at FROM checkpoints WHERE benign") == [True]
    assert _all(engine, "SELECT version FROM checkpoints") == [1, 1]
    assert _all(engine, "SELECT ordinal FROM page_budget") == []
    engine.dispose()


def _all(engine: Engine, statement: str) -> list[object]:
    with engine.connect() as connection:
        return list(connection.scalars(text(statement)))
