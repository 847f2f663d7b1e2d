"""The exporter's SQL: a few bounded statements, whatever the number of evaluations."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    extract,
    func,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.selectable import LateralFromClause

from app.evaluations.tables import Evaluation
from app.exporter.reading import DURATION_BOUNDS
from app.monitors.tables import Monitor, PageBudgetEntry
from app.registry.tables import Alias, Checkpoint, Dictionary, Feature, Model
from app.verdicts.tables import Control, DictionaryHealth, Verdict

MAX_MONITORS = 1000
MAX_WATCHED = 200
MAX_DICTIONARIES = 20
MAX_ALIASES = 20

Rows = Sequence[Any]
"""Rows with the columns that each function names."""

# As alerts order them: another look at an older checkpoint says nothing of the newest. Ids of
# checkpoints are in the order of registration, and lead the index that serves this.
_NEWEST_FIRST = (
    Evaluation.checkpoint_id.desc(),
    Evaluation.created_at.desc(),
    Evaluation.id.desc(),
)


def begin(session: Session, statement_timeout: float) -> None:
    """Make this transaction one consistent, read-only look that cannot last for ever.

    Args:
        statement_timeout: seconds.
    """
    session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    milliseconds = max(1, round(statement_timeout * 1000))
    session.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))


def monitors(session: Session) -> tuple[Rows, int]:
    """(id, monitor, model, enabled, policy, version) of the first by name, and how many in all."""
    rows = session.execute(
        select(
            Monitor.id,
            Monitor.name.label("monitor"),
            Model.name.label("model"),
            Monitor.enabled,
            Monitor.policy,
            Monitor.version,
        )
        .join(Model, Model.id == Monitor.model_id)
        .order_by(Monitor.name)
        .limit(MAX_MONITORS)
    ).all()
    total = session.scalar(select(func.count()).select_from(Monitor)) or 0
    return rows, total


def latest_evaluations(session: Session, monitor_ids: Sequence[UUID]) -> Rows:
    """The newest succeeded evaluation of each enabled monitor, with its checkpoints' names."""
    newest = (
        select(Evaluation)
        .where(Evaluation.monitor_id == Monitor.id, Evaluation.state == "succeeded")
        .order_by(*_NEWEST_FIRST)
        .limit(1)
        .lateral()
    )
    evaluation = aliased(Evaluation, newest)
    baseline = aliased(Checkpoint)
    return session.execute(
        select(
            evaluation.id,
            evaluation.monitor_id,
            evaluation.checkpoint_id,
            evaluation.created_at,
            evaluation.summary,
            Monitor.model_id,
            Checkpoint.name.label("checkpoint"),
            Checkpoint.weights_digest.label("digest"),
            Checkpoint.created_at.label("registered"),
            baseline.name.label("baseline"),
        )
        .select_from(Monitor)
        .join(newest, true())
        .join(Checkpoint, Checkpoint.id == evaluation.checkpoint_id)
        .join(baseline, baseline.id == evaluation.baseline_checkpoint_id)
        .where(Monitor.id.in_(monitor_ids), Monitor.enabled)
    ).all()


def newest_evaluations(session: Session, monitor_ids: Sequence[UUID]) -> Rows:
    """(monitor_id, newest, state, policy, ended): of each enabled monitor with any evaluation.

    `newest`, `state` and `policy` are those of its newest checkpoint's last evaluation; `ended` is
    the state of the newest that succeeded or failed, if any: cancelling is somebody's decision, not
    an outcome.
    """

    def newest(*conditions: ColumnElement[bool]) -> LateralFromClause:
        return (
            select(Evaluation.id, Evaluation.state, Evaluation.policy)
            .where(Evaluation.monitor_id == Monitor.id, *conditions)
            .order_by(*_NEWEST_FIRST)
            .limit(1)
            .lateral()
        )

    latest, ended = newest(), newest(Evaluation.state.in_(("succeeded", "failed")))
    return session.execute(
        select(
            Monitor.id.label("monitor_id"),
            latest.c.id.label("newest"),
            latest.c.state,
            latest.c.policy,
            ended.c.state.label("ended"),
        )
        .select_from(Monitor)
        .join(latest, true())
        .outerjoin(ended, true())
        .where(Monitor.id.in_(monitor_ids), Monitor.enabled)
    ).all()


def verdict_counts(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """(evaluation_id, comparison, verdict, features)."""
    return session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.comparison,
            Verdict.verdict,
            func.count().label("features"),
        )
        .where(Verdict.evaluation_id.in_(evaluation_ids))
        .group_by(Verdict.evaluation_id, Verdict.comparison, Verdict.verdict)
    ).all()


def flag_counts(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """(evaluation_id, comparison, paged, slow_drift, only_slow): numbers of flagged features.

    `only_slow`: those whose moving average says what the comparison itself does not show.
    """
    return session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.comparison,
            func.count().filter(Verdict.paged).label("paged"),
            func.count().filter(Verdict.slow_drift).label("slow_drift"),
            func.count()
            .filter(Verdict.slow_drift, Verdict.verdict != "drifted")
            .label("only_slow"),
        )
        .where(Verdict.evaluation_id.in_(evaluation_ids), or_(Verdict.paged, Verdict.slow_drift))
        .group_by(Verdict.evaluation_id, Verdict.comparison)
    ).all()


def pages_spent(session: Session, monitor_ids: Sequence[UUID], quarter: date) -> Rows:
    """(monitor_id, spent) of the false-page budget of a quarter."""
    return session.execute(
        select(PageBudgetEntry.monitor_id, func.sum(PageBudgetEntry.alpha).label("spent"))
        .where(PageBudgetEntry.monitor_id.in_(monitor_ids), PageBudgetEntry.quarter == quarter)
        .group_by(PageBudgetEntry.monitor_id)
    ).all()


