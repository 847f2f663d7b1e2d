"""SQL of evaluations as people see them; the ledger writes their states."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.orm import Session, aliased

from app.core.rows import insert_if_absent, newest_first
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Shard, Snapshot
from app.monitors.tables import Monitor, PageBudgetEntry
from app.registry.tables import (
    Checkpoint,
    Corpus,
    Dictionary,
    FeatureSet,
    FeatureSetVersion,
    Model,
)
from app.verdicts.tables import Control, DictionaryHealth

_NEWEST_OF_A_CHECKPOINT = 500


@dataclass(frozen=True)
class Names:
    """The names of what an evaluation refers to."""

    monitor: str
    model: str
    checkpoint: str
    baseline: str
    previous: str | None
    corpus: str
    feature_set: str | None
    feature_set_version: int | None
    dictionary: str | None


@dataclass(frozen=True)
class Work:
    """How far the shards of an evaluation are."""

    done: int = 0
    total: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class EvaluationView:
    """An evaluation with all that its resource shows."""

    evaluation: Evaluation
    names: Names
    work: Work = Work()
    controls: Sequence[Control] = field(default_factory=list)
    health: Sequence[DictionaryHealth] = field(default_factory=list)
    page_share: PageBudgetEntry | None = None
    collected: Sequence[str] = ()
    """Roles whose snapshots are no longer in the store."""


def insert_evaluation(session: Session, **values: Any) -> Evaluation | None:
    """A new evaluation, or None when the same inputs have one."""
    unique = ["monitor_id", "checkpoint_id", "inputs_digest"]
    return insert_if_absent(session, Evaluation, unique, **values)


def find_evaluation_id(
    session: Session, monitor_id: UUID, checkpoint_id: UUID, inputs_digest: str
) -> UUID:
    """The evaluation of these inputs, which exists."""
    return session.scalars(
        select(Evaluation.id).where(
            Evaluation.monitor_id == monitor_id,
            Evaluation.checkpoint_id == checkpoint_id,
            Evaluation.inputs_digest == inputs_digest,
        )
    ).one()


def get_state(session: Session, evaluation_id: UUID) -> str | None:
    """The state of an evaluation, for polling."""
    return session.scalar(select(Evaluation.state).where(Evaluation.id == evaluation_id))


def get_view(session: Session, evaluation_id: UUID) -> EvaluationView | None:
    """An evaluation with all that its resource shows."""
    views = _complete(session, _rows(session, _named().where(Evaluation.id == evaluation_id)))
    return views[0] if views else None


def list_views(
    session: Session,
    *,
    model: str | None,
    checkpoint: str | None,
    monitor: str | None,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[EvaluationView]:
    """Evaluations, newest first, one more than `limit`."""
    statement = _named()
    if model is not None:
        statement = statement.where(Model.name == model)
    if checkpoint is not None:
        statement = statement.where(Checkpoint.name == checkpoint)
    if monitor is not None:
        statement = statement.where(Monitor.name == monitor)
    if state is not None:
        statement = statement.where(Evaluation.state == state)
    rows = _rows(session, newest_first(statement, Evaluation.id, after, limit))
    return _complete(session, rows)


def newest_ids(session: Session, checkpoint_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Evaluations of some checkpoints, newest first, at most 500 of each."""
    rank = func.row_number().over(
        partition_by=Evaluation.checkpoint_id, order_by=Evaluation.id.desc()
    )
    ranked = (
        select(Evaluation.id, Evaluation.checkpoint_id, rank.label("rank"))
        .where(Evaluation.checkpoint_id.in_(checkpoint_ids))
        .subquery()
    )
    rows = session.execute(
        select(ranked.c.id, ranked.c.checkpoint_id)
        .where(ranked.c.rank <= _NEWEST_OF_A_CHECKPOINT)
        .order_by(ranked.c.id.desc())
    )
    found: dict[UUID, list[UUID]] = {}
    for evaluation_id, checkpoint_id in rows:
        found.setdefault(checkpoint_id, []).append(evaluation_id)
    return found


