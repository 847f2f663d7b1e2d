"""What earlier evaluations of a monitor found, joined to slow drifts over checkpoints."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.evaluations.tables import Evaluation
from app.registry.tables import Checkpoint
from app.verdicts.tables import Verdict
from workers.comparison import ComparisonResult
from workers.drift.records import Estimate, FeatureVerdict
from workers.drift.trend import Point, Trend, slow_drift
from workers.pipeline.case import Case

MAX_CHECKPOINTS = 50
"""With a weight of 0.2, what lies further back counts for less than 2 in 100,000."""
ALL_FEATURES = 500
"""Of larger sets only the watchlist is followed."""

_JUDGED = frozenset({"stable", "drifted", "inconclusive"})


@dataclass(frozen=True)
class SlowDrift:
    """The averages of one feature's effects over checkpoints."""

    alarm: bool
    figures: dict[str, Any]
    """By estimand, and under `estimand` the one that is nearest to its limit or beyond it."""


@dataclass(frozen=True)
class _Past:
    """One earlier evaluation."""

    checkpoint: str
    baseline: UUID
    rows: Mapping[tuple[str, str], Verdict]
    """By comparison and feature."""


def slow_drifts(
    session: Session, case: Case, results: Mapping[str, ComparisonResult]
) -> dict[str, SlowDrift]:
    """The slow drift of each followed feature, with this evaluation as the newest point."""
    names = _followed(case)
    if not names:
        return {}
    past = _past(session, case, names)
    now = {
        side: {row.name: row for row in result.verdicts if row.name in names}
        for side, result in results.items()
    }
    policy = case.question.policy.slow_drift
    digests = case.definition_digests
    found = {}
    for name, row in now["baseline"].items():
        # A verdict that a control or check has taken away cannot come back as a trend.
        if row.verdict not in _JUDGED:
            continue
        step = now.get("previous", {}).get(name)
        trends = [
            slow_drift(
                [
                    *_points(past, name, estimand, digests[name]),
                    _newest(case, past, estimate, step, estimand),
                ],
                estimate.margin,
                weight=policy.weight,
                margin_share=policy.margin_share,
                alpha=policy.alpha,
                estimand=estimand,
            )
            for estimand, estimate in row.estimates.items()
        ]
        if trends:
            found[name] = _worst(trends, drifted=row.verdict == "drifted")
    return found


def _followed(case: Case) -> frozenset[str]:
    if len(case.names) <= ALL_FEATURES:
        return frozenset(case.names)
    return frozenset(case.question.watchlist)


def _past(session: Session, case: Case, names: Collection[str]) -> list[_Past]:
    """Evaluations of checkpoints registered before, oldest first, the newest of each checkpoint."""
    candidate = case.checkpoints["candidate"]
    found = session.execute(
        select(Evaluation, Checkpoint.name)
        .join(Checkpoint, Checkpoint.id == Evaluation.checkpoint_id)
        .where(
            Evaluation.monitor_id == case.evaluation.monitor_id,
            Evaluation.state == "succeeded",
            Evaluation.checkpoint_id != candidate.id,
            Checkpoint.created_at < candidate.created_at,
        )
        .order_by(Checkpoint.created_at.desc(), Evaluation.created_at.desc())
        .limit(2 * MAX_CHECKPOINTS)
    )
    newest: dict[UUID, tuple[Evaluation, str]] = {}
    for evaluation, checkpoint in found:
        newest.setdefault(evaluation.checkpoint_id, (evaluation, checkpoint))
    kept = list(newest.values())[:MAX_CHECKPOINTS]
    rows = session.scalars(
        select(Verdict).where(
            Verdict.evaluation_id.in_([evaluation.id for evaluation, _ in kept]),
            Verdict.feature.in_(names),
        )
    )
    by_evaluation: dict[UUID, dict[tuple[str, str], Verdict]] = {}
    for row in rows:
        by_evaluation.setdefault(row.evaluation_id, {})[row.comparison, row.feature] = row
    return [
        _Past(checkpoint, evaluation.baseline_checkpoint_id, by_evaluation.get(evaluation.id, {}))
        for evaluation, checkpoint in reversed(kept)
    ]


def _points(past: Sequence[_Past], name: str, estimand: str, digest: str) -> list[Point]:
    """A feature's earlier points; one that was defined otherwise then is another feature."""
    points: list[Point] = []
    baseline = None
    for one in past:
        row = one.rows.get(("baseline", name))
        if row is None or row.definition_digest != digest or row.verdict not in _JUDGED:
            continue
        effect, se = _stored(row, estimand)
        step = one.rows.get(("previous", name))
        step_effect, step_se = _stored(step, estimand) if step is not None else (None, None)
        points.append(
            Point(
                effect=float("nan") if effect is None else effect,
                se=float("nan") if se is None else se,
                checkpoint=one.checkpoint,
                same_baseline=baseline in (None, one.baseline),
                step_effect=step_effect,
                step_se=step_se,
            )
        )
        baseline = one.baseline
    return points


def _stored(row: Verdict, estimand: str) -> tuple[float | None, float | None]:
    estimate = row.estimates.get(estimand) or {}
    return estimate.get("effect"), estimate.get("se")


def _newest(
    case: Case,
    past: Sequence[_Past],
    estimate: Estimate,
    step: FeatureVerdict | None,
    estimand: Any,
) -> Point:
    stepped = step.estimates.get(estimand) if step is not None else None
    return Point(
        effect=estimate.effect,
        se=estimate.se,
        checkpoint=case.checkpoints["candidate"].name,
        same_baseline=not past or past[-1].baseline == case.evaluation.baseline_checkpoint_id,
        step_effect=stepped.effect if stepped else None,
        step_se=stepped.se if stepped else None,
    )


def _worst(trends: Sequence[Trend], *, drifted: bool) -> SlowDrift:
    """The trend nearest to its limit; what has drifted at one blow is no news as a slow drift."""
    worst = max(trends, key=lambda trend: (trend.alarm, abs(trend.level) / trend.limit))
    return SlowDrift(
        alarm=worst.alarm and not drifted,
        figures={
            "alarm": worst.alarm,
            "estimand": worst.estimand,
            "level": worst.level,
            "limit": worst.limit,
            "checkpoints": worst.points,
            "estimands": {str(trend.estimand): trend.to_json() for trend in trends},
        },
    )
