"""SQL of a dictionary's page: its health over checkpoints, its latents, what reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.core.rows import newest_first
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import (
    Checkpoint,
    Dictionary,
    Feature,
    FeatureSet,
    FeatureSetVersion,
    Model,
)
from app.verdicts import repository as verdicts
from app.verdicts.repository import VerdictFilter
from app.verdicts.tables import DictionaryHealth, Verdict


class Where(NamedTuple):
    """An evaluation with the names of what it is about."""

    evaluation: Evaluation
    checkpoint: str
    monitor: str
    model: str


@dataclass(frozen=True)
class HealthLine:
    """How a dictionary did on one checkpoint, and on the baseline beside it."""

    where: Where
    candidate: DictionaryHealth
    baseline: DictionaryHealth | None
    fvu_max: float | None
    """Above this on the baseline, the dictionary is taken to read nothing."""


@dataclass(frozen=True)
class Latents:
    """What the newest evaluation of a whole dictionary found."""

    where: Where
    counts: dict[str, int]
    drifted: Sequence[Verdict]
    """Those that drifted most, the worst first."""


class Reader(NamedTuple):
    """A feature that is read from a dictionary, with its newest verdict and whose that is."""

    feature: Feature
    feature_set: str
    version: int
    verdict: str | None
    monitor: str | None


def health_lines(
    session: Session, dictionary: str, after: UUID | None, limit: int
) -> list[HealthLine]:
    """Health on candidates, newest evaluation first, one more than `limit`."""
    statement = (
        select(DictionaryHealth, Evaluation, Checkpoint.name, Monitor.name, Model.name)
        .join(Evaluation, Evaluation.id == DictionaryHealth.evaluation_id)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .join(Monitor, Monitor.id == Evaluation.monitor_id)
        .join(Model, Model.id == Monitor.model_id)
        .where(DictionaryHealth.dictionary == dictionary, DictionaryHealth.role == "candidate")
    )
    rows = session.execute(newest_first(statement, Evaluation.id, after, limit)).all()
    other = session.scalars(
        select(DictionaryHealth).where(
            DictionaryHealth.evaluation_id.in_([row[1].id for row in rows]),
            DictionaryHealth.dictionary == dictionary,
            DictionaryHealth.role == "baseline",
        )
    )
    baselines = {row.evaluation_id: row for row in other}
    return [
        HealthLine(
            Where(evaluation, checkpoint, monitor, model),
            health,
            baselines.get(evaluation.id),
            evaluation.policy.get("fvu_max"),
        )
        for health, evaluation, checkpoint, monitor, model in rows
    ]


def newest_latents(session: Session, dictionary: Dictionary, limit: int) -> Latents | None:
    """The latents that drifted most, of the newest evaluation that judged all of them."""
    row = session.execute(
        select(Evaluation, Checkpoint.name, Monitor.name, Model.name)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .join(Monitor, Monitor.id == Evaluation.monitor_id)
        .join(Model, Model.id == Monitor.model_id)
        .where(Evaluation.dictionary_id == dictionary.id, Evaluation.state == "succeeded")
        .order_by(Evaluation.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    where = Where(*row)
    comparisons = (where.evaluation.summary or {}).get("comparisons") or {}
    counts = (comparisons.get("baseline") or {}).get("counts") or {}
    found = verdicts.list_verdicts(
        session,
        where.evaluation.id,
        VerdictFilter(verdicts=("drifted",), comparison="baseline"),
        sort="effect",
        after=None,
        limit=limit,
    )
    return Latents(where, counts, [verdict for verdict, _ in found[:limit]])


def readers(session: Session, dictionary: Dictionary, limit: int) -> list[Reader]:
    """Features that are read from the dictionary, newest set version first."""
    rows = session.execute(
        select(Feature, FeatureSet.name, FeatureSetVersion.number)
        .join(FeatureSetVersion, FeatureSetVersion.id == Feature.feature_set_version_id)
        .join(FeatureSet, FeatureSet.id == FeatureSetVersion.feature_set_id)
        .where(Feature.dictionary_id == dictionary.id)
        .order_by(FeatureSetVersion.id.desc(), Feature.position)
        .limit(limit)
    ).all()
    newest = session.execute(
        select(Verdict.feature_id, Verdict.verdict, Monitor.name)
        .join(Evaluation, Evaluation.id == Verdict.evaluation_id)
        .join(Monitor, Monitor.id == Evaluation.monitor_id)
        .where(
            Verdict.feature_id.in_([row[0].id for row in rows]), Verdict.comparison == "baseline"
        )
        .ext(distinct_on(Verdict.feature_id))
        .order_by(Verdict.feature_id, Verdict.evaluation_id.desc())
    )
    found = {feature: (verdict, monitor) for feature, verdict, monitor in newest}
    return [Reader(*row, *found.get(row[0].id, (None, None))) for row in rows]
