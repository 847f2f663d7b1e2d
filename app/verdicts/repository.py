"""SQL of verdicts: lists, and what the gate is decided on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
from app.verdicts.tables import Control, Verdict


class VerdictPosition(NamedTuple):
    """Where a page of verdicts ends."""

    score: float
    feature: str
    comparison: str


@dataclass(frozen=True)
class VerdictFilter:
    """Which verdicts of an evaluation; an empty filter lets all through."""

    verdicts: Sequence[str] = ()
    changes: Sequence[str] = ()
    diagnoses: Sequence[str] = ()
    features: Sequence[str] = ()
    comparison: str | None = None
    earns_keep: Sequence[str] = ()
    causal_verdicts: Sequence[str] = ()
    paged: bool | None = None
    slow_drift: bool | None = None
    token_level: bool | None = None


@dataclass(frozen=True)
class Named:
    """The first few features that speak against a checkpoint, the worst first."""

    drifted: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    untrusted: list[str] = field(default_factory=list)
    slow_drift: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)


class Flags(NamedTuple):
    """How many features of a comparison are flagged."""

    paged: int = 0
    slow_drift: int = 0


# Nulls sort last: what has no score is never the worst. A score is never negative.
_SCORES: dict[str, ColumnElement[float]] = {
    "effect": func.coalesce(func.abs(Verdict.effect) / func.nullif(Verdict.margin, 0), -1.0),
    "drift_score": func.coalesce(Verdict.drift_score, -1.0),
}


def list_verdicts(
    session: Session,
    evaluation_id: UUID,
    which: VerdictFilter,
    *,
    sort: str,
    after: VerdictPosition | None,
    limit: int,
) -> Sequence[tuple[Verdict, float]]:
    """Verdicts with the score they are sorted by, one more than `limit`."""
    score: ColumnElement[float] = _SCORES.get(sort, func.abs(0.0))
    statement = select(Verdict, score).where(Verdict.evaluation_id == evaluation_id)
    for column, allowed in (
        (Verdict.verdict, which.verdicts),
        (Verdict.change, which.changes),
        (Verdict.diagnosis, which.diagnoses),
        (Verdict.feature, which.features),
        (Verdict.earns_keep, which.earns_keep),
        (Verdict.causal_verdict, which.causal_verdicts),
    ):
        if allowed:
            statement = statement.where(column.in_(allowed))
    for flag, wanted in (
        (Verdict.paged, which.paged),
        (Verdict.slow_drift, which.slow_drift),
        (Verdict.token_level, which.token_level),
    ):
        if wanted is not None:
            statement = statement.where(flag.is_(wanted))
    if which.comparison is not None:
        statement = statement.where(Verdict.comparison == which.comparison)
    if after is not None:
        same = or_(
            Verdict.feature > after.feature,
            and_(Verdict.feature == after.feature, Verdict.comparison > after.comparison),
        )
        if sort in _SCORES:
            same = or_(score < after.score, and_(score == after.score, same))
        statement = statement.where(same)
    order: list[Any] = [Verdict.feature, Verdict.comparison]
    if sort in _SCORES:
        order.insert(0, score.desc())
    rows = session.execute(statement.order_by(*order).limit(limit + 1))
    return [(verdict, value) for verdict, value in rows]


def verdict_counts(
    session: Session, evaluation_ids: Sequence[UUID]
) -> dict[tuple[UUID, str], dict[str, int]]:
    """(evaluation, comparison) → features by verdict, of the stored rows."""
    rows = session.execute(
        select(Verdict.evaluation_id, Verdict.comparison, Verdict.verdict, func.count())
        .where(Verdict.evaluation_id.in_(evaluation_ids))
        .group_by(Verdict.evaluation_id, Verdict.comparison, Verdict.verdict)
    )
    counts: dict[tuple[UUID, str], dict[str, int]] = {}
    for evaluation_id, comparison, verdict, count in rows:
        counts.setdefault((evaluation_id, comparison), {})[verdict] = count
    return counts


def flag_counts(session: Session, evaluation_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Flags]:
    """(evaluation, comparison) → flagged features, of the stored rows."""
    rows = session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.comparison,
            func.count().filter(Verdict.paged),
            func.count().filter(Verdict.slow_drift),
        )
        .where(Verdict.evaluation_id.in_(evaluation_ids), or_(Verdict.paged, Verdict.slow_drift))
        .group_by(Verdict.evaluation_id, Verdict.comparison)
    )
    return {(row[0], row[1]): Flags(row[2], row[3]) for row in rows}


def newest_evaluations(
    session: Session, checkpoint_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], Evaluation]:
    """(checkpoint, monitor) → the monitor's newest evaluation of the checkpoint."""
    rows = session.scalars(
        select(Evaluation)
        .where(Evaluation.checkpoint_id.in_(checkpoint_ids))
        .ext(distinct_on(Evaluation.checkpoint_id, Evaluation.monitor_id))
        .order_by(Evaluation.checkpoint_id, Evaluation.monitor_id, Evaluation.id.desc())
    )
    return {(row.checkpoint_id, row.monitor_id): row for row in rows}


