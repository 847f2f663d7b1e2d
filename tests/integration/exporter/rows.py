"""Rows as a pipeline would write them, inserted by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.ids import new_id
from app.evaluations.tables import Evaluation, OutboxMessage, Shard
from app.monitors.tables import Monitor
from app.registry.tables import Alias, Checkpoint, Corpus, FeatureSet, FeatureSetVersion, Model
from app.verdicts.tables import Control, DictionaryHealth, Verdict

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def add_monitor(
    session: Session, *, model: str = "support-bot", monitor: str = "nightly", watch: list[str]
) -> Monitor:
    """A model with two checkpoints, `v1` (alias production) and `v2`, and a monitor."""
    line = Model(name=model)
    corpus = Corpus(
        name=f"{monitor}-corpus",
        digest="c0",
        artifact_key="corpora/c0",
        documents=2,
        groups=2,
        characters=10,
        concepts={},
    )
    features = FeatureSet(name=f"{monitor}-features")
    session.add_all([line, corpus, features])
    session.flush()
    version = FeatureSetVersion(feature_set_id=features.id, number=1, digest="f0", features_count=2)
    first, second = (
        Checkpoint(
            model_id=line.id, name=name, source=f"/models/{name}", weights_digest=f"w-{name}"
        )
        for name in ("v1", "v2")
    )
    session.add_all([version, first, second])
    session.flush()
    row = Monitor(
        name=monitor,
        model_id=line.id,
        corpus_id=corpus.id,
        feature_set_version_id=version.id,
        baseline={"checkpoint": "v1"},
        policy={},
        watchlist=watch,
        updated_at=NOON,
    )
    alias = Alias(model_id=line.id, name="production", checkpoint_id=first.id, updated_at=NOON)
    session.add_all([row, alias])
    session.flush()
    return row


def add_evaluation(
    session: Session,
    monitor: Monitor,
    checkpoint: str,
    *,
    state: str = "succeeded",
    seconds: float = 42.0,
    after: timedelta = timedelta(0),
    summary: dict[str, Any] | None = None,
) -> Evaluation:
    """An evaluation of one of the model's checkpoints against `v1`."""
    found = {
        row.name: row.id for row in session.query(Checkpoint).filter_by(model_id=monitor.model_id)
    }
    ended = state in ("succeeded", "failed", "cancelled")
    row = Evaluation(
        monitor_id=monitor.id,
        checkpoint_id=found[checkpoint],
        baseline_checkpoint_id=found["v1"],
        corpus_id=monitor.corpus_id,
        feature_set_version_id=monitor.feature_set_version_id,
        policy={},
        inputs_digest=new_id().hex,
        state=state,
        step="done" if ended else "plan",
        summary=summary,
        created_at=NOON + after,
        started_at=NOON + after,
        finished_at=NOON + after + timedelta(seconds=seconds) if ended else None,
    )
    session.add(row)
    session.flush()
    return row


def add_verdict(
    session: Session, evaluation: Evaluation, feature: str, verdict: str, **columns: Any
) -> None:
    """One row of results."""
    values: dict[str, Any] = {
        "comparison": "baseline",
        "changes": [],
        "reason": "by hand",
        "active_documents": 2,
        "documents": 2,
        "tokens": 10,
        "estimates": {},
        "definition_digest": "d0",
    }
    session.add(
        Verdict(evaluation_id=evaluation.id, feature=feature, verdict=verdict, **(values | columns))
    )


def add_health(session: Session, evaluation: Evaluation, dictionary: str, **figures: Any) -> None:
    """A dictionary's health on both sides; only the candidate's is exported."""
    for role, values in (("candidate", figures), ("baseline", {"fvu": 0.01, "l0": 1.0})):
        session.add(
            DictionaryHealth(
                evaluation_id=evaluation.id, role=role, dictionary=dictionary, figures={}, **values
            )
        )


def add_control(
    session: Session, evaluation: Evaluation, *, passed: bool | None, control: str = "no_op"
) -> None:
    """The outcome of a control."""
    session.add(
        Control(evaluation_id=evaluation.id, control=control, passed=passed, detail="", figures={})
    )


def add_shard(session: Session, evaluation: Evaluation, *, waiting: float | None = None) -> None:
    """A queued plan shard, with a message that has waited for `waiting` seconds if given."""
    queued = datetime.now(UTC) - timedelta(seconds=waiting or 0.0)
    shard = Shard(kind="plan", evaluation_id=evaluation.id, queued_at=queued)
    session.add(shard)
    session.flush()
    if waiting is not None:
        session.add(OutboxMessage(shard_id=shard.id, created_at=queued, available_at=queued))


def judge_by_hand(database: Database) -> None:
    """One judged checkpoint: three watched features of four, and everything beside them."""
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=["quotes", "digits", "gone"])
        older = add_evaluation(session, monitor, "v1", seconds=3)
        add_verdict(session, older, "quotes", "invalid")
        newest = add_evaluation(session, monitor, "v2", after=timedelta(hours=1), seconds=42)
        add_verdict(
            session,
            newest,
            "quotes",
            "drifted",
            firing_ratio_candidate=0.25,
            concept_auroc_candidate=0.75,
        )
        add_verdict(session, newest, "digits", "stable", firing_ratio_candidate=0.5)
        add_verdict(session, newest, "unwatched", "insufficient")
        add_verdict(session, newest, "quotes", "stable", comparison="previous")
        add_health(session, newest, "sae-4", fvu=0.125, l0=16.0, dead_ratio=None)
        add_control(session, newest, passed=False)
        add_control(session, newest, passed=True, control="numerics")
        add_control(session, newest, passed=None, control="permuted_labels")
        add_evaluation(session, monitor, "v2", state="failed", seconds=7200.5)
        waiting = add_evaluation(session, monitor, "v2", state="queued")
        add_shard(session, waiting, waiting=90)