def score_quantiles(session: Session, evaluation_ids: Sequence[UUID], q: Sequence[float]) -> Rows:
    """(evaluation_id, comparison, scores): quantiles of the drift scores that exist."""
    return session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.comparison,
            func.percentile_cont(list(q)).within_group(Verdict.drift_score).label("scores"),
        )
        .where(Verdict.evaluation_id.in_(evaluation_ids), Verdict.drift_score.is_not(None))
        .group_by(Verdict.evaluation_id, Verdict.comparison)
    ).all()


def watched_features(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """Rows of the comparison with the baseline, for the watchlists only, in the lists' order."""
    entry = (
        func.jsonb_array_elements_text(Monitor.watchlist)
        .table_valued("feature", with_ordinality="position", joins_implicitly=True)
        .render_derived()
    )
    return session.execute(
        select(
            Verdict.evaluation_id,
            Verdict.feature,
            Verdict.verdict,
            Verdict.firing_ratio_candidate,
            Verdict.concept_auroc_candidate,
            Verdict.drift_score,
            Verdict.paged,
            Verdict.slow_drift,
            Verdict.change,
            Verdict.estimand,
            Verdict.effect,
            Verdict.margin,
            Verdict.diagnosis,
        )
        .select_from(Evaluation)
        .join(Monitor, Monitor.id == Evaluation.monitor_id)
        .join(entry, entry.c.position <= MAX_WATCHED)
        .join(
            Verdict,
            and_(
                Verdict.evaluation_id == Evaluation.id,
                Verdict.comparison == "baseline",
                Verdict.feature == entry.c.feature,
            ),
        )
        .where(Evaluation.id.in_(evaluation_ids))
        .order_by(Verdict.evaluation_id, entry.c.position)
    ).all()


def dictionary_health(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """(evaluation_id, dictionary, fvu, l0, dead_ratio) of the candidate's side."""
    return session.execute(
        select(
            DictionaryHealth.evaluation_id,
            DictionaryHealth.dictionary,
            DictionaryHealth.fvu,
            DictionaryHealth.l0,
            DictionaryHealth.dead_ratio,
        )
        .where(
            DictionaryHealth.evaluation_id.in_(evaluation_ids), DictionaryHealth.role == "candidate"
        )
        .order_by(DictionaryHealth.evaluation_id, DictionaryHealth.dictionary)
    ).all()


def stale_dictionaries(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """(evaluation_id, dictionary) wherever a drifted feature's diagnosis blames its dictionary."""
    return session.execute(
        select(Verdict.evaluation_id, Dictionary.name.label("dictionary"))
        .distinct()
        .join(Evaluation, Evaluation.id == Verdict.evaluation_id)
        .outerjoin(Feature, Feature.id == Verdict.feature_id)
        .join(
            Dictionary,
            Dictionary.id == func.coalesce(Feature.dictionary_id, Evaluation.dictionary_id),
        )
        .where(
            Verdict.evaluation_id.in_(evaluation_ids),
            Verdict.comparison == "baseline",
            Verdict.diagnosis == "dictionary_stale",
        )
    ).all()


def controls(session: Session, evaluation_ids: Sequence[UUID]) -> Rows:
    """(evaluation_id, control, passed)."""
    return session.execute(
        select(Control.evaluation_id, Control.control, Control.passed)
        .where(Control.evaluation_id.in_(evaluation_ids))
        .order_by(Control.evaluation_id, Control.control)
    ).all()


def activity(session: Session, monitor_ids: Sequence[UUID]) -> Rows:
    """(monitor_id, state, evaluations, timed, seconds, last_finished, le_0 …) by monitor and state.

    `le_i` counts the durations of at most `DURATION_BOUNDS[i]` seconds; `timed` all durations.
    """
    seconds = extract("epoch", Evaluation.finished_at - Evaluation.started_at)
    return session.execute(
        select(
            Evaluation.monitor_id,
            Evaluation.state,
            func.count().label("evaluations"),
            func.count(seconds).label("timed"),
            func.coalesce(func.sum(seconds), literal(0.0)).label("seconds"),
            func.max(Evaluation.finished_at).label("last_finished"),
            *(
                func.count(case((seconds <= bound, 1))).label(f"le_{position}")
                for position, bound in enumerate(DURATION_BOUNDS)
            ),
        )
        .where(Evaluation.monitor_id.in_(monitor_ids))
        .group_by(Evaluation.monitor_id, Evaluation.state)
    ).all()


def aliases(session: Session) -> Rows:
    """(model, alias, checkpoint, digest): the first aliases of each model by name."""
    rank = func.row_number().over(partition_by=Alias.model_id, order_by=Alias.name)
    ranked = select(Alias.model_id, Alias.name, Alias.checkpoint_id, rank.label("rank")).subquery()
    return session.execute(
        select(
            Model.name.label("model"),
            ranked.c.name.label("alias"),
            Checkpoint.name.label("checkpoint"),
            Checkpoint.weights_digest.label("digest"),
        )
        .select_from(ranked)
        .join(Model, Model.id == ranked.c.model_id)
        .join(Checkpoint, Checkpoint.id == ranked.c.checkpoint_id)
        .where(ranked.c.rank <= MAX_ALIASES)
        .order_by(Model.name, ranked.c.name)
        .limit(MAX_MONITORS * MAX_ALIASES)
    ).all()