def _named() -> Select[Evaluation, str, str, str, str, str, str, str, int, str]:
    baseline, previous = aliased(Checkpoint), aliased(Checkpoint)
    return (
        select(
            Evaluation,
            Monitor.name,
            Model.name,
            Checkpoint.name,
            baseline.name,
            previous.name,
            Corpus.name,
            FeatureSet.name,
            FeatureSetVersion.number,
            Dictionary.name,
        )
        .join(Monitor, Evaluation.monitor_id == Monitor.id)
        .join(Model, Monitor.model_id == Model.id)
        .join(Checkpoint, Evaluation.checkpoint_id == Checkpoint.id)
        .join(baseline, Evaluation.baseline_checkpoint_id == baseline.id)
        .outerjoin(previous, Evaluation.previous_checkpoint_id == previous.id)
        .join(Corpus, Evaluation.corpus_id == Corpus.id)
        .outerjoin(FeatureSetVersion, Evaluation.feature_set_version_id == FeatureSetVersion.id)
        .outerjoin(FeatureSet, FeatureSetVersion.feature_set_id == FeatureSet.id)
        .outerjoin(Dictionary, Evaluation.dictionary_id == Dictionary.id)
    )


def _rows(
    session: Session,
    statement: Select[Evaluation, str, str, str, str, str, str, str, int, str],
) -> list[tuple[Evaluation, Names]]:
    return [(row[0], Names(*row[1:])) for row in session.execute(statement)]


def _complete(session: Session, rows: Sequence[tuple[Evaluation, Names]]) -> list[EvaluationView]:
    ids = [evaluation.id for evaluation, _ in rows]
    work = _work(session, ids)
    controls: dict[UUID, list[Control]] = {}
    for control in session.scalars(
        select(Control).where(Control.evaluation_id.in_(ids)).order_by(Control.control)
    ):
        controls.setdefault(control.evaluation_id, []).append(control)
    health: dict[UUID, list[DictionaryHealth]] = {}
    for reading in session.scalars(
        select(DictionaryHealth)
        .where(DictionaryHealth.evaluation_id.in_(ids))
        .order_by(DictionaryHealth.dictionary, DictionaryHealth.role)
    ):
        health.setdefault(reading.evaluation_id, []).append(reading)
    shares = {
        share.evaluation_id: share
        for share in session.scalars(
            select(PageBudgetEntry).where(PageBudgetEntry.evaluation_id.in_(ids))
        )
    }
    collected: dict[UUID, list[str]] = {}
    for evaluation_id, role in session.execute(
        select(EvaluationSnapshot.evaluation_id, EvaluationSnapshot.role)
        .join(Snapshot, Snapshot.id == EvaluationSnapshot.snapshot_id)
        .where(EvaluationSnapshot.evaluation_id.in_(ids), Snapshot.state == "collected")
        .order_by(EvaluationSnapshot.role)
    ):
        collected.setdefault(evaluation_id, []).append(role)
    return [
        EvaluationView(
            evaluation,
            names,
            work.get(evaluation.id, Work()),
            controls.get(evaluation.id, []),
            health.get(evaluation.id, []),
            shares.get(evaluation.id),
            collected.get(evaluation.id, []),
        )
        for evaluation, names in rows
    ]


def _work(session: Session, ids: Sequence[UUID]) -> dict[UUID, Work]:
    own = select(Shard.evaluation_id.label("id"), Shard.state, Shard.attempt).where(
        Shard.evaluation_id.in_(ids)
    )
    # A snapshot's shards count for every evaluation that waits for them.
    shared = (
        select(EvaluationSnapshot.evaluation_id, Shard.state, Shard.attempt)
        .join(Shard, Shard.snapshot_id == EvaluationSnapshot.snapshot_id)
        .where(EvaluationSnapshot.evaluation_id.in_(ids))
    )
    shards = union_all(own, shared).subquery()
    rows = session.execute(
        select(
            shards.c.id,
            func.count().filter(shards.c.state == "succeeded"),
            func.count(),
            func.max(shards.c.attempt),
        ).group_by(shards.c.id)
    )
    return {row[0]: Work(*row[1:]) for row in rows}
