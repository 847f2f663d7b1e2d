"""Rows that stand for registered things, for tests that need no files behind them."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.core.clock import now
from app.core.ids import new_id
from app.evaluations.tables import Evaluation
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Corpus, FeatureSet, FeatureSetVersion, Model


def add_evaluation(session: Session) -> Evaluation:
    """An accepted evaluation of its own model, monitor and corpus; no shard is opened."""
    name = f"x{new_id().hex}"
    model = Model(id=new_id(), name=name)
    session.add(model)
    session.flush()
    baseline, candidate = (
        Checkpoint(id=new_id(), model_id=model.id, name=f"{kind}", source=f"/nowhere/{kind}")
        for kind in ("baseline", "candidate")
    )
    corpus = Corpus(
        id=new_id(),
        name=name,
        digest="0" * 64,
        artifact_key="corpora/none",
        documents=1,
        groups=1,
        characters=1,
        concepts={},
    )
    features = FeatureSet(id=new_id(), name=name)
    session.add_all([baseline, candidate, corpus, features])
    session.flush()
    version = FeatureSetVersion(
        id=new_id(), feature_set_id=features.id, number=1, digest="1" * 64, features_count=1
    )
    session.add(version)
    session.flush()
    monitor = Monitor(
        id=new_id(),
        name=name,
        model_id=model.id,
        corpus_id=corpus.id,
        feature_set_version_id=version.id,
        baseline={"checkpoint": "baseline"},
        policy=DriftPolicy().model_dump(mode="json"),
        watchlist=[],
        updated_at=now(),
    )
    session.add(monitor)
    session.flush()
    evaluation = Evaluation(
        id=new_id(),
        monitor_id=monitor.id,
        checkpoint_id=candidate.id,
        baseline_checkpoint_id=baseline.id,
        corpus_id=corpus.id,
        feature_set_version_id=version.id,
        policy=monitor.policy,
        inputs_digest=name,
    )
    session.add(evaluation)
    session.flush()
    return evaluation


def checkpoint_of(session: Session, evaluation_id: UUID) -> UUID:
    """The candidate's id."""
    return session.get_one(Evaluation, evaluation_id).checkpoint_id