def newest_states(session: Session, checkpoint_id: UUID) -> Sequence[str]:
    """States of the newest evaluations of a checkpoint by enabled monitors, for polling."""
    rows = session.execute(
        select(Evaluation.monitor_id, Evaluation.state)
        .join(Monitor, Evaluation.monitor_id == Monitor.id)
        .where(Evaluation.checkpoint_id == checkpoint_id, Monitor.enabled)
        .ext(distinct_on(Evaluation.monitor_id))
        .order_by(Evaluation.monitor_id, Evaluation.id.desc())
    )
    return [row.state for row in rows]


def failed_controls(session: Session, evaluation_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Evaluation → its controls that did not hold."""
    rows = session.execute(
        select(Control.evaluation_id, Control.control)
        .where(Control.evaluation_id.in_(evaluation_ids), Control.passed.is_(False))
        .order_by(Control.control)
    )
    found: dict[UUID, list[str]] = {}
    for evaluation_id, control in rows:
        found.setdefault(evaluation_id, []).append(control)
    return found


_GROUPS: dict[str, ColumnElement[bool]] = {
    "drifted": Verdict.verdict == "drifted",
    "unproven": Verdict.verdict.not_in(("drifted", "stable")),
    "untrusted": Verdict.verdict == "untrusted",
    "slow_drift": and_(Verdict.slow_drift, Verdict.verdict != "drifted"),
    "pages": Verdict.paged.is_(True),
}


def named_features(
    session: Session, evaluation_ids: Sequence[UUID], limit: int
) -> dict[UUID, Named]:
    """Evaluation → the first features of its baseline comparison that speak against it."""
    rank = func.row_number().over(
        partition_by=Verdict.evaluation_id, order_by=(_SCORES["effect"].desc(), Verdict.feature)
    )
    ranked = union_all(
        *(
            select(
                Verdict.evaluation_id,
                Verdict.feature,
                literal(name).label("group"),
                rank.label("rank"),
            ).where(
                Verdict.evaluation_id.in_(evaluation_ids),
                Verdict.comparison == "baseline",
                belongs,
            )
            for name, belongs in _GROUPS.items()
        )
    ).subquery()
    rows = session.execute(
        select(ranked.c.evaluation_id, ranked.c.group, ranked.c.feature)
        .where(ranked.c.rank <= limit)
        .order_by(ranked.c.rank)
    )
    found = {evaluation_id: Named() for evaluation_id in evaluation_ids}
    for evaluation_id, which, feature in rows:
        getattr(found[evaluation_id], which).append(feature)
    return found


def baseline_names(session: Session, evaluation_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Evaluation → the name of the checkpoint that it is compared with."""
    rows = session.execute(
        select(Evaluation.id, Checkpoint.name)
        .join(Checkpoint, Evaluation.baseline_checkpoint_id == Checkpoint.id)
        .where(Evaluation.id.in_(evaluation_ids))
    )
    return {row[0]: row[1] for row in rows}
